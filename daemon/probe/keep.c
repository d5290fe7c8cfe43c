/* A site with `connection: reuse` has a lane of its own while there are connections in it: parked
 * between its rounds, taken by its next. How many there are in all is bounded by their descriptors;
 * who was parked longest goes first. A server may close what is parked: libcurl sees that when it
 * next looks for a connection, and makes a new one.
 *
 * libcurl itself tells connections apart by scheme, host, port, address and proxy. What it cannot
 * see is what was given to its SSL_CTX: so a lane knows with which CA store and client certificate
 * its connections were made, and once a sample comes with others (the files have changed), they are
 * not used again. */
#include "probe/keep.h"

#include "probe/identity.h"
#include "probe/lane.h"
#include "probe/trust.h"

#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANE_FDS = 2 };

static unsigned fds_of(const struct kept *kept) {
    return LANE_FDS + kept->n_links;
}

/* ---- the list ---- */

static void leave(struct keep *keep, struct kept *kept) {
    *(kept->previous != NULL ? &kept->previous->next : &keep->first) = kept->next;
    *(kept->next != NULL ? &kept->next->previous : &keep->last) = kept->previous;
    kept->next = kept->previous = NULL;
    if (kept->parked) {
        kept->parked = false;
        keep->parked_fds -= kept->parked_fds;
    }
}

static void join(struct keep *keep, struct kept *kept) {
    kept->previous = keep->last;
    *(keep->last != NULL ? &keep->last->next : &keep->first) = kept;
    keep->last = kept;
}

static struct kept *find(const struct keep *keep, const char *name) {
    struct kept *kept = keep->first;
    while (kept != NULL && !(kept->parked && strcmp(kept->name, name) == 0)) {
        kept = kept->next;
    }
    return kept;
}

static struct kept *longest_parked(const struct keep *keep) {
    struct kept *kept = keep->first;
    while (kept != NULL && !kept->parked) {
        kept = kept->next;
    }
    return kept;
}

/* ---- what nobody comes back for ---- */

static void arm(struct keep *keep) {
    const struct kept *oldest = longest_parked(keep);
    if (oldest == NULL) {
        event_del(&keep->idle);
        return;
    }
    struct timeval delay = loop_timeval(oldest->parked_at + keep->idle_most - clock_now());
    (void)event_add(&keep->idle, &delay); /* without it they stay until the next that is parked */
}

static void on_idle(evutil_socket_t fd, short what, void *arg) {
    struct keep *keep = arg;
    (void)fd;
    (void)what;
    struct kept *oldest;
    while ((oldest = longest_parked(keep)) != NULL &&
           clock_now() - oldest->parked_at >= keep->idle_most) {
        lane_discard(oldest->lane);
    }
    arm(keep);
}

void keep_init(struct keep *keep, struct event_base *base) {
    *keep = (struct keep){.most_fds = CONNECTIONS_KEPT_MOST,
                          .idle_most = KEEP_IDLE_SECONDS * NSEC_PER_SEC};
    event_assign(&keep->idle, base, -1, 0, on_idle, keep);
}

void keep_clear(struct keep *keep) {
    while (keep->first != NULL) {
        assert(keep->first->parked);
        lane_discard(keep->first->lane);
    }
    event_del(&keep->idle);
}

/* ---- lanes ---- */

static const char *text_or_none(const char *text) {
    return text != NULL ? text : "";
}

/* Two sites alike in this may use each other's connections. NULL: out of memory. */
static char *describe(const struct site *site) {
    const struct tls_config *tls = &site->tls;
    char *text;
    int n = asprintf(&text, "%s\n%s\n%u\n%s\n%s\n%s\n%s\n%s\n%d\n%d\n%u", site->url.text,
                     text_or_none(site->connect_host), site->connect_port,
                     site->request.proxy != NULL ? site->request.proxy->text : "",
                     text_or_none(tls->ca), text_or_none(tls->cert), text_or_none(tls->key),
                     text_or_none(tls->server_name), (int)tls->min_version, tls->verify,
                     site->concurrency);
    return n >= 0 ? text : NULL;
}

/* Out of memory: no. */
static bool is_like(const struct kept *kept, const struct site *site) {
    char *like = describe(site);
    bool same = like != NULL && strcmp(like, kept->like) == 0;
    free(like);
    return same;
}

struct probe_lane *keep_take(struct keep *keep, const struct site *site) {
    struct kept *kept = find(keep, site->name);
    if (kept == NULL) {
        return NULL;
    }
    if (!is_like(kept, site)) {
        lane_discard(kept->lane);
        return NULL;
    }
    leave(keep, kept);
    join(keep, kept);
    return kept->lane;
}

int keep_add(struct keep *keep, struct probe_lane *lane, const struct site *site,
             struct kept **ret_kept) {
    struct kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL || (kept->name = strdup(site->name)) == NULL ||
        (kept->like = describe(site)) == NULL) {
        if (kept != NULL) {
            free(kept->name);
        }
        free(kept);
        return -ENOMEM;
    }
    kept->lane = lane;
    join(keep, kept);
    *ret_kept = kept;
    return 0;
}

bool keep_park(struct keep *keep, struct kept *kept) {
    struct kept *older = find(keep, kept->name);
    if (older != NULL) {
        lane_discard(older->lane);
    }
    if (kept->stale || kept->n_links == 0 || fds_of(kept) > keep->most_fds) {
        return false;
    }
    while (keep->parked_fds + fds_of(kept) > keep->most_fds) {
        lane_discard(longest_parked(keep)->lane);
    }
    leave(keep, kept);
    join(keep, kept);
    kept->parked = true;
    kept->parked_at = clock_now();
    kept->parked_fds = fds_of(kept);
    keep->parked_fds += kept->parked_fds;
    arm(keep);
    return true;
}

void keep_remove(struct keep *keep, struct kept *kept) {
    if (kept == NULL) {
        return;
    }
    leave(keep, kept);
    while (kept->links != NULL) {
        struct kept_link *link = kept->links;
        kept->links = link->next;
        free(link);
    }
    trust_free(kept->trust);
    identity_free(kept->identity);
    free(kept->name);
    free(kept->like);
    free(kept);
}

void keep_configure(struct keep *keep, const struct config *config) {
    struct kept *next;
    for (struct kept *kept = keep->first; kept != NULL; kept = next) {
        next = kept->next;
        const struct site *site = config_find(config, kept->name);
        if (site != NULL && site->enabled && site->connection == CONNECTION_REUSE &&
            is_like(kept, site)) {
            continue;
        }
        if (kept->parked) {
            lane_discard(kept->lane);
        } else {
            kept->stale = true;
        }
    }
}

/* ---- connections ---- */

bool kept_fits(struct kept *kept, struct trust *trust, struct identity *identity) {
    if (kept->trust == NULL && kept->identity == NULL && kept->links == NULL) {
        kept->trust = trust_ref(trust);
        kept->identity = identity_ref(identity);
    }
    if (kept->trust != trust || kept->identity != identity) {
        kept->stale = true;
    }
    return !kept->stale;
}

void kept_add_link(struct kept *kept, const struct kept_link *link) {
    struct kept_link *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        kept->stale = true; /* it would not be known again */
        return;
    }
    *copy = *link;
    copy->next = kept->links;
    kept->links = copy;
    kept->n_links++;
}

static bool is_same_address(const struct address *a, const struct address *b) {
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

const struct kept_link *kept_find_link(const struct kept *kept, uint16_t local_port,
                                       const struct address *remote) {
    const struct kept_link *link = kept->links;
    while (link != NULL &&
           !(link->local_port == local_port && is_same_address(&link->remote, remote))) {
        link = link->next;
    }
    return link;
}

void kept_drop_link(struct kept *kept, int fd) {
    for (struct kept_link **at = &kept->links; *at != NULL; at = &(*at)->next) {
        struct kept_link *link = *at;
        if (link->fd == fd) {
            *at = link->next;
            free(link);
            kept->n_links--;
            return;
        }
    }
}
