#include "service/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

enum { SIGNALS_MOST = 4 };

struct signals {
    struct event *events[SIGNALS_MOST];
    unsigned n;
    struct signals_handlers handlers;
};

static void on_signal(evutil_socket_t number, short what, void *arg) {
    struct signals *signals = arg;
    (void)what;
    const struct signals_handlers *handlers = &signals->handlers;
    if (number == SIGHUP) {
        handlers->on_reload(handlers->arg);
    } else if (number == SIGUSR1) {
        handlers->on_reopen(handlers->arg);
    } else {
        handlers->on_stop(handlers->arg);
    }
}

static int listen_to(struct signals *signals, struct event_base *base, int number) {
    struct event *event = evsignal_new(base, number, on_signal, signals);
    if (event == NULL) {
        return -ENOMEM;
    }
    signals->events[signals->n++] = event;
    return event_add(event, NULL) == 0 ? 0 : -ENOMEM;
}

static sigset_t held_signals(void) {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGHUP);
    sigaddset(&held, SIGUSR1);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGINT);
    return held;
}

void signals_prepare(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigset_t held = held_signals();
    pthread_sigmask(SIG_SETMASK, &held, NULL);
}

void signals_release(void) {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

void signals_hold(void) {
    sigset_t held = held_signals();
    pthread_sigmask(SIG_BLOCK, &held, NULL);
}

int signals_start(struct event_base *base, const struct signals_handlers *handlers,
                  struct signals **ret_signals) {
    struct signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL) {
        return -ENOMEM;
    }
    signals->handlers = *handlers;
    if (listen_to(signals, base, SIGTERM) != 0 || listen_to(signals, base, SIGINT) != 0 ||
        (handlers->on_reload != NULL && listen_to(signals, base, SIGHUP) != 0) ||
        (handlers->on_reopen != NULL && listen_to(signals, base, SIGUSR1) != 0)) {
        signals_stop(signals);
        return -ENOMEM;
    }
    signals_release();
    *ret_signals = signals;
    return 0;
}

void signals_stop(struct signals *signals) {
    if (signals == NULL) {
        return;
    }
    signals_hold(); /* one more shall not kill us while we end */
    for (unsigned i = 0; i < signals->n; i++) {
        event_free(signals->events[i]);
    }
    free(signals);
}
