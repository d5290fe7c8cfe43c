/* The rules, each measured with c-ares 1.18.1:
 *
 * - Literals never reach c-ares, which sends them to DNS when asked for both families.
 * - Two queries, A and AAAA, apart: asked for both at once c-ares answers when both are done, so a
 *   server that drops AAAA would hide a known A. At the time limit what is known is used.
 * - A callback may come from inside ares_getaddrinfo(); so a lookup's end is always told later,
 * from an event of its own.
 * - There is no cancelling of one query. A lookup that nobody waits for any more stays until its
 *   queries have ended, but gives its places among the QUERIES_MOST to others, so that names that are
 *   never answered do not starve the rest.
 * - A lookup that had to wait for its places for long is our failure, not the name's.
 * - The unspecified address (a sinkhole's answer) is none: the kernel would connect to ourselves.
 * - A channel does not see that resolv.conf changed. It is looked at once a minute, and at each
 *   resolver_configure(); the old channel goes when its queries have ended.
 * - Sockets are made here, close-on-exec, so that running out of descriptors is seen: c-ares calls
 *   that "could not contact DNS servers" and the site would be blamed.
 *
 * Families: where a name has addresses of both and one family has no route on this machine, that
 * family is left out (and named); where it has only those, they stay and samples say what happens.
 */
#include "probe/resolver.h"

#include "base/log.h"
#include "base/loop.h"
#include "probe/route.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    QUERIES_MOST = 64,   /* under way that somebody waits for */
    ORPHANS_MOST = 1024, /* and beyond, that nobody waits for any more: they cost memory alone */
};
enum { ADDRESSES_MOST = 256 }; /* of one lookup; more are not sampled */

static const char resolv_conf[] = "/etc/resolv.conf";
static const nsec_t watch_interval = 60 * NSEC_PER_SEC;

/* A c-ares channel and what libevent watches for it. */
struct channel {
    struct resolver *resolver;
    struct channel *next; /* of the retired ones */
    ares_channel ares;
    struct event timer;
    struct socket_watch *watches;
    unsigned queries; /* under way */
    int local_error;  /* errno of the last socket() that failed for want of our own resources */
};

struct socket_watch {
    struct socket_watch *next;
    struct channel *channel;
    int fd;
    struct event event;
};

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
    bool out_of_memory;
    bool literal;
    nsec_t limit;
    nsec_t started;
    struct address *addresses;
    size_t n_addresses;
};

struct resolver {
    struct event_base *base;
    struct channel *channel;
    struct channel *retired;
    struct event watch;      /* of resolv.conf, and of retired channels */
    struct event place_free; /* for those waiting */
    struct stat resolv_conf_was;
    unsigned queries, orphans;
    struct resolver_lookup *first_waiting, *last_waiting;
    char *servers; /* as c-ares wants them; NULL: the system's */
    int try_ms;
    int tries;
};

/* ---- a channel on libevent ---- */

static void arm_timer(struct channel *channel) {
    struct timeval most = {.tv_sec = 60}, left;
    struct timeval *next = ares_timeout(channel->ares, &most, &left);
    if (channel->queries == 0) {
        event_del(&channel->timer);
    } else {
        event_add(&channel->timer, next);
    }
}

static void on_channel_timer(evutil_socket_t fd, short what, void *arg) {
    struct channel *channel = arg;
    (void)fd;
    (void)what;
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(channel);
}

static void on_channel_socket(evutil_socket_t fd, short what, void *arg) {
    struct channel *channel = ((struct socket_watch *)arg)->channel;
    ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    arm_timer(channel); /* the watch may be gone by now */
}

static void on_want_socket(void *arg, ares_socket_t fd, int readable, int writable) {
    struct channel *channel = arg;
    struct socket_watch **at = &channel->watches;
    while (*at != NULL && (*at)->fd != fd) {
        at = &(*at)->next;
    }
    struct socket_watch *watch = *at;
    if (watch != NULL) {
        event_del(&watch->event);
    }
    if (!readable && !writable) {
        if (watch != NULL) {
            *at = watch->next;
            free(watch);
        }
        return;
    }
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        if (watch == NULL) {
            log_error("out of memory: a DNS socket is not watched"); /* the query times out */
            return;
        }
        watch->channel = channel;
        watch->fd = fd;
        watch->next = channel->watches;
        channel->watches = watch;
    }
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    event_assign(&watch->event, channel->resolver->base, fd, what, on_channel_socket, watch);
    if (event_add(&watch->event, NULL) != 0) {
        log_error("a DNS socket cannot be watched");
    }
}

static ares_socket_t make_socket(int family, int type, int protocol, void *arg) {
    struct channel *channel = arg;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    channel->local_error = fd < 0 && errno != EAFNOSUPPORT ? errno : 0;
    return fd;
}

static int close_socket(ares_socket_t fd, void *arg) {
    (void)arg;
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t size,
                          void *arg) {
    (void)arg;
    return connect(fd, to, size);
}

static ares_ssize_t receive(ares_socket_t fd, void *bytes, size_t n, int flags,
                            struct sockaddr *from, ares_socklen_t *size, void *arg) {
    (void)arg;
    return recvfrom(fd, bytes, n, flags, from, size);
}

static ares_ssize_t send_vector(ares_socket_t fd, const struct iovec *vector, int n, void *arg) {
    (void)arg;
    return writev(fd, vector, n);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = make_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_vector,
};

static void channel_free(struct channel *channel) {
    if (channel == NULL) {
        return;
    }
    if (channel->ares != NULL) {
        ares_destroy(channel->ares); /* ends its queries and closes its sockets, by our callbacks */
    }
    if (event_initialized(&channel->timer)) {
        event_del(&channel->timer);
    }
    assert(channel->watches == NULL);
    free(channel);
}

static int channel_new(struct resolver *resolver, struct channel **ret_channel) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return -ENOMEM;
    }
    channel->resolver = resolver;
    event_assign(&channel->timer, resolver->base, -1, 0, on_channel_timer, channel);
    struct ares_options options = {
        .timeout = resolver->try_ms,
        .tries = resolver->tries,
        .sock_state_cb = on_want_socket,
        .sock_state_cb_data = channel,
    };
    int status = ares_init_options(&channel->ares, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        channel->ares = NULL;
    } else {
        ares_set_socket_functions(channel->ares, &socket_functions, channel);
        if (resolver->servers != NULL) {
            status = ares_set_servers_ports_csv(channel->ares, resolver->servers);
        }
    }
    if (status != ARES_SUCCESS) {
        log_error("DNS: %s", ares_strerror(status));
        channel_free(channel);
        return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
    }
    *ret_channel = channel;
    return 0;
}

static int renew_channel(struct resolver *resolver) {
    struct channel *channel;
    int r = channel_new(resolver, &channel);
    if (r != 0) {
        return r;
    }
    if (resolver->channel != NULL) {
        resolver->channel->next = resolver->retired;
        resolver->retired = resolver->channel;
    }
    resolver->channel = channel;
    return 0;
}

static void free_retired(struct resolver *resolver, bool all) {
    struct channel **at = &resolver->retired;
    while (*at != NULL) {
        struct channel *channel = *at;
        if (all || channel->queries == 0) {
            *at = channel->next;
            channel_free(channel);
        } else {
            at = &channel->next;
        }
    }
}

static bool resolv_conf_changed(struct resolver *resolver) {
    struct stat now;
    if (stat(resolv_conf, &now) != 0) {
        memset(&now, 0, sizeof now);
    }
    const struct stat *was = &resolver->resolv_conf_was;
    bool changed = now.st_ino != was->st_ino || now.st_dev != was->st_dev ||
                   now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != was->st_mtim.tv_nsec || now.st_size != was->st_size;
    resolver->resolv_conf_was = now;
    return changed;
}

static void on_watch(evutil_socket_t fd, short what, void *arg) {
    struct resolver *resolver = arg;
    (void)fd;
    (void)what;
    free_retired(resolver, false);
    if (resolver->servers == NULL && resolv_conf_changed(resolver)) {
        if (renew_channel(resolver) == 0) {
            log_notice("%s changed: DNS settings were read anew", resolv_conf);
        }
    }
    struct timeval again = loop_timeval(watch_interval);
    event_add(&resolver->watch, &again);
}

/* ---- lookups ---- */

static void lookup_free(struct resolver_lookup *lookup) {
    event_del(&lookup->end);
    free(lookup->addresses);
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

static bool is_known(const struct resolver_lookup *lookup, const struct address *address) {
    for (size_t i = 0; i < lookup->n_addresses; i++) {
        if (lookup->addresses[i].family == address->family &&
            memcmp(lookup->addresses[i].bytes, address->bytes, sizeof address->bytes) == 0) {
            return true;
        }
    }
    return false;
}

static void keep_address(struct resolver_lookup *lookup, int family, const void *bytes) {
    struct address address = {.family = family};
    memcpy(address.bytes, bytes, family == AF_INET ? 4 : 16);
    static const unsigned char unspecified[sizeof address.bytes];
    if (memcmp(address.bytes, unspecified, sizeof unspecified) == 0) {
        return;
    }
    if (lookup->n_addresses >= ADDRESSES_MOST || is_known(lookup, &address)) {
        return;
    }
    inet_ntop(family, address.bytes, address.text, sizeof address.text);
    struct address *more =
        realloc(lookup->addresses, (lookup->n_addresses + 1) * sizeof *lookup->addresses);
    if (more == NULL) {
        lookup->out_of_memory = true;
        return;
    }
    lookup->addresses = more;
    lookup->addresses[lookup->n_addresses++] = address;
}

static void on_query_end(void *arg, int status, int timeouts, struct ares_addrinfo *answer) {
    struct query *query = arg;
    struct resolver_lookup *lookup = query->lookup;
    (void)timeouts;
    query->state = QUERY_ENDED;
    query->status = status;
    /* an answer is an answer, whatever else failed meanwhile */
    bool unreached = status == ARES_ECONNREFUSED || status == ARES_ETIMEOUT;
    query->local = status == ARES_ENOMEM || (unreached && query->channel->local_error != 0);
    query->channel->queries--;
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
    struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT};
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
        query->channel->queries++;
        resolver->queries++;
        hints.ai_family = query->family;
        ares_getaddrinfo(query->channel->ares, lookup->host, NULL, &hints, on_query_end, query);
        arm_timer(query->channel);
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

static int compare_addresses(const void *a, const void *b) {
    const struct address *x = a, *y = b;
    if (x->family != y->family) {
        return x->family == AF_INET ? -1 : 1;
    }
    return memcmp(x->bytes, y->bytes, sizeof x->bytes);
}

static bool family_has_route(const struct resolver_lookup *lookup, int family, bool *ret_present) {
    *ret_present = false;
    for (size_t i = 0; i < lookup->n_addresses; i++) {
        if (lookup->addresses[i].family == family) {
            *ret_present = true;
            if (route_exists(&lookup->addresses[i])) {
                return true;
            }
        }
    }
    return false;
}

static void leave_out(struct resolver_lookup *lookup, int family) {
    size_t kept = 0;
    for (size_t i = 0; i < lookup->n_addresses; i++) {
        if (lookup->addresses[i].family != family) {
            lookup->addresses[kept++] = lookup->addresses[i];
        }
    }
    lookup->n_addresses = kept;
}

static void leave_out_unrouted(struct resolver_lookup *lookup, struct resolver_result *result) {
    bool has_v4, has_v6;
    bool route_v4 = family_has_route(lookup, AF_INET, &has_v4);
    bool route_v6 = family_has_route(lookup, AF_INET6, &has_v6);
    if (!has_v4 || !has_v6 || route_v4 == route_v6) {
        return;
    }
    leave_out(lookup, route_v4 ? AF_INET6 : AF_INET);
    result->left_out_ipv6 = route_v4;
    result->left_out_ipv4 = route_v6;
}

/* What to call it when there is no address. A time-out outranks an answer: with the other family
 * unknown, "no such name" would be a guess. */
static outcome_t failure_of(const struct resolver_lookup *lookup, const char **ret_words) {
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
        *ret_words = "our own loop was late";
        return OUTCOME_LOCAL_RESOURCE;
    }
    if (local || unsent) {
        *ret_words = unsent ? "too many lookups under way: it had no turn in time"
                            : "no descriptor or memory for a lookup";
        return OUTCOME_LOCAL_RESOURCE;
    }
    if (timed_out) {
        *ret_words = "no answer from the DNS servers";
        return OUTCOME_DNS_TIMEOUT;
    }
    if (other != ARES_SUCCESS) {
        /* c-ares says "could not contact DNS servers" of SERVFAIL and REFUSED too: not a fact */
        *ret_words = other == ARES_ECONNREFUSED
                         ? "the DNS servers failed, refused, or could not be reached"
                         : ares_strerror(other);
        return OUTCOME_DNS_FAILURE;
    }
    *ret_words = nxdomain ? "no such name" : "the name has no address to connect to";
    return nxdomain ? OUTCOME_DNS_NXDOMAIN : OUTCOME_DNS_FAILURE;
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
    if (lookup->n_addresses > 0) {
        leave_out_unrouted(lookup, &result);
        qsort(lookup->addresses, lookup->n_addresses, sizeof *lookup->addresses, compare_addresses);
        result.incomplete = !is_complete(lookup);
        result.addresses = lookup->addresses;
        result.n_addresses = lookup->n_addresses;
        lookup->addresses = NULL;
        lookup->n_addresses = 0;
    } else {
        result.outcome = failure_of(lookup, &result.words);
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
    stop_waiting(lookup);
    tell(lookup);
    give_places(lookup);
    if (has_ended(lookup)) {
        lookup_free(lookup);
    }
}

static bool keep_literal(struct resolver_lookup *lookup, const char *host) {
    unsigned char bytes[16];
    for (int i = 0; i < 2; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;
        if (inet_pton(family, host, bytes) == 1) {
            keep_address(lookup, family, bytes);
            return true;
        }
    }
    return false;
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
    lookup->host = strdup(host);
    struct timeval at = loop_timeval(limit);
    if (lookup->host == NULL || event_add(&lookup->end, &at) != 0) {
        lookup_free(lookup);
        return -ENOMEM;
    }
    *ret_lookup = lookup;
    lookup->literal = keep_literal(lookup, host);
    if (lookup->literal) {
        event_active(&lookup->end, EV_TIMEOUT, 0);
        return 0;
    }
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
    (void)resolv_conf_changed(resolver); /* remembers it as it is now */
    free_retired(resolver, false);
    return 0;
}
