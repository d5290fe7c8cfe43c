/* Sockets are made here, close-on-exec, so that running out of descriptors is seen: c-ares calls that
 * "could not contact DNS servers" and the site would be blamed.
 *
 * Whether a server lives is not c-ares's to tell: SERVFAIL, REFUSED and a closed port are one status. So
 * what comes in is noticed where it is received. The sockets are connected: it is the servers' own.
 *
 * c-ares has one timer, that of the query which is next to be tried again or given up; it is asked for
 * it after everything that may have changed it. */
#include "probe/channel.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct channel {
    struct event_base *base;
    ares_channel ares;
    struct event timer;
    struct socket_watch *watches;
    unsigned queries; /* under way */
    nsec_t *heard;
    int local_error; /* errno of the last socket() that failed for want of our own resources */
};

struct socket_watch {
    struct socket_watch *next;
    struct channel *channel;
    int fd;
    struct event event;
};

static void arm_timer(struct channel *channel) {
    struct timeval most = {.tv_sec = 60}, left;
    struct timeval *next = ares_timeout(channel->ares, &most, &left);
    if (channel->queries == 0) {
        event_del(&channel->timer);
    } else {
        event_add(&channel->timer, next);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct channel *channel = arg;
    (void)fd;
    (void)what;
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(channel);
}

static void on_socket(evutil_socket_t fd, short what, void *arg) {
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
    event_assign(&watch->event, channel->base, fd, what, on_socket, watch);
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
    struct channel *channel = arg;
    ssize_t received = recvfrom(fd, bytes, n, flags, from, size);
    if (received > 0) {
        *channel->heard = clock_now();
    }
    return received;
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

void channel_free(struct channel *channel) {
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

int channel_new(struct event_base *base, const struct channel_settings *settings,
                struct channel **ret_channel) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return -ENOMEM;
    }
    channel->base = base;
    channel->heard = settings->heard;
    event_assign(&channel->timer, base, -1, 0, on_timer, channel);
    struct ares_options options = {
        .timeout = settings->try_ms,
        .tries = settings->tries,
        .sock_state_cb = on_want_socket,
        .sock_state_cb_data = channel,
    };
    int status = ares_init_options(&channel->ares, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        channel->ares = NULL;
    } else {
        ares_set_socket_functions(channel->ares, &socket_functions, channel);
        if (settings->servers != NULL) {
            status = ares_set_servers_ports_csv(channel->ares, settings->servers);
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

void channel_ask(struct channel *channel, const char *host, int family,
                 ares_addrinfo_callback on_end, void *arg) {
    struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT, .ai_family = family};
    channel->queries++;
    ares_getaddrinfo(channel->ares, host, NULL, &hints, on_end, arg);
    arm_timer(channel);
}

static void on_proof_end(void *arg, int status, int timeouts, unsigned char *answer, int n) {
    struct channel *channel = arg;
    (void)status;
    (void)timeouts;
    (void)answer;
    (void)n;
    channel->queries--;
}

void channel_prove(struct channel *channel) {
    enum { CLASS_IN = 1, TYPE_NS = 2 };
    channel->queries++;
    ares_query(channel->ares, ".", CLASS_IN, TYPE_NS, on_proof_end, channel);
    arm_timer(channel);
}

bool channel_ended(struct channel *channel, int status) {
    channel->queries--;
    /* an answer is an answer, whatever else failed meanwhile */
    bool unreached = status == ARES_ECONNREFUSED || status == ARES_ETIMEOUT;
    return status == ARES_ENOMEM || (unreached && channel->local_error != 0);
}

bool channel_is_idle(const struct channel *channel) {
    return channel->queries == 0;
}
