/* The list is written site by site, so that 10,000 of them are no text of megabytes at once; references
 * of the sites are held meanwhile. */
#include "output/api.h"

#include "output/format.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SITES_A_PIECE = 20 };
#define DUMP (JSON_COMPACT | JSON_REAL_PRECISION(15)) /* see json.c */

struct api_sites {
    nsec_t wall_now;
    size_t n, at;
    bool begun;
    struct board_site *sites[]; /* references */
};

/* ---- values ---- */

/* Takes `value` over; false: out of memory, also where it is NULL. */
static bool set(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0;
}

static json_t *text_of(const char *text) {
    char *safe = format_escape(text);
    json_t *value = safe != NULL ? json_string(safe) : NULL;
    free(safe);
    return value;
}

static json_t *time_of(nsec_t wall_time) {
    char text[FORMAT_TIME_BYTES];
    format_time(wall_time, text);
    return json_string(text);
}

static json_t *ratio_of(double ratio) {
    return json_real((double)(int)(ratio * 1000 + 0.5) / 1000);
}

static json_t *ms_of(nsec_t duration) {
    return json_real((double)((duration + NSEC_PER_USEC / 2) / NSEC_PER_USEC) / 1000);
}

/* Owns `object` on failure, which is then NULL. */
static json_t *whole(json_t *object, bool ok) {
    if (ok) {
        return object;
    }
    json_decref(object);
    return NULL;
}

static json_t *labels_of(const struct site *site) {
    json_t *labels = json_object();
    bool ok = labels != NULL;
    for (size_t i = 0; i < site->n_labels && ok; i++) {
        ok = set(labels, site->labels[i].name, text_of(site->labels[i].value));
    }
    return whole(labels, ok);
}

static json_t *codes_of(const struct tally *tally) {
    json_t *codes = json_object();
    bool ok = codes != NULL;
    for (size_t i = 0; i < tally->n && ok; i++) {
        char text[FORMAT_OUTCOME_BYTES];
        if (outcome_is_status(tally->rows[i].outcome)) {
            ok = set(codes, format_outcome(tally->rows[i].outcome, text),
                     json_integer(tally->rows[i].count));
        }
    }
    return whole(codes, ok);
}

static json_t *errors_of(const struct tally *tally) {
    json_t *errors = json_object();
    bool ok = errors != NULL;
    for (size_t i = 0; i < tally->n && ok; i++) {
        if (!outcome_is_status(tally->rows[i].outcome)) {
            ok = set(errors, outcome_class_name(tally->rows[i].outcome),
                     json_integer(tally->rows[i].count));
        }
    }
    return whole(errors, ok);
}

static json_t *reasons_of(const struct report *report) {
    json_t *reasons = json_object();
    bool ok = reasons != NULL;
    for (unsigned i = REASON_COUNT - 1; i > REASON_NONE && ok; i--) {
        if (report->reasons[i] > 0) {
            ok = set(reasons, reason_name((enum reason)i), json_integer(report->reasons[i]));
        }
    }
    return whole(reasons, ok);
}

static json_t *latency_of(const struct report_latency *latency) {
    json_t *object = json_object();
    bool ok = object != NULL && set(object, "min", ms_of(latency->min)) &&
              set(object, "mean", ms_of(latency->mean)) &&
              set(object, "p50", ms_of(latency->p50)) && set(object, "p90", ms_of(latency->p90)) &&
              (latency->p99 == NSEC_UNKNOWN || set(object, "p99", ms_of(latency->p99))) &&
              set(object, "max", ms_of(latency->max));
    return whole(object, ok);
}

static json_t *window_of(const struct verdict_result *verdict) {
    json_t *object = json_object();
    bool ok = object != NULL && set(object, "samples", json_integer(verdict->window_samples)) &&
              set(object, "failed", json_integer(verdict->window_failed)) &&
              set(object, "low", ratio_of(verdict->window_low)) &&
              set(object, "high", ratio_of(verdict->window_high));
    return whole(object, ok);
}

/* ---- a site ---- */

static bool set_last(json_t *object, const struct report *report) {
    return set(object, "round", json_integer((json_int_t)report->round)) &&
           set(object, "began", time_of(report->wall_began)) &&
           set(object, "planned", json_integer(report->planned)) &&
           set(object, "judged", json_integer(report->judged)) &&
           set(object, "codes", codes_of(&report->tally)) &&
           set(object, "errors", errors_of(&report->tally)) &&
           set(object, "failed", json_integer(report->failed)) &&
           set(object, "reasons", reasons_of(report)) &&
           (report->latency.n == 0 || set(object, "latency_ms", latency_of(&report->latency)));
}

static json_t *site_of(const struct board_site *known) {
    const struct site *site = known->site;
    const struct report *last = known->last;
    json_t *object = json_object();
    bool ok =
        object != NULL && set(object, "site", text_of(site->name)) &&
        set(object, "url", text_of(site->url_given)) &&
        (site->n_labels == 0 || set(object, "labels", labels_of(site))) &&
        set(object, "state", json_string(state_name(known->state.state))) &&
        (known->state.wall_since == NSEC_UNKNOWN ||
         set(object, "since", time_of(known->state.wall_since))) &&
        set(object, "level", ratio_of(known->state.level)) &&
        (last == NULL || !last->has_verdict || set(object, "window", window_of(&last->verdict))) &&
        (known->wall_certificate_ends == NSEC_UNKNOWN ||
         set(object, "certificate_ends", time_of(known->wall_certificate_ends))) &&
        (last == NULL || set_last(object, last));
    return whole(object, ok);
}

static json_t *round_of(const struct board_round *round) {
    json_t *object = json_object(), *outcomes = json_object();
    bool ok = object != NULL && outcomes != NULL;
    for (unsigned i = 0; i < round->n_rows && ok; i++) {
        char text[FORMAT_OUTCOME_BYTES];
        ok = set(outcomes, format_outcome(round->rows[i].outcome, text),
                 json_integer(round->rows[i].count));
    }
    ok = ok && set(object, "round", json_integer((json_int_t)round->number)) &&
         set(object, "began", time_of(round->wall_began)) &&
         set(object, "planned", json_integer(round->planned)) &&
         set(object, "judged", json_integer(round->judged)) &&
         set(object, "failed", json_integer(round->failed)) &&
         set(object, "state", json_string(state_name(round->state)));
    if (!ok) {
        json_decref(outcomes);
        return whole(object, false);
    }
    ok = set(object, "outcomes", outcomes) &&
         (round->others == 0 || set(object, "others", json_integer(round->others)));
    return whole(object, ok);
}

static json_t *rounds_of(const struct board_site *site) {
    json_t *list = json_array();
    bool ok = list != NULL;
    for (unsigned i = 0; i < site->n_rounds && ok; i++) {
        ok = json_array_append_new(list, round_of(board_round(site, i))) == 0;
    }
    return whole(list, ok);
}

/* The record as a log has it, but for its place there. */
static json_t *record_of(const struct report *report) {
    char *line = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&line, &n);
    if (to == NULL) {
        return NULL;
    }
    bool ok = format_json.report(report, NULL, to) == 0 && !ferror(to);
    ok = fclose(to) == 0 && ok;
    json_t *record = ok ? json_loadb(line, n, 0, NULL) : NULL;
    free(line);
    return record;
}

char *api_site(const struct board_site *site, nsec_t wall_now) {
    json_t *object = json_object();
    bool ok = object != NULL && set(object, "v", json_integer(1)) &&
              set(object, "time", time_of(wall_now)) && set(object, "site", site_of(site)) &&
              set(object, "rounds", rounds_of(site)) &&
              (site->last == NULL || set(object, "last", record_of(site->last)));
    char *text = ok ? json_dumps(object, DUMP) : NULL;
    json_decref(object);
    return text;
}

/* ---- all sites ---- */

struct api_sites *api_sites_new(const struct board *board, nsec_t wall_now) {
    size_t n = board_n_sites(board);
    struct api_sites *sites = calloc(1, sizeof *sites + n * sizeof(struct board_site *));
    if (sites == NULL) {
        return NULL;
    }
    sites->wall_now = wall_now;
    sites->n = n;
    for (size_t i = 0; i < n; i++) {
        sites->sites[i] = board_site_ref(board_at(board, i));
    }
    return sites;
}

void api_sites_free(struct api_sites *sites) {
    if (sites == NULL) {
        return;
    }
    for (size_t i = 0; i < sites->n; i++) {
        board_site_unref(sites->sites[i]);
    }
    free(sites);
}

bool api_sites_write(struct api_sites *sites, FILE *to) {
    if (!sites->begun) {
        char time[FORMAT_TIME_BYTES];
        format_time(sites->wall_now, time);
        fprintf(to, "{\"v\":1,\"time\":\"%s\",\"sites\":[", time);
        sites->begun = true;
    }
    for (unsigned i = 0; i < SITES_A_PIECE && sites->at < sites->n; i++) {
        json_t *site = site_of(sites->sites[sites->at]);
        fputs(sites->at++ > 0 ? "," : "", to);
        if (site == NULL || json_dumpf(site, to, DUMP) != 0) {
            fputs("null", to); /* out of memory: one that nobody takes for a site */
        }
        json_decref(site);
    }
    if (sites->at < sites->n) {
        return true;
    }
    fputs("]}\n", to);
    return false;
}
