/* Durations and sizes are one decimal number and one unit. They are computed in integers, as
 * whole * unit + fraction * unit / 10^digits, and must come out even: "1.5s" does, "0.1B" and
 * "0.0000000001s" do not and are refused rather than rounded. */
#include "config/value.h"

#include "base/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", NSEC_PER_USEC},
    {"ms", NSEC_PER_MSEC},
    {"s", NSEC_PER_SEC},
    {"m", 60 * NSEC_PER_SEC},
    {"h", 3600 * NSEC_PER_SEC},
    {"d", 86400 * NSEC_PER_SEC},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},         {"kB", 1000},     {"MB", 1000 * 1000}, {"GB", 1000 * 1000 * 1000},
    {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},    {NULL, 0},
};

static const struct unit decimal_units[] = {{"", 1000}, {NULL, 0}};
static const struct unit percent_units[] = {{"%", 10}, {NULL, 0}};

enum { FRACTION_DIGITS = 9 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int fail(const char *why, const char **ret_why) {
    *ret_why = why;
    return -EINVAL;
}

/* The digits at *text, without leading zeros; moves *text behind them. */
static int parse_whole(const char **text, int64_t *ret_whole, const char **ret_why) {
    const char *at = *text;
    if (*at == '-' || *at == '+') {
        return fail("has a sign", ret_why);
    }
    if (!is_digit(*at)) {
        return fail("does not begin with a digit", ret_why);
    }
    if (at[0] == '0' && is_digit(at[1])) {
        return fail("has a leading zero", ret_why);
    }
    int64_t whole = 0;
    for (; is_digit(*at); at++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *at - '0', &whole)) {
            return fail("is too large", ret_why);
        }
    }
    *ret_whole = whole;
    *text = at;
    return 0;
}

/* The part after the point: `ret_digits` of 10^ret_scale. */
static int parse_fraction(const char **text, int64_t *ret_digits, int64_t *ret_scale,
                          const char **ret_why) {
    const char *at = *text;
    int64_t digits = 0, scale = 1;
    if (*at == '.') {
        at++;
        if (!is_digit(*at)) {
            return fail("has no digit after the point", ret_why);
        }
        for (int n = 0; is_digit(*at); n++, at++) {
            if (n == FRACTION_DIGITS) {
                return fail("has more than 9 digits after the point", ret_why);
            }
            digits = digits * 10 + (*at - '0');
            scale *= 10;
        }
    }
    *ret_digits = digits;
    *ret_scale = scale;
    *text = at;
    return 0;
}

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int parse_quantity(const char *text, const struct unit *units, const char *bare,
                          const char *unknown_unit, int64_t *ret_value, const char **ret_why) {
    int64_t whole = 0, digits = 0, scale = 1;
    int r = parse_whole(&text, &whole, ret_why);
    if (r == 0) {
        r = parse_fraction(&text, &digits, &scale, ret_why);
    }
    if (r < 0) {
        return r;
    }
    if (*text == '\0') {
        if (bare == NULL) {
            return fail("has no unit", ret_why);
        }
        text = bare;
    }
    const struct unit *unit = units;
    while (unit->name != NULL && strcmp(unit->name, text) != 0) {
        unit++;
    }
    if (unit->name == NULL) {
        return fail(unknown_unit, ret_why);
    }
    int64_t common = greatest_common_divisor(unit->factor, scale);
    int64_t step = scale / common; /* the fraction must be a multiple of step / scale */
    if (digits % step != 0) {
        return fail("has too many digits after the point", ret_why);
    }
    int64_t value;
    /* digits < scale, so the fraction's share is below one unit and cannot overflow */
    if (__builtin_mul_overflow(whole, unit->factor, &value) ||
        __builtin_add_overflow(value, digits / step * (unit->factor / common), &value)) {
        return fail("is too large", ret_why);
    }
    *ret_value = value;
    return 0;
}

int value_parse_duration(const char *text, bool bare_seconds, nsec_t *ret_duration,
                         const char **ret_why) {
    return parse_quantity(text, duration_units, bare_seconds ? "s" : NULL,
                          "is not one number and one unit of ns, us, ms, s, m, h, d", ret_duration,
                          ret_why);
}

int value_parse_size(const char *text, int64_t *ret_bytes, const char **ret_why) {
    return parse_quantity(text, size_units, NULL,
                          "is not one number and one unit of B, kB, MB, GB, KiB, MiB, GiB",
                          ret_bytes, ret_why);
}

int value_parse_integer(const char *text, int64_t *ret_integer, const char **ret_why) {
    int64_t whole;
    int r = parse_whole(&text, &whole, ret_why);
    if (r < 0) {
        return r;
    }
    if (*text != '\0') {
        return fail("is not a whole number in decimal digits", ret_why);
    }
    *ret_integer = whole;
    return 0;
}

int value_parse_decimal(const char *text, int64_t *ret_thousandths, const char **ret_why) {
    return parse_quantity(text, decimal_units, "", "is not a number in decimal digits",
                          ret_thousandths, ret_why);
}

int value_parse_percent(const char *text, int64_t *ret_thousandths, const char **ret_why) {
    return parse_quantity(text, percent_units, NULL, "is not a number and %", ret_thousandths,
                          ret_why);
}

int value_parse_bool(const char *text, bool *ret_bool, const char **ret_why) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_bool = i % 2 == 1;
            return 0;
        }
    }
    return fail("is not yes, no, true, false, on or off", ret_why);
}

static const char not_status[] =
    "is not a status (100 to 999), a range (200-399) or a class (2xx), or one of them after \"not\"";

/* Three digits from 100 on, and nothing behind them that could belong to the number. */
static bool parse_code(const char *text, unsigned *ret_code) {
    if (text[0] < '1' || text[0] > '9' || !is_digit(text[1]) || !is_digit(text[2])) {
        return false;
    }
    *ret_code = (unsigned)((text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0'));
    return true;
}

int value_parse_status(const char *text, struct status_terms *terms, const char **ret_why) {
    bool negated = strncmp(text, "not ", 4) == 0;
    struct status_set *set = negated ? &terms->negated : &terms->named;
    unsigned from, to;
    text += negated ? 4 : 0;
    if (text[0] >= '1' && text[0] <= '9' && strcmp(text + 1, "xx") == 0) {
        from = (unsigned)(text[0] - '0') * 100;
        to = from + 99;
    } else if (!parse_code(text, &from)) {
        return fail(not_status, ret_why);
    } else if (text[3] == '\0') {
        to = from;
    } else if (text[3] != '-' || !parse_code(text + 4, &to) || text[7] != '\0') {
        return fail(not_status, ret_why);
    } else if (to < from) {
        return fail("is a range that ends before it begins", ret_why);
    }
    for (unsigned code = from; code <= to; code++) {
        set->bits[(code - 100) / 64] |= UINT64_C(1) << ((code - 100) % 64);
    }
    terms->any_named = terms->any_named || !negated;
    return 0;
}

bool status_terms_settle(const struct status_terms *terms, struct status_set *ret_set) {
    enum { STATUSES = 900, WORDS = sizeof ret_set->bits / sizeof ret_set->bits[0] };
    bool any = false;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t all = i == WORDS - 1 ? (UINT64_C(1) << STATUSES % 64) - 1 : UINT64_MAX;
        ret_set->bits[i] =
            (terms->any_named ? terms->named.bits[i] : all) & ~terms->negated.bits[i];
        any = any || ret_set->bits[i] != 0;
    }
    return any;
}

int value_check_server(const char *text, const char **ret_why) {
    static const char not_server[] =
        "is not an IP address, or one with a port (192.0.2.1:53, [2001:db8::1]:53)";
    char host[INET6_ADDRSTRLEN];
    const char *port = NULL;
    struct in6_addr address;
    int family = AF_INET;
    size_t n = strlen(text);
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0')) {
            return fail(not_server, ret_why);
        }
        family = AF_INET6;
        n = (size_t)(end - text) - 1;
        port = end[1] == ':' ? end + 2 : NULL;
        text++;
    } else if (strchr(text, ':') != strrchr(text, ':')) {
        family = AF_INET6; /* two colons or more: an address without a port */
    } else if (strchr(text, ':') != NULL) {
        n = strcspn(text, ":");
        port = text + n + 1;
    }
    if (n >= sizeof host) {
        return fail(not_server, ret_why);
    }
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(family, host, &address) != 1) {
        return fail(not_server, ret_why);
    }
    int64_t number;
    if (port != NULL &&
        (value_parse_integer(port, &number, ret_why) < 0 || number < 1 || number > 65535)) {
        return fail("has a port that is not a number from 1 to 65535", ret_why);
    }
    return 0;
}

int value_parse_connect(const char *text, char **ret_host, uint16_t *ret_port,
                        const char **ret_why) {
    static const char not_connect[] = "is not HOST, HOST:PORT, [V6]:PORT or :PORT";
    const char *port = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');
    if (text[0] == '[' && port != NULL) {
        port = port[1] == ':' ? port + 1 : NULL;
    }
    int64_t number = 0;
    if (strpbrk(text, "/?#@%\\") != NULL || (text[0] != '[' && port != strrchr(text, ':'))) {
        return fail(not_connect, ret_why);
    }
    if (port != NULL &&
        (value_parse_integer(port + 1, &number, ret_why) < 0 || number < 1 || number > 65535)) {
        return fail("has a port that is not a number from 1 to 65535", ret_why);
    }
    char *host = NULL;
    if (port != text) {
        char *as_url = NULL;
        struct url url;
        if (asprintf(&as_url, "http://%s/", text) < 0) {
            *ret_why = "out of memory";
            return -ENOMEM;
        }
        int r = url_parse(as_url, &url, ret_why); /* one idea of what a host is */
        free(as_url);
        if (r < 0) {
            return r;
        }
        host = url.host;
        url.host = NULL;
        url_clear(&url);
    }
    *ret_host = host;
    *ret_port = (uint16_t)number;
    return 0;
}

int value_parse_proxy(const char *text, struct url *ret_url, const char **ret_why) {
    struct url url;
    if (strncasecmp(text, "http://", 7) != 0) {
        return fail("is not http://HOST:PORT; proxies over https or SOCKS are not supported",
                    ret_why);
    }
    int r = url_parse(text, &url, ret_why);
    if (r < 0) {
        if (r == -EINVAL && strcmp(*ret_why, "carries a user or password") == 0) {
            *ret_why = "carries a user or password, which is not supported for a proxy";
        }
        return r;
    }
    size_t n = strcspn(text + 7, "/?#");
    if (text[7 + n] != '\0' && strcmp(text + 7 + n, "/") != 0) {
        url_clear(&url);
        return fail("has a path; write http://HOST:PORT", ret_why);
    }
    *ret_url = url;
    return 0;
}

const char *value_check_token(const char *text) {
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[0] != '\0' && text[strspn(text, letters)] == '\0'
               ? NULL
               : "is not a name of letters, digits and !#$%&'*+-.^_`|~";
}

const char *value_check_method(const char *text) {
    if (value_check_token(text) != NULL) {
        return "is not a method";
    }
    if (strpbrk(text, "abcdefghijklmnopqrstuvwxyz") != NULL) {
        return "is not in upper case, as methods are";
    }
    if (strcmp(text, "CONNECT") == 0 || strcmp(text, "TRACE") == 0) {
        return "is a method that is not supported";
    }
    return NULL;
}

const char *value_check_user(const char *text) {
    return strchr(text, ':') == NULL ? NULL : "has a colon, which ends the user's name";
}

const char *value_check_credential(const char *text) {
    bool is_name = strchr(text, '/') == NULL && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
    return is_name ? NULL : "is not the name of a credential, which has no \"/\"";
}

const char *value_check_host_name(const char *text) {
    static const char letters[] = "-._0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[strspn(text, letters)] == '\0' && text[0] != '.' && strstr(text, "..") == NULL
               ? NULL
               : "is not a host name";
}

const char *value_check_endpoint(const char *text) {
    struct endpoint endpoint;
    return endpoint_parse(text, &endpoint);
}

const char *value_check_request_header(const char *name) {
    static const struct {
        const char *name, *why;
    } refused[] = {
        {"Connection", "is set by tallyd itself; see the key connection"},
        {"Content-Length", "is set by tallyd itself"},
        {"Expect", "is set by tallyd itself"},
        {"Keep-Alive", "is set by tallyd itself; see the key connection"},
        {"TE", "is set by tallyd itself"},
        {"Trailer", "is set by tallyd itself"},
        {"Transfer-Encoding", "is set by tallyd itself"},
        {"Upgrade", "is not supported"},
        {"User-Agent", "has a key of its own: user_agent"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (strcasecmp(name, refused[i].name) == 0) {
            return refused[i].why;
        }
    }
    return strncasecmp(name, "Proxy-", 6) == 0 ? "belongs to a proxy, and is not supported"
                                               : value_check_token(name);
}

const char *value_url_hint(const char *text) {
    size_t scheme = strncasecmp(text, "https:", 6) == 0  ? 6
                    : strncasecmp(text, "http:", 5) == 0 ? 5
                                                         : 0;
    if (text[0] == '"' || text[0] == '\'') {
        return "the quotes are part of the text";
    }
    if (strncasecmp(text, "url:", 4) == 0) {
        return "YAML wants a space behind the colon: \"url: https://…\"";
    }
    if (scheme > 0 && strncmp(text + scheme, "//", 2) != 0) {
        return "two slashes follow the colon";
    }
    if (strstr(text, " - ") != NULL) { /* YAML has joined two lines */
        return "a dash that begins a site of its own stands right below the dash before it";
    }
    return strncmp(text, "//", 2) == 0 ? "the scheme is missing before the slashes" : NULL;
}

bool value_is_yaml_word(const char *text) {
    /* http://yaml.org/type/bool.html and null.html; y and n are read as truth by some */
    static const char *const words[] = {"y",  "n",   "yes",  "no", "true", "false",
                                        "on", "off", "null", "~",  ""};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* In the largest unit that leaves a whole number, or up to three digits after the point from a
 * second on: 1.5s rather than 1500ms. */
void value_print_duration(nsec_t duration, char ret_text[VALUE_TEXT_SIZE]) {
    const struct unit *best = &duration_units[0];
    for (const struct unit *unit = duration_units; unit->name != NULL; unit++) {
        if (duration != 0 && duration % unit->factor == 0) {
            best = unit;
        }
    }
    if (duration == 0) {
        snprintf(ret_text, VALUE_TEXT_SIZE, "0s");
    } else if (best->factor == NSEC_PER_MSEC && duration > NSEC_PER_SEC) {
        int n =
            snprintf(ret_text, VALUE_TEXT_SIZE, "%lld.%03lld", (long long)(duration / NSEC_PER_SEC),
                     (long long)(duration % NSEC_PER_SEC / NSEC_PER_MSEC));
        while (ret_text[n - 1] == '0') {
            n--;
        }
        snprintf(ret_text + n, VALUE_TEXT_SIZE - (size_t)n, "s");
    } else {
        snprintf(ret_text, VALUE_TEXT_SIZE, "%lld%s", (long long)(duration / best->factor),
                 best->name);
    }
}

void value_print_size(int64_t bytes, char ret_text[VALUE_TEXT_SIZE]) {
    static const struct unit steps[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (bytes != 0 && bytes % steps[i].factor == 0) {
            snprintf(ret_text, VALUE_TEXT_SIZE, "%lld%s", (long long)(bytes / steps[i].factor),
                     steps[i].name);
            return;
        }
    }
    snprintf(ret_text, VALUE_TEXT_SIZE, "%lldB", (long long)bytes);
}
