// What the C peers share: the harness's protocol, which ../../README.md tells, and the work that a request may ask for.
#ifndef PEER_H
#define PEER_H

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 16 * 1024, SINK_BUFFER = 64 * 1024, COMPUTE = 0xFE, BLOCK = 0xFD, SINK = 0xFC, IDLE_SECONDS = 60 };

static inline void die(const char *operation)
{
    fprintf(stderr, "%s: %s\n", operation, strerror(errno));
    exit(1);
}

// The same dependent chain in every peer: about 1 ms of one core.
static inline void compute(void)
{
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 400000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    if (x == 0) abort(); // Never; keeps the compiler from dropping the loop.
}

static inline void block(void)
{
    struct timespec wait = { 0, 20 * 1000 * 1000 };
    while (nanosleep(&wait, &wait) != 0)
        if (errno != EINTR) die("nanosleep");
}

static inline void perform(unsigned char kind)
{
    if (kind == COMPUTE) compute();
    else if (kind == BLOCK) block();
}

static inline int has_argument(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return 1;
    return 0;
}

static inline void say_listening(const struct sockaddr_in *address)
{
    printf("listening %d\n", ntohs(address->sin_port));
    fflush(stdout);
}

// One line asks, one answers; C has no managed memory to tell of. Returns 0 at the end of the input, which ends the peer.
static inline int answer_control(void)
{
    char line[256];
    ssize_t n = read(STDIN_FILENO, line, sizeof line);
    if (n < 0) die("read stdin");
    for (ssize_t i = 0; i < n; i++)
        if (line[i] == '\n') puts("{}");
    fflush(stdout);
    return n > 0;
}

static inline int listen_on_loopback(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), on = 1;
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // Linux: accepted sockets inherit it.
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, length) != 0) die("bind");
    if (listen(fd, SOMAXCONN) != 0) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) die("getsockname");
    say_listening(&address);
    return fd;
}

#endif
