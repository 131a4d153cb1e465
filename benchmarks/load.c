/* The client of benchmarks: many streams at once, every token checked.
 *
 *   load PORT REQUEST-FILE STREAMS SECONDS PID...     opens all streams, and once each has its first token (or after 10 s) measures for so long
 *   load PORT REQUEST-FILE STREAMS -ANSWERS PID...    so many whole answers, STREAMS at a time, over kept connections
 *
 * A token is "#SEQUENCE:CLOCK#" (see upstream.c); SEQUENCE has to count 0, 1, 2, … within an answer. Prints one JSON object:
 * tokens, seconds and the processes' CPU seconds within the window, microseconds to the first token and from the upstream's write
 * to here (medians), what was wrong, the longest gap, this program's own CPU seconds. One thread, epoll.
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
enum { PATIENCE = 10000000 };                                  /* microseconds for the first tokens of all streams */

struct stream {
    int fd, state, token, chunked, digits;
    char head[4096];
    int head_length;
    long left;                       /* bytes of the chunk */
    long expected, sequence;
    int64_t clock, asked;
};

static struct stream *all;
static int poller, count, port;
static char *request;
static size_t request_length;
static long tokens, wrong, answers, firsts, refused;
static uint32_t *first_us, *delay_us;
static long delays, most_delays = 2000000, most_firsts = 200000;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static double cpu_of(int pids, char **pid) {
    long sum = 0;
    for (int i = 0; i < pids; i++) {
        char path[64], line[1024];
        snprintf(path, sizeof path, "/proc/%s/stat", pid[i]);
        FILE *file = fopen(path, "r");
        if (!file) { fprintf(stderr, "load: process %s has gone\n", pid[i]); exit(1); }
        line[fread(line, 1, sizeof line - 1, file)] = 0;
        fclose(file);
        unsigned long user, system;
        sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
        sum += user + system;
    }
    return (double)sum / sysconf(_SC_CLK_TCK);
}

static void ask(struct stream *s) {
    s->state = HEAD;
    s->token = OUTSIDE;
    s->head_length = 0;
    s->expected = 0;
    s->chunked = 0;
    s->asked = now();
    if (write(s->fd, request, request_length) != (ssize_t)request_length) { perror("load: write"); exit(1); }
}

static void open_one(struct stream *s) {
    int on = 1;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&there, sizeof there)) { perror("load: connect"); exit(1); }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &e);
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

static void whole(struct stream *s, int again) {
    answers++;
    s->state = WHOLE;
    if (again) ask(s);
}

static void framing(struct stream *s, const char *p, size_t n, int64_t at, int again) {
    const char *end = p + n;
    while (p < end && s->state != WHOLE) {
        if (s->state == HEAD) {
            if (s->head_length == sizeof s->head - 1) { fprintf(stderr, "load: a head without end\n"); exit(1); }
            s->head[s->head_length++] = *p++;
            s->head[s->head_length] = 0;
            if (s->head_length < 4 || memcmp(s->head + s->head_length - 4, "\r\n\r\n", 4)) continue;
            if (!strstr(s->head, " 200 ")) {
                if (!refused++) fprintf(stderr, "load: refused: %.300s\n", s->head);
                exit(1);
            }
            s->chunked = strcasestr(s->head, "transfer-encoding: chunked") != NULL;
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
            whole(s, again);
        }
    }
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t quantile(uint32_t *values, long n, double q) {
    if (!n) return 0;
    qsort(values, n, sizeof *values, by_value);
    return values[(long)(q * (n - 1))];
}

int main(int words, char **word) {
    if (words < 6) { fprintf(stderr, "usage: load PORT REQUEST-FILE STREAMS SECONDS|-ANSWERS PID...\n"); return 2; }
    port = atoi(word[1]);
    count = atoi(word[3]);
    double seconds = atof(word[4]);
    long wanted = seconds < 0 ? -seconds : 0;
    FILE *file = fopen(word[2], "r");
    if (!file) { perror(word[2]); return 1; }
    request = malloc(65536);
    request_length = fread(request, 1, 65536, file);
    struct rlimit files = {40000, 40000};
    setrlimit(RLIMIT_NOFILE, &files);
    first_us = malloc(most_firsts * sizeof *first_us);
    delay_us = malloc(most_delays * sizeof *delay_us);
    poller = epoll_create1(0);
    all = calloc(count, sizeof *all);
    struct epoll_event got[256];
    static char bytes[262144];
    int64_t begun = 0, some = 0, give_up = now() + 120000000LL;
    double cpu = 0, own = 0;
    int opened = 0;
    long finished = 0;
    struct rusage usage;
    if (wanted) {
        begun = now();
        cpu = cpu_of(words - 5, word + 5);
    }
    for (;;) {
        /* A few at a time, so that no relay's backlog is the measure. */
        for (int i = 0; i < 8 && opened < count; i++) open_one(&all[opened++]);
        int n = epoll_wait(poller, got, 256, opened < count ? 1 : 100);
        int64_t at = now();
        if (at > give_up) { fprintf(stderr, "load: gave up: %ld first tokens of %d streams\n", firsts, count); return 1; }
        for (int i = 0; i < n; i++) {
            struct stream *s = got[i].data.ptr;
            ssize_t have = read(s->fd, bytes, sizeof bytes);
            if (have > 0) {
                framing(s, bytes, have, at, wanted && answers + count <= wanted);
                continue;
            }
            if (!s->chunked && s->state == DATA) answers++;
            else if (s->state != WHOLE) wrong++;
            epoll_ctl(poller, EPOLL_CTL_DEL, s->fd, NULL);
            close(s->fd);
            if (wanted && s->state != WHOLE && answers + count <= wanted) open_one(s);
            finished++;
        }
        if (firsts == 1 && !some) some = at;
        /* A relay that serves one of its streams alone is measured as well, after a while. */
        if (!wanted && !begun && opened == count && (firsts >= count || (some && at - some > PATIENCE))) {
            begun = now();
            tokens = delays = 0;
            cpu = cpu_of(words - 5, word + 5);
            getrusage(RUSAGE_SELF, &usage);
            own = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        }
        if (wanted ? answers >= wanted : begun && now() - begun >= seconds * 1e6) break;
        if (!wanted && finished == count) break;
    }
    double took = (now() - begun) / 1e6;
    cpu = cpu_of(words - 5, word + 5) - cpu;
    getrusage(RUSAGE_SELF, &usage);
    own = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6 - own;
    printf("{\"tokens\": %ld, \"answers\": %ld, \"seconds\": %.4f, \"cpu\": %.4f, \"first_us\": %u, \"delay_us\": %u, "
           "\"delay_p99_us\": %u, \"wrong\": %ld, \"ended\": %ld, \"own_cpu\": %.4f}\n",
           tokens, answers, took, cpu, quantile(first_us, firsts, 0.5), quantile(delay_us, delays, 0.5),
           quantile(delay_us, delays, 0.99), wrong, finished, own);
    return 0;
}
