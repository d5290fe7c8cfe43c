#include "probe/addresses.h"

#include "probe/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool is_known(const struct addresses *addresses, const struct address *address) {
    for (size_t i = 0; i < addresses->n; i++) {
        if (addresses->list[i].family == address->family &&
            memcmp(addresses->list[i].bytes, address->bytes, sizeof address->bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* 0.0.0.0, ::, and the former as an IPv6 address. */
static bool is_unspecified(const struct address *address) {
    static const unsigned char none[16], mapped[16] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->bytes, none, sizeof none) == 0 ||
           (address->family == AF_INET6 && memcmp(address->bytes, mapped, sizeof mapped) == 0);
}

static int compare_addresses(const void *a, const void *b) {
    const struct address *x = a, *y = b;
    if (x->family != y->family) {
        return x->family == AF_INET ? -1 : 1;
    }
    return memcmp(x->bytes, y->bytes, sizeof x->bytes);
}

/* A server gives its addresses in another order each time: if it were the first that stay, others
 * would with each round. */
static void replace_last(struct addresses *addresses, const struct address *address) {
    struct address *last = addresses->list;
    for (size_t i = 1; i < addresses->n; i++) {
        if (compare_addresses(&addresses->list[i], last) > 0) {
            last = &addresses->list[i];
        }
    }
    if (compare_addresses(address, last) < 0) {
        *last = *address;
    }
}

int addresses_add(struct addresses *addresses, int family, const void *bytes) {
    struct address address = {.family = family};
    memcpy(address.bytes, bytes, family == AF_INET ? 4 : 16);
    if (is_unspecified(&address) || is_known(addresses, &address)) {
        return 0;
    }
    inet_ntop(family, address.bytes, address.text, sizeof address.text);
    if (addresses->n >= ADDRESSES_MOST) {
        replace_last(addresses, &address);
        return 0;
    }
    struct address *more = reallocarray(addresses->list, addresses->n + 1, sizeof *more);
    if (more == NULL) {
        return -ENOMEM;
    }
    addresses->list = more;
    addresses->list[addresses->n++] = address;
    return 0;
}

int addresses_add_literal(struct addresses *addresses, const char *text) {
    unsigned char bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1) {
        return addresses_add(addresses, AF_INET, bytes);
    }
    if (inet_pton(AF_INET6, text, bytes) == 1) {
        return addresses_add(addresses, AF_INET6, bytes);
    }
    return -EINVAL;
}

void addresses_clear(struct addresses *addresses) {
    free(addresses->list);
    *addresses = (struct addresses){0};
}

static bool family_has_route(const struct addresses *addresses, int family, bool *ret_present) {
    *ret_present = false;
    for (size_t i = 0; i < addresses->n; i++) {
        if (addresses->list[i].family == family) {
            *ret_present = true;
            if (route_exists(&addresses->list[i])) {
                return true;
            }
        }
    }
    return false;
}

static void leave_out(struct addresses *addresses, int family) {
    size_t kept = 0;
    for (size_t i = 0; i < addresses->n; i++) {
        if (addresses->list[i].family != family) {
            addresses->list[kept++] = addresses->list[i];
        }
    }
    addresses->n = kept;
}

void addresses_leave_out_unrouted(struct addresses *addresses, bool *ret_left_out_ipv4,
                                  bool *ret_left_out_ipv6) {
    bool has_v4, has_v6;
    bool route_v4 = family_has_route(addresses, AF_INET, &has_v4);
    bool route_v6 = family_has_route(addresses, AF_INET6, &has_v6);
    bool one_only = has_v4 && has_v6 && route_v4 != route_v6;
    *ret_left_out_ipv4 = one_only && !route_v4;
    *ret_left_out_ipv6 = one_only && !route_v6;
    if (one_only) {
        leave_out(addresses, route_v4 ? AF_INET6 : AF_INET);
    }
}

void addresses_sort(struct addresses *addresses) {
    qsort(addresses->list, addresses->n, sizeof *addresses->list, compare_addresses);
}
