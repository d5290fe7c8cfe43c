/* The round has chosen the samples and kept their words; here they get all that is known of them, and
 * the command line that repeats the request. Those lines are the bulk of a record, and bounded in
 * all: a log's reader may rely on records far below a MiB. */
#include "report/evidence.h"

#include "report/curl_line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CURL_BYTES_MOST = 256 << 10 }; /* of all lines of a report */

static void copy_names(const struct round *round, const struct sample *sample,
                       struct report_evidence *evidence) {
    static_assert(sizeof evidence->address == sizeof round->addresses->text, "one size");
    static_assert(sizeof evidence->backend == sizeof round->backends->name, "one size");
    if (sample->address != SAMPLE_NO_ADDRESS) {
        memcpy(evidence->address, round->addresses[sample->address].text, sizeof evidence->address);
    }
    if (sample->backend != SAMPLE_NO_BACKEND) {
        memcpy(evidence->backend, round->backends[sample->backend].name, sizeof evidence->backend);
    }
}

int evidence_copy(struct report *report, const struct round *round) {
    if (round->n_evidence == 0) {
        return 0;
    }
    report->evidence = calloc(round->n_evidence, sizeof *report->evidence);
    if (report->evidence == NULL) {
        return -ENOMEM;
    }
    report->n_evidence = round->n_evidence;
    size_t room = CURL_BYTES_MOST;
    for (size_t i = 0; i < round->n_evidence; i++) {
        assert(round->evidence[i].sample < round->planned);
        const struct sample *sample = &round->samples[round->evidence[i].sample];
        struct report_evidence *evidence = &report->evidence[i];
        evidence->outcome = sample->outcome;
        evidence->reason = sample->reason;
        evidence->at = sample->at;
        evidence->took = sample->took;
        memcpy(evidence->phases, sample->phases, sizeof evidence->phases);
        evidence->local_port = sample->local_port;
        memcpy(evidence->words, round->evidence[i].words, sizeof evidence->words);
        copy_names(round, sample, evidence);
        if (*evidence->address == '\0') {
            continue;
        }
        int r = curl_line(round->config, round->site, evidence->address, room, &evidence->curl);
        if (r == -ENOMEM) {
            return r;
        }
        room -= r == 0 ? strlen(evidence->curl) : 0;
    }
    return 0;
}

void evidence_free(struct report_evidence *evidence, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(evidence[i].curl);
    }
    free(evidence);
}
