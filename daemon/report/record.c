/* A record is made on the control loop, moves to the writer's with writer_post() and is shared
 * there by the queues of the sinks, on that one thread: `refs` needs no atomics. */
#include "report/record.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static struct record *record_new(enum record_kind kind) {
    struct record *record = calloc(1, sizeof *record);
    if (record != NULL) {
        record->kind = kind;
        record->refs = 1;
    }
    return record;
}

struct record *record_new_report(struct report *report) {
    struct record *record = record_new(RECORD_REPORT);
    if (record == NULL) {
        report_free(report);
        return NULL;
    }
    record->report = report;
    return record;
}

struct record *record_new_event(struct config *config, const struct site *site,
                                const struct change *change) {
    struct record *record = record_new(RECORD_EVENT);
    if (record == NULL) {
        return NULL;
    }
    record->event.config = config_ref(config);
    record->event.site = site;
    record->event.change = *change;
    text_escape(change->why, strlen(change->why), record->event.change.why,
                sizeof record->event.change.why);
    return record;
}

struct record *record_new_trouble(const struct trouble_change *change, nsec_t wall_time,
                                  const char *why) {
    struct record *record = record_new(RECORD_TROUBLE);
    if (record == NULL) {
        return NULL;
    }
    record->trouble.wall_time = wall_time;
    record->trouble.before = change->before;
    record->trouble.after = change->after;
    record->trouble.trouble = change->trouble;
    text_escape(why, strlen(why), record->trouble.why, sizeof record->trouble.why);
    return record;
}

void record_free(struct record *record) {
    if (record == NULL) {
        return;
    }
    report_free(record->report);
    config_unref(record->event.config);
    free(record);
}

bool record_is_event(const struct record *record) {
    return record->kind != RECORD_REPORT;
}

bool record_matches(const struct record *record, enum sink_only only) {
    if (record_is_event(record)) {
        return true;
    }
    const struct report *report = record->report;
    switch (only) {
    case SINK_ONLY_ALL:
        return true;
    case SINK_ONLY_FAILED:
        return report->failed > 0;
    case SINK_ONLY_CHANGES:
        return report->has_verdict && verdict_is_change(&report->verdict);
    }
    return true;
}
