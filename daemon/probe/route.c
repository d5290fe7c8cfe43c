#include "probe/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connecting a UDP socket sends nothing, but makes the kernel choose a route and a source address.
 */
bool route_exists(const struct address *address) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    memset(&to, 0, sizeof to);
    socklen_t size;
    to.any.sa_family = (sa_family_t)address->family;
    if (address->family == AF_INET) {
        memcpy(&to.v4.sin_addr, address->bytes, 4);
        to.v4.sin_port = htons(9);
        size = sizeof to.v4;
    } else {
        memcpy(&to.v6.sin6_addr, address->bytes, 16);
        to.v6.sin6_port = htons(9);
        size = sizeof to.v6;
    }
    int fd = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno != EAFNOSUPPORT; /* EMFILE and the like say nothing about routes */
    }
    bool exists = connect(fd, &to.any, size) == 0 ||
                  (errno != ENETUNREACH && errno != EHOSTUNREACH && errno != EADDRNOTAVAIL &&
                   errno != EAFNOSUPPORT && errno != ENETDOWN);
    close(fd);
    return exists;
}

bool route_out(int family) {
    /* two of the root's name servers; nothing is sent to them */
    struct address far = {.family = family};
    const char *text = family == AF_INET ? "198.41.0.4" : "2001:503:ba3e::2:30";
    (void)inet_pton(family, text, far.bytes);
    return route_exists(&far);
}

static bool is_link_local(const struct sockaddr *address) {
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    return ntohl(v4->sin_addr.s_addr) >> 16 == 0xa9fe; /* 169.254/16 */
}

static bool has_interface(void) {
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0) {
        return true; /* nobody knows */
    }
    bool found = false;
    for (struct ifaddrs *one = all; one != NULL && !found; one = one->ifa_next) {
        bool up =
            (one->ifa_flags & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK)) == (IFF_UP | IFF_RUNNING);
        int family = one->ifa_addr != NULL ? one->ifa_addr->sa_family : AF_UNSPEC;
        found = up && (family == AF_INET || family == AF_INET6) && !is_link_local(one->ifa_addr);
    }
    freeifaddrs(all);
    return found;
}

bool route_anywhere(void) {
    return route_out(AF_INET) || route_out(AF_INET6) || has_interface();
}
