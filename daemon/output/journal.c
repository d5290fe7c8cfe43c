/* One record as the fields of a journal entry: NAME=value, a line each, which is the native protocol
 * of the journal (systemd.io/JOURNAL_NATIVE_PROTOCOL). No value has a newline, as all text that comes
 * from outside is made safe for one line.
 *
 * MESSAGE is the line of the format `line`; what one would search by has fields of its own. A label
 * is TALLYD_LABEL_ and its name in capitals; the journal takes no names over 64 bytes, so a longer one
 * is cut. */
#include "output/format.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 64 };

static int put_text(FILE *to, const char *name, const char *text) {
    char *safe = format_escape(text);
    if (safe == NULL) {
        return -ENOMEM;
    }
    fprintf(to, "%s=%s\n", name, safe);
    free(safe);
    return 0;
}

/* As in syslog(3). */
static int priority_of(enum state state) {
    return state == STATE_DOWN ? 3 : state == STATE_DEGRADED ? 4 : 6;
}

/* What every entry has, but for its message. */
static void put_head(FILE *to, const char *record, int priority, const struct format_place *place) {
    fprintf(to, "PRIORITY=%d\nSYSLOG_IDENTIFIER=tallyd\nTALLYD_RECORD=%s\n", priority, record);
    if (place != NULL) {
        fprintf(to, "TALLYD_BOOT=%s\nTALLYD_SEQ=%" PRIu64 "\n", place->boot, place->seq);
    }
}

static int put_site(FILE *to, const struct site *site) {
    int r = put_text(to, "TALLYD_SITE", site->name);
    if (r == 0) {
        r = put_text(to, "TALLYD_URL", site->url_given);
    }
    for (size_t i = 0; i < site->n_labels && r == 0; i++) {
        char name[NAME_MOST + 1];
        snprintf(name, sizeof name, "TALLYD_LABEL_%s", site->labels[i].name);
        for (char *c = name; *c != '\0'; c++) {
            *c = (char)toupper((unsigned char)*c);
        }
        r = put_text(to, name, site->labels[i].value);
    }
    return r;
}

static int journal_report(const struct report *report, const struct format_place *place, FILE *to) {
    enum state state = report->has_verdict ? report->verdict.to : STATE_UNKNOWN;
    put_head(to, "report", priority_of(state), place);
    if (report->has_verdict) {
        fprintf(to, "TALLYD_STATE=%s\n", state_name(state));
    }
    fprintf(to, "TALLYD_ROUND=%" PRIu64 "\nTALLYD_PLANNED=%u\nTALLYD_JUDGED=%u\nTALLYD_FAILED=%u\n",
            report->round, report->planned, report->judged, report->failed);
    if (report->ours != TROUBLE_NONE) {
        fprintf(to, "TALLYD_OURS=%s\n", trouble_name(report->ours));
    }
    int r = put_site(to, report->site);
    fputs("MESSAGE=", to);
    return r == 0 ? format_line.report(report, place, to) : r;
}

static int journal_event(const struct event_record *event, const struct format_place *place,
                         FILE *to) {
    const struct change *change = &event->change;
    put_head(to, "event", priority_of(change->to), place);
    fprintf(to, "TALLYD_FROM=%s\nTALLYD_STATE=%s\n", state_name(change->from),
            state_name(change->to));
    if (change->round > 0) {
        fprintf(to, "TALLYD_ROUND=%" PRIu64 "\n", change->round);
    }
    int r = put_site(to, event->site);
    fputs("MESSAGE=", to);
    return r == 0 ? format_line.event(event, place, to) : r;
}

static int journal_trouble(const struct trouble_record *trouble, const struct format_place *place,
                           FILE *to) {
    put_head(to, "event", trouble->after ? 4 : 6, place);
    fprintf(to, "TALLYD_OURS=%s\nMESSAGE=", trouble_name(trouble->trouble));
    return format_line.trouble(trouble, place, to);
}

static int journal_loss(const struct format_loss *loss, const struct format_place *place,
                        FILE *to) {
    put_head(to, "lost", 4, place);
    fputs("MESSAGE=", to);
    return format_line.loss(loss, place, to);
}

static bool journal_resembles(const char *line, size_t n) {
    (void)line;
    (void)n;
    return false; /* no file has it */
}

const struct format format_journal = {
    .name = "journal",
    .has_places = true,
    .report = journal_report,
    .event = journal_event,
    .trouble = journal_trouble,
    .loss = journal_loss,
    .resembles = journal_resembles,
};
