/* What is kept from sample to sample and from round to round of a site with `connection: reuse`:
 * its lane, and the connections in its cache. Internal to probe/. */
#pragma once

#include "probe/probe.h"

#include <event2/event_struct.h>
#include <openssl/types.h>
#include <stdbool.h>

#define KEEP_IDLE_SECONDS 300 /* what nobody used for so long is closed */

/* A connection in the lane's cache. */
struct kept_link {
    struct kept_link *next;
    int fd;
    uint16_t local_port;
    struct address remote;
    const SSL_CTX *ssl_ctx; /* libcurl's, for comparison only */
};

struct kept {
    struct kept *next, *previous; /* all of a loop; the parked ones in the order of their parking */
    struct probe_lane *lane;
    char *name, *like; /* of the site; what its connections depend on */
    bool parked;
    bool stale;          /* no connection of it is used again, nor kept */
    struct trust *trust; /* what its connections were made with; references */
    struct identity *identity;
    struct kept_link *links;
    unsigned n_links;
    nsec_t parked_at;
    unsigned parked_fds; /* counted when it was parked */
};

/* All of a loop. */
struct keep {
    struct kept *first, *last;
    unsigned parked_fds, most_fds; /* descriptors of parked lanes: now, and at the most */
    nsec_t idle_most;
    struct event idle;
};

void keep_init(struct keep *keep, struct event_base *base);
void keep_clear(struct keep *keep); /* no lane of it is leased */

/* The parked lane of the site, no longer parked; NULL: none that is as the site would have it. */
struct probe_lane *keep_take(struct keep *keep, const struct site *site);
/* Makes the lane the site's. 0 or -ENOMEM. */
int keep_add(struct keep *keep, struct probe_lane *lane, const struct site *site,
             struct kept **ret_kept);
/* Nothing is in flight in it any more. False: it is not kept (stale, or too much is). */
bool keep_park(struct keep *keep, struct kept *kept);
/* Its lane is gone. NULL does nothing. */
void keep_remove(struct keep *keep, struct kept *kept);
/* Closes, now or when its round ends, what belongs to a site that is gone or has changed. */
void keep_configure(struct keep *keep, const struct config *config);

/* Whether a sample that goes by these may use the connections that are there: they were made with
 * the same. Once not, the lane is stale. */
bool kept_fits(struct kept *kept, struct trust *trust, struct identity *identity);
void kept_add_link(struct kept *kept, const struct kept_link *link);
const struct kept_link *kept_find_link(const struct kept *kept, uint16_t local_port,
                                       const struct address *remote);
void kept_drop_link(struct kept *kept, int fd); /* closed; may be unknown */
