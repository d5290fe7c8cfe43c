/* A small DNS server in a thread of the test's own process; what it answers depends on the first
 * label of the name. To be included by one file of a test program. */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TYPE_A = 1, TYPE_AAAA = 28 };
enum { RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3 };
enum { SILENT = -1 };

static struct {
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_uint questions;
    atomic_bool silent; /* to all, whatever they ask */
} server;

static int answer_of(const char *label, int type, unsigned *ret_addresses) {
    *ret_addresses = 0;
    if (strcmp(label, "silent") == 0 || (strcmp(label, "drop6") == 0 && type == TYPE_AAAA)) {
        return SILENT;
    }
    if (strcmp(label, "nx") == 0) {
        return RCODE_NXDOMAIN;
    }
    if (strcmp(label, "zero") == 0 && type == TYPE_A) {
        *ret_addresses = 1;
        return RCODE_OK;
    }
    if (strcmp(label, "fail") == 0) {
        return RCODE_SERVFAIL;
    }
    if (strcmp(label, "none") == 0) {
        return RCODE_OK;
    }
    if (type == TYPE_A) {
        *ret_addresses = strcmp(label, "thirty") == 0 ? 30 : strcmp(label, "three") == 0 ? 3 : 1;
    } else if (strcmp(label, "both") == 0) {
        *ret_addresses = 1;
    }
    return RCODE_OK;
}

static size_t append_address(unsigned char *to, int type, unsigned i, bool zero) {
    unsigned char head[12] = {0xc0, 12, 0, (unsigned char)type, 0, 1};
    size_t n = type == TYPE_A ? 4 : 16;
    head[11] = (unsigned char)n;
    memcpy(to, head, sizeof head);
    memset(to + sizeof head, 0, n);
    if (type == TYPE_A && !zero) {
        /* in descending order, to be sorted */
        const unsigned char address[4] = {127, 0, 1, (unsigned char)(200 - i)};
        memcpy(to + sizeof head, address, 4);
    } else if (!zero) {
        to[sizeof head + 15] = 1; /* ::1 */
    }
    return sizeof head + n;
}

static void *serve(void *arg) {
    (void)arg;
    for (;;) {
        unsigned char message[2048];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(server.fd, message, 512, 0, (struct sockaddr *)&from, &size);
        if (n < 17) {
            return NULL; /* told to stop by an empty datagram */
        }
        atomic_fetch_add(&server.questions, 1);
        char label[64] = "";
        memcpy(label, message + 13, message[12]);
        size_t end = 12;
        while (message[end] != 0) {
            end += message[end] + 1u;
        }
        int type = message[end + 2];
        end += 5;
        unsigned addresses;
        int rcode = answer_of(label, type, &addresses);
        if (rcode == SILENT || atomic_load(&server.silent)) {
            continue;
        }
        message[2] = 0x81;
        message[3] = (unsigned char)(0x80 | rcode);
        message[7] = (unsigned char)addresses;
        memset(message + 8, 0, 4); /* no EDNS in the answer */
        for (unsigned i = 0; i < addresses; i++) {
            end += append_address(message + end, type, i, strcmp(label, "zero") == 0);
        }
        sendto(server.fd, message, end, 0, (struct sockaddr *)&from, size);
    }
}

static inline void server_start(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    server.fd = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&at, size), 0);
    getsockname(server.fd, (struct sockaddr *)&at, &size);
    server.port = ntohs(at.sin_port);
    pthread_create(&server.thread, NULL, serve, NULL);
}

static inline void server_stop(void) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(server.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sendto(server.fd, "", 0, 0, (struct sockaddr *)&at, sizeof at);
    pthread_join(server.thread, NULL);
    close(server.fd);
}
