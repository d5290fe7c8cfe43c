/* A loop is woken by an eventfd, not by libevent's own thread support: a base is touched by its own
 * thread alone, so it needs no locks, and the mailbox is the only thing two threads share. A
 * mailbox is a list under a mutex; the reader takes the whole list at once.
 *
 * A running loop has a timer of its own, for nothing but to find out when it was not there. Its stamps
 * are for other threads to read as well, so that one that hangs, in one callback or in one write(2) to a
 * dead disk, is seen while it does. Whether a loop turns is asked of them alone: by a round of itself, by
 * whoever shows it, and by the watchdog. */
#include "base/loop.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

static const nsec_t tick_interval = 200 * NSEC_PER_MSEC;

struct loop {
    char name[16];
    void *receiver;
    struct event_base *base;
    struct event *woken;
    int wake_fd;
    pthread_t thread;
    bool started;

    struct event tick;
    _Atomic nsec_t ticked; /* when the timer came, or should have been set; 0: it does not run */
    _Atomic nsec_t late;   /* by how much it was late then */
    nsec_t absence, absence_ended; /* the last one */

    pthread_mutex_t mutex; /* over all below */
    struct mail *first;
    struct mail **last;
    bool stopping;
};

static void wake(struct loop *loop) {
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(loop->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    /* EAGAIN would mean 2^64 - 2 unread wake-ups: it is awake */
    assert(n == sizeof one || errno == EAGAIN);
}

static struct mail *take_all(struct loop *loop, bool *ret_stopping) {
    pthread_mutex_lock(&loop->mutex);
    struct mail *mail = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    *ret_stopping = loop->stopping;
    pthread_mutex_unlock(&loop->mutex);
    return mail;
}

static void deliver_all(struct loop *loop, struct mail *mail) {
    while (mail != NULL) {
        struct mail *next = mail->next;
        mail->next = NULL;
        mail->deliver(mail, loop->receiver);
        mail = next;
    }
}

static void on_woken(evutil_socket_t fd, short what, void *arg) {
    struct loop *loop = arg;
    (void)what;
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);
    (void)n; /* EAGAIN: an earlier turn has read it */
    bool stopping;
    deliver_all(loop, take_all(loop, &stopping));
    if (stopping) {
        event_base_loopbreak(loop->base);
    }
}

static void on_libevent_message(int severity, const char *message) {
    if (severity >= EVENT_LOG_WARN) {
        log_error("libevent: %s", message);
    }
}

static void on_libevent_fatal(int error) {
    (void)error; /* its message has been said */
    _exit(3);
}

void loop_prepare(void) {
    event_set_log_callback(on_libevent_message);
    event_set_fatal_callback(on_libevent_fatal);
}

static struct event_base *base_new(void) {
    struct event_config *options = event_config_new();
    if (options == NULL) {
        return NULL;
    }
    struct event_base *base = NULL;
    /* the precise timer starts rounds 0.1 ms late instead of 3 ms; no locks, as no base is shared;
     * the epoll changelist is unsafe with descriptors that libcurl closes and opens anew */
    if (event_config_set_flag(options, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK) ==
        0) {
        base = event_base_new_with_config(options);
    }
    event_config_free(options);
    return base;
}

int loop_new(const char *name, void *receiver, struct loop **ret_loop) {
    assert(strlen(name) < sizeof((struct loop *)0)->name);
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return -ENOMEM;
    }
    strcpy(loop->name, name);
    loop->receiver = receiver;
    loop->last = &loop->first;
    pthread_mutex_init(&loop->mutex, NULL); /* default attributes: cannot fail on Linux */
    int r = 0;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) {
        r = -errno;
    } else if ((loop->base = base_new()) == NULL) {
        r = errno != 0 ? -errno : -ENOMEM;
    } else {
        loop->woken = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_woken, loop);
        if (loop->woken == NULL || event_add(loop->woken, NULL) != 0) {
            r = -ENOMEM;
        }
    }
    if (r != 0) {
        loop_free(loop);
        return r;
    }
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop *loop) {
    if (loop == NULL) {
        return;
    }
    assert(!loop->started);
    for (;;) { /* what is delivered may post again */
        bool stopping;
        struct mail *mail = take_all(loop, &stopping);
        if (mail == NULL) {
            break;
        }
        deliver_all(loop, mail);
    }
    if (loop->woken != NULL) {
        event_free(loop->woken);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}

struct event_base *loop_base(struct loop *loop) {
    return loop->base;
}

static nsec_t lateness(const struct loop *loop, nsec_t now) {
    nsec_t ticked = loop_turned(loop);
    nsec_t late = ticked == 0 ? 0 : now - ticked - tick_interval;
    return late > 0 ? late : 0;
}

/* The loop turns: an absence, if there was one, ends here. */
static void note_turn(struct loop *loop, nsec_t now, nsec_t late) {
    if (late >= LOOP_AWAY) {
        loop->absence = late;
        loop->absence_ended = now;
    }
    atomic_store_explicit(&loop->late, late, memory_order_relaxed);
    atomic_store_explicit(&loop->ticked, now, memory_order_relaxed);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    struct loop *loop = arg;
    (void)fd;
    (void)what;
    nsec_t now = clock_now();
    note_turn(loop, now, lateness(loop, now));
}

nsec_t loop_lag(const struct loop *loop) {
    nsec_t overdue = lateness(loop, clock_now());
    nsec_t late = atomic_load_explicit(&loop->late, memory_order_relaxed);
    return overdue > late ? overdue : late;
}

nsec_t loop_turned(const struct loop *loop) {
    return atomic_load_explicit(&loop->ticked, memory_order_relaxed);
}

nsec_t loop_absence(struct loop *loop, nsec_t since) {
    nsec_t now = clock_now(), late = lateness(loop, now);
    if (late >= LOOP_AWAY) {
        note_turn(loop, now, late); /* before its timer has had its turn */
    }
    return loop->absence_ended > since ? loop->absence : 0;
}

static void start_tick(struct loop *loop) {
    struct timeval interval = loop_timeval(tick_interval);
    event_assign(&loop->tick, loop->base, -1, EV_PERSIST, on_tick, loop);
    if (event_add(&loop->tick, &interval) != 0) {
        log_error("loop %s: out of memory: nobody can tell whether it turns", loop->name);
        return;
    }
    atomic_store_explicit(&loop->ticked, clock_now(), memory_order_relaxed);
}

static void stop_tick(struct loop *loop) {
    event_del(&loop->tick);
    atomic_store_explicit(&loop->ticked, 0, memory_order_relaxed);
}

void loop_run(struct loop *loop) {
    start_tick(loop);
    if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0) {
        log_internal("loop %s: the event base failed: %s", loop->name, strerror(errno));
        abort();
    }
    stop_tick(loop);
    pthread_mutex_lock(&loop->mutex);
    loop->stopping = false;
    pthread_mutex_unlock(&loop->mutex);
}

static void *thread_main(void *arg) {
    struct loop *loop = arg;
    loop_run(loop);
    return NULL;
}

int loop_start(struct loop *loop) {
    assert(!loop->started);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the control loop's */
    int r = pthread_create(&loop->thread, NULL, thread_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        return -r;
    }
    (void)pthread_setname_np(loop->thread, loop->name); /* a courtesy */
    loop->started = true;
    return 0;
}

void loop_stop(struct loop *loop) {
    pthread_mutex_lock(&loop->mutex);
    loop->stopping = true;
    pthread_mutex_unlock(&loop->mutex);
    wake(loop);
}

void loop_join(struct loop *loop) {
    if (loop->started) {
        pthread_join(loop->thread, NULL);
        loop->started = false;
    }
}

void loop_post(struct loop *loop, struct mail *mail) {
    mail->next = NULL;
    pthread_mutex_lock(&loop->mutex);
    bool was_empty = loop->first == NULL;
    *loop->last = mail;
    loop->last = &mail->next;
    pthread_mutex_unlock(&loop->mutex);
    if (was_empty) {
        wake(loop);
    }
}

struct timeval loop_timeval(nsec_t duration) {
    if (duration < 0) {
        duration = 0;
    }
    duration += NSEC_PER_USEC - 1; /* rounded up: a timer that fires early finds nothing to do */
    return (struct timeval){
        .tv_sec = (time_t)(duration / NSEC_PER_SEC),
        .tv_usec = (suseconds_t)(duration % NSEC_PER_SEC / NSEC_PER_USEC),
    };
}
