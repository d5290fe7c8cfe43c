/* libcurl decides what a URL is, so that what is accepted here is what it will request. It is more
 * generous than an operator would wish: "http:/host", "http://010.1" (8.0.0.1) and "http://h:/" all
 * mean something to it. What it would turn into another host is refused beforehand, so that no
 * site is ever another one than the one that stands there; the rest is left to it.
 *
 * libcurl 7.88.1 converts an international host from the charset of the *locale* and fails in the
 * C locale, which a daemon has. A UTF-8 locale of the thread's own, for the length of the call,
 * makes the result independent of how the program was started. */
#include "base/url.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    URL_BYTES = 8192, /* servers refuse longer ones: nginx and Apache at 8 KiB */
    HOST_BYTES = 253, /* RFC 1035 2.3.4, without the root's dot */
    LABEL_BYTES = 63,
};

static const char out_of_memory[] = "out of memory";

/* What can be said about the text before libcurl sees it; NULL: nothing. */
static const char *refuse_text(const char *text) {
    size_t n = strlen(text);
    if (n == 0) {
        return "is empty";
    }
    if (n > URL_BYTES) {
        return "is longer than 8192 bytes";
    }
    if (!text_is_safe(text, n)) {
        return "holds a control character, or is not UTF-8";
    }
    if (strchr(text, ' ') != NULL) {
        return "holds a space; write it as %20";
    }
    const char *scheme_end = strstr(text, "://");
    if (scheme_end == NULL || strcspn(text, "/?#") < (size_t)(scheme_end - text)) {
        return "has no scheme; write https://… or http://…";
    }
    size_t scheme = (size_t)(scheme_end - text);
    if (!(scheme == 5 && strncasecmp(text, "https", 5) == 0) &&
        !(scheme == 4 && strncasecmp(text, "http", 4) == 0)) {
        return "has a scheme that is not http or https";
    }
    const char *authority = scheme_end + 3;
    size_t length = strcspn(authority, "/?#");
    if (length == 0) {
        return "has no host";
    }
    if (memchr(authority, '@', length) != NULL) {
        return "carries a user or password";
    }
    return NULL;
}

static const char *explain(CURLUcode code) {
    if (code == CURLUE_OUT_OF_MEMORY) {
        return out_of_memory;
    }
    if (code == CURLUE_BAD_PORT_NUMBER) {
        return "has a port that is not a number from 1 to 65535";
    }
    if (code == CURLUE_BAD_IPV6) {
        return "has a host that is not an IPv6 address";
    }
    if (code == CURLUE_BAD_HOSTNAME || code == CURLUE_NO_HOST) {
        return "has a host that is not a host name";
    }
    if (code == CURLUE_UNSUPPORTED_SCHEME) {
        return "has a scheme that is not http or https";
    }
    if (code == CURLUE_USER_NOT_ALLOWED) {
        return "carries a user or password";
    }
    return "is not a URL";
}

/* Limits that a resolver would find out at every round. */
static const char *refuse_host(const char *host) {
    size_t n = strlen(host);
    if (n > 0 && host[n - 1] == '.') {
        n--; /* the root's dot is no label */
    }
    if (n == 0 || n > HOST_BYTES) {
        return "has a host name that is empty or longer than 253 bytes";
    }
    size_t last = 0;
    for (size_t i = 0, start = 0; i <= n; i++) {
        if (i == n || host[i] == '.') {
            if (i == start || i - start > LABEL_BYTES) {
                return "has a host name with a part that is empty or longer than 63 bytes";
            }
            last = start;
            start = i + 1;
        }
    }
    if (strspn(host + last, "0123456789") == n - last) {
        return "has a host that looks like an IPv4 address and is none";
    }
    return NULL;
}

/* Whether the host stands in the text as four decimal numbers, not as 127.1, 0x7f.1 or 010.0.0.1.
 */
static bool written_in_full(const char *text, const char *host) {
    const char *authority = strstr(text, "://") + 3;
    size_t n = strlen(host);
    return strncmp(authority, host, n) == 0 && strchr(":/?#", authority[n]) != NULL;
}

/* Replaces the host in `u` by its canonical form: ASCII, lower case, addresses as inet_ntop(3) has
 * them. NULL, or why not. */
static const char *canonical_host(CURLU *u, const char *text, bool *ret_literal) {
    char *zone = NULL;
    if (curl_url_get(u, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK) {
        curl_free(zone);
        return "has an IPv6 zone, which means another machine on every machine";
    }
    char *found = NULL;
    CURLUcode code = curl_url_get(u, CURLUPART_HOST, &found, CURLU_PUNYCODE);
    if (code != CURLUE_OK) {
        curl_free(found); /* 7.88.1 leaves the host here when it cannot be converted; later: NULL */
        return explain(code);
    }
    char host[URL_BYTES + 1]; /* punycode can be longer than its text, but not than a name may be */
    size_t n = strlen(found);
    const char *why = NULL;
    if (n >= sizeof host) {
        why = "has a host name that is empty or longer than 253 bytes";
    } else {
        for (size_t i = 0; i <= n; i++) {
            host[i] = (char)tolower((unsigned char)found[i]);
        }
    }
    curl_free(found);
    if (why != NULL) {
        return why;
    }

    struct in6_addr address;
    bool literal = true;
    if (host[0] == '[') {
        char inner[INET6_ADDRSTRLEN];
        host[n - 1] = '\0'; /* libcurl has seen to the closing bracket */
        if (inet_pton(AF_INET6, host + 1, &address) != 1) {
            return explain(CURLUE_BAD_IPV6);
        }
        inet_ntop(AF_INET6, &address, inner, sizeof inner);
        host[0] = '[';
        strcpy(host + 1, inner);
        strcat(host, "]");
    } else if (inet_pton(AF_INET, host, &address) == 1) {
        if (!written_in_full(text, host)) {
            return "has an IPv4 address in an unusual form; write four decimal numbers";
        }
    } else {
        literal = false;
        why = refuse_host(host);
        if (why != NULL) {
            return why;
        }
    }
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0 ||
        strcmp(host, "[::ffff:0.0.0.0]") == 0) {
        return "has the unspecified address as its host, to which nobody can connect";
    }
    code = curl_url_set(u, CURLUPART_HOST, host, 0);
    if (code == CURLUE_OK) {
        code = curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    }
    if (code != CURLUE_OK) {
        return explain(code);
    }
    *ret_literal = literal;
    return NULL;
}

static const char *canonical_host_in_utf8(CURLU *u, const char *text, bool *ret_literal) {
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 == (locale_t)0) {
        return "has an international host name, and this machine lacks the locale C.UTF-8; "
               "write the xn-- form";
    }
    locale_t before = uselocale(utf8);
    const char *why = canonical_host(u, text, ret_literal);
    uselocale(before);
    freelocale(utf8);
    return why == out_of_memory ? "has a host that is not a host name" : why;
}

static bool is_ascii(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

/* A copy that free() may free, whatever libcurl's allocator is. */
static const char *copy_part(CURLU *u, CURLUPart part, unsigned flags, char **ret_copy) {
    char *text = NULL;
    CURLUcode code = curl_url_get(u, part, &text, flags);
    if (code != CURLUE_OK) {
        return explain(code);
    }
    *ret_copy = strdup(text);
    curl_free(text);
    return *ret_copy == NULL ? out_of_memory : NULL;
}

static const char *fill(CURLU *u, struct url *url) {
    const char *why = copy_part(u, CURLUPART_URL, CURLU_NO_DEFAULT_PORT, &url->text);
    if (why == NULL) {
        why = copy_part(u, CURLUPART_HOST, 0, &url->host);
    }
    char *port = NULL;
    if (why == NULL) {
        why = copy_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
    }
    if (why != NULL) {
        return why;
    }
    unsigned long number = strtoul(port, NULL, 10); /* libcurl: decimal, at most 65535 */
    free(port);
    if (number == 0) {
        return "has port 0";
    }
    url->port = (uint16_t)number;
    url->tls = strncmp(url->text, "https:", 6) == 0; /* libcurl writes schemes in lower case */
    size_t n = strlen(url->host);
    if (url->host[0] == '[') {
        memmove(url->host, url->host + 1, n - 2);
        url->host[n - 2] = '\0';
    }
    return NULL;
}

int url_parse(const char *text, struct url *ret_url, const char **ret_why) {
    const char *why = refuse_text(text);
    if (why != NULL) {
        *ret_why = why;
        return -EINVAL;
    }
    CURLU *u = curl_url();
    struct url url = {0};
    if (u == NULL) {
        why = out_of_memory;
    } else {
        CURLUcode code =
            curl_url_set(u, CURLUPART_URL, text, CURLU_URLENCODE | CURLU_DISALLOW_USER);
        why = code != CURLUE_OK ? explain(code)
              : is_ascii(text)  ? canonical_host(u, text, &url.literal)
                                : canonical_host_in_utf8(u, text, &url.literal);
        if (why == NULL) {
            why = fill(u, &url);
        }
        curl_url_cleanup(u);
    }
    if (why != NULL) {
        url_clear(&url);
        *ret_why = why;
        return why == out_of_memory ? -ENOMEM : -EINVAL;
    }
    *ret_url = url;
    return 0;
}

/* The text of what libcurl makes of a reference, which has no fragment. */
static CURLUcode complete(const char *base, const char *reference, char **ret_text) {
    CURLU *u = curl_url();
    if (u == NULL) {
        return CURLUE_OUT_OF_MEMORY;
    }
    CURLUcode code = curl_url_set(u, CURLUPART_URL, base, 0);
    if (code == CURLUE_OK && *reference != '\0') {
        code = curl_url_set(u, CURLUPART_URL, reference, CURLU_URLENCODE | CURLU_DISALLOW_USER);
    }
    if (code == CURLUE_OK) {
        code = curl_url_get(u, CURLUPART_URL, ret_text, 0);
    }
    curl_url_cleanup(u);
    return code;
}

int url_resolve(const struct url *base, const char *reference, struct url *ret_url,
                const char **ret_why) {
    size_t n = strlen(reference);
    if (n > URL_BYTES) {
        *ret_why = "is longer than 8192 bytes";
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)reference[i] < 0x20 || reference[i] == 0x7f) {
            *ret_why = "holds a control character";
            return -EINVAL;
        }
    }
    /* 7.88.1 takes a mere fragment for an empty path */
    char *whole = strndup(reference, strcspn(reference, "#"));
    char *text = NULL;
    CURLUcode code = whole == NULL ? CURLUE_OUT_OF_MEMORY : complete(base->text, whole, &text);
    free(whole);
    if (code != CURLUE_OK) {
        *ret_why = explain(code);
        return *ret_why == out_of_memory ? -ENOMEM : -EINVAL;
    }
    int r = url_parse(text, ret_url, ret_why);
    curl_free(text);
    return r;
}

bool url_same_origin(const struct url *a, const struct url *b) {
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

void url_clear(struct url *url) {
    free(url->text);
    free(url->host);
    url->text = NULL;
    url->host = NULL;
}
