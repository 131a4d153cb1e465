<?php
// Asks Millstream and passes each piece of the answer on to the browser at once. Keep the access key here, on the server.
$url = getenv('MILLSTREAM_URL') ?: 'http://localhost:8000';
$key = getenv('MILLSTREAM_KEY') ?: 'none';
$prompt = $_POST['prompt'] ?? $argv[1] ?? 'Name three rivers.';

header('Content-Type: text/plain; charset=utf-8');
header('X-Accel-Buffering: no');
while (ob_get_level()) {
    ob_end_flush();
}

$request = curl_init("$url/chat");
curl_setopt_array($request, [
    CURLOPT_POST => true,
    CURLOPT_POSTFIELDS => http_build_query(['prompt' => $prompt]),
    CURLOPT_HTTPHEADER => ['Accept: text/plain', "Authorization: Bearer $key"],
    CURLOPT_FAILONERROR => true,
    CURLOPT_LOW_SPEED_LIMIT => 1,
    CURLOPT_LOW_SPEED_TIME => 120,
    CURLOPT_WRITEFUNCTION => function ($request, $piece) {
        echo $piece;
        flush();
        return connection_aborted() ? 0 : strlen($piece);
    },
]);
if (!curl_exec($request)) {
    error_log('Millstream: ' . curl_error($request));
    echo "\n[The answer broke off. Please try again.]";
    exit(1);
}
