/* One site: its last rounds, who answered what, and samples that failed with the command that repeats
 * each. */
#include "output/page.h"

#include "output/format.h"
#include "output/html.h"

#include "probe/probe.h"

#include <stdlib.h>
#include <string.h>

/* ---- who answered what ---- */

struct line {
    const char *name;
    const struct tally *tally;
    unsigned failed;
    nsec_t p50;
};

static void put_cell(unsigned count, bool bad, FILE *to) {
    if (count == 0) {
        fputs("<td class=\"number none\">·</td>", to);
    } else {
        fprintf(to, "<td class=\"number%s\">%u</td>", bad ? " bad" : "", count);
    }
}

static void put_line(const struct site *site, const struct tally *columns, const struct line *line,
                     FILE *to) {
    char ms[FORMAT_MS_BYTES];
    fputs("<tr><th scope=\"row\">", to);
    html_text(line->name, to);
    fputs("</th>", to);
    put_cell(line->failed, true, to);
    fprintf(to, "<td class=\"number\">%s</td>", format_ms(line->p50, ms));
    for (size_t i = 0; i < columns->n; i++) {
        outcome_t outcome = tally_outcome_at(columns, i);
        bool met = outcome_is_status(outcome) && status_set_has(site->expect.status, outcome);
        put_cell(tally_count(line->tally, outcome), !met && outcome_is_judged(outcome), to);
    }
    fputs("</tr>\n", to);
}

/* A matrix of lines by the outcomes of the round. */
static void put_matrix(const struct report *report, const char *kind, const struct line *lines,
                       size_t n, FILE *to) {
    fprintf(to,
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s by outcome\">"
            "<table class=\"matrix\"><thead><tr><th scope=\"col\">%s</th><th scope=\"col\">failed"
            "</th><th scope=\"col\">median ms</th>",
            kind, kind);
    for (size_t i = 0; i < report->tally.n; i++) {
        fputs("<th scope=\"col\">", to);
        html_outcome(tally_outcome_at(&report->tally, i), to);
        fputs("</th>", to);
    }
    fputs("</tr></thead>\n<tbody>\n", to);
    for (size_t i = 0; i < n; i++) {
        put_line(report->site, &report->tally, &lines[i], to);
    }
    fputs("</tbody></table></div>\n", to);
}

/* One address alone tells no more than the round. */
static void put_addresses(const struct report *report, FILE *to) {
    struct line *lines = calloc(report->n_addresses + 1, sizeof *lines);
    if (lines == NULL || report->n_addresses < 2) {
        free(lines);
        return;
    }
    for (size_t i = 0; i < report->n_addresses; i++) {
        const struct report_address *address = &report->addresses[i];
        lines[i] = (struct line){address->text, &address->tally, address->failed, address->p50};
    }
    fputs("<h2>Addresses</h2>\n", to);
    put_matrix(report, "Address", lines, report->n_addresses, to);
    free(lines);
}

static void put_backends(const struct report *report, FILE *to) {
    struct line *lines = calloc(report->n_backends + 1, sizeof *lines);
    if (lines == NULL || report->n_backends == 0) {
        free(lines);
        return;
    }
    size_t n = 0;
    for (; n < report->n_backends; n++) {
        const struct report_backend *backend = &report->backends[n];
        lines[n] = (struct line){backend->name, &backend->tally, backend->failed, backend->p50};
    }
    if (report->other_backends.n > 0) {
        lines[n++] = (struct line){"other backends", &report->other_backends,
                                   report->other_backends_failed, report->other_backends_p50};
    }
    fputs("<h2>Backends</h2>\n", to);
    put_matrix(report, "Backend", lines, n, to);
    free(lines);
}

/* ---- facts ---- */

static void put_fact(const char *name, FILE *to) {
    fprintf(to, "<div><dt>%s</dt><dd>", name);
}

static void end_fact(FILE *to) {
    fputs("</dd></div>\n", to);
}

static void put_times(const struct report *report, FILE *to) {
    static const char *const names[] = {"min", "p50", "p90", "p99", "max"};
    const struct report_latency *latency = &report->latency;
    const nsec_t values[] = {latency->min, latency->p50, latency->p90, latency->p99, latency->max};
    char ms[FORMAT_MS_BYTES];
    if (latency->n > 0) {
        put_fact("Latency, ms", to);
        const char *comma = "";
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            if (values[i] != NSEC_UNKNOWN) {
                fprintf(to, "%s%s&nbsp;%s", comma, names[i], format_ms(values[i], ms));
                comma = ", ";
            }
        }
        end_fact(to);
    }
    put_fact("Phases, median ms", to);
    const char *comma = "";
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        if (report->phases[i] != NSEC_UNKNOWN) {
            fprintf(to, "%s%s&nbsp;%s", comma, phase_name((enum phase)i),
                    format_ms(report->phases[i], ms));
            comma = ", ";
        }
    }
    fputs(*comma == '\0' ? "none" : "", to);
    end_fact(to);
}

static void put_round(const struct report *report, FILE *to) {
    put_fact("Last round", to);
    fprintf(to, "%llu, ", (unsigned long long)report->round);
    html_time(report->wall_began, to);
    fprintf(to, ": %u planned, %u judged, %u failed", report->planned, report->judged,
            report->failed);
    const char *comma = ": ";
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        if (report->reasons[i] > 0) {
            fprintf(to, "%s%s&nbsp;%u", comma, reason_name((enum reason)i), report->reasons[i]);
            comma = ", ";
        }
    }
    end_fact(to);
    put_times(report, to);
    for (unsigned k = 0; k < 2; k++) {
        char(*texts)[INET6_ADDRSTRLEN] = k == 0 ? report->appeared : report->gone;
        size_t n = k == 0 ? report->n_appeared : report->n_gone;
        if (n > 0) {
            put_fact(k == 0 ? "Addresses that appeared" : "Addresses that went", to);
            for (size_t i = 0; i < n; i++) {
                fprintf(to, "%s%s", i > 0 ? ", " : "", texts[i]);
            }
            end_fact(to);
        }
    }
}

static void put_facts(const struct board_site *site, const struct page_about *about, FILE *to) {
    char span[HTML_SPAN_BYTES];
    fputs("<dl class=\"facts\">\n", to);
    put_fact("Of late, with 95 % confidence", to);
    page_window(site, to);
    end_fact(to);
    put_fact("Level of its bucket", to);
    fprintf(to,
            "<meter min=\"0\" max=\"1\" low=\"0.5\" high=\"0.99\" optimum=\"0\" value=\"%.3f\">"
            "</meter> %.0f %%",
            site->state.level, site->state.level * 100);
    end_fact(to);
    if (site->last != NULL) {
        put_round(site->last, to);
    }
    if (site->wall_certificate_ends != NSEC_UNKNOWN) {
        put_fact("Certificate", to);
        nsec_t left = site->wall_certificate_ends - about->wall_now;
        fprintf(to, left > 0 ? "ends in %s, " : "ended %s ago, ",
                html_span(left > 0 ? left : -left, span));
        html_time(site->wall_certificate_ends, to);
        end_fact(to);
    }
    for (size_t i = 0; i < site->site->n_labels; i++) {
        fputs("<div><dt>", to);
        html_text(site->site->labels[i].name, to);
        fputs("</dt><dd>", to);
        html_text(site->site->labels[i].value, to);
        end_fact(to);
    }
    fputs("</dl>\n", to);
}

/* ---- samples that failed ---- */

static void put_evidence(const struct report_evidence *evidence, FILE *to) {
    char ms[FORMAT_MS_BYTES];
    fputs("<li><h3>", to);
    html_outcome(evidence->outcome, to);
    if (evidence->reason > REASON_STATUS) {
        fprintf(to, ", failed for its %s", reason_name(evidence->reason));
    }
    fputs("</h3>\n<p>", to);
    if (*evidence->address != '\0') {
        fputs("at ", to);
        html_text(evidence->address, to);
        if (evidence->local_port != 0) {
            fprintf(to, " from port %u", evidence->local_port);
        }
    } else {
        fputs("without an address", to);
    }
    if (*evidence->backend != '\0') {
        fputs(", by ", to);
        html_text(evidence->backend, to);
    }
    if (evidence->at != NSEC_UNKNOWN) {
        fprintf(to, "; began %s ms", format_ms(evidence->at, ms));
        fprintf(to, " into the round, took %s ms", format_ms(evidence->took, ms));
    }
    fputs("</p>\n", to);
    if (*evidence->words != '\0') {
        fputs("<p class=\"words\">", to);
        html_text(evidence->words, to);
        fputs("</p>\n", to);
    }
    if (evidence->curl != NULL) {
        fputs("<pre tabindex=\"0\"><code>", to);
        html_text(evidence->curl, to);
        fputs("</code></pre>\n", to);
    }
    fputs("</li>\n", to);
}

static void put_all_evidence(const struct report *report, FILE *to) {
    if (report->n_evidence == 0) {
        return;
    }
    fputs(
        "<h2>Samples that failed</h2>\n<p class=\"hint\">Of each kind in the last round the first "
        "three. The command repeats the request at the very address.</p>\n<ul "
        "class=\"evidence\">\n",
        to);
    for (size_t i = 0; i < report->n_evidence; i++) {
        put_evidence(&report->evidence[i], to);
    }
    fputs("</ul>\n", to);
}

/* ---- the page ---- */

/* Heap; NULL without memory. */
static char *own_url(const struct board_site *site, bool still) {
    char *url = NULL;
    size_t n;
    FILE *to = open_memstream(&url, &n);
    if (to == NULL) {
        return NULL;
    }
    fputs(PAGE_SITE_PATH "?name=", to);
    html_encode(site->site->name, to);
    fputs(still ? "&still=1" : "", to);
    if (fclose(to) != 0) {
        free(url);
        return NULL;
    }
    return url;
}

static void put_head(const struct board_site *site, const struct page_about *about, FILE *to) {
    char span[HTML_SPAN_BYTES];
    fputs("<header><p><a href=\"" PAGE_PATH "\">← All sites</a></p>\n<h1>", to);
    html_text(site->site->name, to);
    fputs("</h1>\n<p class=\"url\"><a rel=\"noreferrer\" href=\"", to);
    html_text(site->site->url_given, to);
    fputs("\">", to);
    html_text(site->site->url_given, to);
    fputs("</a></p>\n<p class=\"now\">", to);
    page_state(site, to);
    if (site->state.wall_since != NSEC_UNKNOWN) {
        fprintf(to, " for %s, since ", html_span(about->wall_now - site->state.wall_since, span));
        html_time(site->state.wall_since, to);
        fputs(" UTC", to);
    }
    fputs("</p></header>\n", to);
}

void page_write_site(const struct board_site *site, bool still, const struct page_about *about,
                     FILE *to) {
    char title[160];
    snprintf(title, sizeof title, "%s: %.100s - tallyd", board_state_name(site), site->site->name);
    char *own = own_url(site, false), *other = own_url(site, !still);
    page_begin(title, still ? NULL : own, about->refresh_seconds, to);
    put_head(site, about, to);
    fputs("<main>\n", to);
    page_trouble(about, to);
    fputs("<h2>Last rounds</h2>\n", to);
    page_cells(site, to);
    put_facts(site, about, to);
    fputs("<h2>Outcomes of these rounds</h2>\n", to);
    page_outcomes(site, 100, to);
    if (site->last != NULL) {
        put_addresses(site->last, to);
        put_backends(site->last, to);
        put_all_evidence(site->last, to);
    }
    fputs("</main>\n", to);
    page_end(about, other != NULL ? other : PAGE_PATH, still, to);
    free(own);
    free(other);
}
