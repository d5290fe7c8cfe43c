/* The rules, each measured with c-ares 1.18.1:
 *
 * - Literals never reach c-ares, which sends them to DNS when asked for both families.
 * - Two queries, A and AAAA, apart: asked for both at once c-ares answers when both are done, so a
 *   server that drops AAAA would hide a known A. At the time limit what is known is used.
 * - A callback may come from inside ares_getaddrinfo(); so a lookup's end is always told later,
 *   from an event of its own.
 * - There is no cancelling of one query. A lookup that nobody waits for any more stays until its
 *   queries have ended, but gives its places among the QUERIES_MOST to others, so that names that are
 *   never answered do not starve the rest.
 * - A lookup that had to wait for its places for long is our failure, not the name's.
 * - A lookup that nobody answers may be the name's fault or that of the servers, or of the way to them.
 *   Half of a try after its beginning, with nothing heard from any server since then, they are asked
 *   for what each that lives answers at once. One that answers, whatever it says, was alive all the
 *   time; where none does, and no other lookup heard anything, the servers are silent.
 * - A channel does not see that resolv.conf changed. It is looked at once a minute, and at each
 *   resolver_configure(); the old channel goes when its queries have ended. */
#include "probe/resolver.h"

#include "base/log.h"
#include "base/loop.h"
#include "probe/addresses.h"
#include "probe/channel.h"

#include <ares.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    QUERIES_MOST = 64,   /* under way that somebody waits for */
    ORPHANS_MOST = 1024, /* and beyond, that nobody waits for any more: they cost memory alone */
};

static const char resolv_conf[] = "/etc/resolv.conf";
static const nsec_t watch_interval = 60 * NSEC_PER_SEC;

enum query_state {
    QUERY_UNWANTED, /* the family is not asked for */
    QUERY_WAITING,  /* for a place among the QUERIES_MOST */
    QUERY_SENT,
    QUERY_ENDED,
};

struct query {
    struct resolver_lookup *lookup;
    struct channel *channel;
    int family;
    enum query_state state;
    int status;  /* c-ares', once ended */
    bool local;  /* it failed for want of our own resources */
    bool orphan; /* nobody waits for it any more */
    nsec_t sent;
};

struct resolver_lookup {
    struct resolver *resolver;
    struct resolver_lookup *next, *previous; /* of those waiting for a place */
    bool waiting;
    bool unsent; /* its time ended while it waited */
    bool told;   /* on_end was called, or never will be */
    resolver_on_end *on_end;
    void *arg;
    char *host;
    struct query queries[2]; /* A, AAAA */
    struct event end;        /* its time limit; made active at once when all queries have ended */
    struct event doubt;      /* when nothing has been heard for long enough to wonder */
    bool out_of_memory;
    bool literal;
    nsec_t limit;
    nsec_t started;
    struct addresses addresses;
};

struct resolver {
    struct event_base *base;
    struct channel *channel;
    struct channel **retired; /* they have queries under way; the array is the resolver's */
    unsigned n_retired;
    struct event watch;      /* of resolv.conf, and of retired channels */
    struct event place_free; /* for those waiting */
    struct stat resolv_conf_was;
    unsigned queries, orphans;
    struct resolver_lookup *first_waiting, *last_waiting;
    char *servers; /* as c-ares wants them; NULL: the system's */
    int try_ms;
    int tries;
    nsec_t heard;  /* when a server said anything last */
    nsec_t proved; /* when they were asked last whether they live */
};

/* ---- channels ---- */

static void free_retired(struct resolver *resolver, bool all) {
    unsigned kept = 0;
    for (unsigned i = 0; i < resolver->n_retired; i++) {
        struct channel *channel = resolver->retired[i];
        if (all || channel_is_idle(channel)) {
            channel_free(channel);
        } else {
            resolver->retired[kept++] = channel;
        }
    }
    resolver->n_retired = kept;
}

static int renew_channel(struct resolver *resolver) {
    struct channel_settings settings = {
        .servers = resolver->servers,
        .try_ms = resolver->try_ms,
        .tries = resolver->tries,
        .heard = &resolver->heard,
    };
    struct channel **retired =
        reallocarray(resolver->retired, resolver->n_retired + 1, sizeof *retired);
    if (retired == NULL) {
        return -ENOMEM;
    }
    resolver->retired = retired;
    struct channel *channel;
    int r = channel_new(resolver->base, &settings, &channel);
    if (r != 0) {
        return r;
    }
    if (resolver->channel != NULL) {
        resolver->retired[resolver->n_retired++] = resolver->channel;
    }
    resolver->channel = channel;
    return 0;
}

/* `ret_now` is to be remembered once it was read. */
static bool resolv_conf_changed(const struct resolver *resolver, struct stat *ret_now) {
    struct stat now;
    if (stat(resolv_conf, &now) != 0) {
        memset(&now, 0, sizeof now);
    }
    const struct stat *was = &resolver->resolv_conf_was;
    *ret_now = now;
    return now.st_ino != was->st_ino || now.st_dev != was->st_dev ||
           now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != was->st_mtim.tv_nsec || now.st_size != was->st_size;
}

static void on_watch(evutil_socket_t fd, short what, void *arg) {
    struct resolver *resolver = arg;
    (void)fd;
    (void)what;
    free_retired(resolver, false);
    struct stat status;
    if (resolver->servers == NULL && resolv_conf_changed(resolver, &status)) {
        int r = renew_channel(resolver);
        if (r == 0) {
            resolver->resolv_conf_was = status;
            log_notice("%s changed: DNS settings were read anew", resolv_conf);
        } else {
            log_error("%s changed and cannot be read anew (%s): tried again in a minute",
                      resolv_conf, strerror(-r));
        }
    }
    struct timeval again = loop_timeval(watch_interval);
    event_add(&resolver->watch, &again);
}

/* ---- lookups ---- */

static void lookup_free(struct resolver_lookup *lookup) {
    event_del(&lookup->end);
    event_del(&lookup->doubt);
    addresses_clear(&lookup->addresses);
    free(lookup->host);
    free(lookup);
}

static bool has_ended(const struct resolver_lookup *lookup) {
    for (int i = 0; i < 2; i++) {
        enum query_state state = lookup->queries[i].state;
        if (state == QUERY_WAITING || state == QUERY_SENT) {
            return false;
        }
    }
    return true;
}

static void stop_waiting(struct resolver_lookup *lookup) {
    struct resolver *resolver = lookup->resolver;
    if (!lookup->waiting) {
        return;
    }
    *(lookup->previous != NULL ? &lookup->previous->next : &resolver->first_waiting) = lookup->next;
    *(lookup->next != NULL ? &lookup->next->previous : &resolver->last_waiting) = lookup->previous;
    lookup->waiting = false;
    for (int i = 0; i < 2; i++) {
        if (lookup->queries[i].state == QUERY_WAITING) {
            lookup->queries[i].state = QUERY_UNWANTED;
            lookup->unsent = true;
        }
    }
}

static void keep_address(struct resolver_lookup *lookup, int family, const void *bytes) {
    if (addresses_add(&lookup->addresses, family, bytes) != 0) {
        lookup->out_of_memory = true;
    }
}

static void on_query_end(void *arg, int status, int timeouts, struct ares_addrinfo *answer) {
    struct query *query = arg;
    struct resolver_lookup *lookup = query->lookup;
    (void)timeouts;
    query->state = QUERY_ENDED;
    query->status = status;
    query->local = channel_ended(query->channel, status);
    *(query->orphan ? &lookup->resolver->orphans : &lookup->resolver->queries) -= 1;
    if (answer != NULL) {
        for (struct ares_addrinfo_node *node = answer->nodes; node != NULL && !lookup->told;
             node = node->ai_next) {
            if (node->ai_family == AF_INET) {
                keep_address(lookup, AF_INET,
                             &((struct sockaddr_in *)(void *)node->ai_addr)->sin_addr);
            } else if (node->ai_family == AF_INET6) {
                keep_address(lookup, AF_INET6,
                             &((struct sockaddr_in6 *)(void *)node->ai_addr)->sin6_addr);
            }
        }
        ares_freeaddrinfo(answer);
    }
    struct resolver *resolver = lookup->resolver;
    if (has_ended(lookup)) {
        if (lookup->told) {
            lookup_free(lookup); /* nobody waited for it any more */
        } else {
            event_active(&lookup->end, EV_TIMEOUT, 0);
        }
    }
    if (resolver->first_waiting != NULL) {
        event_active(&resolver->place_free, EV_TIMEOUT, 0); /* not from inside c-ares */
    }
}

/* Sends what the places allow; true when all of the lookup's queries are on their way. */
static bool send_queries(struct resolver_lookup *lookup) {
    struct resolver *resolver = lookup->resolver;
    for (int i = 0; i < 2; i++) {
        struct query *query = &lookup->queries[i];
        if (query->state != QUERY_WAITING) {
            continue;
        }
        if (resolver->queries >= QUERIES_MOST) {
            return false;
        }
        query->state = QUERY_SENT;
        query->sent = clock_now();
        query->channel = resolver->channel;
        resolver->queries++;
        channel_ask(query->channel, lookup->host, query->family, on_query_end, query);
    }
    return true;
}

static void send_waiting(struct resolver *resolver) {
    while (resolver->first_waiting != NULL) {
        struct resolver_lookup *lookup = resolver->first_waiting;
        if (!send_queries(lookup)) {
            return;
        }
        stop_waiting(lookup);
    }
}

/* Whether it is the servers that did not answer, rather than for this name. */
static bool is_silent(const struct resolver_lookup *lookup) {
    const struct resolver *resolver = lookup->resolver;
    if (lookup->literal || resolver->heard > lookup->started) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        const struct query *query = &lookup->queries[i];
        /* also what c-ares calls a server that refuses the question, but then it was heard */
        if (query->state == QUERY_ENDED && query->status == ARES_ECONNREFUSED && !query->local) {
            return true; /* no port there, or no way there */
        }
    }
    return resolver->proved > lookup->started;
}

/* What to call it when there is no address. A time-out outranks an answer: with the other family
 * unknown, "no such name" would be a guess. */
static outcome_t failure_of(const struct resolver_lookup *lookup, struct resolver_result *result) {
    bool nxdomain = false, local = lookup->out_of_memory, timed_out = false;
    int other = ARES_SUCCESS;
    bool unsent = lookup->unsent;
    for (int i = 0; i < 2; i++) {
        const struct query *query = &lookup->queries[i];
        if (query->state == QUERY_UNWANTED) {
            continue;
        }
        if (query->state == QUERY_SENT && query->sent - lookup->started > lookup->limit / 4) {
            unsent = true; /* it had no more than the rest of the time */
        } else if (query->state == QUERY_SENT || query->status == ARES_ETIMEOUT) {
            timed_out = true;
        } else if (query->local) {
            local = true;
        } else if (query->status == ARES_ENOTFOUND) {
            nxdomain = true;
        } else if (query->status != ARES_ENODATA && query->status != ARES_SUCCESS) {
            other = query->status;
        }
    }
    nsec_t lag = clock_now() - lookup->started - lookup->limit;
    if (timed_out && lag > lookup->limit / 4 && lag > 10 * NSEC_PER_MSEC) {
        result->words = "our own loop was late";
        return OUTCOME_LOCAL_RESOURCE;
    }
    result->exhausted = local;
    result->silent = !local && is_silent(lookup);
    if (local || unsent) {
        result->words = unsent ? "too many lookups under way: it had no turn in time"
                               : "no descriptor or memory for a lookup";
        return OUTCOME_LOCAL_RESOURCE;
    }
    if (timed_out) {
        result->words = "no answer from the DNS servers";
        return OUTCOME_DNS_TIMEOUT;
    }
    if (other != ARES_SUCCESS) {
        /* c-ares says "could not contact DNS servers" of SERVFAIL and REFUSED too: not a fact */
        result->words = other == ARES_ECONNREFUSED
                            ? "the DNS servers failed, refused, or could not be reached"
                            : ares_strerror(other);
        return OUTCOME_DNS_FAILURE;
    }
    result->words = nxdomain ? "no such name" : "the name has no address to connect to";
    return nxdomain ? OUTCOME_DNS_NXDOMAIN : OUTCOME_DNS_FAILURE;
}

static void on_doubt(evutil_socket_t fd, short what, void *arg) {
    struct resolver_lookup *lookup = arg;
    struct resolver *resolver = lookup->resolver;
    (void)fd;
    (void)what;
    if (resolver->heard <= lookup->started && resolver->proved <= lookup->started) {
        resolver->proved = clock_now();
        channel_prove(resolver->channel);
    }
}

/* Whether every family that was asked for was answered, if only with "there is none". */
static bool is_complete(const struct resolver_lookup *lookup) {
    for (int i = 0; i < 2; i++) {
        const struct query *query = &lookup->queries[i];
        bool answered = query->state == QUERY_ENDED &&
                        (query->status == ARES_SUCCESS || query->status == ARES_ENODATA ||
                         query->status == ARES_ENOTFOUND);
        if (query->state != QUERY_UNWANTED && !answered) {
            return false;
        }
    }
    return !lookup->unsent && !lookup->out_of_memory;
}

static void tell(struct resolver_lookup *lookup) {
    struct resolver_result result = {.took = lookup->literal ? NSEC_UNKNOWN
                                                             : clock_now() - lookup->started};
    lookup->told = true;
    if (lookup->addresses.n > 0) {
        addresses_leave_out_unrouted(&lookup->addresses, &result.left_out_ipv4,
                                     &result.left_out_ipv6);
        addresses_sort(&lookup->addresses);
        result.incomplete = !is_complete(lookup);
        result.addresses = lookup->addresses.list;
        result.n_addresses = lookup->addresses.n;
        lookup->addresses = (struct addresses){0};
    } else {
        result.outcome = failure_of(lookup, &result);
    }
    lookup->on_end(&result, lookup->arg);
}

/* Nobody waits for the lookup any more: what is still under way of it makes room. */
static void give_places(struct resolver_lookup *lookup) {
    struct resolver *resolver = lookup->resolver;
    for (int i = 0; i < 2; i++) {
        struct query *query = &lookup->queries[i];
        if (query->state == QUERY_SENT && !query->orphan && resolver->orphans < ORPHANS_MOST) {
            query->orphan = true;
            resolver->queries--;
            resolver->orphans++;
        }
    }
    if (resolver->first_waiting != NULL) {
        event_active(&resolver->place_free, EV_TIMEOUT, 0);
    }
}

static void on_place_free(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    send_waiting(arg);
}

/* All queries have ended, or the time limit has come. */
static void on_end_due(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    resolver_end(arg);
}

void resolver_end(struct resolver_lookup *lookup) {
    event_del(&lookup->end);
    event_del(&lookup->doubt);
    stop_waiting(lookup);
    tell(lookup);
    give_places(lookup);
    if (has_ended(lookup)) {
        lookup_free(lookup);
    }
}

int resolver_start(struct resolver *resolver, const char *host, enum family family, nsec_t limit,
                   resolver_on_end *on_end, void *arg, struct resolver_lookup **ret_lookup) {
    struct resolver_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return -ENOMEM;
    }
    lookup->resolver = resolver;
    lookup->on_end = on_end;
    lookup->arg = arg;
    lookup->limit = limit;
    lookup->started = clock_now();
    event_assign(&lookup->end, resolver->base, -1, 0, on_end_due, lookup);
    event_assign(&lookup->doubt, resolver->base, -1, 0, on_doubt, lookup);
    lookup->host = strdup(host);
    struct timeval at = loop_timeval(limit);
    if (lookup->host == NULL || event_add(&lookup->end, &at) != 0) {
        lookup_free(lookup);
        return -ENOMEM;
    }
    *ret_lookup = lookup;
    int literal = addresses_add_literal(&lookup->addresses, host);
    lookup->literal = literal != -EINVAL;
    lookup->out_of_memory = literal == -ENOMEM;
    if (lookup->literal) {
        event_active(&lookup->end, EV_TIMEOUT, 0);
        return 0;
    }
    nsec_t try = resolver->try_ms * NSEC_PER_MSEC;
    struct timeval doubt = loop_timeval((try < limit ? try : limit) / 2);
    (void)event_add(&lookup->doubt, &doubt); /* without memory nobody wonders */
    for (int i = 0; i < 2; i++) {
        struct query *query = &lookup->queries[i];
        query->lookup = lookup;
        query->family = i == 0 ? AF_INET : AF_INET6;
        query->state = (i == 0 && family == FAMILY_IPV6) || (i == 1 && family == FAMILY_IPV4)
                           ? QUERY_UNWANTED
                           : QUERY_WAITING;
    }
    lookup->waiting = true;
    lookup->previous = resolver->last_waiting;
    *(resolver->last_waiting != NULL ? &resolver->last_waiting->next : &resolver->first_waiting) =
        lookup;
    resolver->last_waiting = lookup;
    send_waiting(resolver);
    return 0;
}

void resolver_abandon(struct resolver_lookup *lookup) {
    lookup->told = true;
    stop_waiting(lookup);
    give_places(lookup);
    event_del(&lookup->end);
    event_del(&lookup->doubt);
    if (has_ended(lookup)) {
        lookup_free(lookup);
    }
}

/* ---- the resolver ---- */

int resolver_new(struct event_base *base, struct resolver **ret_resolver) {
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return -ENOMEM;
    }
    resolver->base = base;
    event_assign(&resolver->watch, base, -1, 0, on_watch, resolver);
    event_assign(&resolver->place_free, base, -1, 0, on_place_free, resolver);
    struct timeval at = loop_timeval(watch_interval);
    if (event_add(&resolver->watch, &at) != 0) {
        resolver_free(resolver);
        return -ENOMEM;
    }
    *ret_resolver = resolver;
    return 0;
}

void resolver_free(struct resolver *resolver) {
    if (resolver == NULL) {
        return;
    }
    free_retired(resolver, true);
    free(resolver->retired);
    channel_free(resolver->channel);
    event_del(&resolver->watch);
    event_del(&resolver->place_free);
    free(resolver->servers);
    free(resolver);
}

static char *join_servers(char *const *servers, size_t n) {
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++) {
        bytes += strlen(servers[i]) + 1;
    }
    char *joined = calloc(1, bytes);
    char *end = joined;
    for (size_t i = 0; i < n && joined != NULL; i++) {
        if (i > 0) {
            *end++ = ',';
        }
        end = stpcpy(end, servers[i]);
    }
    return joined;
}

int resolver_configure(struct resolver *resolver, const struct config *config) {
    char *servers = NULL;
    if (config->n_resolver_servers > 0) {
        servers = join_servers(config->resolver_servers, config->n_resolver_servers);
        if (servers == NULL) {
            return -ENOMEM;
        }
    }
    struct resolver before = *resolver;
    resolver->servers = servers;
    resolver->try_ms = (int)(config->resolver_timeout / NSEC_PER_MSEC);
    resolver->tries = (int)config->resolver_tries;
    int r = renew_channel(resolver);
    if (r != 0) {
        free(servers);
        resolver->servers = before.servers;
        resolver->try_ms = before.try_ms;
        resolver->tries = before.tries;
        return r;
    }
    free(before.servers);
    (void)resolv_conf_changed(resolver, &resolver->resolv_conf_was); /* as it is now */
    free_retired(resolver, false);
    return 0;
}
