/* One object a line, for programs. jansson builds and writes it: it keeps the order in which keys
 * were set, and refuses strings that are not valid UTF-8, which text_escape() has made sure of.
 *
 * Times are milliseconds with microsecond digits. A double that is the nearest to a decimal of at
 * most 15 digits prints as that decimal with 15 digits, so values are rounded first and then
 * written with that precision: 812.102, not 812.10199999999998.
 *
 * Absent means not known, or nothing to tell: `labels`, `addresses`, `appeared`, `gone`, `backends`,
 * `phases_ms` and `evidence` are never empty. Backends beyond those that are told one by one have a
 * key beside the others and not among them, where a server might call itself so. Beyond the fields
 * that every report has, "first":true marks the extra first round of a site with a long interval,
 * "ours" says why nothing of a round is judged, and "left_out" names the address families that this
 * machine has no route for. */
#include "output/format.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* An object under construction; one failed step fails it, and the rest does nothing. */
struct builder {
    json_t *object;
    bool failed; /* out of memory */
};

static struct builder build(void) {
    json_t *object = json_object();
    return (struct builder){.object = object, .failed = object == NULL};
}

/* Takes `value` over; NULL is a failure to make it. */
static void set(struct builder *builder, const char *key, json_t *value) {
    if (json_object_set_new(builder->object, key, value) != 0) {
        builder->failed = true;
    }
}

static void set_object(struct builder *builder, const char *key, struct builder value) {
    builder->failed = builder->failed || value.failed;
    set(builder, key, value.object);
}

static json_t *string_of(const char *text) {
    char *safe = format_escape(text);
    json_t *string = safe == NULL ? NULL : json_string(safe);
    free(safe);
    return string;
}

static void set_string(struct builder *builder, const char *key, const char *text) {
    set(builder, key, string_of(text));
}

static void set_integer(struct builder *builder, const char *key, uint64_t value) {
    set(builder, key, json_integer((json_int_t)value));
}

/* A ratio, to a thousandth. */
static void set_ratio(struct builder *builder, const char *key, double value) {
    set(builder, key, json_real((double)(int)(value * 1000 + 0.5) / 1000));
}

static void set_duration(struct builder *builder, const char *key, nsec_t duration) {
    if (duration >= 0) {
        nsec_t usec = (duration + NSEC_PER_USEC / 2) / NSEC_PER_USEC;
        set(builder, key, json_real((double)usec / 1000));
    }
}

static void set_time(struct builder *builder, const char *key, nsec_t wall_time) {
    char time[FORMAT_TIME_BYTES];
    format_time(wall_time, time);
    set(builder, key, json_string(time));
}

/* What every record begins with. */
static struct builder build_record(const char *kind, nsec_t wall_time,
                                   const struct format_place *place) {
    struct builder record = build();
    set_integer(&record, "v", 1);
    set(&record, "record", json_string(kind));
    if (place != NULL) {
        set_string(&record, "boot", place->boot);
        set_integer(&record, "seq", place->seq);
    }
    set_time(&record, "time", wall_time);
    return record;
}

/* Writes and frees the record. */
static int finish(struct builder *record, FILE *to) {
    int r = 0;
    if (record->failed ||
        (json_dumpf(record->object, to, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0 &&
         !ferror(to))) {
        r = -ENOMEM;
    }
    fputc('\n', to);
    json_decref(record->object);
    return r;
}

static void set_tally(struct builder *to, const struct tally *tally) {
    struct builder codes = build(), errors = build();
    for (size_t i = 0; i < tally->n; i++) {
        const struct tally_row *row = &tally->rows[i];
        if (outcome_is_status(row->outcome)) {
            char code[8];
            snprintf(code, sizeof code, "%u", (unsigned)row->outcome);
            set_integer(&codes, code, row->count);
        } else {
            set_integer(&errors, outcome_class_name(row->outcome), row->count);
        }
    }
    set_object(to, "codes", codes);
    set_object(to, "errors", errors);
}

static void set_labels(struct builder *record, const struct site *site) {
    if (site->n_labels == 0) {
        return;
    }
    struct builder labels = build();
    for (size_t i = 0; i < site->n_labels; i++) {
        char *name = format_escape(site->labels[i].name);
        if (name == NULL) {
            labels.failed = true;
            break;
        }
        set_string(&labels, name, site->labels[i].value);
        free(name);
    }
    set_object(record, "labels", labels);
}

static void set_counts(struct builder *record, const struct report *report) {
    set_integer(record, "planned", report->planned);
    set_integer(record, "judged", report->judged);
    set_tally(record, &report->tally);
    set_integer(record, "failed", report->failed);
    struct builder reasons = build();
    for (unsigned i = REASON_COUNT - 1; i > REASON_NONE; i--) {
        if (report->reasons[i] > 0) {
            set_integer(&reasons, reason_name((enum reason)i), report->reasons[i]);
        }
    }
    set_object(record, "reasons", reasons);
    if (report->site->connection == CONNECTION_REUSE) {
        set_integer(record, "repeated", report->repeated);
    }
}

static void set_phases(struct builder *to, const nsec_t durations[PHASE_COUNT]) {
    struct builder phases = build();
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        set_duration(&phases, phase_name((enum phase)i), durations[i]);
    }
    if (!phases.failed && json_object_size(phases.object) == 0) {
        json_decref(phases.object);
    } else {
        set_object(to, "phases_ms", phases);
    }
}

static void set_times(struct builder *record, const struct report *report) {
    set_duration(record, "late_ms", report->late);
    set_integer(record, "skipped", report->skipped);
    set_duration(record, "took_ms", report->took);
    if (report->latency.n > 0) {
        struct builder latency = build();
        set_duration(&latency, "min", report->latency.min);
        set_duration(&latency, "mean", report->latency.mean);
        set_duration(&latency, "p50", report->latency.p50);
        set_duration(&latency, "p90", report->latency.p90);
        set_duration(&latency, "p99", report->latency.p99);
        set_duration(&latency, "max", report->latency.max);
        set_object(record, "latency_ms", latency);
    }
    set_phases(record, report->phases);
}

/* What came from one address or backend; `failed` is NULL where its outcomes tell. */
static void set_row(struct builder *to, const char *name, const struct tally *tally,
                    const unsigned *failed, nsec_t p50) {
    char *key = format_escape(name);
    if (key == NULL) {
        to->failed = true;
        return;
    }
    struct builder row = build();
    set_tally(&row, tally);
    if (failed != NULL) {
        set_integer(&row, "failed", *failed);
    }
    set_duration(&row, "p50_ms", p50);
    set_object(to, key, row);
    free(key);
}

static void set_texts(struct builder *record, const char *key, char (*texts)[INET6_ADDRSTRLEN],
                      size_t n) {
    if (n == 0) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(list, json_string(texts[i])) != 0) {
            record->failed = true;
        }
    }
    set(record, key, list);
}

static void set_addresses(struct builder *record, const struct report *report) {
    bool tell = report_outcomes_tell(report);
    if (report->n_addresses > 1) {
        struct builder addresses = build();
        for (size_t i = 0; i < report->n_addresses; i++) {
            const struct report_address *address = &report->addresses[i];
            set_row(&addresses, address->text, &address->tally, tell ? NULL : &address->failed,
                    address->p50);
        }
        set_object(record, "addresses", addresses);
    }
    set_texts(record, "appeared", report->appeared, report->n_appeared);
    set_texts(record, "gone", report->gone, report->n_gone);
    if (report->left_out_ipv4 || report->left_out_ipv6) {
        json_t *families = json_array();
        if ((report->left_out_ipv4 && json_array_append_new(families, json_string("ipv4")) != 0) ||
            (report->left_out_ipv6 && json_array_append_new(families, json_string("ipv6")) != 0)) {
            record->failed = true;
        }
        set(record, "left_out", families);
    }
}

static void set_backends(struct builder *record, const struct report *report) {
    bool tell = report_outcomes_tell(report);
    if (report->n_backends > 0) {
        struct builder backends = build();
        for (size_t i = 0; i < report->n_backends; i++) {
            const struct report_backend *backend = &report->backends[i];
            set_row(&backends, backend->name, &backend->tally, tell ? NULL : &backend->failed,
                    backend->p50);
        }
        set_object(record, "backends", backends);
    }
    if (report->other_backends.n > 0) {
        set_row(record, "other_backends", &report->other_backends,
                tell ? NULL : &report->other_backends_failed, report->other_backends_p50);
    }
}

static void set_verdict(struct builder *record, const struct verdict_result *verdict) {
    set(record, "state", json_string(state_name(verdict->to)));
    set_ratio(record, "level", verdict->level);
    struct builder window = build();
    set_integer(&window, "samples", verdict->window_samples);
    set_integer(&window, "failed", verdict->window_failed);
    set_ratio(&window, "low", verdict->window_low);
    set_ratio(&window, "high", verdict->window_high);
    set_object(record, "window", window);
}

static struct builder build_evidence(const struct report_evidence *evidence) {
    struct builder item = build();
    char outcome[FORMAT_OUTCOME_BYTES];
    set(&item, "outcome", json_string(format_outcome(evidence->outcome, outcome)));
    if (evidence->reason != REASON_NONE) {
        set(&item, "reason", json_string(reason_name(evidence->reason)));
    }
    if (*evidence->address != '\0') {
        set_string(&item, "address", evidence->address);
    }
    if (*evidence->backend != '\0') {
        set_string(&item, "backend", evidence->backend);
    }
    set_duration(&item, "at_ms", evidence->at);
    set_duration(&item, "took_ms", evidence->took);
    set_phases(&item, evidence->phases);
    if (evidence->local_port != 0) {
        set_integer(&item, "local_port", evidence->local_port);
    }
    if (*evidence->words != '\0') {
        set_string(&item, "words", evidence->words);
    }
    if (evidence->curl != NULL) {
        set_string(&item, "curl", evidence->curl);
    }
    return item;
}

static void set_evidence(struct builder *record, const struct report *report) {
    if (report->n_evidence == 0) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < report->n_evidence; i++) {
        struct builder item = build_evidence(&report->evidence[i]);
        record->failed = record->failed || item.failed;
        if (json_array_append_new(list, item.object) != 0) {
            record->failed = true;
        }
    }
    set(record, "evidence", list);
}

static int json_report(const struct report *report, const struct format_place *place, FILE *to) {
    struct builder record = build_record("report", report->wall_began, place);
    set_string(&record, "site", report->site->name);
    set_string(&record, "url", report->site->url_given);
    set_labels(&record, report->site);
    set_integer(&record, "round", report->round);
    if (report->first) {
        set(&record, "first", json_true());
    }
    if (report->ours != TROUBLE_NONE) {
        set(&record, "ours", json_string(trouble_name(report->ours)));
    }
    set_counts(&record, report);
    set_times(&record, report);
    set_addresses(&record, report);
    set_backends(&record, report);
    if (place != NULL && report->has_verdict) {
        set_verdict(&record, &report->verdict);
    }
    set_evidence(&record, report);
    return finish(&record, to);
}

static int json_event(const struct event_record *event, const struct format_place *place,
                      FILE *to) {
    const struct change *change = &event->change;
    struct builder record = build_record("event", change->wall_time, place);
    set_string(&record, "site", event->site->name);
    set_string(&record, "url", event->site->url_given);
    set_labels(&record, event->site);
    if (change->round > 0) {
        set_integer(&record, "round", change->round);
    }
    set(&record, "from", json_string(state_name(change->from)));
    set(&record, "to", json_string(state_name(change->to)));
    if (change->wall_since != NSEC_UNKNOWN) {
        set_time(&record, "since", change->wall_since);
    }
    set_string(&record, "why", change->why);
    return finish(&record, to);
}

static int json_trouble(const struct trouble_record *trouble, const struct format_place *place,
                        FILE *to) {
    struct builder record = build_record("event", trouble->wall_time, place);
    set(&record, "from", json_string(format_health(trouble->before)));
    set(&record, "to", json_string(format_health(trouble->after)));
    set(&record, "ours", json_string(trouble_name(trouble->trouble)));
    set_string(&record, "why", trouble->why);
    return finish(&record, to);
}

static int json_loss(const struct format_loss *loss, const struct format_place *place, FILE *to) {
    struct builder record = build_record("lost", loss->wall_time, place);
    if (loss->count > 0) {
        set_integer(&record, "from_seq", loss->from_seq);
        set_integer(&record, "to_seq", loss->to_seq);
        set_integer(&record, "count", loss->count);
    }
    set_string(&record, "why", loss->why);
    return finish(&record, to);
}

static bool json_resembles(const char *line, size_t n) {
    /* not the kind: a repair that was torn itself leaves the beginning of one over another */
    static const char beginning[] = "{\"v\":1,\"record\":\"";
    size_t length = sizeof beginning - 1;
    return memcmp(line, beginning, n < length ? n : length) == 0;
}

const struct format format_json = {
    .name = "json",
    .has_places = true,
    .report = json_report,
    .event = json_event,
    .trouble = json_trouble,
    .loss = json_loss,
    .resembles = json_resembles,
};
