/* A round for a reader at a terminal (`tallyd sample -v`): the classic report, then who saw what as a
 * matrix, then times, and what is known of single samples. It is never a log's format: it has many
 * lines, and no mark on each. It fits into FORMAT_COLUMNS but for the curl lines, which could not be
 * pasted if they were broken. */
#include "output/format.h"

#include "output/matrix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_COLUMNS = 11, AT_COLUMNS = 16 };

/* How many bytes of a word fit into that many columns. */
static size_t fit(const char *word, size_t n, unsigned columns) {
    size_t at = 0;
    for (; at < n; at++) {
        bool begins = ((unsigned char)word[at] & 0xc0) != 0x80;
        if (begins && columns-- == 0) {
            break;
        }
    }
    return at;
}

/* Words that go on in the next line, below the first of them, where a line is full. No line ends in
 * blanks: those before a word come with it. */
struct paragraph {
    FILE *to;
    unsigned indent, column, blanks;
};

static struct paragraph begin(FILE *to, const char *label, unsigned indent) {
    unsigned n = (unsigned)strlen(label);
    fputs(label, to);
    if (n >= indent) { /* such a label is rare: an hour and more */
        fputc('\n', to);
        n = 0;
    }
    return (struct paragraph){.to = to, .indent = indent, .column = indent, .blanks = indent - n};
}

static void put_words(struct paragraph *paragraph, const char *text) {
    char word[256];
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t n = fit(text, strcspn(text, " "), FORMAT_COLUMNS - paragraph->indent);
        n = n < sizeof word ? n : sizeof word - 1;
        memcpy(word, text, n);
        word[n] = '\0';
        unsigned columns = format_columns(word);
        bool first = paragraph->column == paragraph->indent;
        if (!first && paragraph->column + 1 + columns > FORMAT_COLUMNS) {
            fputc('\n', paragraph->to);
            paragraph->column = paragraph->blanks = paragraph->indent;
            first = true;
        }
        paragraph->blanks += first ? 0 : 1;
        fprintf(paragraph->to, "%*s%s", (int)paragraph->blanks, "", word);
        paragraph->column += columns + (first ? 0 : 1);
        paragraph->blanks = 0;
        text += n;
    }
}

/* Of a text from outside. 0 or -ENOMEM. */
static int put_text(struct paragraph *paragraph, const char *text) {
    char *safe = format_escape(text);
    if (safe == NULL) {
        return -ENOMEM;
    }
    put_words(paragraph, safe);
    free(safe);
    return 0;
}

static void put_time(struct paragraph *paragraph, const char *name, nsec_t duration,
                     const char *after) {
    char text[64], ms[FORMAT_MS_BYTES];
    if (duration != NSEC_UNKNOWN) {
        snprintf(text, sizeof text, "%s %s%s", name, format_ms(duration, ms), after);
        put_words(paragraph, text);
    }
}

static unsigned known(const nsec_t phases[PHASE_COUNT]) {
    unsigned n = 0;
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        n += phases[i] != NSEC_UNKNOWN;
    }
    return n;
}

static void put_phases(struct paragraph *paragraph, const nsec_t phases[PHASE_COUNT]) {
    unsigned left = known(phases);
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        if (phases[i] != NSEC_UNKNOWN) {
            put_time(paragraph, phase_name((enum phase)i), phases[i], --left > 0 ? "," : " ms");
        }
    }
}

/* ---- the round ---- */

static void put_counts(const struct report *report, FILE *to) {
    char text[128];
    unsigned kinds = 0;
    struct paragraph line = begin(to, "  samples", LABEL_COLUMNS);
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        kinds += report->reasons[i] > 0;
    }
    snprintf(text, sizeof text, "%u planned, %u judged, %u failed%s", report->planned,
             report->judged, report->failed, kinds > 0 ? ":" : "");
    put_words(&line, text);
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        if (report->reasons[i] > 0) {
            snprintf(text, sizeof text, "%s %u%s", reason_name((enum reason)i), report->reasons[i],
                     --kinds > 0 ? "," : "");
            put_words(&line, text);
        }
    }
    fputc('\n', to);
    if (report->ours != TROUBLE_NONE) {
        fprintf(to, "  ours     %s\n", trouble_words(report->ours));
    }
    if (report->repeated > 0) {
        line = begin(to, "  repeated", LABEL_COLUMNS);
        snprintf(text, sizeof text, "%u request%s, by libcurl, on connections that were kept",
                 report->repeated, report->repeated == 1 ? "" : "s");
        put_words(&line, text);
        fputc('\n', to);
    }
    if (report->left_out_ipv4 || report->left_out_ipv6) {
        fprintf(to, "  left out %s, for which this machine has no route\n",
                !report->left_out_ipv6   ? "IPv4"
                : !report->left_out_ipv4 ? "IPv6"
                                         : "IPv4 and IPv6");
    }
}

static void put_times(const struct report *report, FILE *to) {
    const struct report_latency *latency = &report->latency;
    struct paragraph line;
    if (latency->n > 0) {
        line = begin(to, "  latency", LABEL_COLUMNS);
        put_time(&line, "min", latency->min, ",");
        put_time(&line, "p50", latency->p50, ",");
        put_time(&line, "p90", latency->p90, ",");
        put_time(&line, "p99", latency->p99, ",");
        put_time(&line, "max", latency->max, " ms");
        fputc('\n', to);
    }
    if (known(report->phases) > 0) {
        line = begin(to, "  phases", LABEL_COLUMNS);
        put_phases(&line, report->phases);
        put_words(&line, "(medians)");
        fputc('\n', to);
    }
    line = begin(to, "  round", LABEL_COLUMNS);
    put_time(&line, "took", report->took, " ms");
    fputc('\n', to);
}

/* ---- evidence ---- */

static bool is_alike(const struct report_evidence *a, const struct report_evidence *b) {
    return a->outcome == b->outcome && a->reason == b->reason;
}

static void put_kind(const struct report_evidence *evidence, FILE *to) {
    char outcome[FORMAT_OUTCOME_BYTES];
    format_outcome(evidence->outcome, outcome);
    if (evidence->reason == REASON_NONE) {
        fprintf(to, "\n  %s, not judged:\n", outcome);
    } else if (evidence->reason == REASON_ERROR) {
        fprintf(to, "\n  %s:\n", outcome);
    } else {
        fprintf(to, "\n  %s, failed for its %s:\n", outcome, reason_name(evidence->reason));
    }
}

/* 0 or -ENOMEM */
static int put_sample(const struct report_evidence *evidence, FILE *to) {
    char text[96], ms[FORMAT_MS_BYTES];
    snprintf(text, sizeof text, "    at %s ms", format_ms(evidence->at, ms));
    struct paragraph line =
        begin(to, evidence->at == NSEC_UNKNOWN ? "    never sent" : text, AT_COLUMNS);
    put_words(&line, evidence->address);
    if (*evidence->backend != '\0') {
        char *name = format_word(evidence->backend);
        if (name == NULL) {
            return -ENOMEM;
        }
        put_words(&line, "from");
        put_words(&line, name);
        free(name);
    }
    if (evidence->local_port != 0) {
        snprintf(text, sizeof text, "port %u", evidence->local_port);
        put_words(&line, text);
    }
    put_time(&line, "took", evidence->took, known(evidence->phases) > 0 ? " ms:" : " ms");
    put_phases(&line, evidence->phases);
    fputc('\n', to);
    return 0;
}

/* Samples of one kind, then what was said of them, then their lines, each of these once. */
static int put_alike(const struct report_evidence *list, size_t n, size_t first, FILE *to) {
    put_kind(&list[first], to);
    const struct report_evidence *words = NULL;
    int r = 0;
    for (size_t i = first; i < n && r == 0; i++) {
        if (!is_alike(&list[i], &list[first])) {
            continue;
        }
        r = put_sample(&list[i], to);
        if (r == 0 && *list[i].words != '\0' &&
            (words == NULL || strcmp(words->words, list[i].words) != 0)) {
            struct paragraph line = begin(to, "", AT_COLUMNS);
            r = put_text(&line, list[i].words);
            fputc('\n', to);
            words = &list[i];
        }
    }
    for (size_t i = first; i < n && r == 0; i++) {
        bool told = list[i].curl == NULL || !is_alike(&list[i], &list[first]);
        for (size_t k = first; k < i && !told; k++) {
            told = is_alike(&list[k], &list[first]) && list[k].curl != NULL &&
                   strcmp(list[k].curl, list[i].curl) == 0;
        }
        char *line = told ? NULL : format_escape(list[i].curl);
        if (line != NULL) {
            fprintf(to, "    %s\n", line);
        } else if (!told) {
            r = -ENOMEM;
        }
        free(line);
    }
    return r;
}

int format_evidence(const struct report_evidence *list, size_t n, FILE *to) {
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        bool told = false;
        for (size_t k = 0; k < i && !told; k++) {
            told = is_alike(&list[k], &list[i]);
        }
        if (!told) {
            r = put_alike(list, n, i, to);
        }
    }
    return r;
}

static int full_report(const struct report *report, const struct format_place *place, FILE *to) {
    (void)place;
    int r = format_classic(report, to);
    if (r == 0) {
        r = matrix_put(report, to);
    }
    if (r == 0) {
        fputc('\n', to);
        put_counts(report, to);
        put_times(report, to);
        r = format_evidence(report->evidence, report->n_evidence, to);
    }
    fputc('\n', to);
    return r;
}

static bool full_resembles(const char *line, size_t n) {
    (void)line;
    (void)n;
    return false; /* no file has it */
}

const struct format format_full = {
    .name = "full",
    .has_places = false,
    .report = full_report,
    .resembles = full_resembles,
};
