/* One line a record, for people with `tail -f` and grep: TIME, then key=value in a fixed order. A
 * value with other bytes than [A-Za-z0-9._:/@%+,-] is written as a JSON string (jansson's), so a
 * space always ends a value that does not begin with a quote. Status codes come first, then error
 * classes by name; times are milliseconds with one decimal. What is not known is left out.
 *
 * Where a site has several addresses each has a key, addr[192.0.2.1]=200:10,503:1, and so has each
 * server that named itself, backend[b1]=200:5, or "-" for nothing. What stands in those brackets is
 * percent-encoded, so that a key has no space, quote, bracket or = but its own, whatever a server
 * calls itself. */
#include "output/format.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* 0 or -ENOMEM */
static int put_value(FILE *to, const char *key, const char *value) {
    char *word = format_word(value);
    if (word == NULL) {
        return -ENOMEM;
    }
    fprintf(to, " %s=%s", key, word);
    free(word);
    return 0;
}

static void put_duration(FILE *to, const char *key, nsec_t duration) {
    if (duration >= 0) {
        fprintf(to, " %s=%.1f", key, (double)duration / (double)NSEC_PER_MSEC);
    }
}

static void put_start(FILE *to, nsec_t wall_time, const struct format_place *place) {
    char time[FORMAT_TIME_BYTES];
    format_time(wall_time, time);
    fputs(time, to);
    if (place != NULL) {
        fprintf(to, " seq=%" PRIu64, place->seq);
    }
}

static void put_tally(FILE *to, const struct tally *tally) {
    for (size_t i = 0; i < tally->n; i++) {
        if (outcome_is_status(tally->rows[i].outcome)) {
            fprintf(to, " %u=%u", (unsigned)tally->rows[i].outcome, tally->rows[i].count);
        }
    }
    for (size_t i = 0; i < tally->n; i++) {
        if (!outcome_is_status(tally->rows[i].outcome)) {
            fprintf(to, " %s=%u", outcome_class_name(tally->rows[i].outcome), tally->rows[i].count);
        }
    }
}

/* status:1,body:2, where the outcomes do not tell why samples failed. */
static void put_reasons(FILE *to, const struct report *report) {
    if (report_outcomes_tell(report)) {
        return;
    }
    const char *before = " reasons=";
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        if (report->reasons[i] > 0) {
            fprintf(to, "%s%s:%u", before, reason_name((enum reason)i), report->reasons[i]);
            before = ",";
        }
    }
}

/* 200:10,503:1,reset:2, and failed:3 where these do not tell. */
static void put_row(FILE *to, const struct tally *tally, bool tell, unsigned failed) {
    const char *before = "";
    for (int statuses = 1; statuses >= 0; statuses--) {
        for (size_t i = 0; i < tally->n; i++) {
            const struct tally_row *row = &tally->rows[i];
            if (outcome_is_status(row->outcome) != (statuses != 0)) {
                continue;
            }
            char outcome[FORMAT_OUTCOME_BYTES];
            fprintf(to, "%s%s:%u", before, format_outcome(row->outcome, outcome), row->count);
            before = ",";
        }
    }
    if (tally->n == 0) {
        fputc('-', to);
    } else if (!tell) {
        fprintf(to, ",failed:%u", failed);
    }
}

static void put_bracketed(FILE *to, const char *key, const char *name) {
    fprintf(to, " %s[", key);
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        if (isascii(byte) && (isalnum(byte) || strchr("._:/@+,-", byte) != NULL)) {
            fputc(byte, to);
        } else {
            fprintf(to, "%%%02X", byte);
        }
    }
    fputs("]=", to);
}

static void put_rows(FILE *to, const struct report *report) {
    bool tell = report_outcomes_tell(report);
    for (size_t i = 0; report->n_addresses > 1 && i < report->n_addresses; i++) {
        put_bracketed(to, "addr", report->addresses[i].text);
        put_row(to, &report->addresses[i].tally, tell, report->addresses[i].failed);
    }
    for (size_t i = 0; i < report->n_backends; i++) {
        put_bracketed(to, "backend", report->backends[i].name);
        put_row(to, &report->backends[i].tally, tell, report->backends[i].failed);
    }
    if (report->other_backends.n > 0) {
        fputs(" other_backends=", to);
        put_row(to, &report->other_backends, tell, report->other_backends_failed);
    }
}

static void put_texts(FILE *to, const char *key, char (*texts)[INET6_ADDRSTRLEN], size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i == 0) {
            fprintf(to, " %s=", key);
        } else {
            fputc(',', to);
        }
        fputs(texts[i], to);
    }
}

static int line_report(const struct report *report, const struct format_place *place, FILE *to) {
    put_start(to, report->wall_began, place);
    int r = put_value(to, "site", report->site->name);
    if (r < 0) {
        return r;
    }
    if (place != NULL && report->has_verdict) {
        fprintf(to, " state=%s", state_name(report->verdict.to));
    }
    fprintf(to, " planned=%u failed=%u", report->planned, report->failed);
    if (report->ours != TROUBLE_NONE) {
        fprintf(to, " ours=%s", trouble_name(report->ours));
    }
    put_tally(to, &report->tally);
    put_reasons(to, report);
    if (report->latency.n > 0) {
        put_duration(to, "p50", report->latency.p50);
        put_duration(to, "max", report->latency.max);
    }
    put_duration(to, "took", report->took);
    put_duration(to, "late", report->late);
    fprintf(to, " skipped=%" PRIu64, report->skipped);
    if (report->site->connection == CONNECTION_REUSE) {
        fprintf(to, " repeated=%u", report->repeated);
    }
    put_rows(to, report);
    put_texts(to, "appeared", report->appeared, report->n_appeared);
    put_texts(to, "gone", report->gone, report->n_gone);
    r = put_value(to, "url", report->site->url_given);
    fputc('\n', to);
    return r;
}

static int line_event(const struct event_record *event, const struct format_place *place,
                      FILE *to) {
    const struct change *change = &event->change;
    put_start(to, change->wall_time, place);
    fputs(" record=event", to);
    int r = put_value(to, "site", event->site->name);
    if (r < 0) {
        return r;
    }
    fprintf(to, " from=%s to=%s", state_name(change->from), state_name(change->to));
    if (change->wall_since != NSEC_UNKNOWN) {
        char since[FORMAT_TIME_BYTES];
        format_time(change->wall_since, since);
        fprintf(to, " since=%s", since);
    }
    if (change->round > 0) {
        fprintf(to, " round=%" PRIu64, change->round);
    }
    r = put_value(to, "why", change->why);
    fputc('\n', to);
    return r;
}

static int line_trouble(const struct trouble_record *trouble, const struct format_place *place,
                        FILE *to) {
    put_start(to, trouble->wall_time, place);
    fprintf(to, " record=event from=%s to=%s ours=%s", format_health(trouble->before),
            format_health(trouble->after), trouble_name(trouble->trouble));
    int r = put_value(to, "why", trouble->why);
    fputc('\n', to);
    return r;
}

static int line_loss(const struct format_loss *loss, const struct format_place *place, FILE *to) {
    put_start(to, loss->wall_time, place);
    fputs(" record=lost", to);
    if (loss->count > 0) {
        fprintf(to, " from_seq=%" PRIu64 " to_seq=%" PRIu64 " count=%" PRIu64, loss->from_seq,
                loss->to_seq, loss->count);
    }
    int r = put_value(to, "why", loss->why);
    fputc('\n', to);
    return r;
}

static bool line_resembles(const char *line, size_t n) {
    static const char shape[] = "0000-00-00T00:00:00.000Z s";
    for (size_t i = 0; i < n && i < sizeof shape - 1; i++) {
        if (shape[i] == '0' ? !isdigit((unsigned char)line[i]) : line[i] != shape[i]) {
            return false;
        }
    }
    if (n < sizeof shape) {
        return true;
    }
    /* with a place, or without */
    static const char *const keys[] = {"eq=", "ite="};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length = strlen(keys[i]), left = n - (sizeof shape - 1);
        if (memcmp(line + sizeof shape - 1, keys[i], left < length ? left : length) == 0) {
            return true;
        }
    }
    return false;
}

const struct format format_line = {
    .name = "line",
    .has_places = true,
    .report = line_report,
    .event = line_event,
    .trouble = line_trouble,
    .loss = line_loss,
    .resembles = line_resembles,
};
