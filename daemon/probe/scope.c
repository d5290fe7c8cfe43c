#include "probe/scope.h"

#include <arpa/inet.h>
#include <libpsl.h>
#include <string.h>

/* The part of a name that somebody registered: under "com", "co.uk", "github.io", … Of a name that
 * is such a suffix itself, or with a library that was built without the list, NULL. */
static const char *registered(const char *host) {
    const psl_ctx_t *list = psl_builtin();
    return list != NULL ? psl_registrable_domain(list, host) : NULL;
}

/* Without the root's dot. */
static void copy_name(const char *host, char ret_name[256]) {
    size_t n = strnlen(host, 255); /* url.h: at most 254 */
    memcpy(ret_name, host, n);
    ret_name[n > 0 && host[n - 1] == '.' ? n - 1 : n] = '\0';
}

static bool is_same_site(const struct url *from, const struct url *to) {
    char a[256], b[256];
    copy_name(from->host, a);
    copy_name(to->host, b);
    if (strcmp(a, b) == 0) {
        return true;
    }
    if (from->literal || to->literal) {
        return false;
    }
    const char *registered_a = registered(a);
    const char *registered_b = registered(b);
    return registered_a != NULL && registered_b != NULL && strcmp(registered_a, registered_b) == 0;
}

bool scope_has(enum redirect_scope scope, const struct url *from, const struct url *to) {
    switch (scope) {
    case REDIRECT_SAME_ORIGIN:
        return url_same_origin(from, to);
    case REDIRECT_SAME_SITE:
        return is_same_site(from, to);
    case REDIRECT_ANY:
        return true;
    }
    return false;
}

enum reach {
    REACH_PUBLIC,
    REACH_PRIVATE,
    REACH_LINK,
    REACH_SELF,
};

struct range {
    enum reach reach;
    unsigned bits;
    unsigned char bytes[16];
};

static const struct range ranges4[] = {
    {REACH_SELF, 8, {127}},         {REACH_SELF, 8, {0}},           {REACH_LINK, 16, {169, 254}},
    {REACH_PRIVATE, 8, {10}},       {REACH_PRIVATE, 12, {172, 16}}, {REACH_PRIVATE, 16, {192, 168}},
    {REACH_PRIVATE, 10, {100, 64}}, /* shared, RFC 6598 */
};
static const struct range ranges6[] = {
    {REACH_SELF, 128, {[15] = 1}},
    {REACH_SELF, 128, {0}},
    {REACH_LINK, 10, {0xfe, 0x80}},
    {REACH_PRIVATE, 7, {0xfc}},
};

static enum reach reach_in(const struct range *ranges, size_t n, const unsigned char *bytes) {
    for (size_t i = 0; i < n; i++) {
        unsigned whole = ranges[i].bits / 8, rest = ranges[i].bits % 8;
        if (memcmp(bytes, ranges[i].bytes, whole) == 0 &&
            (rest == 0 || (bytes[whole] ^ ranges[i].bytes[whole]) >> (8 - rest) == 0)) {
            return ranges[i].reach;
        }
    }
    return REACH_PUBLIC;
}

static enum reach reach_of(const struct address *address) {
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char translated[12] = {0, 0x64, 0xff, 0x9b}; /* RFC 6052 */
    const unsigned char *bytes = address->bytes;
    if (address->family == AF_INET6) {
        if (memcmp(bytes, mapped, 12) != 0 && memcmp(bytes, translated, 12) != 0) {
            return reach_in(ranges6, sizeof ranges6 / sizeof *ranges6, bytes);
        }
        bytes += 12;
    }
    return reach_in(ranges4, sizeof ranges4 / sizeof *ranges4, bytes);
}

bool scope_is_nearer(const struct address *from, const struct address *to) {
    enum reach there = reach_of(to), here = reach_of(from);
    return there != here && (there == REACH_SELF || there == REACH_LINK ||
                             (there == REACH_PRIVATE && here == REACH_PUBLIC));
}
