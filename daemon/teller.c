/* One run at a time for each entry, so that a script need not expect itself beside itself, and a bad
 * night of many sites is a queue and not a storm of processes. Of a site only its newest change waits
 * (errands.c); that an older one was overtaken is said, and the run is told how many were.
 *
 * Whatever is not told in the end is named in the log with its reason: tried too often, overtaken,
 * too many waiting, its command gone from the configuration, or a stop. Where many go at once the
 * first few are named, and the others counted. */
#include "teller.h"

#include "errands.h"

#include "base/log.h"
#include "base/loop.h"
#include "service/child.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_MOST = 10 };               /* of changes that are given up together */
#define DROPS_PAUSE (10 * NSEC_PER_SEC) /* between two messages of changes that were too many */

struct entry {
    struct teller *teller;
    const struct on_change_config *config; /* NULL: it is in the configuration no more */
    char *program;
    struct errands errands;
    struct event *timer; /* for the next that is due */
    struct child *child; /* NULL: none runs */
    struct errand *running;
    nsec_t limit;      /* of that */
    unsigned drops;    /* not said yet */
    nsec_t drops_said; /* when they were the last time; 0: never */
};

struct teller {
    struct event_base *base;
    struct config *config;  /* a reference; NULL: not configured yet */
    struct entry **entries; /* those of the configuration, then those that only end their run */
    size_t n;
    bool stopping, ended;
    void (*on_ended)(void *arg);
    void *arg;
};

/* How a change begins in the log. */
#define CHANGE_FORMAT "on_change: '%s', %s to %s: "
#define CHANGE_OF(errand)                                                                          \
    news_of(errand)->site, state_name(news_of(errand)->from), state_name(news_of(errand)->to)

static struct news *news_of(const struct errand *errand) {
    return errand->what;
}

/* ---- errands ---- */

static struct errand *errand_new(struct news *news) {
    struct errand *errand = calloc(1, sizeof *errand);
    if (errand != NULL) {
        errand->what = news_ref(news);
        errand->site = news->site;
    }
    return errand;
}

static void errand_free(struct errand *errand) {
    if (errand != NULL) {
        news_unref(errand->what);
        free(errand);
    }
}

static void give_up_all(struct entry *entry, const char *reason) {
    struct errand *errand;
    size_t n = 0;
    while ((errand = errands_pop(&entry->errands)) != NULL) {
        if (n++ < NAMED_MOST) {
            log_error(CHANGE_FORMAT "given up: %s", CHANGE_OF(errand), reason);
        }
        errand_free(errand);
    }
    if (n > NAMED_MOST) {
        log_error("on_change: %s: %zu more changes given up: %s", entry->program, n - NAMED_MOST,
                  reason);
    }
}

static void say_drops(struct entry *entry, nsec_t now, bool at_once) {
    bool is_time = entry->drops_said == 0 || now - entry->drops_said >= DROPS_PAUSE;
    if (entry->drops > 0 && (is_time || at_once)) {
        log_error("on_change: %s: %u change%s given up, the oldest first: more than %d wait",
                  entry->program, entry->drops, entry->drops == 1 ? "" : "s", TELLER_QUEUE_MOST);
        entry->drops = 0;
        entry->drops_said = now;
    }
}

/* ---- runs ---- */

static void run_next(struct entry *entry);
static void entry_free(struct entry *entry);

static void fail(struct entry *entry, struct errand *errand, const char *why) {
    nsec_t now = clock_now(), at = now;
    if (entry->teller->stopping || entry->config == NULL) {
        log_error(CHANGE_FORMAT "%s %s; given up: %s", CHANGE_OF(errand), entry->program, why,
                  entry->teller->stopping ? "tallyd stops"
                                          : "the command is in the configuration no more");
        errand_free(errand);
        return;
    }
    unsigned most = entry->config->tries;
    switch (errands_retry(&entry->errands, errand, most, now)) {
    case ERRANDS_AGAIN:
        at = errand->due;
        log_warning(CHANGE_FORMAT "%s %s; try %u of %u, the next in %llds", CHANGE_OF(errand),
                    entry->program, why, errand->tries, most,
                    (long long)((at - now) / NSEC_PER_SEC));
        return;
    case ERRANDS_SPENT:
        log_error(CHANGE_FORMAT "%s %s; given up after %u tr%s", CHANGE_OF(errand), entry->program,
                  why, errand->tries, errand->tries == 1 ? "y" : "ies");
        break;
    case ERRANDS_OVERTAKEN:
        log_warning(CHANGE_FORMAT "%s %s; a newer change of the site stands for it",
                    CHANGE_OF(errand), entry->program, why);
        break;
    }
    errand_free(errand);
}

/* What was wrong with a run (a predicate); NULL: nothing. */
static const char *find_fault(const struct entry *entry, const struct child_end *end, char *room,
                              size_t size) {
    if (end->late && end->stopped) {
        snprintf(room, size, "had not ended when it had to");
    } else if (end->late) {
        snprintf(room, size, "had not ended after %gs",
                 (double)entry->limit / (double)NSEC_PER_SEC);
    } else if (!end->exited) {
        const char *name = sigdescr_np(end->status);
        snprintf(room, size, "ended by signal %d (%s)", end->status, name != NULL ? name : "?");
    } else if (end->status != 0) {
        snprintf(room, size, "exited with status %d", end->status);
    } else {
        return NULL;
    }
    return room;
}

static void on_line(const char *line, void *arg) {
    const struct entry *entry = arg;
    log_notice("on_change: '%s': output: %s", entry->running->site, line);
}

static void end_when_done(struct teller *teller) {
    if (!teller->stopping || teller->ended) {
        return;
    }
    for (size_t i = 0; i < teller->n; i++) {
        if (teller->entries[i]->child != NULL) {
            return;
        }
    }
    teller->ended = true;
    teller->on_ended(teller->arg);
}

/* An entry of before, whose last run has ended. */
static void forget(struct entry *entry) {
    struct teller *teller = entry->teller;
    for (size_t i = 0; i < teller->n; i++) {
        if (teller->entries[i] == entry) {
            teller->entries[i] = teller->entries[--teller->n]; /* both are behind those in force */
        }
    }
    entry_free(entry);
}

static void on_end(const struct child_end *end, void *arg) {
    struct entry *entry = arg;
    struct teller *teller = entry->teller;
    struct errand *errand = entry->running;
    char room[96];
    child_free(entry->child);
    entry->child = NULL;
    entry->running = NULL;
    if (end->lines_more > 0) {
        log_notice("on_change: '%s': %" PRIu64 " more line%s of output", errand->site,
                   end->lines_more, end->lines_more == 1 ? "" : "s");
    }
    if (end->left_running) {
        log_warning(CHANGE_FORMAT "what %s left running was killed with it", CHANGE_OF(errand),
                    entry->program);
    }
    const char *fault = find_fault(entry, end, room, sizeof room);
    if (fault != NULL) {
        fail(entry, errand, fault);
    } else {
        if (errand->tries > 0) {
            log_notice(CHANGE_FORMAT "told by try %u", CHANGE_OF(errand), errand->tries + 1);
        }
        errand_free(errand);
    }
    if (entry->config == NULL) {
        forget(entry);
    } else {
        run_next(entry);
    }
    end_when_done(teller);
}

static int start(struct entry *entry, const struct errand *errand) {
    char **environment = news_environment(news_of(errand), errand->tries + 1, errand->replaced);
    if (environment == NULL) {
        return -ENOMEM;
    }
    const struct child_options options = {
        .base = entry->teller->base,
        .words = entry->config->command,
        .environment = (const char *const *)environment,
        .limit = entry->config->timeout,
        .grace = TELLER_GRACE,
        .on_line = on_line,
        .on_end = on_end,
        .arg = entry,
    };
    int r = child_start(&options, &entry->child);
    news_environment_free(environment);
    return r;
}

static void run_next(struct entry *entry) {
    while (entry->child == NULL && !entry->teller->stopping) {
        nsec_t now = clock_now(), at;
        struct errand *errand = errands_take(&entry->errands, now);
        say_drops(entry, now, false);
        if (errand == NULL) {
            event_del(entry->timer);
            if (errands_next(&entry->errands, &at)) {
                struct timeval delay = loop_timeval(at - now);
                (void)event_add(entry->timer, &delay);
            }
            return;
        }
        int r = start(entry, errand);
        if (r != 0) {
            char why[96];
            snprintf(why, sizeof why, "could not be started: %s", strerrordesc_np(-r));
            fail(entry, errand, why);
            continue;
        }
        entry->running = errand;
        entry->limit = entry->config->timeout;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    run_next(arg);
}

static void take(struct entry *entry, struct news *news) {
    struct errand *errand = errand_new(news), *replaced, *dropped;
    if (errand == NULL) {
        log_error("on_change: '%s', %s to %s: given up: out of memory", news->site,
                  state_name(news->from), state_name(news->to));
        return;
    }
    nsec_t now = clock_now();
    errands_add(&entry->errands, errand, now, &replaced, &dropped);
    if (replaced != NULL) {
        log_notice(CHANGE_FORMAT "not told by %s; a newer change of the site stands for it",
                   CHANGE_OF(replaced), entry->program);
        errand_free(replaced);
    }
    if (dropped != NULL) {
        entry->drops++;
        errand_free(dropped);
    }
    say_drops(entry, now, false);
    run_next(entry);
}

void teller_tell(struct teller *teller, struct news *news) {
    for (size_t i = 0; i < teller->n; i++) {
        struct entry *entry = teller->entries[i];
        if (entry->config == NULL || (entry->config->when >> news->state & 1) == 0) {
            continue;
        }
        if (teller->stopping) {
            log_error("on_change: '%s', %s to %s: given up: tallyd stops", news->site,
                      state_name(news->from), state_name(news->to));
            break;
        }
        take(entry, news);
    }
    news_unref(news);
}

/* ---- configuration ---- */

static struct entry *entry_new(struct teller *teller, const struct on_change_config *config) {
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->teller = teller;
    entry->config = config;
    entry->program = strdup(config->command[0]);
    entry->timer = evtimer_new(teller->base, on_timer, entry);
    errands_init(&entry->errands, TELLER_QUEUE_MOST);
    if (entry->program == NULL || entry->timer == NULL) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

static void entry_free(struct entry *entry) {
    struct errand *errand;
    child_free(entry->child);
    errand_free(entry->running);
    while ((errand = errands_pop(&entry->errands)) != NULL) {
        errand_free(errand);
    }
    if (entry->timer != NULL) {
        event_free(entry->timer);
    }
    free(entry->program);
    free(entry);
}

static bool is_same_command(const struct on_change_config *a, const struct on_change_config *b) {
    size_t i = 0;
    while (a->command[i] != NULL && b->command[i] != NULL &&
           strcmp(a->command[i], b->command[i]) == 0) {
        i++;
    }
    return a->command[i] == NULL && b->command[i] == NULL;
}

/* One of before that has the command and that no other has taken. */
static struct entry *find_before(const struct teller *teller, struct entry *const *taken, size_t n,
                                 const struct on_change_config *config) {
    for (size_t i = 0; i < teller->n; i++) {
        struct entry *entry = teller->entries[i];
        bool is_taken = false;
        for (size_t k = 0; k < n; k++) {
            is_taken = is_taken || taken[k] == entry;
        }
        if (!is_taken && entry->config != NULL && is_same_command(entry->config, config)) {
            return entry;
        }
    }
    return NULL;
}

static bool has(struct entry *const *entries, size_t n, const struct entry *wanted) {
    for (size_t i = 0; i < n; i++) {
        if (entries[i] == wanted) {
            return true;
        }
    }
    return false;
}

/* Those for `config`, with room behind them for all of before; the new ones among them are not known
 * to anybody yet. NULL: out of memory. */
static struct entry **list_entries(struct teller *teller, const struct config *config) {
    size_t n = config->n_on_change;
    struct entry **entries = calloc(n + teller->n + 1, sizeof(struct entry *));
    for (size_t i = 0; i < n && entries != NULL; i++) {
        const struct on_change_config *wanted = &config->on_change[i];
        entries[i] = find_before(teller, entries, i, wanted);
        if (entries[i] == NULL && (entries[i] = entry_new(teller, wanted)) == NULL) {
            for (size_t k = 0; k < i; k++) {
                if (!has(teller->entries, teller->n, entries[k])) {
                    entry_free(entries[k]);
                }
            }
            free(entries);
            entries = NULL;
        }
    }
    return entries;
}

void teller_configure(struct teller *teller, struct config *config) {
    size_t n = config->n_on_change;
    struct entry **entries = list_entries(teller, config);
    if (entries == NULL) {
        log_error("on_change: out of memory: the commands of before stay");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        entries[i]->config = &config->on_change[i];
    }
    size_t used = n;
    for (size_t i = 0; i < teller->n; i++) {
        struct entry *entry = teller->entries[i];
        if (has(entries, n, entry)) {
            continue;
        }
        say_drops(entry, clock_now(), true);
        give_up_all(entry, "the command is in the configuration no more");
        event_del(entry->timer);
        entry->config = NULL;
        if (entry->child != NULL) {
            entries[used++] = entry;
        } else {
            entry_free(entry);
        }
    }
    free(teller->entries);
    teller->entries = entries;
    teller->n = used;
    config_ref(config);
    config_unref(teller->config);
    teller->config = config;
}

/* ---- start and stop ---- */

struct teller *teller_new(struct event_base *base, void (*on_ended)(void *arg), void *arg) {
    struct teller *teller = calloc(1, sizeof *teller);
    if (teller != NULL) {
        teller->base = base;
        teller->on_ended = on_ended;
        teller->arg = arg;
    }
    return teller;
}

void teller_free(struct teller *teller) {
    if (teller == NULL) {
        return;
    }
    for (size_t i = 0; i < teller->n; i++) {
        entry_free(teller->entries[i]);
    }
    free(teller->entries);
    config_unref(teller->config);
    free(teller);
}

static void kill_run(struct entry *entry) {
    child_free(entry->child);
    entry->child = NULL;
    log_error(CHANGE_FORMAT "%s was killed: tallyd stops now", CHANGE_OF(entry->running),
              entry->program);
    errand_free(entry->running);
    entry->running = NULL;
}

void teller_stop(struct teller *teller, bool now) {
    teller->stopping = true;
    for (size_t i = 0; i < teller->n; i++) {
        struct entry *entry = teller->entries[i];
        event_del(entry->timer);
        say_drops(entry, clock_now(), true);
        give_up_all(entry, "tallyd stops");
        if (entry->child != NULL && now) {
            kill_run(entry);
        } else if (entry->child != NULL) {
            child_stop(entry->child, TELLER_STOP_LIMIT);
        }
    }
    end_when_done(teller);
}
