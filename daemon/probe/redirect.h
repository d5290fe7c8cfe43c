/* Where a redirect leads, and whether it may be followed. Pure. Internal to probe/. */
#pragma once

#include "config/config.h"
#include "probe/outcome.h"
#include "probe/words.h"

#include <stdbool.h>
#include <stddef.h>

/* One request of a sample. The first is the site's own. */
struct station {
    struct url url;     /* the first one's is borrowed from the site */
    const char *method; /* borrowed, from the site or static */
    bool sends_body;    /* the site's */
    bool own;           /* at the site's origin, which was not left before: gets what is secret */
};

enum redirect_verdict {
    REDIRECT_IS_NONE,  /* the status is the outcome */
    REDIRECT_FOLLOWED, /* there is a next station */
    REDIRECT_REFUSED,
    REDIRECT_NO_MEMORY,
};

/* The first station. */
struct station redirect_begin(const struct site *site);

/* What the answer with this status and head, to the last of `n` stations, leads to: ret_next, to be
 * cleared; or why it is refused, added to the words. */
enum redirect_verdict redirect_next(const struct site *site, const struct station *stations,
                                    unsigned n, outcome_t status, const char *head,
                                    size_t head_bytes, struct station *ret_next,
                                    struct words *words);

/* The URL of a station in quotation marks, without its query, which may hold what is not ours to
 * tell. */
void redirect_quote(struct words *words, const struct url *url);
