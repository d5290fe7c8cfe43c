/* The classic report, to the letter: the URL, then each outcome with its count, status codes first
 * and then the error classes by name. It has no time and no sequence, and no line for events or
 * losses; only a line that a crash has torn is overwritten by one that says so.
 *
 * Where there is more than one address, or servers named themselves, lines of the same shape follow
 * that begin with whose they are: "at 192.0.2.1 saw 200: 10 times", "from b1 saw …". A name with other
 * bytes than those of a plain word is written as a JSON string, so that it cannot look like more. */
#include "output/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put_tally(FILE *to, const char *before, const char *name, const struct tally *tally) {
    for (int statuses = 1; statuses >= 0; statuses--) {
        for (size_t i = 0; i < tally->n; i++) {
            const struct tally_row *row = &tally->rows[i];
            if (outcome_is_status(row->outcome) != (statuses != 0)) {
                continue;
            }
            char outcome[FORMAT_OUTCOME_BYTES];
            fprintf(to, "%s%s%ssaw %s: %u times\n", before, name, *name != '\0' ? " " : "",
                    format_outcome(row->outcome, outcome), row->count);
        }
    }
}

static int put_backends(FILE *to, const struct report *report) {
    for (size_t i = 0; i < report->n_backends; i++) {
        char *name = format_word(report->backends[i].name);
        if (name == NULL) {
            return -ENOMEM;
        }
        put_tally(to, "from ", name, &report->backends[i].tally);
        free(name);
    }
    put_tally(to, "from ", "other backends", &report->other_backends);
    return 0;
}

int format_classic(const struct report *report, FILE *to) {
    char *url = format_escape(report->site->url_given);
    if (url == NULL) {
        return -ENOMEM;
    }
    fprintf(to, "report for: %s\n", url);
    free(url);
    put_tally(to, "", "", &report->tally);
    return 0;
}

static int text_report(const struct report *report, const struct format_place *place, FILE *to) {
    (void)place;
    int r = format_classic(report, to);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; report->n_addresses > 1 && i < report->n_addresses; i++) {
        put_tally(to, "at ", report->addresses[i].text, &report->addresses[i].tally);
    }
    return put_backends(to, report);
}

static int text_loss(const struct format_loss *loss, const struct format_place *place, FILE *to) {
    (void)place;
    fprintf(to, "lost: %s\n", loss->why);
    return 0;
}

static bool text_resembles(const char *line, size_t n) {
    static const char *const beginnings[] = {"report for: ", "saw ", "at ", "from ", "lost: "};
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
