/* One line a record, for people with `tail -f` and grep: TIME, then key=value in a fixed order. A
 * value with other bytes than [A-Za-z0-9._:/@%+,-] is written as a JSON string (jansson's), so a
 * space always ends a value that does not begin with a quote. Status codes come first, then error
 * classes by name; times are milliseconds with one decimal. What is not known is left out. */
#include "output/format.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(const char *value) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "._:/@%+,-";
    return *value != '\0' && value[strspn(value, plain)] == '\0';
}

/* 0 or -ENOMEM */
static int put_value(FILE *to, const char *key, const char *value) {
    char *safe = format_escape(value);
    if (safe == NULL) {
        return -ENOMEM;
    }
    int r = 0;
    if (is_plain(safe)) {
        fprintf(to, " %s=%s", key, safe);
    } else {
        json_t *string = json_string(safe);
        char *quoted = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
        if (quoted == NULL) {
            r = -ENOMEM;
        } else {
            fprintf(to, " %s=%s", key, quoted);
        }
        free(quoted);
        json_decref(string);
    }
    free(safe);
    return r;
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
    put_tally(to, &report->tally);
    if (report->latency.n > 0) {
        put_duration(to, "p50", report->latency.p50);
        put_duration(to, "max", report->latency.max);
    }
    put_duration(to, "took", report->took);
    put_duration(to, "late", report->late);
    fprintf(to, " skipped=%" PRIu64, report->skipped);
    r = put_value(to, "url", report->site->url_given);
    fputc('\n', to);
    return r;
}

static int line_event(const struct event_record *event, const struct format_place *place,
                      FILE *to) {
    put_start(to, event->wall_time, place);
    fputs(" record=event", to);
    int r = put_value(to, "site", event->site->name);
    if (r < 0) {
        return r;
    }
    fprintf(to, " from=%s to=%s", state_name(event->from), state_name(event->to));
    r = put_value(to, "why", event->why);
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
    .loss = line_loss,
    .resembles = line_resembles,
};
