#include "report/change.h"

#include <stdio.h>

/* What most of the failed samples failed for: an outcome that tells by itself, or a reason. */
static void name_most(const struct report *report, char *ret_text, size_t size) {
    unsigned most = 0;
    *ret_text = '\0';
    for (size_t i = 0; i < report->tally.n; i++) {
        const struct tally_row *row = &report->tally.rows[i];
        bool met = outcome_is_status(row->outcome) &&
                   status_set_has(report->site->expect.status, row->outcome);
        if (met || !outcome_is_judged(row->outcome) || row->count <= most) {
            continue;
        }
        most = row->count;
        if (outcome_is_status(row->outcome)) {
            snprintf(ret_text, size, "; most often %u", row->outcome);
        } else {
            snprintf(ret_text, size, "; most often %s", outcome_class_name(row->outcome));
        }
    }
    for (unsigned i = REASON_STATUS + 1; i < REASON_COUNT; i++) {
        if (report->reasons[i] > most) {
            most = report->reasons[i];
            snprintf(ret_text, size, "; most often for its %s", reason_name((enum reason)i));
        }
    }
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
    char most[64];
    name_most(report, most, sizeof most);
    snprintf(change->why, sizeof change->why,
             "%u of %u samples failed in this round, %u of %u lately%s", report->failed,
             report->judged, verdict->window_failed, verdict->window_samples, most);
}
