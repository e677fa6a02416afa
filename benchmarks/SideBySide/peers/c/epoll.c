// The floor: one thread, one edge-triggered epoll, each connection read until EAGAIN.
#include "peer.h"
#include <sys/epoll.h>

struct conn {
    int fd;
    int ended, sink;
    uint64_t received;
    time_t deadline;
    struct conn *next, **link; // All connections, for the sweep of deadlines.
    size_t pending, sent;      // What the socket did not take yet.
    char *rest;
};

static int epoll_fd, with_deadline;
static struct conn *all;
static char buffer[SINK_BUFFER];

static time_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec;
}

static void close_conn(struct conn *c)
{
    *c->link = c->next;
    if (c->next) c->next->link = c->link;
    close(c->fd);
    free(c->rest);
    free(c);
}

static void accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN) return;
            if (errno == EINTR || errno == ECONNABORTED) continue;
            die("accept");
        }
        struct conn *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        c->deadline = now() + IDLE_SECONDS;
        c->next = all;
        c->link = &all;
        if (all) all->link = &c->next;
        all = c;
        struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0) die("epoll_ctl");
    }
}

// 1 when all is sent, 0 when the rest waits for the socket, -1 when the connection broke.
static int send_all(struct conn *c, const char *data, size_t length)
{
    size_t sent = 0;
    while (sent < length) {
        ssize_t n = send(c->fd, data + sent, length - sent, MSG_NOSIGNAL);
        if (n >= 0) {
            sent += n;
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return -1;
        if (!c->rest && !(c->rest = malloc(BUFFER))) die("malloc");
        memcpy(c->rest, data + sent, length - sent);
        c->pending = length - sent;
        c->sent = 0;
        return 0;
    }
    return 1;
}

static int send_rest(struct conn *c)
{
    while (c->sent < c->pending) {
        ssize_t n = send(c->fd, c->rest + c->sent, c->pending - c->sent, MSG_NOSIGNAL);
        if (n >= 0) c->sent += n;
        else if (errno == EAGAIN) return 0;
        else if (errno != EINTR) return -1;
    }
    c->pending = c->sent = 0;
    return 1;
}

static void serve(struct conn *c)
{
    int sent = c->pending ? send_rest(c) : 1;
    while (sent > 0) {
        ssize_t n = recv(c->fd, buffer, c->sink ? SINK_BUFFER : BUFFER, 0);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return;
            perror("recv");
            break;
        }
        if (n == 0) {
            if (c->sink && send(c->fd, &c->received, sizeof c->received, MSG_NOSIGNAL) < 0) perror("send");
            break;
        }
        if (with_deadline) c->deadline = now() + IDLE_SECONDS;
        unsigned char kind = buffer[0];
        if (kind == SINK) c->sink = 1;
        c->received += n;
        if (c->sink) continue;
        perform(kind);
        sent = send_all(c, buffer, n);
    }
    if (sent == 0) return;
    if (sent < 0) perror("send");
    close_conn(c);
}

static void sweep(void)
{
    time_t t = now();
    for (struct conn *c = all, *next; c; c = next) {
        next = c->next;
        if (c->deadline <= t) close_conn(c);
    }
}

int main(int argc, char **argv)
{
    with_deadline = has_argument(argc, argv, "deadline");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on_loopback(SOCK_NONBLOCK);
    static int listening, control;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &listening };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e) != 0) die("epoll_ctl");
    e.data.ptr = &control;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &e) != 0) die("epoll_ctl stdin");

    struct epoll_event events[256];
    time_t swept = now();
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, with_deadline ? 1000 : -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &listening) accept_all(listener);
            else if (events[i].data.ptr == &control) {
                if (!answer_control()) return 0;
            }
            else serve(events[i].data.ptr);
        }
        if (with_deadline && now() != swept) {
            swept = now();
            sweep();
        }
    }
}
