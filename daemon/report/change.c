/* The sentence is for whoever is woken by it, and has no more than it: how many samples failed, what
 * most of them saw, and what follows from that. A 429 is the site's own word that we ask too much,
 * so what is to be changed is here and not there. Failures that all fell on one of several addresses
 * or backends are one server's, and its name is what the reader would look for next. */
#include "report/change.h"

#include "config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { TOO_MANY_REQUESTS = 429 };

/* The sentence as it grows; what has no room is left out. */
struct sentence {
    char *text;
    size_t n, size;
};

static void add(struct sentence *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct sentence *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(to->text + to->n, to->size - to->n, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= to->size - to->n) {
        to->text[to->n] = '\0';
    } else {
        to->n += (size_t)n;
    }
}

/* ---- what they saw ---- */

/* What most of the failed samples failed for: an outcome that tells by itself, or a reason. NULL:
 * none failed. *ret_outcome is OUTCOME_NONE for a reason. */
static const char *find_most(const struct report *report, char room[8], outcome_t *ret_outcome) {
    const char *name = NULL;
    unsigned most = 0;
    *ret_outcome = OUTCOME_NONE;
    for (size_t i = 0; i < report->tally.n; i++) {
        const struct tally_row *row = &report->tally.rows[i];
        bool met = outcome_is_status(row->outcome) &&
                   status_set_has(report->site->expect.status, row->outcome);
        if (met || !outcome_is_judged(row->outcome) || row->count <= most) {
            continue;
        }
        most = row->count;
        *ret_outcome = row->outcome;
    }
    if (outcome_is_status(*ret_outcome)) {
        snprintf(room, 8, "%u", *ret_outcome);
        name = room;
    } else if (*ret_outcome != OUTCOME_NONE) {
        name = outcome_class_name(*ret_outcome);
    }
    for (unsigned i = REASON_STATUS + 1; i < REASON_COUNT; i++) {
        if (report->reasons[i] > most) {
            most = report->reasons[i];
            *ret_outcome = OUTCOME_NONE;
            name = reason_name((enum reason)i);
        }
    }
    return name;
}

/* How often we ask, and the key that changes it. */
static void add_advice(struct sentence *to, const struct report *report) {
    const struct site *site = report->site;
    char interval[VALUE_TEXT_SIZE];
    value_print_duration(site->interval, interval);
    double a_minute = report->planned * (60 * (double)NSEC_PER_SEC / (double)site->interval);
    add(to, ": the site limits us, at %s%.*f requests a minute; ",
        site->redirects.follow > 0 ? "no less than " : "", a_minute < 10 ? 1 : 0, a_minute);
    if (site->samples > 1) {
        add(to, "lower samples (%u) or ", site->samples);
    }
    add(to, "raise interval (%s)", interval);
}

static void add_outcomes(struct sentence *to, const struct report *report) {
    char room[8];
    outcome_t outcome;
    const char *most = find_most(report, room, &outcome);
    if (most != NULL) {
        add(to, outcome == OUTCOME_NONE ? "; most often for its %s" : "; most often %s", most);
    }
    unsigned limited = status_set_has(report->site->expect.status, TOO_MANY_REQUESTS)
                           ? 0
                           : tally_count(&report->tally, TOO_MANY_REQUESTS);
    if (limited > 0 && report->verdict.to != STATE_UP) {
        if (outcome != TOO_MANY_REQUESTS) {
            add(to, "; %u w%s 429", limited, limited == 1 ? "as" : "ere");
        }
        add_advice(to, report);
    }
}

/* ---- where ---- */

/* Of the rows of addresses, or of backends, the one that has all failures. */
struct culprit {
    const char *name; /* NULL: it is none of them alone */
    unsigned judged, failed;
    size_t others; /* that had samples too */
};

static void look_at(struct culprit *culprit, const struct report *report, const char *name,
                    const struct tally *tally, unsigned failed) {
    unsigned judged = 0;
    for (size_t i = 0; i < tally->n; i++) {
        judged += outcome_is_judged(tally->rows[i].outcome) ? tally->rows[i].count : 0;
    }
    if (failed == report->failed && failed > 0) {
        *culprit = (struct culprit){name, judged, failed, culprit->others};
    } else if (judged > 0) {
        culprit->others++;
    }
}

/* One failure is always one server's. */
static bool is_telling(const struct culprit *culprit) {
    return culprit->name != NULL && culprit->others > 0 && culprit->failed > 1;
}

static void add_places(struct sentence *to, const struct report *report) {
    struct culprit address = {0}, backend = {0};
    for (size_t i = 0; i < report->n_addresses; i++) {
        const struct report_address *row = &report->addresses[i];
        look_at(&address, report, row->text, &row->tally, row->failed);
    }
    for (size_t i = 0; i < report->n_backends; i++) {
        const struct report_backend *row = &report->backends[i];
        look_at(&backend, report, row->name, &row->tally, row->failed);
    }
    if (is_telling(&address)) {
        add(to, "; all %u failures at %s (of %u samples), none at %zu other address%s",
            address.failed, address.name, address.judged, address.others,
            address.others == 1 ? "" : "es");
    }
    if (is_telling(&backend)) {
        add(to, "; all %u failures from '%s' (of %u samples), none from ", backend.failed,
            backend.name, backend.judged);
        if (report->other_backends.n > 0) { /* how many these are nobody counted */
            add(to, "all others");
        } else {
            add(to, "%zu other backend%s", backend.others, backend.others == 1 ? "" : "s");
        }
    }
}

/* ---- for how long ---- */

/* In whole units, as one speaks of it. */
static void add_duration(struct sentence *to, const struct change *change) {
    int64_t seconds = (change->wall_time - change->wall_since) / NSEC_PER_SEC;
    if (change->to != STATE_UP || change->wall_since == NSEC_UNKNOWN || seconds < 0) {
        return; /* seconds < 0: the clock was set */
    }
    static const struct {
        int64_t below, seconds;
        char name;
    } units[] = {{120, 1, 's'}, {7200, 60, 'm'}, {172800, 3600, 'h'}, {INT64_MAX, 86400, 'd'}};
    size_t i = 0;
    while (seconds >= units[i].below) {
        i++;
    }
    add(to, "; it was %s for %" PRId64 "%c", state_name(change->from), seconds / units[i].seconds,
        units[i].name);
}

void change_init_paused(struct change *change, enum state from, nsec_t wall_time,
                        nsec_t wall_since) {
    *change = (struct change){
        .from = from,
        .to = STATE_PAUSED,
        .wall_time = wall_time,
        .wall_since = wall_since,
        .why = "the configuration says enabled: no; it is not sampled until that changes",
    };
}

void change_init(struct change *change, const struct report *report, nsec_t wall_time,
                 nsec_t wall_since) {
    const struct verdict_result *verdict = &report->verdict;
    *change = (struct change){
        .from = verdict->from,
        .to = verdict->to,
        .wall_time = wall_time,
        .wall_since = wall_since,
        .round = report->round,
        .planned = report->planned,
        .judged = report->judged,
        .failed = report->failed,
    };
    struct sentence why = {change->why, 0, sizeof change->why};
    add(&why, "%u of %u samples failed in this round, %u of %u lately", report->failed,
        report->judged, verdict->window_failed, verdict->window_samples);
    add_outcomes(&why, report);
    add_places(&why, report);
    add_duration(&why, change);
}
