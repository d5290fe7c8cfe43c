/* Everything that a sampler will certainly fill in is allocated here, so that running out of memory
 * costs a round before it has begun, and a round that was made can always be closed: the samples
 * stand ready as "never started". Addresses and evidence, whose number nobody knows yet, are the
 * sampler's to allocate (malloc family) and this module's to free. */
#include "sampling/round.h"

#include <assert.h>
#include <stdlib.h>

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
    free(round->evidence);
    config_unref(round->config);
    free(round);
}
