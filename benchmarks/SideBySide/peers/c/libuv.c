// libuv as one uses it: a stream for each connection, work that computes or blocks handed to its threads.
#include "peer.h"
#include <uv.h>

struct conn {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uv_work_t work;
    int sink, open_handles, working, closing;
    uint64_t received;
    size_t length;
    char *buffer;
};

static uv_loop_t *loop;
static int with_deadline;
static char sink_buffer[SINK_BUFFER];
static char control_buffer[256];

static void check(int result, const char *operation)
{
    if (result >= 0) return;
    fprintf(stderr, "%s: %s\n", operation, uv_strerror(result));
    exit(1);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (--c->open_handles > 0 || c->working) return;
    free(c->buffer);
    free(c);
}

static void close_conn(struct conn *c)
{
    if (c->closing) return;
    c->closing = 1;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    if (with_deadline) uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void on_idle(uv_timer_t *timer)
{
    close_conn(timer->data);
}

// One message is in flight for each connection, so a buffer that waits to be written must not be read into: reading stops meanwhile.
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    if (!c->sink && !c->buffer && !(c->buffer = malloc(BUFFER))) die("malloc");
    *buf = c->sink ? uv_buf_init(sink_buffer, SINK_BUFFER) : uv_buf_init(c->buffer, BUFFER);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *request, int status)
{
    struct conn *c = request->data;
    if (status < 0 && status != UV_ECANCELED) fprintf(stderr, "write: %s\n", uv_strerror(status));
    if (status < 0 || c->sink) close_conn(c);
    else if (!c->closing) check(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), "uv_read_start");
}

// Tries in place first, as the socket nearly always takes it all.
static void answer(struct conn *c, char *data, size_t length)
{
    uv_buf_t buf = uv_buf_init(data, length);
    int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (n == (int)length) {
        if (c->sink) close_conn(c);
        return;
    }
    if (n < 0 && n != UV_EAGAIN) {
        fprintf(stderr, "write: %s\n", uv_strerror(n));
        close_conn(c);
        return;
    }
    if (n > 0) buf = uv_buf_init(data + n, length - n);
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->write.data = c;
    check(uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written), "uv_write");
}

static void on_work(uv_work_t *work)
{
    struct conn *c = work->data;
    perform(c->buffer[0]);
}

static void on_worked(uv_work_t *work, int status)
{
    check(status, "uv_queue_work");
    struct conn *c = work->data;
    c->working = 0;
    if (c->closing) {
        if (c->open_handles > 0) return;
        free(c->buffer);
        free(c);
        return;
    }
    check(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), "uv_read_start");
    answer(c, c->buffer, c->length);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (n == 0) return;
    if (n < 0) {
        if (n != UV_EOF) fprintf(stderr, "read: %s\n", uv_strerror(n));
        if (n == UV_EOF && c->sink) {
            memcpy(c->buffer, &c->received, sizeof c->received);
            answer(c, c->buffer, sizeof c->received);
        }
        else close_conn(c);
        return;
    }
    if (with_deadline) check(uv_timer_again(&c->timer), "uv_timer_again");
    unsigned char kind = buf->base[0];
    if (kind == SINK) c->sink = 1;
    c->received += n;
    if (c->sink) return;
    if (kind != COMPUTE && kind != BLOCK) {
        answer(c, buf->base, n);
        return;
    }
    uv_read_stop(stream);
    c->length = n;
    c->working = 1;
    c->work.data = c;
    check(uv_queue_work(loop, &c->work, on_work, on_worked), "uv_queue_work");
}

static void on_connection(uv_stream_t *listener, int status)
{
    check(status, "listen");
    struct conn *c = calloc(1, sizeof *c);
    if (!c) die("calloc");
    check(uv_tcp_init(loop, &c->tcp), "uv_tcp_init");
    c->tcp.data = c;
    c->open_handles = 1;
    check(uv_accept(listener, (uv_stream_t *)&c->tcp), "uv_accept");
    check(uv_tcp_nodelay(&c->tcp, 1), "uv_tcp_nodelay");
    if (with_deadline) {
        check(uv_timer_init(loop, &c->timer), "uv_timer_init");
        c->timer.data = c;
        c->open_handles = 2;
        check(uv_timer_start(&c->timer, on_idle, IDLE_SECONDS * 1000, IDLE_SECONDS * 1000), "uv_timer_start");
    }
    check(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), "uv_read_start");
}

static void on_control_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(control_buffer, sizeof control_buffer);
}

static void on_control(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)stream;
    if (n < 0) exit(0);
    for (ssize_t i = 0; i < n; i++)
        if (buf->base[i] == '\n') puts("{}");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    with_deadline = has_argument(argc, argv, "deadline");
    loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in address;
    int length = sizeof address;
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "uv_tcp_bind");
    check(uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection), "uv_listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length), "uv_tcp_getsockname");

    uv_pipe_t control;
    check(uv_pipe_init(loop, &control, 0), "uv_pipe_init");
    check(uv_pipe_open(&control, STDIN_FILENO), "uv_pipe_open");
    check(uv_read_start((uv_stream_t *)&control, on_control_alloc, on_control), "uv_read_start stdin");
    say_listening(&address);
    return uv_run(loop, UV_RUN_DEFAULT);
}
