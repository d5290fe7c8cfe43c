/* A record: what is on its way to the sinks. The writer owns it from writer_post() on. */
#pragma once

#include "base/loop.h"
#include "report/change.h"
#include "report/report.h"

enum record_kind {
    RECORD_REPORT,
    RECORD_EVENT,
    RECORD_TROUBLE,
};

/* A change of a site's state. */
struct event_record {
    struct config *config; /* a reference */
    const struct site *site;
    struct change change; /* its sentence already safe */
};

/* That this machine cannot see its sites, or can again: an event without a site. */
struct trouble_record {
    nsec_t wall_time;
    bool before, after; /* in trouble */
    enum trouble trouble;
    char why[200]; /* a sentence, already safe */
};

struct record {
    struct mail mail;
    enum record_kind kind;
    unsigned refs;                 /* the writer's: one a sink that still has it queued */
    struct report *report;         /* RECORD_REPORT; owned */
    struct event_record event;     /* RECORD_EVENT */
    struct trouble_record trouble; /* RECORD_TROUBLE */
    /* Records that the control loop had to drop before this one, because the writer was stuck, by
     * the widest `only` that would have shown them: [SINK_ONLY_ALL] counts all. */
    uint64_t missed[SINK_ONLY_CHANGES + 1];
};

struct record *record_new_report(struct report *report); /* takes it over, also on failure: NULL */
struct record *record_new_event(struct config *config, const struct site *site,
                                const struct change *change);
struct record *record_new_trouble(const struct trouble_change *change, nsec_t wall_time,
                                  const char *why);
void record_free(struct record *record);

/* Changes rather than reports: formats without places have no line for them. */
bool record_is_event(const struct record *record);
/* Whether a sink with that filter shows the record. */
bool record_matches(const struct record *record, enum sink_only only);
