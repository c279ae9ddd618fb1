/* The least that can be asked of an HTTP API: reads requests with a Content-Length, answers each 201, or --status.
 *
 *     cc -O2 -o answers_201 answers_201.c && ./answers_201 [--delay-ms N] [--status N] [--names 1] [--log FILE]
 *
 * Prints its port. One thread, one epoll. SIGUSR1 prints how many requests with an Idempotency-Key came, how many
 * distinct numbers these ended in (<run>-<number>), the seconds from the first of them to the last, and the mean
 * milliseconds from their arrival to their answer (0 where it answers at once). So does its end, by SIGTERM.
 * --names 1: each answer's body names the number of its request, so that no two are alike.
 * --log: at its end it writes, for each request, its number (uint64) and when it came (double, CLOCK_MONOTONIC).
 * It believes what its bench sends: heads below 8 KiB, requests below 64 KiB. Not for any other use.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096
#define ROOM 65536
#define NUMBERS (1u << 24)

static char answer_text[256];
static size_t answer_size;
static int names, answer_status;
static unsigned long latest; /* the number of the request that is answered */

struct connection { size_t got; char buffer[ROOM]; };
struct late { int fd; uint32_t age; double came, due; };

static struct connection *connections[MOST];
static uint32_t ages[MOST];
static unsigned char seen[NUMBERS / 8];
static uint64_t posts, distinct, delayed;
static double delay_s, first_s, last_s, waited_s;
static struct late queue[1 << 16];
static uint16_t queue_head, queue_tail;
static int timer_fd;
static volatile sig_atomic_t asked, ended;
static const char *log_path;
static struct arrival { uint64_t number; double at; } *arrivals;
static size_t logged;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void on_signal(int number) { if (number == SIGUSR1) asked = 1; else ended = 1; }

static void tell(void) {
    printf("%llu %llu %.6f %.4f\n", (unsigned long long)posts, (unsigned long long)distinct, last_s - first_s,
           delayed ? waited_s / delayed * 1000 : 0.0);
    fflush(stdout);
}

static void note(const char *head) {
    const char *key = strcasestr(head, "\r\nIdempotency-Key:");
    if (!key) return;
    last_s = now_s();
    if (!posts++) first_s = last_s;
    const char *end = strstr(key + 2, "\r\n"), *dash = memrchr(key, '-', end - key);
    unsigned long number = latest = strtoul(dash + 1, NULL, 10) % NUMBERS;
    if (arrivals && logged < NUMBERS) arrivals[logged++] = (struct arrival){number, last_s};
    if (!(seen[number / 8] & (1 << number % 8))) { seen[number / 8] |= 1 << number % 8; distinct++; }
}

static void compose(void) {
    char body[96] = "{}";
    if (names) snprintf(body, sizeof body, "{\"error\": \"invalid email\", \"of\": \"user%lu@example.org\"}", latest);
    answer_size = snprintf(answer_text, sizeof answer_text,
                           "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                           answer_status, answer_status == 201 ? "Created" : "Status", strlen(body), body);
}

static void answer(int fd) { if (names) compose(); if (write(fd, answer_text, answer_size) < 0 && errno != EPIPE && errno != ECONNRESET) perror("write"); }

static void answer_later(int fd) {
    double now = now_s();
    queue[queue_tail++] = (struct late){fd, ages[fd], now, now + delay_s};
}

static void arm(void) {
    if (queue_head == queue_tail) return;
    double left = queue[queue_head].due - now_s();
    if (left < 1e-6) left = 1e-6;
    struct itimerspec at = {.it_value = {(time_t)left, (long)((left - (time_t)left) * 1e9) + 1}};
    timerfd_settime(timer_fd, 0, &at, NULL);
}

static void drop(int fd) { free(connections[fd]); connections[fd] = NULL; ages[fd]++; close(fd); }

/* Answer every whole request in the buffer; 0 where the connection is no good. */
static int serve(int fd, struct connection *it) {
    for (;;) {
        it->buffer[it->got] = 0;
        char *end = memmem(it->buffer, it->got, "\r\n\r\n", 4);
        if (!end) return it->got < ROOM - 1;
        char *length = strcasestr(it->buffer, "\r\nContent-Length:");
        size_t whole = end + 4 - it->buffer + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        if (whole >= ROOM) return 0;
        if (it->got < whole) return 1;
        note(it->buffer);
        if (delay_s) answer_later(fd); else answer(fd);
        memmove(it->buffer, it->buffer + whole, it->got -= whole);
    }
}

int main(int argc, char **argv) {
    answer_status = 201;
    for (int at = 1; at + 1 < argc; at += 2) {
        if (!strcmp(argv[at], "--delay-ms")) delay_s = atof(argv[at + 1]) / 1000;
        if (!strcmp(argv[at], "--status")) answer_status = atoi(argv[at + 1]);
        if (!strcmp(argv[at], "--names")) names = atoi(argv[at + 1]);
        if (!strcmp(argv[at], "--log")) {
            log_path = argv[at + 1];
            arrivals = calloc(NUMBERS, sizeof *arrivals);
        }
    }
    compose();
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &act, NULL); sigaction(SIGTERM, &act, NULL); sigaction(SIGINT, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) { perror("listen"); return 1; }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event of = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &of);
    of.data.fd = timer_fd;
    epoll_ctl(poll, EPOLL_CTL_ADD, timer_fd, &of);
    while (!ended) {
        /* Not for ever: a signal may come between the look at `asked` and the wait. */
        int count = epoll_wait(poll, events, 256, 100);
        if (asked) { asked = 0; tell(); }
        for (int at = 0; at < count; at++) {
            int fd = events[at].data.fd;
            if (fd == listener) {
                int made = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (made < 0) continue;
                if (made >= MOST) { close(made); continue; }
                setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connections[made] = calloc(1, sizeof(struct connection));
                of.data.fd = made;
                epoll_ctl(poll, EPOLL_CTL_ADD, made, &of);
                continue;
            }
            if (fd == timer_fd) {
                uint64_t times;
                if (read(timer_fd, &times, sizeof times) < 0) continue;
                for (double now = now_s(); queue_head != queue_tail && queue[queue_head].due <= now; queue_head++) {
                    struct late *it = queue + queue_head;
                    if (!connections[it->fd] || ages[it->fd] != it->age) continue;
                    answer(it->fd);
                    waited_s += now_s() - it->came;
                    delayed++;
                }
                arm();
                continue;
            }
            struct connection *it = connections[fd];
            ssize_t got = read(fd, it->buffer + it->got, ROOM - 1 - it->got);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) { drop(fd); continue; }
            it->got += got;
            int was = queue_head == queue_tail;
            if (!serve(fd, it)) drop(fd);
            else if (was && delay_s) arm();
        }
    }
    if (log_path) {
        FILE *out = fopen(log_path, "wb");
        if (!out || fwrite(arrivals, sizeof *arrivals, logged, out) != logged || fclose(out)) perror(log_path);
    }
    tell();
    return 0;
}
