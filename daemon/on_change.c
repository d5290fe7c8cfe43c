/* Between the control loop and the teller's: what crosses is mail. The loop is there from the first
 * configuration on that has a command. */
#include "on_change.h"

#include "news.h"
#include "teller.h"

#include "base/log.h"
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* At a stop, beyond what the teller allows what runs; it is silent then. */
#define PATIENCE (TELLER_STOP_LIMIT + TELLER_GRACE + 3 * NSEC_PER_SEC)

struct stop_mail {
    struct mail mail;
    bool now;
};

struct on_change {
    struct loop *control;
    unsigned wanted;       /* states that some entry wants, a bit each */
    struct loop *loop;     /* NULL: there was no entry yet */
    struct teller *teller; /* the loop's */
    struct stop_mail stop, stop_now;
    struct mail ended_mail;
    struct event *patience;
    bool stopping, stopping_now, ended, stuck;
    void (*on_ended)(void *arg);
    void *arg;
};

struct settings {
    struct mail mail;
    struct config *config; /* a reference */
};

/* ---- on the teller's loop; without a teller what was not delivered is freed ---- */

static void on_settings(struct mail *mail, void *receiver) {
    struct settings *settings = (struct settings *)mail;
    struct on_change *on_change = receiver;
    if (on_change->teller != NULL) {
        teller_configure(on_change->teller, settings->config);
    }
    config_unref(settings->config);
    free(settings);
}

static void on_news(struct mail *mail, void *receiver) {
    struct news *news = (struct news *)mail;
    struct on_change *on_change = receiver;
    if (on_change->teller != NULL) {
        teller_tell(on_change->teller, news);
    } else {
        news_unref(news);
    }
}

static void on_stop(struct mail *mail, void *receiver) {
    const struct stop_mail *stop = (struct stop_mail *)mail;
    struct on_change *on_change = receiver;
    if (on_change->teller != NULL) {
        teller_stop(on_change->teller, stop->now);
    }
}

static void on_teller_ended(void *arg) {
    struct on_change *on_change = arg;
    loop_post(on_change->control, &on_change->ended_mail);
}

/* ---- on the control loop ---- */

static void end(struct on_change *on_change) {
    if (!on_change->ended) {
        on_change->ended = true;
        event_del(on_change->patience);
        on_change->on_ended(on_change->arg);
    }
}

static void on_ended_mail(struct mail *mail, void *receiver) {
    (void)receiver;
    struct on_change *on_change =
        (struct on_change *)((char *)mail - offsetof(struct on_change, ended_mail));
    end(on_change);
}

static void on_patience_over(evutil_socket_t fd, short what, void *arg) {
    struct on_change *on_change = arg;
    (void)fd;
    (void)what;
    log_error("on_change: a command can neither be started nor ended; it is left to itself");
    on_change->stuck = true;
    end(on_change);
}

struct on_change *on_change_new(struct loop *control, void (*on_ended)(void *arg), void *arg) {
    struct on_change *on_change = calloc(1, sizeof *on_change);
    if (on_change == NULL) {
        return NULL;
    }
    on_change->control = control;
    on_change->on_ended = on_ended;
    on_change->arg = arg;
    on_change->stop = (struct stop_mail){.mail.deliver = on_stop};
    on_change->stop_now = (struct stop_mail){.mail.deliver = on_stop, .now = true};
    on_change->ended_mail.deliver = on_ended_mail;
    on_change->patience = evtimer_new(loop_base(control), on_patience_over, on_change);
    if (on_change->patience == NULL) {
        free(on_change);
        return NULL;
    }
    return on_change;
}

/* Puts an end to the loop and the teller, from which no mail is under way any more. */
static void end_loop(struct on_change *on_change) {
    loop_stop(on_change->loop);
    loop_join(on_change->loop);
    teller_free(on_change->teller);
    on_change->teller = NULL;
    loop_free(on_change->loop);
    on_change->loop = NULL;
}

void on_change_free(struct on_change *on_change) {
    if (on_change == NULL) {
        return;
    }
    assert(!on_change->stopping || on_change->ended);
    if (on_change->loop != NULL) {
        end_loop(on_change);
    }
    event_free(on_change->patience);
    free(on_change);
}

static int start_loop(struct on_change *on_change) {
    int r = loop_new("commands", on_change, &on_change->loop);
    if (r != 0) {
        return r;
    }
    on_change->teller = teller_new(loop_base(on_change->loop), on_teller_ended, on_change);
    r = on_change->teller == NULL ? -ENOMEM : loop_start(on_change->loop);
    if (r != 0) {
        end_loop(on_change);
    }
    return r;
}

int on_change_configure(struct on_change *on_change, struct config *config) {
    if (on_change->loop == NULL && config->n_on_change == 0) {
        return 0;
    }
    int r = on_change->loop == NULL ? start_loop(on_change) : 0;
    struct settings *settings = r == 0 ? calloc(1, sizeof *settings) : NULL;
    if (settings == NULL) {
        return r != 0 ? r : -ENOMEM;
    }
    on_change->wanted = 0;
    for (size_t i = 0; i < config->n_on_change; i++) {
        on_change->wanted |= config->on_change[i].when;
    }
    settings->config = config_ref(config);
    settings->mail.deliver = on_settings;
    loop_post(on_change->loop, &settings->mail);
    return 0;
}

void on_change_tell(struct on_change *on_change, const struct site *site,
                    const struct change *change) {
    enum on_change_state state;
    if (!news_state(change->to, &state) || (on_change->wanted >> state & 1) == 0) {
        return;
    }
    struct news *news = news_new(site, change);
    if (news == NULL) {
        log_error("on_change: '%s', %s to %s: given up: out of memory", site->name,
                  state_name(change->from), state_name(change->to));
        return;
    }
    news->mail.deliver = on_news;
    loop_post(on_change->loop, &news->mail);
}

void on_change_stop(struct on_change *on_change, bool now) {
    if (on_change->ended || (on_change->stopping && (!now || on_change->stopping_now))) {
        return;
    }
    on_change->stopping = true;
    on_change->stopping_now = now;
    if (on_change->loop == NULL) {
        end(on_change);
        return;
    }
    struct timeval patience = loop_timeval(PATIENCE);
    (void)event_add(on_change->patience, &patience);
    loop_post(on_change->loop, now ? &on_change->stop_now.mail : &on_change->stop.mail);
}

bool on_change_has_ended(const struct on_change *on_change) {
    return on_change->ended;
}

bool on_change_is_stuck(const struct on_change *on_change) {
    return on_change->stuck;
}
