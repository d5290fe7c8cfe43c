/* The signals that the program hears, on the control loop. */
#pragma once

struct event_base;
struct signals;

/* First of all: ignores SIGPIPE and SIGXFSZ (a reader that has gone, and a file that may not grow, are
 * errors of a write), undoes an ignored SIGCHLD and blocked signals that may have been inherited, and
 * holds SIGHUP, SIGUSR1, SIGTERM and SIGINT until signals_start() or signals_release(): one that comes
 * while we start is served afterwards. */
void signals_prepare(void);
void signals_release(void); /* they have their default effect */
void signals_hold(void);    /* as from signals_prepare() on */

struct signals_handlers {
    void (*on_reload)(void *arg); /* SIGHUP; NULL: left as it is */
    void (*on_reopen)(void *arg); /* SIGUSR1; NULL: left as it is */
    void (*on_stop)(void *arg);   /* SIGTERM, SIGINT; once each time */
    void *arg;
};

/* 0 or -ENOMEM. */
int signals_start(struct event_base *base, const struct signals_handlers *handlers,
                  struct signals **ret_signals);
/* Before the base goes; NULL does nothing. The signals are held from then on. */
void signals_stop(struct signals *signals);
