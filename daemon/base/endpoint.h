/* Where the status server listens and is asked: an address of this machine's own, or a unix socket. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    } address;
    socklen_t size;
    uint16_t port; /* 0: a unix socket, whose path is address.local.sun_path */
};

/* "127.0.0.1:9469" (any of 127.0.0.0/8), "[::1]:9469", "localhost:9469" (which is 127.0.0.1) or
 * "unix:/PATH". NULL; or what is wrong with it, the rest of a sentence that begins with the text, and
 * nothing is set. */
const char *endpoint_parse(const char *text, struct endpoint *ret_endpoint);

/* Whether the value of a Host header, or the authority of a URL, names this endpoint: localhost, an
 * address of 127.0.0.0/8 or [::1], with its port. Never true of a unix socket. */
bool endpoint_is_named(const struct endpoint *endpoint, const char *host);
