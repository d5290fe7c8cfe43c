/* A record: what is on its way to the sinks. The writer owns it from writer_post() on. */
#pragma once

#include "base/loop.h"
#include "report/change.h"
#include "report/report.h"

enum record_kind {
    RECORD_REPORT,
    RECORD_EVENT,
};

/* A change of a site's state. */
struct event_record {
    struct config *config; /* a reference */
    const struct site *site;
    struct change change; /* its sentence already safe */
};

struct record {
    struct mail mail;
    enum record_kind kind;
    unsigned refs;             /* the writer's: one a sink that still has it queued */
    struct report *report;     /* RECORD_REPORT; owned */
    struct event_record event; /* RECORD_EVENT */
    /* Records that the control loop had to drop before this one, because the writer was stuck, by
     * the widest `only` that would have shown them: [SINK_ONLY_ALL] counts all. */
    uint64_t missed[SINK_ONLY_CHANGES + 1];
};

struct record *record_new_report(struct report *report); /* takes it over, also on failure: NULL */
struct record *record_new_event(struct config *config, const struct site *site,
                                const struct change *change);
void record_free(struct record *record);

/* Whether a sink with that filter shows the record. */
bool record_matches(const struct record *record, enum sink_only only);
