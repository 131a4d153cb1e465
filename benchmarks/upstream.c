/* An upstream for benchmarks: answers each POST with server-sent events of OpenAI's shape, one HTTP chunk an event.
 *
 *   upstream PORT     on 127.0.0.1, until it is killed
 *
 * The request's body chooses the answer: the text "tokens=N every=MICROSECONDS" anywhere in it; every=0 writes as fast as
 * the socket takes it. A token's text is "#SEQUENCE:CLOCK#", CLOCK in microseconds of CLOCK_MONOTONIC at the write, filled
 * with dots so that each event has 255 bytes. The first token comes at once. When in its period a paced stream has its others is
 * chance, the same for each relay: else one that opens its streams quickly would get all tokens together. A connection is closed
 * after 20 answers, so that 95 % of short ones find one that is open.
 *
 * GET gives JSON: connections and answers so far, and how many answers are running. One thread, epoll, a heap of what is due.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENT = 255, MOST_FDS = 40000, REQUEST = 65536, BATCH = 64, ANSWERS = 20 };

struct stream {
    char *in;
    int have;               /* bytes of a request that is not whole yet */
    long sent, tokens;      /* tokens */
    int64_t every, due;     /* microseconds */
    char out[BATCH * (EVENT + 8) + 2048];
    int out_from, out_to;
    char writing, running, closing;
    int answers, place;     /* place in the heap, from 1; 0: not in it */
    int fd;
};

static struct stream *streams[MOST_FDS], *heap[MOST_FDS + 1];
static int poller, waiting;
static long connections, answers, running;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int event(char *out, long sequence) {
    char data[EVENT + 1];
    int n = snprintf(data, sizeof data,
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"#%ld:%lld#", sequence, (long long)now());
    const char *tail = "\"},\"finish_reason\":null}]}\n\n";
    int fill = EVENT - n - (int)strlen(tail);
    memset(data + n, '.', fill);
    memcpy(data + n + fill, tail, strlen(tail));
    return sprintf(out, "%x\r\n%.*s\r\n", EVENT, EVENT, data);
}

static int text(char *out, const char *data) {
    return sprintf(out, "%zx\r\n%s\r\n", strlen(data), data);
}

static void watch(struct stream *s, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = s->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
}

static void put(struct stream *s, int place) {
    heap[place] = s;
    s->place = place;
}

static void sift(struct stream *s, int place) {  /* to where it belongs, from there on */
    while (place > 1 && heap[place / 2]->due > s->due) { put(heap[place / 2], place); place /= 2; }
    for (int child; (child = place * 2) <= waiting; place = child) {
        if (child < waiting && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= s->due) break;
        put(heap[child], place);
    }
    put(s, place);
}

static void unqueue(struct stream *s) {
    if (!s->place) return;
    int place = s->place;
    struct stream *moved = heap[waiting--];
    s->place = 0;
    if (moved != s) sift(moved, place);
}

static void end(struct stream *s) {
    unqueue(s);
    running -= s->running;
    s->running = 0;
}

static void drop(struct stream *s) {
    end(s);
    close(s->fd);
    streams[s->fd] = NULL;
    free(s->in);
    free(s);
}

static int flush(struct stream *s) {  /* 1: all is out, 0: later, -1: s is gone */
    while (s->out_from < s->out_to) {
        ssize_t n = write(s->fd, s->out + s->out_from, s->out_to - s->out_from);
        if (n < 0 && errno == EAGAIN) {
            if (!s->writing) { s->writing = 1; watch(s, EPOLLIN | EPOLLOUT); }
            return 0;
        }
        if (n <= 0) { drop(s); return -1; }
        s->out_from += n;
    }
    s->out_from = s->out_to = 0;
    if (s->writing) { s->writing = 0; watch(s, EPOLLIN); }
    if (s->closing && !s->running) { drop(s); return -1; }
    return 1;
}

static void put_tokens(struct stream *s, int most) {
    while (most-- > 0 && s->sent < s->tokens) s->out_to += event(s->out + s->out_to, s->sent++);
    if (s->sent == s->tokens) {
        s->sent++;  /* the end is said once */
        s->out_to += text(s->out + s->out_to,
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
            "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        s->out_to += text(s->out + s->out_to,
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],"
            "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n");
        s->out_to += text(s->out + s->out_to, "data: [DONE]\n\n");
        s->out_to += sprintf(s->out + s->out_to, "0\r\n\r\n");
        end(s);
    }
}

static void flat_out(struct stream *s) {
    for (int turns = 0; turns < 4; turns++) {
        if (s->out_from == s->out_to && s->sent > s->tokens) return;
        if (s->out_from == s->out_to) put_tokens(s, BATCH);
        if (flush(s) != 1) return;
    }
    if (!s->writing && s->sent <= s->tokens) { s->writing = 1; watch(s, EPOLLIN | EPOLLOUT); }
}

static uint32_t chance(void) {  /* the same numbers in each run; Numerical Recipes' generator */
    static uint32_t last = 1;
    return last = last * 1664525u + 1013904223u;
}

static void begin(struct stream *s, const char *body) {
    const char *tokens = strstr(body, "tokens="), *every = strstr(body, "every=");
    s->tokens = tokens ? atol(tokens + 7) : 1;
    s->every = every ? atol(every + 6) : 0;
    s->sent = 0;
    answers++;
    running++;
    s->running = 1;
    s->closing = ++s->answers == ANSWERS;
    s->out_from = 0;
    s->out_to = sprintf(s->out,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n%s\r\n",
        s->closing ? "Connection: close\r\n" : "");
    if (s->every == 0) { flat_out(s); return; }
    put_tokens(s, 1);
    s->due = now() + 1 + (int64_t)((chance() >> 8) / 16777216.0 * s->every);
    if (flush(s) >= 0 && s->running) sift(s, ++waiting);
}

static void tell(struct stream *s) {
    char facts[128];
    s->closing = 0;
    s->out_from = 0;
    snprintf(facts, sizeof facts, "{\"connections\": %ld, \"answers\": %ld, \"running\": %ld}", connections, answers, running);
    s->out_to = sprintf(s->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        strlen(facts), facts);
    flush(s);
}

static void readable(struct stream *s) {
    ssize_t n = read(s->fd, s->in + s->have, REQUEST - 1 - s->have);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { drop(s); return; }
    s->have += n;
    s->in[s->have] = 0;
    char *blank = strstr(s->in, "\r\n\r\n");
    if (!blank) return;
    char *length = strcasestr(s->in, "content-length:");
    char *chunked = strcasestr(s->in, "transfer-encoding: chunked");
    if (chunked ? !strstr(blank + 4, "0\r\n\r\n") : s->have < blank + 4 - s->in + (length ? atol(length + 15) : 0)) return;
    s->have = 0;
    if (s->in[0] == 'G') tell(s); else begin(s, blank + 4);
}

static void due(int64_t at) {
    while (waiting && heap[1]->due <= at) {
        struct stream *s = heap[1];
        if (s->out_from == s->out_to) put_tokens(s, 1);
        if (s->place) { s->due += s->every; sift(s, 1); }
        flush(s);
    }
}

int main(int count, char **words) {
    if (count != 2) { fprintf(stderr, "usage: upstream PORT\n"); return 2; }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files = {MOST_FDS, MOST_FDS};
    setrlimit(RLIMIT_NOFILE, &files);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) { perror("upstream"); return 1; }
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, got[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int64_t at = now();
        due(at);
        int64_t wait = waiting && heap[1]->due > at ? heap[1]->due - at : 0;
        struct timespec until = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
        int n = epoll_pwait2(poller, got, 256, waiting ? &until : NULL, NULL);
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == listener) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (fd >= MOST_FDS) { close(fd); continue; }
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    connections++;
                    struct stream *s = streams[fd] = calloc(1, sizeof *s);
                    s->fd = fd;
                    s->in = malloc(REQUEST);
                    struct epoll_event add = {.events = EPOLLIN, .data.fd = fd};
                    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &add);
                }
                continue;
            }
            struct stream *s = streams[got[i].data.fd];
            if (!s) continue;
            if (got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(s);
            s = streams[got[i].data.fd];
            if (s && (got[i].events & EPOLLOUT)) {
                if (s->every == 0 && s->tokens) flat_out(s); else flush(s);
            }
        }
    }
}
