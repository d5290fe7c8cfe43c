/* Names to addresses, by c-ares, on a sampling loop. One lookup a round; no cache. */
#pragma once

#include "probe/probe.h"

#include <stdbool.h>
#include <stddef.h>

struct resolver;
struct resolver_lookup;

struct resolver_result {
    outcome_t
        outcome; /* OUTCOME_NONE: there are addresses; else what every sample of the round saw */
    struct address
        *addresses; /* sorted by bytes, none twice; the receiver's to free; NULL if none */
    size_t n_addresses;
    bool left_out_ipv4, left_out_ipv6; /* resolved, but this machine has no route for that family */
    bool incomplete;                   /* a family that was asked for has not been answered: there
                                          may be more addresses */
    nsec_t took;                       /* NSEC_UNKNOWN: nothing was asked (a literal) */
    const char *words;                 /* why it failed; static storage, valid for ever */
    bool silent;    /* it failed, and no server has said anything meanwhile, not even to a question
                       that each answers */
    bool exhausted; /* it failed for want of our own descriptors or memory */
};
typedef void resolver_on_end(struct resolver_result *result, void *arg);

int resolver_new(struct event_base *base, struct resolver **ret_resolver); /* 0 or -errno */
void resolver_free(struct resolver *resolver); /* every lookup ended or abandoned */

/* Servers, time limit of a try, tries: those of `config`, of which nothing is kept. Reads the
 * system's settings anew; lookups under way end with the old ones. On failure the old ones stay. 0
 * or -errno. */
int resolver_configure(struct resolver *resolver, const struct config *config);

/* Looks up `host` (borrowed during the call) for at most `limit`; `on_end` is called once, on the
 * loop, never from inside this call. A literal address is not looked up. 0 or -ENOMEM. */
int resolver_start(struct resolver *resolver, const char *host, enum family family, nsec_t limit,
                   resolver_on_end *on_end, void *arg, struct resolver_lookup **ret_lookup);
/* Its time is over before its limit: on_end is called now, with what is known. */
void resolver_end(struct resolver_lookup *lookup);
/* on_end will not be called. */
void resolver_abandon(struct resolver_lookup *lookup);
