/* How a round travels: engine_begin() reserves its report's place in the order and posts the round
 * to the sampling loop of its site; the closed round comes back as mail, becomes a report, is shown
 * to the owner (verdict, state changes) and fills its place; what may leave then leaves for the
 * writer.
 *
 * A site belongs to the sampling loop that its name hashes to, so that it keeps its loop over
 * reloads and its rounds follow one another there. `workers` itself changes only with a restart. */
#include "engine.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "output/writer.h"
#include "probe/tls.h"
#include "report/queue.h"
#include "report/record.h"
#include "sampling/sampler.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const nsec_t drain_limit = 5 * NSEC_PER_SEC;
static const nsec_t drain_limit_now = 50 * NSEC_PER_MSEC;

struct engine {
    struct loop *loop;
    struct config *config; /* in force; a reference */
    struct sampler **samplers;
    unsigned n_samplers;
    struct queue *queue;
    struct writer *writer;
    unsigned running;
    unsigned kept; /* closed, and not released yet */
    bool closing;  /* a round's report is on its way into the order */
    bool finishing, stopping, stopping_now, draining;
    uint64_t unwritten;
    bool (*on_closed)(struct round *, struct report *, void *);
    void *arg;

    /* a reconfiguration under way */
    struct config *next_config;
    struct engine_trust next_trust;
    int (*apply)(void *arg);
    void (*reconfigured)(const char *why_not, void *arg);
    void *reconfigured_arg;
};

/* ---- trust ---- */

int engine_trust_load(const struct config *config, unsigned workers,
                      struct engine_trust *ret_trust) {
    struct tls_set **of_worker = calloc(workers, sizeof(struct tls_set *));
    int r = of_worker == NULL ? -ENOMEM : tls_sets_load(config, workers, of_worker);
    if (r != 0) {
        free(of_worker);
        return r;
    }
    *ret_trust = (struct engine_trust){.of_worker = of_worker, .n = workers};
    return 0;
}

bool engine_trust_judge(const struct engine_trust *trust, const struct config *before) {
    bool usable = true, had_it;
    const char *why;
    size_t at = 0;
    while ((why = tls_set_fault(trust->of_worker[0], &at, before, &had_it)) != NULL) {
        log_error(had_it ? "%s; what was read of it before stays in use" : "%s", why);
        usable = usable && had_it;
    }
    return usable;
}

void engine_trust_clear(struct engine_trust *trust) {
    for (unsigned i = 0; i < trust->n; i++) {
        tls_set_free(trust->of_worker[i]);
    }
    free(trust->of_worker);
    *trust = (struct engine_trust){0};
}

static struct tls_set *take_trust(struct engine_trust *trust, unsigned worker) {
    struct tls_set *taken = trust->of_worker[worker];
    trust->of_worker[worker] = NULL;
    return taken;
}

/* ---- rounds and reports ---- */

static struct sampler *sampler_of(const struct engine *engine, const struct site *site) {
    uint64_t hash = hash_bytes(HASH_BEGIN, site->name, strlen(site->name));
    return engine->samplers[hash % engine->n_samplers];
}

static void discard_report(void *report) {
    report_free(report);
}

static void send_reports(struct engine *engine) {
    struct report *report;
    while ((report = queue_pop(engine->queue)) != NULL) {
        struct record *record = record_new_report(report);
        if (record == NULL) {
            log_error("out of memory: a report is lost"); /* and with it the name */
        } else {
            writer_post(engine->writer, record);
        }
    }
}

static void on_drained(uint64_t unwritten, void *arg) {
    struct engine *engine = arg;
    engine->unwritten = unwritten;
    loop_stop(engine->loop);
}

static void drain_when_done(struct engine *engine) {
    if ((!engine->finishing && !engine->stopping) || engine->running > 0 || engine->kept > 0 ||
        engine->closing || engine->draining) {
        return;
    }
    engine->draining = true;
    nsec_t limit = engine->stopping_now ? drain_limit_now
                   : engine->stopping   ? drain_limit
                                        : WRITER_NO_LIMIT;
    writer_drain(engine->writer, limit, on_drained, engine);
}

static void on_round_closed(struct round *round) {
    struct engine *engine = round->owner;
    engine->running--;
    struct report *report = report_new(round);
    if (report == NULL) {
        log_error("out of memory: a report of %s is lost", round->site->name);
    }
    engine->closing = true;
    /* may begin rounds, release others, or stop the engine */
    if (engine->on_closed(round, report, engine->arg)) {
        engine->kept++;
    } else {
        queue_fill(engine->queue, round->ticket, report);
        round_free(round);
    }
    send_reports(engine);
    engine->closing = false;
    drain_when_done(engine);
}

void engine_release(struct engine *engine, struct round *round, struct report *report) {
    engine->kept--;
    queue_fill(engine->queue, round->ticket, report);
    round_free(round);
    if (!engine->closing) {
        send_reports(engine);
        drain_when_done(engine);
    }
}

int engine_begin(struct engine *engine, const struct engine_begin *begin) {
    assert(!engine->stopping);
    struct round *round = round_new(begin->config, begin->site);
    if (round == NULL) {
        return -ENOMEM;
    }
    round->ticket = queue_reserve(engine->queue, begin->site->interval, begin->site->name);
    if (round->ticket == NULL) {
        round_free(round);
        return -ENOMEM;
    }
    round->owner = engine;
    round->number = begin->number;
    round->skipped = begin->skipped;
    round->first = begin->first;
    round->due = begin->due;
    round->entry = begin->entry;
    engine->running++;
    sampler_begin(sampler_of(engine, begin->site), round);
    return 0;
}

void engine_event(struct engine *engine, const struct site *site, struct config *config,
                  const struct change *change) {
    struct record *record = record_new_event(config, site, change);
    if (record == NULL) {
        log_error("out of memory: an event of %s is lost", site->name);
        return;
    }
    writer_post(engine->writer, record);
}

void engine_trouble(struct engine *engine, const struct trouble_change *change, const char *why) {
    struct record *record = record_new_trouble(change, clock_wall_now(), why);
    if (record == NULL) {
        log_error("out of memory: an event is lost: %s", why);
        return;
    }
    writer_post(engine->writer, record);
}

/* ---- reconfiguration ---- */

static unsigned share_of(const struct engine *engine, const struct config *config) {
    unsigned share = config->max_in_flight / engine->n_samplers;
    return share > 0 ? share : 1;
}

static void finish_reconfiguration(struct engine *engine, const char *why_not) {
    void (*done)(const char *, void *) = engine->reconfigured;
    config_unref(engine->next_config);
    engine->next_config = NULL;
    engine_trust_clear(&engine->next_trust);
    engine->reconfigured = NULL;
    done(why_not, engine->reconfigured_arg);
}

static void on_prepared(const char *why_not, void *arg) {
    struct engine *engine = arg;
    struct config *config = engine->next_config;
    if (why_not == NULL) {
        /* what a configuration began that comes too late, nobody would write any more */
        why_not = engine->stopping                               ? "tallyd stops"
                  : engine->apply(engine->reconfigured_arg) != 0 ? "out of memory"
                                                                 : NULL;
        if (why_not != NULL) {
            writer_rollback(engine->writer);
        }
    }
    if (why_not != NULL) {
        finish_reconfiguration(engine, why_not);
        return;
    }
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        struct tls_set *tls = take_trust(&engine->next_trust, i);
        if (sampler_configure(engine->samplers[i], config, share_of(engine, config), tls) != 0) {
            log_error("out of memory: a sampling loop keeps its old settings");
            tls_set_free(tls);
        }
    }
    writer_commit(engine->writer);
    config_unref(engine->config);
    engine->config = config_ref(config);
    finish_reconfiguration(engine, NULL);
}

void engine_reconfigure(struct engine *engine, struct config *config, struct engine_trust *trust,
                        int (*apply)(void *arg), void (*done)(const char *why_not, void *arg),
                        void *arg) {
    assert(engine->reconfigured == NULL);
    assert(trust->n == engine->n_samplers);
    engine->apply = apply;
    engine->next_config = config_ref(config);
    engine->next_trust = *trust;
    *trust = (struct engine_trust){0};
    engine->reconfigured = done;
    engine->reconfigured_arg = arg;
    writer_prepare(engine->writer, config, on_prepared, engine);
}

void engine_reopen(struct engine *engine) {
    writer_reopen(engine->writer);
}

void engine_progress(struct engine *engine, const char *line) {
    writer_progress(engine->writer, line);
}

/* ---- start and stop ---- */

void engine_finish(struct engine *engine) {
    engine->finishing = true;
    drain_when_done(engine);
}

void engine_stop(struct engine *engine, bool now) {
    if (engine->stopping && (!now || engine->stopping_now)) {
        return;
    }
    engine->stopping = true;
    engine->stopping_now = now;
    if (engine->draining) {
        engine->unwritten = writer_unwritten(engine->writer); /* it alone was still at it */
        loop_stop(engine->loop);
        return;
    }
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        sampler_stop(engine->samplers[i], now ? SAMPLER_STOP_NOW : SAMPLER_STOP_SOON);
    }
    drain_when_done(engine);
}

uint64_t engine_unwritten(const struct engine *engine) {
    return engine->unwritten;
}

bool engine_is_stuck(const struct engine *engine) {
    return writer_is_stuck(engine->writer);
}

void engine_vitals(const struct engine *engine, struct vitals *vitals) {
    vitals->in_flight = 0;
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        vitals->in_flight += sampler_in_flight(engine->samplers[i]);
    }
    vitals->max_in_flight = engine->config->max_in_flight;
    vitals->running = engine->running;
    vitals->waiting = queue_waiting(engine->queue);
    vitals->unwritten = writer_unwritten(engine->writer);
    vitals->lost = writer_lost(engine->writer);
}

void engine_vital_signs(const struct engine *engine, struct vitals *vitals) {
    nsec_t sampling = 0;
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        nsec_t lag = loop_lag(sampler_loop(engine->samplers[i]));
        sampling = lag > sampling ? lag : sampling;
    }
    vitals->loops[0] = (struct vitals_loop){"control", loop_lag(engine->loop)};
    vitals->loops[1] = (struct vitals_loop){"sampling", sampling};
    vitals->loops[2] = (struct vitals_loop){"writer", loop_lag(writer_loop(engine->writer))};
    vitals->ready = writer_is_ready(engine->writer);
}

nsec_t engine_turned(const struct engine *engine) {
    nsec_t first = loop_turned(writer_loop(engine->writer));
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        nsec_t turned = loop_turned(sampler_loop(engine->samplers[i]));
        first = turned < first ? turned : first;
    }
    return first;
}

uint64_t engine_samples(const struct engine *engine) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        sum += sampler_ended(engine->samplers[i]);
    }
    return sum;
}

uint64_t engine_added(const struct engine *engine) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        sum += sampler_added(engine->samplers[i]);
    }
    return sum;
}

unsigned engine_running(const struct engine *engine) {
    return engine->running;
}

unsigned engine_workers(const struct engine *engine) {
    return engine->n_samplers;
}

struct loop *engine_loop(const struct engine *engine) {
    return engine->loop;
}

struct config *engine_config(const struct engine *engine) {
    return engine->config;
}

static int start_samplers(struct engine *engine, struct engine_trust *trust) {
    unsigned n = engine->config->workers;
    engine->samplers = calloc(n, sizeof(struct sampler *));
    if (engine->samplers == NULL) {
        return -ENOMEM;
    }
    engine->n_samplers = n; /* those not made are NULL */
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "sampling-%u", i % 1000); /* workers are at most 64 */
        struct sampler_options options = {
            .name = name,
            .control = engine->loop,
            .on_closed = on_round_closed,
            .probe = &probe_http,
            .config = engine->config,
            .max_in_flight = share_of(engine, engine->config),
            .tls = take_trust(trust, i),
        };
        int r = sampler_new(&options, &engine->samplers[i]);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static char *sentence(const char *what, int error) {
    char *text;
    if (asprintf(&text, "%s: %s", what, strerror(-error)) < 0) {
        return NULL;
    }
    return text;
}

int engine_new(const struct engine_options *options, struct engine **ret_engine, char **ret_why) {
    assert(options->trust->n == options->config->workers);
    *ret_why = NULL;
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        engine_trust_clear(options->trust);
        return -ENOMEM;
    }
    engine->config = config_ref(options->config);
    engine->on_closed = options->on_closed;
    engine->arg = options->arg;
    int r = loop_new("tallyd", engine, &engine->loop);
    if (r != 0) {
        *ret_why = sentence("cannot start", r);
        goto fail;
    }
    engine->queue = queue_new();
    if (engine->queue == NULL) {
        r = -ENOMEM;
        goto fail;
    }
    struct writer_options writer = {
        .control = engine->loop,
        .boot = options->boot,
        .on_broken = options->on_broken,
        .arg = options->arg,
        .progress = options->progress,
    };
    r = writer_new(&writer, engine->config, &engine->writer, ret_why);
    if (r != 0) {
        goto fail;
    }
    r = start_samplers(engine, options->trust);
    if (r != 0) {
        *ret_why = sentence("cannot start a sampling loop", r);
        goto fail;
    }
    engine_trust_clear(options->trust);
    *ret_engine = engine;
    return 0;

fail:
    engine_trust_clear(options->trust);
    engine_free(engine);
    return r;
}

void engine_free(struct engine *engine) {
    if (engine == NULL) {
        return;
    }
    for (unsigned i = 0; i < engine->n_samplers; i++) {
        sampler_free(engine->samplers[i]);
    }
    free(engine->samplers);
    writer_free(engine->writer);
    if (engine->loop != NULL) {
        loop_free(engine->loop);
    }
    queue_free(engine->queue, discard_report);
    config_unref(engine->next_config); /* a reconfiguration that a stop overtook */
    engine_trust_clear(&engine->next_trust);
    config_unref(engine->config);
    free(engine);
}
