/* Counting happens here and nowhere else, once, from a closed round, so that a sample cannot be
 * counted twice or forgotten by two places that each thought it was the other's. What must add up
 * is asserted on the finished report:
 *
 *   sum(codes) + sum(errors) == planned: the tally, over every sample;
 *   sum(reasons) == failed <= judged <= planned, and a sample that is not judged has no reason (so has
 *   none of a round that is ours as a whole);
 *   the tallies of the addresses add up to the tally of the samples that have an address. A sample
 *   has none when the lookup failed or when it never had its turn; then no address is to blame;
 *   the tallies of the backends, and that of the others, add up to the tally of the samples that
 *   name one.
 *
 * Percentiles are nearest rank (the smallest value with at least p % of all at or below it): always
 * a time that some sample really took. Medians of phases are the same with p = 50, each over the
 * samples that reached the phase's end, whatever became of them later.
 *
 * Sums and buckets beside them can be added up over rounds, which percentiles cannot. */
#include "report/report.h"

#include "report/evidence.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const nsec_t report_latency_bounds[REPORT_LATENCY_BOUNDS] = {
    5 * NSEC_PER_MSEC,    10 * NSEC_PER_MSEC,  25 * NSEC_PER_MSEC,  50 * NSEC_PER_MSEC,
    100 * NSEC_PER_MSEC,  250 * NSEC_PER_MSEC, 500 * NSEC_PER_MSEC, 1 * NSEC_PER_SEC,
    2500 * NSEC_PER_MSEC, 5 * NSEC_PER_SEC,    10 * NSEC_PER_SEC,
};

/* ---- times ---- */

/* How long a sample took that belongs to some group: an address, a backend, or all together. */
struct timed {
    size_t group;
    nsec_t took;
};

static int compare_times(const void *a, const void *b) {
    const struct timed *x = a, *y = b;
    if (x->group != y->group) {
        return x->group > y->group ? 1 : -1;
    }
    return (x->took > y->took) - (x->took < y->took);
}

static void sort_times(struct timed *times, unsigned n) {
    qsort(times, n, sizeof *times, compare_times);
}

/* Only a sample with a status has a time that means something. */
static bool keep_time(struct timed *ret_time, const struct sample *sample, size_t group) {
    if (!outcome_is_status(sample->outcome)) {
        return false;
    }
    assert(sample->took >= 0);
    *ret_time = (struct timed){.group = group, .took = sample->took};
    return true;
}

static nsec_t percentile(const struct timed *sorted, unsigned n, unsigned percent) {
    size_t rank = ((size_t)n * percent + 99) / 100; /* from 1 */
    return sorted[rank - 1].took;
}

/* Of one group among sorted times, NSEC_UNKNOWN where it has none. */
static nsec_t median_of(const struct timed *sorted, unsigned n, size_t group) {
    unsigned low = 0, high = n; /* the first of the group */
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (sorted[middle].group < group) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    unsigned end = low;
    while (end < n && sorted[end].group == group) {
        end++;
    }
    return end > low ? percentile(sorted + low, end - low, 50) : NSEC_UNKNOWN;
}

static void count_buckets(struct report_latency *latency, const struct timed *sorted) {
    unsigned bucket = 0;
    for (unsigned i = 0; i < latency->n; i++) {
        while (bucket < REPORT_LATENCY_BOUNDS && sorted[i].took > report_latency_bounds[bucket]) {
            bucket++;
        }
        latency->buckets[bucket]++;
    }
}

static void sum_up_latency(struct report *report, const struct round *round,
                           struct timed *scratch) {
    unsigned n = 0;
    nsec_t sum = 0; /* 2^63 ns is 292 years: no round has that many samples */
    for (unsigned i = 0; i < round->planned; i++) {
        if (keep_time(&scratch[n], &round->samples[i], 0)) {
            sum += scratch[n++].took;
        }
    }
    report->latency.n = n;
    if (n == 0) {
        return;
    }
    sort_times(scratch, n);
    report->latency.min = scratch[0].took;
    report->latency.sum = sum;
    report->latency.mean = sum / n;
    report->latency.p50 = percentile(scratch, n, 50);
    report->latency.p90 = percentile(scratch, n, 90);
    report->latency.p99 = n >= 100 ? percentile(scratch, n, 99) : NSEC_UNKNOWN;
    report->latency.max = scratch[n - 1].took;
    count_buckets(&report->latency, scratch);
}

static void sum_up_phase(struct report *report, const struct round *round, unsigned phase,
                         struct timed *scratch) {
    struct report_phase *sums = &report->phase_sums[phase];
    for (unsigned i = 0; i < round->planned; i++) {
        nsec_t took = round->samples[i].phases[phase];
        if (took != NSEC_UNKNOWN) {
            sums->sum += took;
            scratch[sums->n++] = (struct timed){.took = took};
        }
    }
    sort_times(scratch, sums->n);
    report->phases[phase] = median_of(scratch, sums->n, 0);
}

static void sum_up_addresses(struct report *report, const struct round *round,
                             struct timed *scratch) {
    unsigned n = 0;
    for (unsigned i = 0; i < round->planned; i++) {
        const struct sample *sample = &round->samples[i];
        n +=
            sample->address != SAMPLE_NO_ADDRESS && keep_time(&scratch[n], sample, sample->address);
    }
    sort_times(scratch, n);
    for (size_t i = 0; i < report->n_addresses; i++) {
        report->addresses[i].p50 = median_of(scratch, n, i);
    }
}

/* ---- counts ---- */

static int copy_addresses(struct report *report, const struct round *round) {
    if (round->n_addresses == 0) {
        return 0;
    }
    report->addresses = calloc(round->n_addresses, sizeof *report->addresses);
    if (report->addresses == NULL) {
        return -ENOMEM;
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
        report->repeated += sample->repeated;
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
            if (sample->address != SAMPLE_NO_ADDRESS) {
                report->addresses[sample->address].failed++;
            }
        }
    }
    return 0;
}

/* ---- backends ---- */

/* A backend of the round, on its way into the report. */
struct ranked {
    uint16_t index; /* the round's */
    unsigned count;
    const char *name;
};

/* The most frequent first; those that could not be told apart have no name of their own, and are
 * last. */
static int compare_ranks(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if ((*x->name == '\0') != (*y->name == '\0')) {
        return *x->name == '\0' ? 1 : -1;
    }
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static bool says_backend(const struct sample *sample) {
    return sample->backend != SAMPLE_NO_BACKEND;
}

/* Which place each of the round's backends has in the report: an index, or n_backends for the
 * others. 0 or -ENOMEM. */
static int rank_backends(struct report *report, const struct round *round, size_t *places) {
    struct ranked *ranks = calloc(round->n_backends, sizeof *ranks);
    if (ranks == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < round->n_backends; i++) {
        ranks[i] = (struct ranked){.index = (uint16_t)i, .name = round->backends[i].name};
    }
    for (unsigned i = 0; i < round->planned; i++) {
        if (says_backend(&round->samples[i])) {
            assert(round->samples[i].backend < round->n_backends);
            ranks[round->samples[i].backend].count++;
        }
    }
    qsort(ranks, round->n_backends, sizeof *ranks, compare_ranks);
    size_t n = round->n_backends < REPORT_BACKENDS_MOST ? round->n_backends : REPORT_BACKENDS_MOST;
    n -= *ranks[n - 1].name == '\0' ? 1 : 0;
    report->n_backends = n;
    for (size_t i = 0; i < round->n_backends; i++) {
        places[ranks[i].index] = i < n ? i : n;
        if (i < n) {
            static_assert(sizeof report->backends->name == sizeof round->backends->name,
                          "one size");
            memcpy(report->backends[i].name, ranks[i].name, sizeof report->backends[i].name);
        }
    }
    free(ranks);
    return 0;
}

/* 0 or -ENOMEM */
static int count_backends(struct report *report, const struct round *round, size_t *places,
                          struct timed *scratch) {
    int r = rank_backends(report, round, places);
    unsigned n = 0;
    for (unsigned i = 0; i < round->planned && r == 0; i++) {
        const struct sample *sample = &round->samples[i];
        if (!says_backend(sample)) {
            continue;
        }
        size_t place = places[sample->backend];
        r = tally_add(place < report->n_backends ? &report->backends[place].tally
                                                 : &report->other_backends,
                      sample->outcome, 1);
        unsigned failed = sample->reason != REASON_NONE;
        *(place < report->n_backends ? &report->backends[place].failed
                                     : &report->other_backends_failed) += failed;
        n += keep_time(&scratch[n], sample, place);
    }
    sort_times(scratch, n);
    for (size_t i = 0; i < report->n_backends; i++) {
        report->backends[i].p50 = median_of(scratch, n, i);
    }
    report->other_backends_p50 = median_of(scratch, n, report->n_backends);
    return r;
}

static int copy_backends(struct report *report, const struct round *round, struct timed *scratch) {
    report->other_backends_p50 = NSEC_UNKNOWN;
    if (round->n_backends == 0) {
        return 0;
    }
    size_t *places = calloc(round->n_backends, sizeof *places);
    report->backends = calloc(REPORT_BACKENDS_MOST, sizeof *report->backends);
    int r = places == NULL || report->backends == NULL
                ? -ENOMEM
                : count_backends(report, round, places, scratch);
    free(places);
    return r;
}

/* ---- all ---- */

static void assert_sums(const struct report *report, const struct round *round) {
    assert(tally_sum(&report->tally) == report->planned);
    assert(report->failed <= report->judged && report->judged <= report->planned);
    unsigned reasons = 0;
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        reasons += report->reasons[i];
    }
    assert(reasons == report->failed && report->reasons[REASON_NONE] == 0);
    unsigned with_address = 0, by_address = 0, with_backend = 0, failed = 0;
    for (unsigned i = 0; i < round->planned; i++) {
        with_address += round->samples[i].address != SAMPLE_NO_ADDRESS;
        with_backend += says_backend(&round->samples[i]);
    }
    for (size_t i = 0; i < report->n_addresses; i++) {
        by_address += tally_sum(&report->addresses[i].tally);
        failed += report->addresses[i].failed;
    }
    assert(by_address == with_address && failed <= report->failed);
    unsigned by_backend = tally_sum(&report->other_backends);
    for (size_t i = 0; i < report->n_backends; i++) {
        by_backend += tally_sum(&report->backends[i].tally);
    }
    assert(by_backend == with_backend);
    (void)reasons;
    (void)with_address;
    (void)by_address;
    (void)with_backend;
    (void)failed;
    (void)by_backend;
}

static void sum_up_times(struct report *report, const struct round *round, struct timed *scratch) {
    sum_up_latency(report, round, scratch);
    report->phases[PHASE_DNS] = round->dns_took; /* once, whatever redirects looked up */
    if (round->dns_took != NSEC_UNKNOWN) {
        report->phase_sums[PHASE_DNS] = (struct report_phase){.n = 1, .sum = round->dns_took};
    }
    for (unsigned phase = PHASE_DNS + 1; phase < PHASE_COUNT; phase++) {
        sum_up_phase(report, round, phase, scratch);
    }
}

/* Whatever needs memory. 0 or -ENOMEM. */
static int sum_up(struct report *report, const struct round *round) {
    struct timed *scratch = calloc(round->planned, sizeof *scratch);
    int r = scratch == NULL ? -ENOMEM : copy_addresses(report, round);
    if (r == 0) {
        r = count_samples(report, round);
    }
    if (r == 0) {
        sum_up_times(report, round, scratch);
        sum_up_addresses(report, round, scratch);
        r = copy_backends(report, round, scratch);
    }
    free(scratch);
    return r == 0 ? evidence_copy(report, round) : r;
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
    report->lookup_incomplete = round->lookup_incomplete;
    report->wall_certificate_ends = round->wall_certificate_ends;
    tally_init(&report->tally);
    if (sum_up(report, round) < 0) {
        report_free(report);
        return NULL;
    }
    assert_sums(report, round);
    return report;
}

bool report_outcomes_tell(const struct report *report) {
    return report->failed == report->reasons[REASON_STATUS] + report->reasons[REASON_ERROR];
}

struct report *report_ref(struct report *report) {
    atomic_fetch_add_explicit(&report->more_refs, 1, memory_order_relaxed);
    return report;
}

void report_disown(struct report *report, enum trouble trouble) {
    assert(trouble != TROUBLE_NONE && !report->has_verdict);
    report->ours = trouble;
    report->judged = report->failed = 0;
    memset(report->reasons, 0, sizeof report->reasons);
    for (size_t i = 0; i < report->n_addresses; i++) {
        report->addresses[i].failed = 0;
    }
    for (size_t i = 0; i < report->n_backends; i++) {
        report->backends[i].failed = 0;
    }
    report->other_backends_failed = 0;
    for (size_t i = 0; i < report->n_evidence; i++) {
        report->evidence[i].reason = REASON_NONE;
    }
}

void report_free(struct report *report) {
    if (report == NULL ||
        atomic_fetch_sub_explicit(&report->more_refs, 1, memory_order_acq_rel) > 0) {
        return;
    }
    tally_clear(&report->tally);
    for (size_t i = 0; i < report->n_addresses; i++) {
        tally_clear(&report->addresses[i].tally);
    }
    free(report->addresses);
    free(report->appeared);
    free(report->gone);
    for (size_t i = 0; i < report->n_backends; i++) {
        tally_clear(&report->backends[i].tally);
    }
    free(report->backends);
    tally_clear(&report->other_backends);
    evidence_free(report->evidence, report->n_evidence);
    config_unref(report->config);
    free(report);
}
