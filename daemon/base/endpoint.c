/* A page of another origin, in a browser on this machine, can have a name of its own lead to 127.0.0.1
 * and would then read what is served here (DNS rebinding). It cannot change the Host header: that must
 * name the loopback itself. */
#include "base/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PORT_MOST = 65535, HOST_BYTES = 64, PORT_HTTP = 80 };

/* Splits "HOST:PORT" or "[HOST]:PORT"; the port is 0 where there is none. */
static bool split(const char *text, char ret_host[HOST_BYTES], bool *ret_bracketed,
                  unsigned *ret_port) {
    const char *end;
    *ret_bracketed = *text == '[';
    text += *ret_bracketed ? 1 : 0;
    end = text + strcspn(text, *ret_bracketed ? "]" : ":");
    size_t n = (size_t)(end - text);
    if (n == 0 || n >= HOST_BYTES || (*ret_bracketed && *end != ']')) {
        return false;
    }
    memcpy(ret_host, text, n);
    ret_host[n] = '\0';
    end += *ret_bracketed ? 1 : 0;
    *ret_port = 0;
    if (*end == '\0') {
        return true;
    }
    size_t digits = *end == ':' ? strspn(end + 1, "0123456789") : 0;
    if (digits == 0 || digits > 5 || end[1 + digits] != '\0') {
        return false;
    }
    unsigned long port = strtoul(end + 1, NULL, 10);
    *ret_port = (unsigned)port;
    return port > 0 && port <= PORT_MOST;
}

static bool is_loopback_ipv4(const char *host, struct in_addr *ret_address) {
    return inet_pton(AF_INET, host, ret_address) == 1 && ntohl(ret_address->s_addr) >> 24 == 127;
}

static bool is_loopback_ipv6(const char *host, struct in6_addr *ret_address) {
    return inet_pton(AF_INET6, host, ret_address) == 1 && IN6_IS_ADDR_LOOPBACK(ret_address);
}

static const char *parse_path(const char *path, struct endpoint *ret_endpoint) {
    if (*path != '/') {
        return "names no absolute path after unix:";
    }
    if (strlen(path) >= sizeof ret_endpoint->address.local.sun_path) {
        return "has a path that is too long for a socket: at most 107 bytes";
    }
    *ret_endpoint = (struct endpoint){.size = sizeof ret_endpoint->address.local};
    ret_endpoint->address.local.sun_family = AF_UNIX;
    strcpy(ret_endpoint->address.local.sun_path, path);
    return NULL;
}

static void set_ipv4(struct endpoint *endpoint, struct in_addr address, unsigned port) {
    *endpoint = (struct endpoint){
        .size = sizeof endpoint->address.ipv4,
        .port = (uint16_t)port,
    };
    endpoint->address.ipv4.sin_family = AF_INET;
    endpoint->address.ipv4.sin_addr = address;
    endpoint->address.ipv4.sin_port = htons((uint16_t)port);
}

static void set_ipv6(struct endpoint *endpoint, const struct in6_addr *address, unsigned port) {
    *endpoint = (struct endpoint){
        .size = sizeof endpoint->address.ipv6,
        .port = (uint16_t)port,
    };
    endpoint->address.ipv6.sin6_family = AF_INET6;
    endpoint->address.ipv6.sin6_addr = *address;
    endpoint->address.ipv6.sin6_port = htons((uint16_t)port);
}

const char *endpoint_parse(const char *text, struct endpoint *ret_endpoint) {
    char host[HOST_BYTES];
    bool bracketed;
    unsigned port;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_path(text + 5, ret_endpoint);
    }
    if (!split(text, host, &bracketed, &port) || port == 0) {
        return "is neither ADDRESS:PORT nor unix:/PATH";
    }
    if (!bracketed && strcasecmp(host, "localhost") == 0) {
        strcpy(host, "127.0.0.1");
    }
    if (!bracketed && is_loopback_ipv4(host, &ipv4)) {
        set_ipv4(ret_endpoint, ipv4, port);
    } else if (bracketed && is_loopback_ipv6(host, &ipv6)) {
        set_ipv6(ret_endpoint, &ipv6, port);
    } else {
        return "is no loopback address (127.0.0.0/8 or [::1]): what is to be seen from elsewhere "
               "needs a proxy in front, which encrypts and asks who it is";
    }
    return NULL;
}

bool endpoint_is_named(const struct endpoint *endpoint, const char *host) {
    char name[HOST_BYTES];
    bool bracketed;
    unsigned port;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (endpoint->port == 0 || !split(host, name, &bracketed, &port)) {
        return false;
    }
    bool ours = bracketed ? is_loopback_ipv6(name, &ipv6)
                          : strcasecmp(name, "localhost") == 0 || is_loopback_ipv4(name, &ipv4);
    return ours && (port == 0 ? PORT_HTTP : port) == endpoint->port;
}
