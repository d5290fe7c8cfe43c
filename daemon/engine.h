/* The engine behind `sample`, `run` and `demo`: the control loop, the sampling loops, the order of
 * reports and the writer, wired together. Whose turn it is, and what a result means for a site, is
 * decided by whoever owns the engine. All calls are made on the control loop's thread. */
#pragma once

#include "config/config.h"
#include "report/change.h"
#include "report/report.h"
#include "report/vitals.h"
#include "sampling/round.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct schedule_entry;
struct tls_set;

/* CA bundles and client certificates, a set for each sampling loop. May be loaded on any thread. */
struct engine_trust {
    struct tls_set **of_worker; /* n of them */
    unsigned n;
};
/* 0, also when some file cannot be used; -ENOMEM. */
int engine_trust_load(const struct config *config, unsigned workers,
                      struct engine_trust *ret_trust);
/* Logs each file that cannot be used, and what becomes of it. False: `before` (the configuration in
 * force, or NULL) had not named it, so there is nothing of it to go by. */
bool engine_trust_judge(const struct engine_trust *trust, const struct config *before);
void engine_trust_clear(struct engine_trust *trust);

struct engine_options {
    struct config *config;
    struct engine_trust *trust; /* for config->workers; emptied, also on failure */
    const char *boot; /* 32 hex digits; NULL: records have no place in a log (`tallyd sample`) */
    bool progress;    /* draw engine_progress() on stderr */
    /* A round has closed. The report is counted but not ordered yet; a verdict may be put into it.
     * NULL: out of memory, the report is lost (and was said). True: both are kept, and come back with
     * engine_release(). */
    bool (*on_closed)(struct round *round, struct report *report, void *arg);
    /* stdout cannot be written any more. */
    void (*on_broken)(int error, void *arg);
    void *arg;
};

/* Opens the sinks and starts the loops. On failure: -errno and *ret_why, a sentence (heap). */
int engine_new(const struct engine_options *options, struct engine **ret_engine, char **ret_why);
void engine_free(struct engine *engine); /* drained, or never started a round */

unsigned engine_workers(const struct engine *engine);      /* sampling loops; never changes */
struct loop *engine_loop(const struct engine *engine);     /* the control loop */
struct config *engine_config(const struct engine *engine); /* borrowed: the one in force */

/* What begins: a slot of the schedule, or a turn in `tallyd sample`. */
struct engine_begin {
    struct config *config;
    const struct site *site;
    uint64_t number, skipped;
    bool first;
    nsec_t due;
    struct schedule_entry *entry; /* NULL: no schedule begins it */
};
/* 0; -ENOMEM: it does not begin. */
int engine_begin(struct engine *engine, const struct engine_begin *begin);

/* A state change: written at once, never waiting for the order of reports. */
void engine_event(struct engine *engine, const struct site *site, struct config *config,
                  const struct change *change);

/* What on_closed() kept goes its way now. Its place in the order was held meanwhile, and the engine does not
 * end before. */
void engine_release(struct engine *engine, struct round *round, struct report *report);

/* That this machine is in trouble, or out of it: the same. */
void engine_trouble(struct engine *engine, const struct trouble_change *change, const char *why);

/* Takes a new configuration and new trust stores into use, or nothing of it. First the sinks are
 * prepared; then `apply` lets the owner do its own part, which can still fail (-errno, nothing
 * changed); then the rest, which cannot. `done` on the control loop with NULL, or with why not.
 * `trust` is emptied. One at a time. */
void engine_reconfigure(struct engine *engine, struct config *config, struct engine_trust *trust,
                        int (*apply)(void *arg), void (*done)(const char *why_not, void *arg),
                        void *arg);

void engine_reopen(struct engine *engine); /* log files whose path is another file by now */
void engine_progress(struct engine *engine, const char *line);

/* When every round that has begun is written, however long its reader takes, the control loop stops. An
 * engine_stop() meanwhile ends the waiting. */
void engine_finish(struct engine *engine);

/* No sample starts any more; those in flight end by themselves, or with `now` at once. When all
 * reports are written, or could not be in time, the control loop stops. May be called again with
 * `now`. */
void engine_stop(struct engine *engine, bool now);
uint64_t engine_unwritten(const struct engine *engine); /* records, once stopped */
/* The writer hangs in a write to a dead disk; engine_free() would wait for it, perhaps for ever. */
bool engine_is_stuck(const struct engine *engine);

/* What the engine knows of the daemon's own condition; the rest of `vitals` stays. */
void engine_vitals(const struct engine *engine, struct vitals *vitals);
/* The rest that it knows, of this very moment: whether its loops turn, and write. From any thread. */
void engine_vital_signs(const struct engine *engine, struct vitals *vitals);
/* Every sampling loop and the writer's have turned at that time or later (loop_turned()). From any thread. */
nsec_t engine_turned(const struct engine *engine);

uint64_t engine_samples(const struct engine *engine); /* that have ended, ever */
/* Beyond the sites' settings: sampler_added(). */
uint64_t engine_added(const struct engine *engine);
unsigned engine_running(const struct engine *engine); /* rounds that have not come back */
