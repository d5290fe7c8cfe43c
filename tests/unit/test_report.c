#include "report/report.h"

#include "chance.h"
#include "fake_config.h"
#include "memory.h"

#include <check.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config config;
static struct site site = {
    .name = "shop",
    .url = {.text = "http://shop.test/", .host = "shop.test", .port = 80},
    .user_agent = "tallyd/test",
    .timeout = 5 * NSEC_PER_SEC,
};

static struct round *closed_round(unsigned samples) {
    site.samples = samples;
    struct round *round = round_new(&config, &site);
    ck_assert_ptr_nonnull(round);
    round->due = 100 * NSEC_PER_SEC;
    round->began = round->due + 412 * NSEC_PER_USEC;
    round->ended = round->began + 812102 * NSEC_PER_USEC;
    return round;
}

/* Sample i got `status` after `took`; reason by the default expectation. */
static void answer(struct round *round, unsigned i, outcome_t status, nsec_t took) {
    round->samples[i].outcome = status;
    round->samples[i].reason = status >= 200 && status < 400 ? REASON_NONE : REASON_STATUS;
    round->samples[i].at = i;
    round->samples[i].took = took;
}

static void error(struct round *round, unsigned i, outcome_t class) {
    round->samples[i].outcome = class;
    round->samples[i].reason = outcome_is_judged(class) ? REASON_ERROR : REASON_NONE;
}

static void answer_all(struct round *round) {
    for (unsigned i = 0; i < round->planned; i++) {
        answer(round, i, 200, (nsec_t)i + 1);
    }
}

static void add_addresses(struct round *round, size_t n) {
    round->addresses = calloc(n, sizeof *round->addresses);
    round->n_addresses = n;
    for (size_t i = 0; i < n; i++) {
        snprintf(round->addresses[i].text, sizeof round->addresses[i].text, "192.0.2.%zu", i + 1);
    }
}

static void add_evidence(struct round *round, size_t n) {
    round->evidence = calloc(n, sizeof *round->evidence);
    round->n_evidence = n;
}

static struct report *reported(struct round *round) {
    struct report *report = report_new(round);
    ck_assert_ptr_nonnull(report);
    round_free(round);
    return report;
}

START_TEST(a_round_is_carried_over) {
    struct round *round = closed_round(20);
    answer_all(round);
    round->number = 9;
    round->skipped = 3;
    round->first = true;
    round->wall_began = 1234567890 * NSEC_PER_SEC;
    round->left_out_ipv6 = true;
    struct report *report = reported(round);
    ck_assert_ptr_eq(report->config, &config);
    ck_assert_uint_eq(config_refs, 1);
    ck_assert_ptr_eq(report->site, &site);
    ck_assert_uint_eq(report->round, 9);
    ck_assert_uint_eq(report->skipped, 3);
    ck_assert(report->first);
    ck_assert(!report->left_out_ipv4 && report->left_out_ipv6);
    ck_assert(!report->has_verdict);
    ck_assert_int_eq(report->wall_began, 1234567890 * NSEC_PER_SEC);
    ck_assert_int_eq(report->late, 412 * NSEC_PER_USEC);
    ck_assert_int_eq(report->took, 812102 * NSEC_PER_USEC);
    report_free(report);
    ck_assert_uint_eq(config_refs, 0);
    report_free(NULL);
}
END_TEST

START_TEST(what_is_our_own_fault_is_counted_but_not_judged) {
    struct round *round = closed_round(6);
    answer(round, 0, 200, 1);
    answer(round, 1, 503, 1);
    error(round, 2, OUTCOME_RESET);
    error(round, 3, OUTCOME_NOT_SENT);
    error(round, 4, OUTCOME_LOCAL_RESOURCE);
    error(round, 5, OUTCOME_ABORTED);
    struct report *report = reported(round);
    ck_assert_uint_eq(report->planned, 6);
    ck_assert_uint_eq(tally_sum(&report->tally), 6);
    ck_assert_uint_eq(report->judged, 3);
    ck_assert_uint_eq(report->failed, 2);
    ck_assert_uint_eq(report->reasons[REASON_STATUS], 1);
    ck_assert_uint_eq(report->reasons[REASON_ERROR], 1);
    ck_assert_uint_eq(report->reasons[REASON_NONE], 0);
    report_free(report);
}
END_TEST

START_TEST(percentiles_are_the_nearest_rank_of_samples_with_a_status) {
    struct round *round = closed_round(11);
    for (unsigned i = 0; i < 10; i++) { /* 10, 20 … 100, not in order */
        answer(round, i, i == 4 ? 500 : 200, 10 + 10 * ((nsec_t)i * 7 % 10));
    }
    error(round, 10, OUTCOME_TRANSFER_TIMEOUT);
    round->samples[10].took = 1000000;
    struct report *report = reported(round);
    ck_assert_uint_eq(report->latency.n, 10);
    ck_assert_int_eq(report->latency.min, 10);
    ck_assert_int_eq(report->latency.mean, 55);
    ck_assert_int_eq(report->latency.p50, 50);
    ck_assert_int_eq(report->latency.p90, 90);
    ck_assert_int_eq(report->latency.max, 100);
    ck_assert_int_eq(report->latency.p99, NSEC_UNKNOWN);
    report_free(report);

    round = closed_round(1);
    answer(round, 0, 200, 7);
    report = reported(round);
    ck_assert_int_eq(report->latency.p50, 7);
    ck_assert_int_eq(report->latency.p90, 7);
    report_free(report);
}
END_TEST

START_TEST(the_99th_percentile_needs_100_samples_with_a_status) {
    for (unsigned n = 99; n <= 101; n++) {
        struct round *round = closed_round(n + 1);
        answer_all(round);
        error(round, n, OUTCOME_EMPTY_REPLY);
        struct report *report = reported(round);
        ck_assert_int_eq(report->latency.p99, n == 99 ? NSEC_UNKNOWN : n == 100 ? 99 : 100);
        report_free(report);
    }
}
END_TEST

START_TEST(a_round_without_a_status_has_no_latency) {
    struct round *round = closed_round(2);
    error(round, 0, OUTCOME_CONNECT_REFUSED);
    error(round, 1, OUTCOME_NOT_SENT);
    struct report *report = reported(round);
    ck_assert_uint_eq(report->latency.n, 0);
    report_free(report);
}
END_TEST

START_TEST(phases_are_medians_of_the_samples_that_reached_them) {
    struct round *round = closed_round(4);
    answer_all(round);
    error(round, 3, OUTCOME_RESET);
    static const nsec_t connect[] = {9, 1, 5, 7};
    for (unsigned i = 0; i < 4; i++) {
        round->samples[i].phases[PHASE_CONNECT] = connect[i];
    }
    round->samples[0].phases[PHASE_FIRST_BYTE] = 0;
    round->dns_took = 42;
    struct report *report = reported(round);
    ck_assert_int_eq(report->phases[PHASE_DNS], 42);
    ck_assert_int_eq(report->phases[PHASE_CONNECT], 5); /* of 1 5 7 9, the failed one included */
    ck_assert_int_eq(report->phases[PHASE_TLS], NSEC_UNKNOWN);
    ck_assert_int_eq(report->phases[PHASE_FIRST_BYTE], 0);
    ck_assert_int_eq(report->phases[PHASE_TRANSFER], NSEC_UNKNOWN);
    report_free(report);
}
END_TEST

START_TEST(times_are_summed_up_and_counted_in_buckets) {
    struct round *round = closed_round(7);
    static const nsec_t took[] = {10001, 20000000, 9000, 1, 5000, 5001};
    for (unsigned i = 0; i < 6; i++) {
        answer(round, i, 200, took[i] * NSEC_PER_USEC);
        round->samples[i].phases[PHASE_CONNECT] = (nsec_t)i;
    }
    error(round, 6, OUTCOME_CONNECT_REFUSED);
    round->dns_took = 42;
    struct report *report = reported(round);
    ck_assert_int_eq(report->latency.sum, 20029003 * NSEC_PER_USEC);
    static const unsigned buckets[REPORT_LATENCY_BOUNDS + 1] = {2, 2, 1, [11] = 1};
    for (unsigned i = 0; i <= REPORT_LATENCY_BOUNDS; i++) {
        ck_assert_uint_eq(report->latency.buckets[i], buckets[i]);
    }
    ck_assert_uint_eq(report->phase_sums[PHASE_DNS].n, 1); /* one lookup a round */
    ck_assert_int_eq(report->phase_sums[PHASE_DNS].sum, 42);
    ck_assert_uint_eq(report->phase_sums[PHASE_CONNECT].n, 6);
    ck_assert_int_eq(report->phase_sums[PHASE_CONNECT].sum, 0 + 1 + 2 + 3 + 4 + 5);
    ck_assert_uint_eq(report->phase_sums[PHASE_TLS].n, 0);
    report_free(report);
}
END_TEST

START_TEST(a_report_is_freed_with_its_last_reference) {
    struct round *round = closed_round(1);
    answer_all(round);
    round->wall_certificate_ends = 7;
    struct report *report = reported(round);
    ck_assert_ptr_eq(report_ref(report), report);
    report_free(report);
    ck_assert_uint_eq(config_refs, 1);
    ck_assert_int_eq(report->wall_certificate_ends, 7);
    report_free(report);
    ck_assert_uint_eq(config_refs, 0);
}
END_TEST

START_TEST(each_address_has_a_tally_of_its_own) {
    struct round *round = closed_round(5);
    add_addresses(round, 3);
    answer_all(round);
    for (unsigned i = 0; i < 4; i++) {
        round->samples[i].address = i % 2;
    }
    answer(round, 1, 503, 1);
    error(round, 4, OUTCOME_NOT_SENT);
    struct report *report = reported(round);
    ck_assert_uint_eq(report->n_addresses, 3);
    ck_assert_uint_eq(report->addresses[0].failed, 0);
    ck_assert_uint_eq(report->addresses[1].failed, 1);
    ck_assert(report_outcomes_tell(report));
    ck_assert_str_eq(report->addresses[1].text, "192.0.2.2");
    ck_assert_uint_eq(tally_count(&report->addresses[0].tally, 200), 2);
    ck_assert_uint_eq(tally_count(&report->addresses[1].tally, 200), 1);
    ck_assert_uint_eq(tally_count(&report->addresses[1].tally, 503), 1);
    ck_assert_uint_eq(tally_sum(&report->addresses[2].tally), 0);
    ck_assert_uint_eq(tally_count(&report->tally, OUTCOME_NOT_SENT), 1);
    report_free(report);
}
END_TEST

START_TEST(each_address_has_the_median_of_its_own_samples) {
    struct round *round = closed_round(6);
    add_addresses(round, 3);
    static const nsec_t took[] = {5, 900, 3, 700, 4};
    for (unsigned i = 0; i < 5; i++) {
        answer(round, i, 200, took[i]);
        round->samples[i].address = i % 2;
    }
    error(round, 5, OUTCOME_RESET);
    round->samples[5].address = 2;
    struct report *report = reported(round);
    ck_assert_int_eq(report->addresses[0].p50, 4);
    ck_assert_int_eq(report->addresses[1].p50, 700);
    ck_assert_int_eq(report->addresses[2].p50, NSEC_UNKNOWN);
    report_free(report);
}
END_TEST

/* Sample i was answered by backend `of[i]`, -1: it did not say. */
static void add_backends(struct round *round, const int *of) {
    for (unsigned i = 0; i < round->planned; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", of[i]);
        if (of[i] >= 0) {
            round->samples[i].backend = round_find_backend(round, name);
        }
    }
}

START_TEST(backends_are_told_by_frequency_then_name) {
    struct round *round = closed_round(8);
    answer_all(round);
    add_backends(round, (const int[]){3, 1, 2, 2, -1, 3, 2, 1});
    answer(round, 5, 503, 9);
    round->samples[2].reason = REASON_BODY;
    struct report *report = reported(round);
    ck_assert_uint_eq(report->n_backends, 3);
    ck_assert_str_eq(report->backends[0].name, "b2");
    ck_assert_uint_eq(tally_count(&report->backends[0].tally, 200), 3);
    ck_assert_int_eq(report->backends[0].p50, 4); /* of 3 4 7 */
    ck_assert_str_eq(report->backends[1].name, "b1");
    ck_assert_str_eq(report->backends[2].name, "b3");
    ck_assert_uint_eq(tally_count(&report->backends[2].tally, 503), 1);
    ck_assert_uint_eq(report->backends[0].failed, 1);
    ck_assert_uint_eq(report->backends[1].failed, 0);
    ck_assert_uint_eq(report->backends[2].failed, 1);
    ck_assert(!report_outcomes_tell(report));
    ck_assert_uint_eq(report->other_backends.n, 0);
    ck_assert_int_eq(report->other_backends_p50, NSEC_UNKNOWN);
    report_free(report);
}
END_TEST

START_TEST(backends_beyond_the_most_are_counted_together) {
    enum { BACKENDS = REPORT_BACKENDS_MOST + 3 };
    struct round *round = closed_round(2 * BACKENDS - 3);
    int of[2 * BACKENDS];
    for (int i = 0; i < 2 * BACKENDS - 3; i++) {
        of[i] = i % BACKENDS; /* the last three have a single sample */
    }
    answer_all(round);
    add_backends(round, of);
    struct report *report = reported(round);
    ck_assert_uint_eq(report->n_backends, REPORT_BACKENDS_MOST);
    for (size_t i = 0; i < report->n_backends; i++) {
        ck_assert_uint_eq(tally_sum(&report->backends[i].tally), 2);
    }
    ck_assert_uint_eq(tally_count(&report->other_backends, 200), 3);
    ck_assert_int_eq(report->other_backends_p50, REPORT_BACKENDS_MOST + 2); /* of 33 34 35 */
    report_free(report);
}
END_TEST

START_TEST(backends_that_could_not_be_told_apart_are_among_the_others) {
    struct round *round = closed_round(3);
    answer_all(round);
    add_backends(round, (const int[]){1, 2, 2});
    strcpy(round->backends[1].name, "");
    struct report *report = reported(round);
    ck_assert_uint_eq(report->n_backends, 1);
    ck_assert_str_eq(report->backends[0].name, "b1");
    ck_assert_uint_eq(tally_sum(&report->other_backends), 2);
    report_free(report);
}
END_TEST

START_TEST(requests_that_were_repeated_are_summed_up) {
    struct round *round = closed_round(3);
    answer_all(round);
    round->samples[0].repeated = 1;
    round->samples[2].repeated = 2;
    struct report *report = reported(round);
    ck_assert_uint_eq(report->repeated, 3);
    report_free(report);
}
END_TEST

START_TEST(evidence_names_its_outcome_address_and_words) {
    struct round *round = closed_round(2);
    add_addresses(round, 2);
    answer(round, 0, 503, 5);
    round->samples[0].address = 1;
    round->samples[0].at = 104200;
    round->samples[0].local_port = 40112;
    round->samples[0].phases[PHASE_CONNECT] = 3;
    round->samples[0].backend = round_find_backend(round, "b7");
    error(round, 1, OUTCOME_DNS_TIMEOUT);
    add_evidence(round, 2);
    round->evidence[0].sample = 1;
    round->evidence[1].sample = 0;
    strcpy(round->evidence[1].words, "some words");
    struct report *report = reported(round);
    ck_assert_uint_eq(report->n_evidence, 2);
    ck_assert_uint_eq(report->evidence[0].outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert_str_eq(report->evidence[0].address, "");
    ck_assert_int_eq(report->evidence[0].at, NSEC_UNKNOWN);
    ck_assert_uint_eq(report->evidence[0].local_port, 0);
    ck_assert_str_eq(report->evidence[0].words, "");
    ck_assert_uint_eq(report->evidence[0].reason, REASON_ERROR);
    ck_assert_int_eq(report->evidence[0].took, NSEC_UNKNOWN);
    ck_assert_str_eq(report->evidence[0].backend, "");
    ck_assert_ptr_null(report->evidence[0].curl);
    ck_assert_uint_eq(report->evidence[1].outcome, 503);
    ck_assert_str_eq(report->evidence[1].address, "192.0.2.2");
    ck_assert_int_eq(report->evidence[1].at, 104200);
    ck_assert_uint_eq(report->evidence[1].local_port, 40112);
    ck_assert_str_eq(report->evidence[1].words, "some words");
    ck_assert_uint_eq(report->evidence[1].reason, REASON_STATUS);
    ck_assert_int_eq(report->evidence[1].took, 5);
    ck_assert_int_eq(report->evidence[1].phases[PHASE_CONNECT], 3);
    ck_assert_int_eq(report->evidence[1].phases[PHASE_TLS], NSEC_UNKNOWN);
    ck_assert_str_eq(report->evidence[1].backend, "b7");
    ck_assert_ptr_nonnull(strstr(report->evidence[1].curl, "--connect-to ::192.0.2.2:80 "));
    report_free(report);
}
END_TEST

START_TEST(curl_lines_are_bounded_over_all_evidence) {
    static char headers[15][1001];
    static struct header header[15];
    for (size_t i = 0; i < 15; i++) {
        memset(headers[i], 'x', 1000);
        header[i] = (struct header){.name = "X-Long", .value = headers[i]};
    }
    site.request.headers = header;
    site.request.n_headers = 15;
    struct round *round = closed_round(ROUND_EVIDENCE_MOST);
    add_addresses(round, 1);
    add_evidence(round, ROUND_EVIDENCE_MOST);
    for (unsigned i = 0; i < ROUND_EVIDENCE_MOST; i++) {
        answer(round, i, 503, 1);
        round->samples[i].address = 0;
        round->evidence[i].sample = i;
    }
    struct report *report = reported(round);
    size_t bytes = 0, lines = 0;
    for (size_t i = 0; i < report->n_evidence; i++) {
        lines += report->evidence[i].curl != NULL;
        bytes += report->evidence[i].curl != NULL ? strlen(report->evidence[i].curl) : 0;
    }
    ck_assert_uint_ge(lines, 16);
    ck_assert_uint_lt(lines, ROUND_EVIDENCE_MOST);
    ck_assert_uint_le(bytes, 256 << 10);
    report_free(report);
    site.request = (struct request_config){0};
}
END_TEST

static void random_sample(struct chance *chance, struct round *round, unsigned i) {
    if (chance_below(chance, 3) > 0) {
        answer(round, i, (outcome_t)(100 + chance_below(chance, 900)),
               (nsec_t)chance_below(chance, 5 * NSEC_PER_SEC));
    } else {
        error(round, i, (outcome_t)(1 + chance_below(chance, OUTCOME_CLASSES - 1)));
    }
    if (round->n_addresses > 0 && chance_below(chance, 4) > 0) {
        round->samples[i].address = (uint16_t)chance_below(chance, round->n_addresses);
    }
    if (chance_below(chance, 3) > 0) {
        char name[16];
        snprintf(name, sizeof name, "b%u", (unsigned)chance_below(chance, 60));
        round->samples[i].backend = round_find_backend(round, name);
    }
}

START_TEST(the_numbers_add_up_whatever_happened) {
    struct chance chance = chance_new(__func__);
    for (int run = 0; run < 2000; run++) {
        struct round *round = closed_round(1 + (unsigned)chance_below(&chance, 300));
        if (chance_below(&chance, 3) > 0) {
            add_addresses(round, 1 + chance_below(&chance, 9));
        }
        unsigned ours = 0, bad = 0, placed = 0, named = 0;
        for (unsigned i = 0; i < round->planned; i++) {
            random_sample(&chance, round, i);
            const struct sample *sample = &round->samples[i];
            ours += sample->outcome == OUTCOME_NOT_SENT || sample->outcome == OUTCOME_ABORTED ||
                    sample->outcome == OUTCOME_LOCAL_RESOURCE;
            bad += sample->reason != REASON_NONE;
            placed += sample->address != SAMPLE_NO_ADDRESS;
            named += sample->backend != SAMPLE_NO_BACKEND;
        }
        struct report *report = report_new(round);
        ck_assert_uint_eq(tally_sum(&report->tally), round->planned);
        ck_assert_uint_eq(report->judged, round->planned - ours);
        ck_assert_uint_eq(report->failed, bad);
        ck_assert_uint_eq(report->reasons[REASON_ERROR] + report->reasons[REASON_STATUS], bad);
        unsigned by_address = 0;
        for (size_t i = 0; i < report->n_addresses; i++) {
            by_address += tally_sum(&report->addresses[i].tally);
        }
        ck_assert_uint_eq(by_address, placed);
        unsigned by_backend = tally_sum(&report->other_backends), before = UINT_MAX;
        for (size_t i = 0; i < report->n_backends; i++) {
            unsigned of_backend = tally_sum(&report->backends[i].tally);
            ck_assert_uint_le(of_backend, before);
            before = of_backend;
            by_backend += of_backend;
        }
        ck_assert_uint_eq(by_backend, named);
        ck_assert_uint_eq(report->n_backends, round->n_backends < REPORT_BACKENDS_MOST
                                                  ? round->n_backends
                                                  : REPORT_BACKENDS_MOST);
        report_free(report);
        round_free(round);
    }
}
END_TEST

/* --- our own mistakes end the process rather than become a wrong report --- */

START_TEST(what_is_disowned_keeps_what_it_saw_and_blames_nobody) {
    struct round *round = closed_round(6);
    answer_all(round);
    error(round, 1, OUTCOME_CONNECT_UNREACHABLE);
    error(round, 2, OUTCOME_LOCAL_RESOURCE);
    answer(round, 3, 200, 7);
    round->samples[3].reason = REASON_BODY;
    add_addresses(round, 2);
    for (unsigned i = 0; i < 6; i++) {
        round->samples[i].address = (uint16_t)(i % 2);
    }
    round->samples[3].backend = round_find_backend(round, "b1");
    add_evidence(round, 1);
    round->evidence[0].sample = 1;
    struct report *report = reported(round);
    ck_assert_uint_eq(report->failed, 2);
    report_disown(report, TROUBLE_NO_ROUTE);
    ck_assert_int_eq(report->ours, TROUBLE_NO_ROUTE);
    ck_assert_uint_eq(report->judged, 0);
    ck_assert_uint_eq(report->failed, 0);
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        ck_assert_uint_eq(report->reasons[i], 0);
    }
    ck_assert(report_outcomes_tell(report));
    ck_assert_uint_eq(report->addresses[1].failed, 0);
    ck_assert_uint_eq(report->backends[0].failed, 0);
    ck_assert_int_eq(report->evidence[0].reason, REASON_NONE);
    ck_assert_uint_eq(tally_sum(&report->tally), report->planned);
    ck_assert_uint_eq(tally_count(&report->tally, OUTCOME_CONNECT_UNREACHABLE), 1);
    ck_assert_uint_eq(report->latency.n, 4);
    report_free(report);
}
END_TEST

START_TEST(a_sample_that_has_not_ended_is_a_mistake) {
    struct round *round = closed_round(2);
    answer(round, 0, 200, 1);
    report_new(round);
}
END_TEST

START_TEST(a_reason_for_what_is_not_judged_is_a_mistake) {
    struct round *round = closed_round(1);
    error(round, 0, OUTCOME_ABORTED);
    round->samples[0].reason = REASON_ERROR;
    report_new(round);
}
END_TEST

START_TEST(an_error_without_a_reason_is_a_mistake) {
    struct round *round = closed_round(1);
    error(round, 0, OUTCOME_RESET);
    round->samples[0].reason = REASON_NONE;
    report_new(round);
}
END_TEST

START_TEST(a_round_that_began_before_its_slot_is_a_mistake) {
    struct round *round = closed_round(1);
    answer_all(round);
    round->due = round->began + 1;
    report_new(round);
}
END_TEST

START_TEST(without_memory_there_is_no_report_and_no_reference) {
    struct round *round = closed_round(3);
    answer_all(round);
    add_addresses(round, 2);
    add_evidence(round, 1);
    round->samples[0].address = 0;
    round->samples[1].address = 1;
    add_backends(round, (const int[]){1, 2, -1});
    size_t k = 0;
    struct report *report = NULL;
    while (report == NULL) {
        memory_left = k++;
        report = report_new(round);
        ck_assert_uint_eq(config_refs, report == NULL ? 1 : 2);
    }
    memory_left = SIZE_MAX;
    /* the report, addresses, evidence, scratch, five tallies, backends, their places and ranks */
    ck_assert_uint_gt(k, 12);
    report_free(report);
    round_free(round);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_round_is_carried_over);
    tcase_add_test(tests, what_is_our_own_fault_is_counted_but_not_judged);
    tcase_add_test(tests, percentiles_are_the_nearest_rank_of_samples_with_a_status);
    tcase_add_test(tests, the_99th_percentile_needs_100_samples_with_a_status);
    tcase_add_test(tests, a_round_without_a_status_has_no_latency);
    tcase_add_test(tests, phases_are_medians_of_the_samples_that_reached_them);
    tcase_add_test(tests, times_are_summed_up_and_counted_in_buckets);
    tcase_add_test(tests, a_report_is_freed_with_its_last_reference);
    tcase_add_test(tests, each_address_has_a_tally_of_its_own);
    tcase_add_test(tests, each_address_has_the_median_of_its_own_samples);
    tcase_add_test(tests, backends_are_told_by_frequency_then_name);
    tcase_add_test(tests, backends_beyond_the_most_are_counted_together);
    tcase_add_test(tests, backends_that_could_not_be_told_apart_are_among_the_others);
    tcase_add_test(tests, requests_that_were_repeated_are_summed_up);
    tcase_add_test(tests, curl_lines_are_bounded_over_all_evidence);
    tcase_add_test(tests, evidence_names_its_outcome_address_and_words);
    tcase_add_test(tests, what_is_disowned_keeps_what_it_saw_and_blames_nobody);
    tcase_add_test(tests, the_numbers_add_up_whatever_happened);
    tcase_add_test_raise_signal(tests, a_sample_that_has_not_ended_is_a_mistake, SIGABRT);
    tcase_add_test_raise_signal(tests, a_reason_for_what_is_not_judged_is_a_mistake, SIGABRT);
    tcase_add_test_raise_signal(tests, an_error_without_a_reason_is_a_mistake, SIGABRT);
    tcase_add_test_raise_signal(tests, a_round_that_began_before_its_slot_is_a_mistake, SIGABRT);
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_there_is_no_report_and_no_reference);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
