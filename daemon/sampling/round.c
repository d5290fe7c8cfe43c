/* Everything that a sampler will certainly fill in is allocated here, so that running out of memory
 * costs a round before it has begun, and a round that was made can always be closed: the samples
 * stand ready as "never started". Addresses and evidence, whose number nobody knows yet, are the
 * sampler's to allocate (malloc family) and this module's to free.
 *
 * Backends are told apart by a search of all that are known: usually a handful. A server that names
 * itself anew in each answer (a request's number in that header) would make it a search of
 * thousands, so that from ROUND_BACKENDS_MOST on those who come new share one entry. */
#include "sampling/round.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sample_init(struct sample *sample) {
    *sample = (struct sample){
        .outcome = OUTCOME_NONE,
        .reason = REASON_NONE,
        .address = SAMPLE_NO_ADDRESS,
        .backend = SAMPLE_NO_BACKEND,
        .at = NSEC_UNKNOWN,
        .took = NSEC_UNKNOWN,
    };
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        sample->phases[i] = NSEC_UNKNOWN;
    }
}

struct round *round_new(struct config *config, const struct site *site) {
    assert(site->samples > 0);
    struct round *round = calloc(1, sizeof *round);
    if (round == NULL) {
        return NULL;
    }
    round->config = config_ref(config);
    round->site = site;
    round->dns_took = NSEC_UNKNOWN;
    round->wall_certificate_ends = NSEC_UNKNOWN;
    round->planned = site->samples;
    round->samples = calloc(round->planned, sizeof *round->samples);
    if (round->samples == NULL) {
        round_free(round);
        return NULL;
    }
    for (unsigned i = 0; i < round->planned; i++) {
        sample_init(&round->samples[i]);
    }
    return round;
}

void round_free(struct round *round) {
    if (round == NULL) {
        return;
    }
    assert(round->run == NULL);
    free(round->addresses);
    free(round->samples);
    free(round->backends);
    free(round->evidence);
    config_unref(round->config);
    free(round);
}

int round_plan_addresses(struct round *round) {
    size_t n = round->n_addresses;
    if (round->site->addresses != ADDRESSES_EACH || n < 2) {
        return 0;
    }
    unsigned samples = round->site->samples;
    if (n > ROUND_PLANNED_MOST / samples) {
        return -E2BIG;
    }
    unsigned planned = samples * (unsigned)n;
    struct sample *more = reallocarray(round->samples, planned, sizeof *more);
    if (more == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = round->planned; i < planned; i++) {
        sample_init(&more[i]);
    }
    round->samples = more;
    round->planned = planned;
    return 0;
}

uint16_t round_find_backend(struct round *round, const char *name) {
    static_assert(ROUND_BACKENDS_MOST < SAMPLE_NO_BACKEND, "an index for each");
    if (*name == '\0') {
        return SAMPLE_NO_BACKEND;
    }
    for (size_t i = 0; i < round->n_backends; i++) {
        if (strcmp(round->backends[i].name, name) == 0) {
            return (uint16_t)i;
        }
    }
    if (round->n_backends == ROUND_BACKENDS_MOST) {
        return ROUND_BACKENDS_MOST - 1;
    }
    struct round_backend *more = reallocarray(round->backends, round->n_backends + 1, sizeof *more);
    if (more == NULL) {
        return SAMPLE_NO_BACKEND;
    }
    round->backends = more;
    bool last = round->n_backends == ROUND_BACKENDS_MOST - 1; /* shared from now on */
    snprintf(more[round->n_backends].name, sizeof more->name, "%s", last ? "" : name);
    return (uint16_t)round->n_backends++;
}
