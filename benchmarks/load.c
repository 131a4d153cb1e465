/* The client of benchmarks: many streams at once, every token checked.
 *
 *   load PORT REQUEST-FILE STREAMS[,STREAMS...] SECONDS PIDS...
 *       opens so many streams, and once each has its first token (or none has come for 5 s) measures for so long. After each window it waits
 *       for a line: then it opens more, up to the next number, and measures again.
 *   load PORT REQUEST-FILE STREAMS -ANSWERS PIDS...
 *       so many whole answers, STREAMS at a time, over kept connections
 *   load PORT REQUEST-FILE STREAMS -STREAMS@RATE PIDS...
 *       so many whole answers, each over a connection of its own: RATE are begun in a second, whatever has become of those before; with 0
 *       all are connected first, and then asked in one instant
 *
 * PIDS is "PID,PID,...": processes whose CPU time is added up. A token is "#SEQUENCE:CLOCK#" (see upstream.c); SEQUENCE has to count
 * 0, 1, 2, ... within an answer. Prints a line of JSON for each window: tokens, seconds and each PIDS' CPU seconds within it, its own too;
 * how long the first PIDS had to wait for a core; microseconds to the first token and from the upstream's write to here (medians); how many tokens were wrong. One thread, epoll.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD, SIZE, DATA, DATA_END, TRAILER, WHOLE };           /* of HTTP's framing */
enum { OUTSIDE, SEQUENCE, CLOCK };                             /* of a token */
enum { MOST = 20000, ASKING = 64 };                            /* streams in all; those without a token yet */
enum { DEADLINE = 120000000, PATIENCE = 5000000 };             /* microseconds for all first tokens, for the next one */

struct stream {
    int fd, state, token, chunked, closing, digits;
    char head[4096];
    int head_length;
    long left;                       /* bytes of the chunk */
    long expected, sequence;
    int64_t clock, asked;
};

static struct stream *all;
static int poller, port;
static char *request;
static size_t request_length;
static long tokens, wrong, answers, ended, firsts, asked;
static long wanted;                                            /* answers; 0: streams without end */
static double rate = -1;                                       /* of answers; less than 0: as they end */
static uint32_t *first_us, *delay_us;
static long delays, most_delays = 2000000, most_firsts = 200000;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Seconds of CPU, user and system, to the nanosecond; a line of /proc/PID/stat counts in steps of 10 ms. */
static double cpu_of(const char *pids) {
    double sum = 0;
    for (char *at = (char *)pids; *at; at += *at == ',') {
        clockid_t clock;
        struct timespec t;
        long pid = strtol(at, &at, 10);
        if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) { fprintf(stderr, "load: process %ld has gone\n", pid); exit(1); }
        sum += t.tv_sec + t.tv_nsec / 1e9;
    }
    return sum;
}

/* Seconds that their first threads were ready to run and had to wait for the core: what neighbours took. */
static double waited_by(const char *pids) {
    double sum = 0;
    for (char *at = (char *)pids; *at; at += *at == ',') {
        char path[64];
        unsigned long long run, wait = 0;
        snprintf(path, sizeof path, "/proc/%ld/schedstat", strtol(at, &at, 10));
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%llu %llu", &run, &wait) != 2) wait = 0;
        if (file) fclose(file);
        sum += wait / 1e9;
    }
    return sum;
}

static void ask(struct stream *s) {
    s->state = HEAD;
    s->token = OUTSIDE;
    s->head_length = 0;
    s->expected = 0;
    s->chunked = 0;
    s->asked = now();
    asked++;
    if (write(s->fd, request, request_length) != (ssize_t)request_length) { perror("load: write"); exit(1); }
}

static void connect_one(struct stream *s) {
    int on = 1;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&there, sizeof there)) { perror("load: connect"); exit(1); }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &e);
}

static void open_one(struct stream *s) {
    connect_one(s);
    ask(s);
}

static void token(struct stream *s, int64_t at) {
    if (s->sequence != s->expected) wrong++;
    s->expected = s->sequence + 1;
    tokens++;
    if (s->sequence == 0 && firsts < most_firsts) first_us[firsts++] = at - s->asked;
    if (delays < most_delays) delay_us[delays++] = at > s->clock ? at - s->clock : 0;
}

static void payload(struct stream *s, const char *p, size_t n, int64_t at) {
    const char *end = p + n;
    while (p < end) {
        if (s->token == OUTSIDE) {
            p = memchr(p, '#', end - p);
            if (!p) return;
            p++;
            s->token = SEQUENCE;
            s->sequence = s->digits = 0;
            continue;
        }
        char c = *p++;
        if (c >= '0' && c <= '9') {
            s->digits++;
            if (s->token == SEQUENCE) s->sequence = s->sequence * 10 + c - '0';
            else s->clock = s->clock * 10 + c - '0';
        } else if (s->token == SEQUENCE && c == ':' && s->digits) {
            s->token = CLOCK;
            s->clock = 0;
        } else if (s->token == CLOCK && c == '#') {
            token(s, at);
            s->token = OUTSIDE;
        } else {
            s->token = OUTSIDE;
        }
    }
}

static void whole(struct stream *s) {
    answers++;
    s->state = WHOLE;
    if (rate >= 0) { close(s->fd); return; }
    if (asked >= wanted) return;
    if (!s->closing) { ask(s); return; }
    close(s->fd);  /* which takes it from the poller, too */
    open_one(s);
}

static void framing(struct stream *s, const char *p, size_t n, int64_t at) {
    const char *end = p + n;
    while (p < end) {
        if (s->state == WHOLE) { wrong++; return; }  /* nothing was asked that this could answer */
        if (s->state == HEAD) {
            if (s->head_length == sizeof s->head - 1) { fprintf(stderr, "load: a head without end\n"); exit(1); }
            s->head[s->head_length++] = *p++;
            s->head[s->head_length] = 0;
            if (s->head_length < 4 || memcmp(s->head + s->head_length - 4, "\r\n\r\n", 4)) continue;
            if (!strstr(s->head, " 200 ")) {
                fprintf(stderr, "load: refused: %.300s\n", s->head);
                exit(1);
            }
            s->chunked = strcasestr(s->head, "transfer-encoding: chunked") != NULL;
            s->closing = strcasestr(s->head, "connection: close") != NULL;
            s->state = s->chunked ? SIZE : DATA;
            s->left = s->chunked ? 0 : 1L << 60;
        } else if (s->state == SIZE) {
            char c = *p++;
            if (c == '\n') { s->state = s->left ? DATA : TRAILER; s->head_length = 0; }
            else if (c != '\r' && c != ';') s->left = s->left * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        } else if (s->state == DATA) {
            size_t part = end - p < s->left ? (size_t)(end - p) : (size_t)s->left;
            payload(s, p, part, at);
            p += part;
            s->left -= part;
            if (!s->left) s->state = DATA_END;
        } else if (s->state == DATA_END) {
            if (*p++ == '\n') s->state = SIZE;
        } else if (*p++ == '\n') {  /* TRAILER: an empty line and no more */
            whole(s);
            if (s->state == HEAD) return;
        }
    }
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t median(uint32_t *values, long n) {
    if (!n) return 0;
    qsort(values, n, sizeof *values, by_value);
    return values[(n - 1) / 2];
}

/* -- windows -- */

static int groups;
static char **group;                 /* PIDS; this program itself comes last */
static double cpu[16], waited;
static int64_t begun;

static void read_cpu(double *to) {
    char self[16];
    snprintf(self, sizeof self, "%d", getpid());
    for (int i = 0; i < groups; i++) to[i] = cpu_of(group[i]);
    to[groups] = cpu_of(self);
}

static void begin_window(void) {
    begun = now();
    tokens = delays = answers = 0;
    read_cpu(cpu);
    waited = waited_by(group[0]);
}

static void end_window(void) {
    double seconds = (now() - begun) / 1e6, after[16];
    read_cpu(after);
    printf("{\"tokens\": %ld, \"answers\": %ld, \"seconds\": %.4f, \"first_us\": %u, \"delay_us\": %u, \"wrong\": %ld, "
           "\"ended\": %ld, \"waited\": %.4f, \"cpu\": [", tokens, answers, seconds, median(first_us, firsts), median(delay_us, delays), wrong, ended,
           waited_by(group[0]) - waited);
    for (int i = 0; i <= groups; i++) printf("%s%.6f", i ? ", " : "", after[i] - cpu[i]);
    printf("]}\n");
    fflush(stdout);
    begun = 0;
}

static int more(void) {  /* all streams stay open until somebody wants more, or has enough */
    char line[16];
    return fgets(line, sizeof line, stdin) != NULL;
}

int main(int words, char **word) {
    if (words < 6 || words > 5 + 15) {
        fprintf(stderr, "usage: load PORT REQUEST-FILE STREAMS[,STREAMS...] SECONDS|-ANSWERS PIDS...\n");
        return 2;
    }
    port = atoi(word[1]);
    char *steps = word[3];
    char *at_rate = strchr(word[4], '@');
    double seconds = atof(word[4]);
    wanted = seconds < 0 ? -seconds : 0;
    if (at_rate) rate = atof(at_rate + 1);
    groups = words - 5;
    group = word + 5;
    FILE *file = fopen(word[2], "r");
    if (!file) { perror(word[2]); return 1; }
    request = malloc(65536);
    request_length = fread(request, 1, 65536, file);
    struct rlimit files = {MOST, MOST};
    setrlimit(RLIMIT_NOFILE, &files);
    first_us = malloc(most_firsts * sizeof *first_us);
    delay_us = malloc(most_delays * sizeof *delay_us);
    poller = epoll_create1(0);
    all = calloc(MOST, sizeof *all);
    struct epoll_event got[256];
    static char bytes[262144];
    int count = strtol(steps, &steps, 10), opened = 0;
    if (count > MOST) { fprintf(stderr, "load: at most %d streams\n", MOST); return 2; }
    int64_t last = 0, give_up = now() + DEADLINE;  /* last: when a stream had its first token */
    if (rate == 0) while (opened < count) connect_one(&all[opened++]);
    if (wanted) begin_window();
    if (rate == 0) for (int i = 0; i < count; i++) ask(&all[i]);
    for (;;) {
        for (; rate > 0 && opened < count && now() - begun >= opened * 1e6 / rate; opened++) open_one(&all[opened]);
        /* Not all at once, so that no relay's backlog is the measure. */
        for (int i = 0; rate < 0 && i < 8 && opened < count && (wanted ? asked < wanted : opened - firsts < ASKING); i++) open_one(&all[opened++]);
        int n = epoll_wait(poller, got, 256, opened < count ? 1 : 20);
        int64_t at = now();
        long before = firsts;
        if (at > give_up) { fprintf(stderr, "load: gave up: %ld first tokens of %d streams\n", firsts, count); return 1; }
        for (int i = 0; i < n; i++) {
            struct stream *s = got[i].data.ptr;
            ssize_t have = read(s->fd, bytes, sizeof bytes);
            if (have > 0) {
                framing(s, bytes, have, at);
                continue;
            }
            int over = !s->chunked && s->state == DATA;  /* the connection's end is the answer's */
            if (over) answers++;
            else if (s->state != WHOLE) wrong++;
            close(s->fd);
            if (over && asked < wanted) open_one(s);
            ended++;
        }
        if (wanted) {
            if (answers >= wanted) break;
            continue;
        }
        if (firsts > before) last = at;
        /* A relay that serves some of its streams alone is measured as well, after a while. */
        if (!begun && (firsts >= count || (last && at - last > PATIENCE))) begin_window();
        if (ended == count) break;
        if (begun && now() - begun >= seconds * 1e6) {
            if (*steps != ',') break;
            end_window();
            if (!more()) return 0;
            count = strtol(steps + 1, &steps, 10);
            if (count > MOST) count = MOST;
            last = 0;
            give_up = now() + DEADLINE;
        }
    }
    end_window();
    more();
    return 0;
}
