/* The closed record of a round: counted, summed up, ready to be written. Made from a round by the
 * control loop; immutable from the moment it has its verdict, and shared by references from then on. Pure. */
#pragma once

#include "config/config.h"
#include "report/tally.h"
#include "report/trouble.h"
#include "report/verdict.h"
#include "sampling/round.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REPORT_LATENCY_BOUNDS 11
extern const nsec_t
    report_latency_bounds[REPORT_LATENCY_BOUNDS]; /* ascending; each is in its bucket */

struct report_latency {                   /* of the samples that got a status; nearest rank */
    unsigned n;                           /* 0: nothing else is set */
    nsec_t min, mean, p50, p90, p99, max; /* p99 is NSEC_UNKNOWN below 100 samples */
    nsec_t sum;
    unsigned
        buckets[REPORT_LATENCY_BOUNDS + 1]; /* samples up to each bound and over the one before;
                                                    the last: over all */
};

struct
    report_phase { /* of the samples that reached the phase's end, whatever became of them later */
    unsigned n;
    nsec_t sum;
};

struct report_address {
    char text[INET6_ADDRSTRLEN];
    struct tally tally;
    unsigned failed;
    nsec_t p50; /* of its samples with a status; NSEC_UNKNOWN: it had none */
};

#define REPORT_BACKENDS_MOST 32 /* the most frequent; the rest are counted together */

struct report_backend {
    char name[PROBE_BACKEND_BYTES];
    struct tally tally;
    unsigned failed;
    nsec_t p50; /* as above */
};

struct report_evidence {
    outcome_t outcome;
    enum reason reason;
    char address[INET6_ADDRSTRLEN];    /* empty: never had one */
    char backend[PROBE_BACKEND_BYTES]; /* empty: not known */
    nsec_t at;                         /* NSEC_UNKNOWN: never started */
    nsec_t took;
    nsec_t phases[PHASE_COUNT];
    uint16_t local_port; /* 0: not known */
    char words[ROUND_WORDS_BYTES];
    char *curl; /* a command line that repeats the request (curl_line.h); NULL: it never had an
                   address, or there is no such line */
};

struct report {
    atomic_uint more_refs; /* beyond the first */
    struct config *config; /* a reference */
    const struct site *site;
    uint64_t round;
    bool first;
    nsec_t wall_began;
    nsec_t late, took;
    uint64_t skipped;

    enum trouble ours; /* why nothing of it is judged: it says more of us than of the site */
    unsigned planned, judged, failed;
    struct tally tally;
    unsigned reasons[REASON_COUNT];
    struct report_latency latency;
    nsec_t phases[PHASE_COUNT]; /* medians; NSEC_UNKNOWN where no sample had one */
    struct report_phase phase_sums[PHASE_COUNT];
    nsec_t
        wall_certificate_ends; /* of all chains that servers sent, the certificate that ends first;
                                     NSEC_UNKNOWN: none was seen */
    struct report_address
        *addresses; /* in the order of the round's; every address, tallied or not */
    size_t n_addresses;
    bool left_out_ipv4, left_out_ipv6;
    bool lookup_incomplete; /* there may be more addresses */
    char (
        *appeared)[INET6_ADDRSTRLEN]; /* addresses that the site's last round did not have; whoever
                                           knows that round sets these two */
    size_t n_appeared;
    char (*gone)[INET6_ADDRSTRLEN]; /* those that it had and this one has not */
    size_t n_gone;
    struct report_backend
        *backends; /* by frequency, then name; those that did not say are in none */
    size_t n_backends;
    struct tally other_backends; /* those beyond REPORT_BACKENDS_MOST, together; empty: none */
    unsigned other_backends_failed;
    nsec_t other_backends_p50;
    unsigned repeated; /* requests that libcurl sent again by itself */
    struct report_evidence *evidence;
    size_t n_evidence;

    bool has_verdict; /* false in `tallyd sample` */
    struct verdict_result verdict;
};

/* Counts a closed round; `round` stays the caller's. Asserts that the numbers add up. NULL: out of
 * memory. */
struct report *report_new(const struct round *round);
struct report *report_ref(struct report *report); /* from any thread; returns its argument */
void report_free(struct report *report); /* a reference, from any thread; NULL does nothing */
/* Whether an outcome tells if a sample failed: none failed for more than its status or error. */
bool report_outcomes_tell(const struct report *report);
/* Its samples are ours: what they saw stays as it is, but none is judged, and none has failed. Before
 * the report leaves. */
void report_disown(struct report *report, enum trouble trouble);
