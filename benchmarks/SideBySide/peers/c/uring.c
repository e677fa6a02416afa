// One thread, one io_uring: a multishot accept, and for each connection a receive, then a send. One system call takes in a whole batch.
#include "peer.h"
#include <liburing.h>
#include <poll.h>

struct conn {
    int fd, sink;
    uint64_t received;
    size_t length, sent;
    char *buffer;
};

// What an operation was is told by the low bits of its pointer.
enum { RECV = 0, SEND = 1, COUNT = 2, IGNORED = 3, KINDS = 3 };

static struct io_uring ring;
static int with_deadline, listening, control;
static struct __kernel_timespec idle = { .tv_sec = IDLE_SECONDS };

// The queue must have room for both operations of a linked pair before the first is taken.
static void reserve(unsigned count)
{
    if (io_uring_sq_space_left(&ring) < count && io_uring_submit(&ring) < 0) die("io_uring_submit");
}

static void set(struct io_uring_sqe *sqe, void *pointer, int kind)
{
    io_uring_sqe_set_data64(sqe, (uintptr_t)pointer | kind);
}

static void start_recv(struct conn *c)
{
    reserve(2);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_recv(sqe, c->fd, c->buffer, c->sink ? SINK_BUFFER : BUFFER, 0);
    set(sqe, c, RECV);
    if (!with_deadline) return;
    sqe->flags |= IOSQE_IO_LINK;
    sqe = io_uring_get_sqe(&ring);
    io_uring_prep_link_timeout(sqe, &idle, 0);
    set(sqe, NULL, IGNORED);
}

static void start_send(struct conn *c, int kind)
{
    reserve(1);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_send(sqe, c->fd, c->buffer + c->sent, c->length - c->sent, MSG_NOSIGNAL);
    set(sqe, c, kind);
}

static void start_accept(int listener)
{
    reserve(1);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    set(sqe, &listening, RECV);
}

static void start_control(void)
{
    reserve(1);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_poll_add(sqe, STDIN_FILENO, POLLIN);
    set(sqe, &control, RECV);
}

static void close_conn(struct conn *c)
{
    close(c->fd);
    free(c->buffer);
    free(c);
}

static void accepted(int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c || !(c->buffer = malloc(BUFFER))) die("malloc");
    c->fd = fd;
    start_recv(c);
}

static void received(struct conn *c, int n)
{
    if (n < 0) {
        if (n != -ECANCELED) fprintf(stderr, "recv: %s\n", strerror(-n)); // Cancelled: idle for too long.
        close_conn(c);
        return;
    }
    if (n == 0 && !c->sink) {
        close_conn(c);
        return;
    }
    if (n == 0) {
        memcpy(c->buffer, &c->received, c->length = sizeof c->received);
        start_send(c, COUNT);
        return;
    }
    unsigned char kind = c->buffer[0];
    if (kind == SINK && !c->sink) {
        c->sink = 1;
        if (!(c->buffer = realloc(c->buffer, SINK_BUFFER))) die("realloc");
    }
    c->received += n;
    if (c->sink) {
        start_recv(c);
        return;
    }
    perform(kind);
    c->length = n;
    c->sent = 0;
    start_send(c, SEND);
}

static void sent(struct conn *c, int n, int kind)
{
    if (n < 0) {
        fprintf(stderr, "send: %s\n", strerror(-n));
        close_conn(c);
    }
    else if ((c->sent += n) < c->length) start_send(c, kind);
    else if (kind == COUNT) close_conn(c);
    else start_recv(c);
}

int main(int argc, char **argv)
{
    with_deadline = has_argument(argc, argv, "deadline");
    struct io_uring_params parameters = { .cq_entries = 32 * 1024 };
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    int error = io_uring_queue_init_params(4096, &ring, &parameters);
    if (error < 0) {
        fprintf(stderr, "io_uring_queue_init: %s\n", strerror(-error));
        return error == -EPERM || error == -ENOSYS || error == -EINVAL ? 77 : 1; // 77: not let, or the kernel is older than 6.1.
    }
    int listener = listen_on_loopback(0);
    start_accept(listener);
    start_control();

    for (;;) {
        error = io_uring_submit_and_wait(&ring, 1);
        if (error < 0 && error != -EINTR) {
            fprintf(stderr, "io_uring_submit_and_wait: %s\n", strerror(-error));
            return 1;
        }
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            count++;
            int kind = cqe->user_data & KINDS, result = cqe->res;
            void *pointer = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)KINDS);
            if (kind == IGNORED) continue;
            if (pointer == &listening) {
                if (result >= 0) accepted(result);
                else fprintf(stderr, "accept: %s\n", strerror(-result));
                if (!(cqe->flags & IORING_CQE_F_MORE)) start_accept(listener);
            }
            else if (pointer == &control) {
                if (!answer_control()) return 0;
                start_control();
            }
            else if (kind == RECV) received(pointer, result);
            else sent(pointer, result, kind);
        }
        io_uring_cq_advance(&ring, count);
    }
}
