/* The classic report, to the letter: the URL, then each outcome with its count, status codes first
 * and then the error classes by name. It has no time and no sequence, and no line for events or
 * losses; only a line that a crash has torn is overwritten by one that says so. */
#include "output/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int text_report(const struct report *report, const struct format_place *place, FILE *to) {
    (void)place;
    char *url = format_escape(report->site->url_given);
    if (url == NULL) {
        return -ENOMEM;
    }
    fprintf(to, "report for: %s\n", url);
    free(url);
    for (int statuses = 1; statuses >= 0; statuses--) {
        for (size_t i = 0; i < report->tally.n; i++) {
            const struct tally_row *row = &report->tally.rows[i];
            if (outcome_is_status(row->outcome) != (statuses != 0)) {
                continue;
            }
            if (statuses) {
                fprintf(to, "saw %u: %u times\n", (unsigned)row->outcome, row->count);
            } else {
                fprintf(to, "saw %s: %u times\n", outcome_class_name(row->outcome), row->count);
            }
        }
    }
    return 0;
}

static int text_loss(const struct format_loss *loss, const struct format_place *place, FILE *to) {
    (void)place;
    fprintf(to, "lost: %s\n", loss->why);
    return 0;
}

static bool text_resembles(const char *line, size_t n) {
    static const char *const beginnings[] = {"report for: ", "saw ", "lost: "};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t length = strlen(beginnings[i]);
        if (memcmp(line, beginnings[i], n < length ? n : length) == 0) {
            return true;
        }
    }
    return false;
}

const struct format format_text = {
    .name = "text",
    .has_places = false,
    .report = text_report,
    .loss = text_loss,
    .resembles = text_resembles,
};
