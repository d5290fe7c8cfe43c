/* Counting happens here and nowhere else, once, from a closed round, so that a sample cannot be
 * counted twice or forgotten by two places that each thought it was the other's. What must add up
 * is asserted on the finished report:
 *
 *   sum(codes) + sum(errors) == planned: the tally, over every sample;
 *   sum(reasons) == failed <= judged <= planned, and a sample that is not judged has no reason;
 *   the tallies of the addresses add up to the tally of the samples that have an address. A sample
 *   has none when the lookup failed or when it never had its turn; then no address is to blame.
 *
 * Percentiles are nearest rank (the smallest value with at least p % of all at or below it): always
 * a time that some sample really took. Medians of phases are the same with p = 50, each over the
 * samples that reached the phase's end, whatever became of them later. */
#include "report/report.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_times(const void *a, const void *b) {
    const nsec_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static nsec_t percentile(const nsec_t *sorted, unsigned n, unsigned percent) {
    size_t rank = ((size_t)n * percent + 99) / 100; /* from 1 */
    return sorted[rank - 1];
}

static void sum_up_latency(struct report *report, const struct round *round, nsec_t *scratch) {
    unsigned n = 0;
    nsec_t sum = 0; /* 2^63 ns is 292 years: no round has that many samples */
    for (unsigned i = 0; i < round->planned; i++) {
        if (outcome_is_status(round->samples[i].outcome)) {
            scratch[n] = round->samples[i].took;
            assert(scratch[n] >= 0);
            sum += scratch[n];
            n++;
        }
    }
    report->latency.n = n;
    if (n == 0) {
        return;
    }
    qsort(scratch, n, sizeof *scratch, compare_times);
    report->latency.min = scratch[0];
    report->latency.mean = sum / n;
    report->latency.p50 = percentile(scratch, n, 50);
    report->latency.p90 = percentile(scratch, n, 90);
    report->latency.p99 = n >= 100 ? percentile(scratch, n, 99) : NSEC_UNKNOWN;
    report->latency.max = scratch[n - 1];
}

static nsec_t phase_median(const struct round *round, unsigned phase, nsec_t *scratch) {
    unsigned n = 0;
    for (unsigned i = 0; i < round->planned; i++) {
        if (round->samples[i].phases[phase] != NSEC_UNKNOWN) {
            scratch[n++] = round->samples[i].phases[phase];
        }
    }
    if (n == 0) {
        return NSEC_UNKNOWN;
    }
    qsort(scratch, n, sizeof *scratch, compare_times);
    return percentile(scratch, n, 50);
}

/* 0 or -ENOMEM */
static int count_samples(struct report *report, const struct round *round) {
    for (unsigned i = 0; i < round->planned; i++) {
        const struct sample *sample = &round->samples[i];
        assert(sample->outcome != OUTCOME_NONE);
        assert(sample->reason < REASON_COUNT);
        int r = tally_add(&report->tally, sample->outcome, 1);
        if (r == 0 && sample->address != SAMPLE_NO_ADDRESS) {
            assert(sample->address < report->n_addresses);
            r = tally_add(&report->addresses[sample->address].tally, sample->outcome, 1);
        }
        if (r < 0) {
            return r;
        }
        bool failed = sample->reason != REASON_NONE;
        if (outcome_is_judged(sample->outcome)) {
            report->judged++;
            /* an error class never meets an expectation */
            assert(failed || outcome_is_status(sample->outcome));
        } else {
            assert(!failed);
        }
        if (failed) {
            report->failed++;
            report->reasons[sample->reason]++;
        }
    }
    return 0;
}

static void assert_sums(const struct report *report, const struct round *round) {
    assert(tally_sum(&report->tally) == report->planned);
    assert(report->failed <= report->judged && report->judged <= report->planned);
    unsigned reasons = 0;
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        reasons += report->reasons[i];
    }
    assert(reasons == report->failed && report->reasons[REASON_NONE] == 0);
    unsigned with_address = 0, by_address = 0;
    for (unsigned i = 0; i < round->planned; i++) {
        with_address += round->samples[i].address != SAMPLE_NO_ADDRESS;
    }
    for (size_t i = 0; i < report->n_addresses; i++) {
        by_address += tally_sum(&report->addresses[i].tally);
    }
    assert(by_address == with_address);
    (void)reasons;
    (void)with_address;
    (void)by_address;
}

static int copy_addresses(struct report *report, const struct round *round) {
    if (round->n_addresses == 0) {
        return 0;
    }
    report->addresses = calloc(round->n_addresses, sizeof *report->addresses);
    if (report->addresses == NULL) {
        return -1;
    }
    report->n_addresses = round->n_addresses;
    for (size_t i = 0; i < round->n_addresses; i++) {
        static_assert(sizeof report->addresses->text == sizeof round->addresses->text, "one size");
        memcpy(report->addresses[i].text, round->addresses[i].text,
               sizeof report->addresses[i].text);
        tally_init(&report->addresses[i].tally);
    }
    return 0;
}

static int copy_evidence(struct report *report, const struct round *round) {
    if (round->n_evidence == 0) {
        return 0;
    }
    report->evidence = calloc(round->n_evidence, sizeof *report->evidence);
    if (report->evidence == NULL) {
        return -1;
    }
    report->n_evidence = round->n_evidence;
    for (size_t i = 0; i < round->n_evidence; i++) {
        assert(round->evidence[i].sample < round->planned);
        const struct sample *sample = &round->samples[round->evidence[i].sample];
        struct report_evidence *evidence = &report->evidence[i];
        evidence->outcome = sample->outcome;
        evidence->at = sample->at;
        evidence->local_port = sample->local_port;
        if (sample->address != SAMPLE_NO_ADDRESS) {
            memcpy(evidence->address, round->addresses[sample->address].text,
                   sizeof evidence->address);
        }
        memcpy(evidence->words, round->evidence[i].words, sizeof evidence->words);
    }
    return 0;
}

static int sum_up_times(struct report *report, const struct round *round) {
    nsec_t *scratch = calloc(round->planned, sizeof *scratch);
    if (scratch == NULL) {
        return -1;
    }
    sum_up_latency(report, round, scratch);
    report->phases[PHASE_DNS] = round->dns_took;
    for (unsigned phase = PHASE_DNS + 1; phase < PHASE_COUNT; phase++) {
        report->phases[phase] = phase_median(round, phase, scratch);
    }
    free(scratch);
    return 0;
}

struct report *report_new(const struct round *round) {
    assert(round->due <= round->began && round->began <= round->ended);
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        return NULL;
    }
    report->config = config_ref(round->config);
    report->site = round->site;
    report->round = round->number;
    report->first = round->first;
    report->wall_began = round->wall_began;
    report->late = round->began - round->due;
    report->took = round->ended - round->began;
    report->skipped = round->skipped;
    report->planned = round->planned;
    report->left_out_ipv4 = round->left_out_ipv4;
    report->left_out_ipv6 = round->left_out_ipv6;
    tally_init(&report->tally);
    if (copy_addresses(report, round) < 0 || count_samples(report, round) < 0 ||
        copy_evidence(report, round) < 0 || sum_up_times(report, round) < 0) {
        report_free(report);
        return NULL;
    }
    assert_sums(report, round);
    return report;
}

void report_free(struct report *report) {
    if (report == NULL) {
        return;
    }
    tally_clear(&report->tally);
    for (size_t i = 0; i < report->n_addresses; i++) {
        tally_clear(&report->addresses[i].tally);
    }
    free(report->addresses);
    free(report->evidence);
    config_unref(report->config);
    free(report);
}
