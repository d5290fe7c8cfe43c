#include "probe/route.h"

#include <errno.h>
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
