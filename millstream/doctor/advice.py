"""The configuration lines that fix each symptom, for each proxy. docs/behind-a-proxy.md shows them in context."""

from __future__ import annotations

# The first match counts: Passenger runs inside nginx or Apache.
PROXIES = {"passenger": "Passenger", "nginx": "nginx", "apache": "Apache", "caddy": "Caddy", "haproxy": "HAProxy",
           "cloudflare": "Cloudflare"}  # fmt: skip

_FLOW = {
    "passenger": "PassengerBufferResponse off\n# in nginx: passenger_buffer_response off;",
    "nginx": "proxy_buffering off;\nproxy_cache off;",
    "apache": "ProxyPass / http://127.0.0.1:8000/ flushpackets=on",
    "caddy": "reverse_proxy 127.0.0.1:8000 {\n    flush_interval -1\n}",
    "haproxy": 'option http-no-delay\n# and no "http-response wait-for-body"',
    "cloudflare": "Rules > Configuration Rules: Response buffering off for /chat, /streams and /v1",
}

ADVICE: dict[str, dict[str, str]] = {
    "held": _FLOW,
    "bursts": _FLOW,
    "compressed": {
        "nginx": "gzip off;",
        "apache": "SetEnv no-gzip 1\nSetEnv no-brotli 1",
        "caddy": "@pages not path /chat* /streams* /v1*\nencode @pages gzip",
        "haproxy": "# no \"compression algo\" and no \"filter compression\" in this proxy's sections",
        "cloudflare": "Rules > Compression Rules: no compression for /chat, /streams and /v1",
    },
    "http10": {
        "nginx": 'proxy_http_version 1.1;\nproxy_set_header Connection "";',
        "apache": "UnsetEnv force-proxy-request-1.0\nUnsetEnv downgrade-1.0",
        "caddy": "reverse_proxy 127.0.0.1:8000 {\n    transport http {\n        versions 1.1\n    }\n}",
        "haproxy": "option http-keep-alive\n# HAProxy asks over HTTP/1.1; an older proxy must be behind it",
        "cloudflare": "# Cloudflare asks over HTTP/1.1; an older proxy must be behind it",
    },
    "cut": {
        "nginx": "proxy_read_timeout 960s;\nsend_timeout 60s;",
        "apache": "ProxyTimeout 960\nTimeout 960",
        "caddy": "# in the global options: servers { timeouts { write 0 } }; and no read_timeout in the transport",
        "haproxy": "timeout server 960s\ntimeout client 960s",
        "cloudflare": "# It cuts after 100 s, which only Enterprise can change. Heartbeats keep event streams alive.",
    },
    "headers": {
        "nginx": "# no proxy_hide_header, no proxy_ignore_headers; proxy_pass_request_headers on;",
        "apache": '# no "Header unset" and no "RequestHeader unset" for these',
        "caddy": "# no header_up -NAME and no header_down -NAME for these",
        "haproxy": "# no http-request del-header and no http-response del-header for these",
        "cloudflare": "# no Transform Rule that removes these",
    },
    "type": {
        "nginx": "# no proxy_hide_header Content-Type, no add_header Content-Type",
        "apache": '# no "Header set Content-Type", no ForceType for these addresses',
        "caddy": "# no header Content-Type and no header_down Content-Type",
        "haproxy": "# no http-response set-header Content-Type",
        "cloudflare": "# no Transform Rule that sets Content-Type",
    },
    "refused": {"": "# the server: MILLSTREAM_TRUSTED_PROXIES=1, and MILLSTREAM_OPEN=1 or access keys\n"
                "# the doctor, where there are keys: the operator's, with --key-file or in DOCTOR_KEY"},
    "vanished": {"": "# /etc/sysctl.d/60-millstream.conf\n"
                 "net.ipv4.tcp_retries2 = 5"},
    "keepalive": {
        "nginx": "listen 80 so_keepalive=5s:3s:3;",
        "apache": "# /etc/sysctl.d/60-millstream.conf (Apache probes every client)\nnet.ipv4.tcp_keepalive_time = 60",
        "caddy": "# Caddy probes every 15 s by itself",
        "haproxy": "option clitcpka\nclitcpka-idle 5s\nclitcpka-intvl 3s\nclitcpka-cnt 3",
    },
    "http2": {
        "nginx": "listen 443 ssl http2;",
        "apache": "Protocols h2 http/1.1",
        "haproxy": "bind :443 ssl crt /etc/haproxy/site.pem alpn h2,http/1.1",
    },
}  # fmt: skip


def advice(symptom: str, server: str) -> dict[str, str]:
    """Lines by the name of their proxy; of the one that is there alone, if that is known. "" stands for no proxy."""
    lines = ADVICE.get(symptom, {})
    if server and server in lines:
        return {PROXIES[server]: lines[server]}
    return {PROXIES.get(name, ""): text for name, text in lines.items()}
