/* What the API says is made into what it was, so that there is one way to show it. What is not there, or
 * is unknown to us because the daemon is of another version, is left out. So is what is far more than a
 * daemon tells, for what answers may be none, and samples are compared with each other. */
#include "ask_evidence.h"

#include "base/text.h"
#include "output/format.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES_MOST = 1000 }; /* a daemon of this version tells of ROUND_EVIDENCE_MOST */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* Of more than has room there, whole characters. */
static void copy_text(const json_t *object, const char *key, char *ret_text, size_t size) {
    const char *text = text_of(object, key);
    text_escape(text, strlen(text), ret_text, size);
}

static nsec_t time_of(const json_t *object, const char *key) {
    const json_t *ms = json_object_get(object, key);
    return json_is_number(ms) ? (nsec_t)llround(json_number_value(ms) * NSEC_PER_MSEC)
                              : NSEC_UNKNOWN;
}

/* OUTCOME_NONE: unknown */
static outcome_t outcome_of(const char *name) {
    for (outcome_t i = OUTCOME_NONE + 1; i < OUTCOME_CLASSES; i++) {
        if (strcmp(name, outcome_class_name(i)) == 0) {
            return i;
        }
    }
    unsigned long code = strtoul(name, NULL, 10);
    return code >= OUTCOME_STATUS_MIN && code <= OUTCOME_STATUS_MAX ? (outcome_t)code
                                                                    : OUTCOME_NONE;
}

static enum reason reason_of(const char *name) {
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        if (strcmp(name, reason_name((enum reason)i)) == 0) {
            return (enum reason)i;
        }
    }
    return REASON_NONE;
}

/* 0 or -ENOMEM */
static int read_one(const json_t *item, struct report_evidence *evidence) {
    evidence->reason = reason_of(text_of(item, "reason"));
    evidence->at = time_of(item, "at_ms");
    evidence->took = time_of(item, "took_ms");
    evidence->local_port = (uint16_t)json_integer_value(json_object_get(item, "local_port"));
    const json_t *phases = json_object_get(item, "phases_ms");
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        evidence->phases[i] = time_of(phases, phase_name((enum phase)i));
    }
    copy_text(item, "address", evidence->address, sizeof evidence->address);
    copy_text(item, "backend", evidence->backend, sizeof evidence->backend);
    copy_text(item, "words", evidence->words, sizeof evidence->words);
    const char *curl = json_string_value(json_object_get(item, "curl"));
    evidence->curl = curl != NULL ? strdup(curl) : NULL;
    return curl != NULL && evidence->curl == NULL ? -ENOMEM : 0;
}

int ask_evidence_print(const json_t *report, FILE *to) {
    const json_t *list = json_object_get(report, "evidence");
    size_t told = json_array_size(list), most = told < SAMPLES_MOST ? told : SAMPLES_MOST, n = 0;
    struct report_evidence *evidence = calloc(most + 1, sizeof *evidence);
    int r = evidence == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < most && r == 0; i++) {
        const json_t *item = json_array_get(list, i);
        outcome_t outcome = outcome_of(text_of(item, "outcome"));
        if (outcome != OUTCOME_NONE) {
            evidence[n].outcome = outcome;
            r = read_one(item, &evidence[n++]);
        }
    }
    if (r == 0) {
        r = format_evidence(evidence, n, to);
    }
    for (size_t i = 0; i < n; i++) {
        free(evidence[i].curl);
    }
    free(evidence);
    return r;
}
