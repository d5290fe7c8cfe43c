/* Reports made by hand, for tests of what comes after them. To be included by one file of a test
 * program, after "fake_config.h". */
#pragma once

#include "report/record.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAKE_TIME (INT64_C(1795341960) * NSEC_PER_SEC + 123 * NSEC_PER_MSEC + 999999)

static struct config make_config;

static inline void make_add(struct tally *tally, outcome_t outcome, unsigned count) {
    ck_assert_int_eq(tally_add(tally, outcome, count), 0);
}

/* A round with nothing in it yet: no tally, no latency, nothing known. */
static inline struct report *make_report(const struct site *site, uint64_t round) {
    struct report *report = calloc(1, sizeof *report);
    ck_assert_ptr_nonnull(report);
    report->config = config_ref(&make_config);
    report->site = site;
    report->round = round;
    report->wall_began = MAKE_TIME;
    report->latency.p99 = NSEC_UNKNOWN;
    report->wall_certificate_ends = NSEC_UNKNOWN;
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        report->phases[i] = NSEC_UNKNOWN;
    }
    tally_init(&report->tally);
    return report;
}

/* A change in round 9, of a state that had begun an hour before; NULL: out of memory. */
static inline struct record *make_event(const struct site *site, enum state from, enum state to,
                                        const char *why) {
    struct change change = {
        .from = from,
        .to = to,
        .wall_time = MAKE_TIME,
        .wall_since = MAKE_TIME - 3600 * NSEC_PER_SEC,
        .round = 9,
        .planned = 20,
        .judged = 20,
        .failed = 2,
    };
    snprintf(change.why, sizeof change.why, "%s", why);
    return record_new_event(&make_config, site, &change);
}

/* A small one: a single sample that got 200, or 503. */
static inline struct record *make_record(const struct site *site, uint64_t round, bool failed) {
    struct report *report = make_report(site, round);
    report->planned = report->judged = 1;
    report->failed = failed ? 1 : 0;
    report->reasons[REASON_STATUS] = report->failed;
    make_add(&report->tally, failed ? 503 : 200, 1);
    struct record *record = record_new_report(report);
    ck_assert_ptr_nonnull(record);
    return record;
}
