/* A URL as the sampler needs it. Parsing is libcurl's own, so that what `check` accepts is exactly
 * what is sent; this is the one place outside probe/ that knows it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct url {
    char *text;    /* as it is requested: normalised by libcurl, host in punycode, no fragment */
    char *host;    /* punycode, without the brackets of an IPv6 literal */
    uint16_t port; /* 1..65535 */
    bool tls;      /* https */
    bool literal;  /* the host is an IP address */
};

/* On failure returns -EINVAL and sets *ret_why to what is wrong with "the URL" (a predicate in
 * static storage, without the URL's secrets): "has no scheme; write https://… or http://…", "has a
 * scheme that is not http or https", "carries a user or password", "has port 0", … -ENOMEM leaves
 * it "out of memory". */
int url_parse(const char *text, struct url *ret_url, const char **ret_why);
void url_clear(struct url *url);

/* What `reference` (a Location) means where `base` was asked: absolute, //host, /path, path, ?query.
 * Returns and ret_why as of url_parse(). */
int url_resolve(const struct url *base, const char *reference, struct url *ret_url,
                const char **ret_why);

bool url_same_origin(const struct url *a, const struct url *b); /* scheme, host and port */
