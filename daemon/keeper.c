/* A timer on the control loop takes a snapshot, which is a matter of copying; putting it into words,
 * writing and syncing it is done on a thread of its own, where a dead disk may block for ever. One
 * snapshot is under way at a time, under the mutex; while the disk is not done with it, no other is
 * taken.
 *
 * How often: every 10 s if a round has closed since, and rarer where there is much to write, so that
 * 10,000 sites are not some gigabytes an hour. What a crash may forget is as much; a clean stop
 * forgets nothing.
 *
 * When writing fails, that is said once, and once when it works again; in between each turn of the
 * timer tries anew, changed or not. */
#include "keeper.h"

#include "state_file.h"

#include "base/log.h"
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static const nsec_t period_least = 10 * NSEC_PER_SEC;
static const nsec_t period_most = 60 * NSEC_PER_SEC;
static const nsec_t slow_after = 60 * NSEC_PER_SEC;
enum { BYTES_PER_SEC = 64 * 1024 }; /* of writing, where 10 s would be more */

struct keeper {
    const struct watch_list *(*watched)(void *arg);
    void *arg;
    struct event *timer;
    struct snapshot *read; /* until it is restored */
    struct snapshot_moment started;
    bool touched;
    nsec_t posted;  /* when the one under way was */
    bool said_slow; /* of that one */

    struct state_file file; /* from the thread's start on the thread's */
    bool failing;           /* likewise: said, and not yet over */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t mutex; /* over all below */
    pthread_cond_t cond;
    struct snapshot *next; /* posted, not taken yet */
    bool busy;             /* posted or being written */
    bool quitting;
    int error;    /* of the last one: 0 or -errno */
    size_t bytes; /* of the last one that was written */
};

/* ---- the thread ---- */

static void tell(struct keeper *keeper, int error) {
    if (error == -EWOULDBLOCK && !keeper->failing) {
        log_warning("%s is another daemon's: states are not kept until that one ends",
                    keeper->file.path);
    } else if (error < 0 && !keeper->failing) {
        log_warning("the states of the sites cannot be kept in %s: %s", keeper->file.path,
                    strerror(-error));
    } else if (error == 0 && keeper->failing) {
        log_notice("the states of the sites are kept in %s again", keeper->file.path);
    }
    keeper->failing = error < 0;
}

static int keep(struct keeper *keeper, const struct snapshot *snapshot, size_t *ret_n) {
    char *bytes;
    int r = state_file_lock(&keeper->file);
    if (r == 0) {
        r = snapshot_encode(snapshot, &bytes, ret_n);
    }
    if (r == 0) {
        r = state_file_write(&keeper->file, bytes, *ret_n);
        free(bytes);
    }
    return r;
}

static void *keep_all(void *arg) {
    struct keeper *keeper = arg;
    pthread_mutex_lock(&keeper->mutex);
    for (;;) {
        while (keeper->next == NULL && !keeper->quitting) {
            pthread_cond_wait(&keeper->cond, &keeper->mutex);
        }
        struct snapshot *snapshot = keeper->next;
        keeper->next = NULL;
        if (snapshot == NULL) {
            break;
        }
        pthread_mutex_unlock(&keeper->mutex);
        size_t n = 0;
        int r = keep(keeper, snapshot, &n);
        snapshot_free(snapshot);
        tell(keeper, r);
        pthread_mutex_lock(&keeper->mutex);
        keeper->error = r;
        keeper->bytes = r == 0 ? n : keeper->bytes;
        keeper->busy = false;
        pthread_cond_broadcast(&keeper->cond);
    }
    pthread_mutex_unlock(&keeper->mutex);
    return NULL;
}

static int start_thread(struct keeper *keeper) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&keeper->thread, NULL, keep_all, keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0) {
        keeper->has_thread = true;
        pthread_setname_np(keeper->thread, "state");
    }
    return -r;
}

/* ---- the control loop's side ---- */

/* Whether one is under way; the last one's error. */
static bool is_busy(struct keeper *keeper, int *ret_error, size_t *ret_bytes) {
    pthread_mutex_lock(&keeper->mutex);
    bool busy = keeper->busy;
    *ret_error = keeper->error;
    *ret_bytes = keeper->bytes;
    pthread_mutex_unlock(&keeper->mutex);
    return busy;
}

static void post(struct keeper *keeper) {
    struct snapshot *snapshot = watch_list_snapshot(keeper->watched(keeper->arg), clock_now());
    if (snapshot == NULL) {
        log_warning("out of memory: the states of the sites are not kept this time");
        return;
    }
    snapshot->taken = keeper->started; /* for the boot's id */
    snapshot->taken.wall = clock_wall_now();
    snapshot->taken.since_boot = clock_boot_now();
    keeper->touched = false;
    keeper->posted = clock_now();
    keeper->said_slow = false;
    pthread_mutex_lock(&keeper->mutex);
    assert(!keeper->busy);
    keeper->next = snapshot;
    keeper->busy = true;
    pthread_cond_broadcast(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
}

static void arm(struct keeper *keeper, size_t bytes) {
    nsec_t period = (nsec_t)(bytes / BYTES_PER_SEC) * NSEC_PER_SEC;
    period = period < period_least ? period_least : period > period_most ? period_most : period;
    struct timeval delay = loop_timeval(period);
    event_add(keeper->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct keeper *keeper = arg;
    (void)fd;
    (void)what;
    int error;
    size_t bytes;
    if (!is_busy(keeper, &error, &bytes)) {
        if (keeper->touched || error < 0) {
            post(keeper);
        }
    } else if (clock_now() - keeper->posted > slow_after && !keeper->said_slow) {
        log_warning("the states of the sites are being written for more than %" PRId64
                    " s: does the disk answer?",
                    slow_after / NSEC_PER_SEC);
        keeper->said_slow = true;
    }
    arm(keeper, bytes);
}

void keeper_touch(struct keeper *keeper) {
    if (keeper != NULL) {
        keeper->touched = true;
    }
}

/* ---- start ---- */

static int init_sync(struct keeper *keeper) {
    pthread_condattr_t attributes;
    int r = pthread_condattr_init(&attributes);
    if (r == 0) {
        (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* cannot fail on Linux */
        r = pthread_cond_init(&keeper->cond, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (r == 0) {
        r = pthread_mutex_init(&keeper->mutex, NULL);
    }
    return -r;
}

int keeper_new(const char *path, struct event_base *base,
               const struct watch_list *(*watched)(void *arg), void *arg,
               struct keeper **ret_keeper) {
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL) {
        return -ENOMEM;
    }
    keeper->watched = watched;
    keeper->arg = arg;
    int r = init_sync(keeper);
    if (r == 0) {
        r = state_file_init(&keeper->file, path);
    }
    if (r < 0) {
        free(keeper);
        return r;
    }
    state_file_moment(&keeper->started);
    int locked = state_file_lock(&keeper->file);
    tell(keeper, locked);
    if (locked == 0) {
        keeper->read = state_file_read(&keeper->file);
    }
    keeper->timer = event_new(base, -1, 0, on_timer, keeper);
    r = keeper->timer == NULL ? -ENOMEM : start_thread(keeper);
    if (r < 0) {
        keeper_free(keeper);
        return r;
    }
    arm(keeper, 0);
    *ret_keeper = keeper;
    return 0;
}

void keeper_restore(struct keeper *keeper, struct watch_list *list) {
    if (keeper == NULL || keeper->read == NULL) {
        return;
    }
    struct snapshot *snapshot = keeper->read;
    keeper->read = NULL;
    nsec_t age, now = clock_now();
    struct snapshot_moment moment;
    state_file_moment(&moment);
    if (!snapshot_age(&snapshot->taken, &moment, &age)) {
        log_warning("%s is from the future, so a clock was moved: the sites begin as unknown",
                    keeper->file.path);
    } else {
        struct watch_restored restored;
        watch_list_restore(list, snapshot, now - age, now, &restored);
        log_notice("restored the states of %zu site%s from %s, %" PRId64 " s old; %zu too old, %zu "
                   "of another question",
                   restored.known, restored.known == 1 ? "" : "s", keeper->file.path,
                   age / NSEC_PER_SEC, restored.too_old, restored.other);
    }
    snapshot_free(snapshot);
}

/* ---- stop ---- */

/* Until nothing is under way; false: not in time. */
static bool wait_for_it(struct keeper *keeper, nsec_t deadline, int *ret_error) {
    struct timespec until = {.tv_sec = deadline / NSEC_PER_SEC, .tv_nsec = deadline % NSEC_PER_SEC};
    int r = 0;
    pthread_mutex_lock(&keeper->mutex);
    while (keeper->busy && r == 0) {
        r = pthread_cond_timedwait(&keeper->cond, &keeper->mutex, &until);
    }
    bool done = !keeper->busy;
    *ret_error = keeper->error;
    pthread_mutex_unlock(&keeper->mutex);
    return done;
}

void keeper_finish(struct keeper *keeper, nsec_t limit) {
    if (keeper == NULL) {
        return;
    }
    nsec_t deadline = clock_now() + limit;
    int error;
    event_del(keeper->timer);
    bool done = wait_for_it(keeper, deadline, &error);
    if (done && (keeper->touched || error < 0)) {
        post(keeper);
        done = wait_for_it(keeper, deadline, &error);
    }
    if (!done) {
        log_warning("the disk does not answer: the last states of the sites are not kept");
    } else if (error < 0 || keeper->touched) {
        log_warning("the last states of the sites are not kept");
    }
}

void keeper_free(struct keeper *keeper) {
    if (keeper == NULL) {
        return;
    }
    if (keeper->timer != NULL) {
        event_free(keeper->timer);
    }
    snapshot_free(keeper->read);
    keeper->read = NULL;
    if (keeper->has_thread) {
        pthread_mutex_lock(&keeper->mutex);
        bool stuck = keeper->busy;
        keeper->quitting = true;
        pthread_cond_broadcast(&keeper->cond);
        pthread_mutex_unlock(&keeper->mutex);
        if (stuck) { /* its memory stays with it; the process is about to end */
            pthread_detach(keeper->thread);
            return;
        }
        pthread_join(keeper->thread, NULL);
    }
    snapshot_free(keeper->next);
    state_file_clear(&keeper->file);
    pthread_cond_destroy(&keeper->cond);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}
