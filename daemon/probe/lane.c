/* A multi handle costs two descriptors and about 40 KB once used, and ten thousand of them exhaust
 * a machine: so sites do not own one. A round leases a lane while it has samples in flight; the
 * pool keeps a few idle ones. (A site that reuses connections does own one, within bounds: keep.c.)
 *
 * libcurl says through two callbacks which sockets and which timer it wants to hear of, and may
 * call them from inside any of its functions. They only arm libevent; what libcurl then wants done
 * happens in a later turn (a timer of 0 ms included: libcurl must not be called from inside its own
 * callback). Finished transfers are read after curl_multi_socket_action() has returned. Ending one
 * can end its round, which closes the lane: a lane in use by drain() is returned to the pool when
 * drain() is done with it.
 *
 * While lanes are leased a timer ticks, to find out when the loop has not turned for a while: what
 * samples missed meanwhile is nobody's fault but ours.
 *
 * When a multi handle itself fails, libcurl leaves it unusable until emptied: its transfers end by
 * their own timers, no new one begins in it, and it does not go back to the pool. So does a transfer whose
 * socket could not be watched. That they took too long is ours then. */
#include "probe/lane.h"

#include "base/log.h"
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

enum { IDLE_LANES_MOST = 64 };

static const nsec_t tick_interval = 50 * NSEC_PER_MSEC;

struct probe_lane {
    struct probe_engine *engine;
    struct probe_lane *next_idle;
    CURLM *multi;
    struct event timer;
    struct hop *hops;  /* the probe type's */
    struct kept *kept; /* NULL: of the pool */
    bool leased;
    bool draining;
    bool closing; /* closed while draining */
    bool broken;
    bool deaf; /* since it was leased: something that libcurl waits for may come unheard */
};

/* What libevent watches for libcurl; hangs on the socket in libcurl (curl_multi_assign). */
struct socket_watch {
    struct probe_lane *lane;
    struct event event;
};

static void lane_free(struct probe_lane *lane) {
    if (lane == NULL) {
        return;
    }
    if (lane->multi != NULL) {
        curl_multi_cleanup(lane->multi); /* may call on_want_socket() */
    }
    if (event_initialized(&lane->timer)) {
        event_del(&lane->timer);
    }
    keep_remove(&lane->engine->keep, lane->kept); /* its connections were closed above */
    free(lane);
}

void lane_discard(struct probe_lane *lane) {
    assert(!lane->leased);
    lane_free(lane);
}

/* What a gap between ticks says of an absence: the timer itself may be some milliseconds late. */
static nsec_t absence_in(nsec_t gap) {
    return gap > 2 * tick_interval ? gap - tick_interval : 0;
}

nsec_t lane_absent(const struct probe_lane *lane, nsec_t now) {
    return lane->engine->absent + absence_in(now - lane->engine->ticked);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    struct probe_engine *engine = arg;
    (void)fd;
    (void)what;
    nsec_t now = clock_now();
    engine->absent += absence_in(now - engine->ticked);
    engine->ticked = now;
}

static int lease(struct probe_engine *engine) {
    if (engine->n_leased == 0) {
        struct timeval interval = loop_timeval(tick_interval);
        engine->ticked = clock_now();
        if (event_add(&engine->tick, &interval) != 0) {
            return -ENOMEM;
        }
    }
    engine->n_leased++;
    return 0;
}

static void release(struct probe_lane *lane) {
    struct probe_engine *engine = lane->engine;
    lane->leased = false;
    lane->closing = false;
    if (--engine->n_leased == 0) {
        event_del(&engine->tick);
    }
    if (lane->kept != NULL && !lane->broken && keep_park(&engine->keep, lane->kept)) {
        return;
    }
    if (lane->kept != NULL || lane->broken || engine->n_idle >= IDLE_LANES_MOST) {
        lane_free(lane);
        return;
    }
    lane->next_idle = engine->idle;
    engine->idle = lane;
    engine->n_idle++;
}

static void report_finished(struct probe_lane *lane) {
    for (;;) {
        int left;
        CURLMsg *message = curl_multi_info_read(lane->multi, &left);
        if (message == NULL) {
            break;
        }
        if (message->msg == CURLMSG_DONE) {
            lane->engine->on_done(message->easy_handle, message->data.result);
        }
    }
}

/* `read_from` is a socket that libcurl has read from, or -1. */
static void drain(struct probe_lane *lane, CURLMcode code, int read_from) {
    lane->draining = true;
    if (code != CURLM_OK && !lane->broken) {
        log_internal("libcurl: %s", curl_multi_strerror(code));
        lane->broken = true; /* its samples end by their own timers */
    }
    report_finished(lane);
    if (read_from >= 0) {
        lane->engine->on_read(lane, read_from);
    }
    lane->draining = false;
    if (lane->closing) {
        release(lane);
    }
}

static void on_socket(evutil_socket_t fd, short what, void *arg) {
    struct socket_watch *watch = arg;
    struct probe_lane *lane = watch->lane;
    int action = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    CURLMcode code = curl_multi_socket_action(lane->multi, fd, action, &running);
    drain(lane, code, what & EV_READ ? fd : -1);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct probe_lane *lane = arg;
    (void)fd;
    (void)what;
    int running;
    drain(lane, curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running), -1);
}

static int on_want_socket(CURL *easy, curl_socket_t fd, int want, void *arg, void *socket_arg) {
    struct probe_lane *lane = arg;
    struct socket_watch *watch = socket_arg;
    (void)easy;
    if (want == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            curl_multi_assign(lane->multi, fd, NULL);
            event_del(&watch->event);
            free(watch);
        }
        return 0;
    }
    short what = EV_PERSIST;
    if (want & CURL_POLL_IN) {
        what |= EV_READ;
    }
    if (want & CURL_POLL_OUT) {
        what |= EV_WRITE;
    }
    if (watch == NULL) {
        watch = malloc(sizeof *watch);
        if (watch == NULL) {
            /* returning -1 would end all transfers of the lane; this one ends by its own timer */
            log_error("out of memory: a socket is not watched");
            lane->deaf = true;
            return 0;
        }
        watch->lane = lane;
        curl_multi_assign(lane->multi, fd, watch);
    } else {
        event_del(&watch->event);
    }
    event_assign(&watch->event, lane->engine->base, fd, what, on_socket, watch);
    if (event_add(&watch->event, NULL) != 0) {
        log_error("a socket cannot be watched");
        lane->deaf = true;
    }
    return 0;
}

static int on_want_timer(CURLM *multi, long timeout_ms, void *arg) {
    struct probe_lane *lane = arg;
    (void)multi;
    if (timeout_ms < 0) {
        event_del(&lane->timer);
        return 0;
    }
    struct timeval delay = loop_timeval(timeout_ms * NSEC_PER_MSEC);
    return event_add(&lane->timer, &delay) == 0 ? 0 : -1;
}

int lane_engine_new(struct event_base *base, void (*on_done)(CURL *, CURLcode),
                    void (*on_read)(struct probe_lane *, int), struct probe_engine **ret_engine) {
    struct probe_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return -ENOMEM;
    }
    engine->base = base;
    engine->on_done = on_done;
    engine->on_read = on_read;
    event_assign(&engine->tick, base, -1, EV_PERSIST, on_tick, engine);
    keep_init(&engine->keep, base);
    *ret_engine = engine;
    return 0;
}

void lane_engine_free(struct probe_engine *engine) {
    if (engine == NULL) {
        return;
    }
    assert(engine->n_leased == 0);
    event_del(&engine->tick);
    keep_clear(&engine->keep);
    while (engine->idle != NULL) {
        struct probe_lane *lane = engine->idle;
        engine->idle = lane->next_idle;
        lane_free(lane);
    }
    free(engine);
}

static struct probe_lane *lane_new(struct probe_engine *engine) {
    struct probe_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return NULL;
    }
    lane->engine = engine;
    event_assign(&lane->timer, engine->base, -1, 0, on_timer, lane);
    lane->multi = curl_multi_init();
    if (lane->multi == NULL ||
        curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket) != CURLM_OK ||
        curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane) != CURLM_OK ||
        curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_want_timer) != CURLM_OK ||
        curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane) != CURLM_OK ||
        /* one sample is one connection, whatever the protocol offers */
        curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK) {
        lane_free(lane);
        return NULL;
    }
    return lane;
}

static struct probe_lane *take_idle(struct probe_engine *engine) {
    struct probe_lane *lane = engine->idle;
    if (lane != NULL) {
        engine->idle = lane->next_idle;
        lane->next_idle = NULL;
        engine->n_idle--;
    }
    return lane;
}

static struct probe_lane *new_kept(struct probe_engine *engine, const struct site *site) {
    struct probe_lane *lane = lane_new(engine);
    if (lane == NULL) {
        return NULL;
    }
    long most = (long)site->concurrency + CONNECTIONS_IDLE_MOST;
    if (curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, most) != CURLM_OK ||
        keep_add(&engine->keep, lane, site, &lane->kept) != 0) {
        lane_free(lane);
        return NULL;
    }
    return lane;
}

int lane_open(struct probe_engine *engine, const struct site *site, struct probe_lane **ret_lane) {
    bool keeps = site->connection == CONNECTION_REUSE;
    int r = lease(engine);
    if (r != 0) {
        return r;
    }
    struct probe_lane *lane = keeps ? keep_take(&engine->keep, site) : take_idle(engine);
    if (lane == NULL) {
        errno = 0;
        lane = keeps ? new_kept(engine, site) : lane_new(engine);
        if (lane == NULL) {
            r = errno == EMFILE || errno == ENFILE ? -errno : -ENOMEM;
            if (--engine->n_leased == 0) {
                event_del(&engine->tick);
            }
            return r;
        }
    }
    lane->leased = true;
    lane->deaf = false;
    *ret_lane = lane;
    return 0;
}

void lane_engine_configure(struct probe_engine *engine, const struct config *config) {
    keep_configure(&engine->keep, config);
}

struct kept *lane_kept(const struct probe_lane *lane) {
    return lane->kept;
}

void lane_close(struct probe_lane *lane) {
    assert(lane->leased && !lane->closing);
    if (lane->draining) {
        lane->closing = true;
    } else {
        release(lane);
    }
}

bool lane_is_deaf(const struct probe_lane *lane) {
    return lane->deaf || lane->broken;
}

struct hop **lane_hops(struct probe_lane *lane) {
    return &lane->hops;
}

struct event_base *lane_base(const struct probe_lane *lane) {
    return lane->engine->base;
}

struct probe_engine *lane_engine(const struct probe_lane *lane) {
    return lane->engine;
}

int lane_add(struct probe_lane *lane, CURL *easy) {
    if (lane->broken) {
        return -EIO;
    }
    CURLMcode code = curl_multi_add_handle(lane->multi, easy);
    if (code == CURLM_OUT_OF_MEMORY) {
        return -ENOMEM;
    }
    if (code != CURLM_OK) {
        log_internal("libcurl: %s", curl_multi_strerror(code));
        return -EIO;
    }
    return 0;
}

void lane_remove(struct probe_lane *lane, CURL *easy) {
    CURLMcode code = curl_multi_remove_handle(lane->multi, easy);
    if (code != CURLM_OK) {
        log_internal("libcurl: %s", curl_multi_strerror(code));
        lane->broken = true;
    }
}
