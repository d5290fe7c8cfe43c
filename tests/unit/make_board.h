/* A board with sites and rounds made by hand. To be included by one file of a test program. */
#pragma once

#include "report/board.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOARD_TIME (INT64_C(1795341960) * NSEC_PER_SEC + 123 * NSEC_PER_MSEC)

static struct board *board;
static struct config *board_config_;

/* Sites as in YAML, a list in brackets. */
static inline void board_load(const char *sites) {
    struct config_messages messages;
    struct config *loaded = NULL;
    char text[2048];
    int n = snprintf(text, sizeof text, "sites: %s\n", sites);
    ck_assert_int_eq(config_load_memory("test", text, (size_t)n, &messages, &loaded), 0);
    config_messages_clear(&messages);
    config_unref(board_config_);
    board_config_ = loaded;
    if (board == NULL) {
        board = board_new();
    }
    ck_assert_int_eq(board_configure(board, loaded, NULL), 0);
}

static inline void board_end(void) {
    board_free(board);
    config_unref(board_config_);
}

/* A round of `site` in which 18 samples got 200, one 503 and one was refused. */
static inline void board_play(const char *site, uint64_t number) {
    struct report *report = calloc(1, sizeof *report);
    report->config = config_ref(board_config_);
    report->site = config_find(board_config_, site);
    report->round = number;
    report->wall_began = BOARD_TIME;
    report->late = 412 * NSEC_PER_USEC;
    report->skipped = 1;
    report->planned = report->judged = 20;
    report->failed = 2;
    report->reasons[REASON_STATUS] = report->reasons[REASON_ERROR] = 1;
    report->wall_certificate_ends = BOARD_TIME + 30 * NSEC_PER_SEC;
    ck_assert_int_eq(tally_add(&report->tally, 200, 18), 0);
    ck_assert_int_eq(tally_add(&report->tally, 503, 1), 0);
    ck_assert_int_eq(tally_add(&report->tally, OUTCOME_CONNECT_REFUSED, 1), 0);
    report->latency = (struct report_latency){
        .n = 19,
        .min = 8 * NSEC_PER_MSEC,
        .mean = 12 * NSEC_PER_MSEC,
        .p50 = 11 * NSEC_PER_MSEC,
        .p90 = 20 * NSEC_PER_MSEC,
        .p99 = NSEC_UNKNOWN,
        .max = 40 * NSEC_PER_MSEC,
        .sum = 228 * NSEC_PER_MSEC,
        .buckets = {0, 9, 8, 2},
    };
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        report->phases[i] = NSEC_UNKNOWN;
    }
    report->phase_sums[PHASE_CONNECT] = (struct report_phase){.n = 19, .sum = 19 * NSEC_PER_MSEC};
    report->has_verdict = true;
    report->verdict = (struct verdict_result){
        .from = STATE_UP,
        .to = STATE_DEGRADED,
        .level = 0.84,
        .window_samples = 100,
        .window_failed = 7,
        .window_low = 0.034,
        .window_high = 0.137,
    };
    struct board_state state = {STATE_DEGRADED, 0.84, BOARD_TIME - 60 * NSEC_PER_SEC};
    board_add(board, report, &state);
    report_free(report);
}
