/* All sites on a page, the worst first. A person without sight, colour, pointer or script gets the same
 * facts: states are words with a sign of their own, cells have heights, every strip has a text, and a
 * page refreshes itself by its own header only, which a link turns off.
 *
 * A site's last rounds would be twenty stops for the tabulator key, two thousand on a page: so here a
 * strip is one picture with one text, a pointer sees each cell's tally, and on the site's own page every
 * cell can be focused. */
#include "output/page.h"

#include "output/format.h"
#include "output/html.h"

#include <stdlib.h>
#include <string.h>

enum {
    CELL_WIDTH = 7,
    CELL_GAP = 1,
    STRIP_HEIGHT = 22,
    BAR_WIDTH = 120,
    OUTCOMES_MOST = 64, /* of the remembered rounds together */
    RANKS = BOARD_RANK_PAUSED + 1,
};

/* ---- what all pages share ---- */

void page_begin(const char *title, const char *refresh_url, unsigned refresh_seconds, FILE *to) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n"
          "<link rel=\"icon\" href=\"" PAGE_ICON_PATH
          "\">\n<link rel=\"stylesheet\" href=\"" PAGE_STYLE_PATH "\">\n",
          to);
    if (refresh_url != NULL) {
        fprintf(to, "<meta http-equiv=\"refresh\" content=\"%u;url=", refresh_seconds);
        html_text(refresh_url, to);
        fputs("\">\n", to);
    }
    fputs("<title>", to);
    html_text(title, to);
    fputs("</title>\n</head>\n<body>\n", to);
}

void page_trouble(const struct page_about *about, FILE *to) {
    if (about->trouble != NULL) {
        fputs("<p class=\"trouble\" role=\"status\"><strong>This machine is in trouble:</strong> ",
              to);
        html_text(about->trouble, to);
        fputs(". States are frozen until that is over.</p>\n", to);
    }
}

void page_end(const struct page_about *about, const char *other_url, bool still, FILE *to) {
    fputs("<footer>\n<p>As of ", to);
    html_time(about->wall_now, to);
    fputs(" UTC. ", to);
    if (still) {
        fputs("This page stays as it is; <a href=\"", to);
        html_text(other_url, to);
        fputs("\">refresh it by itself</a>.", to);
    } else {
        fprintf(to, "This page refreshes itself every %u s; <a href=\"", about->refresh_seconds);
        html_text(other_url, to);
        fputs("\">keep it as it is</a>.", to);
    }
    fputs("</p>\n<p>tallyd " TALLYD_VERSION ": <a href=\"/api/v1/sites\">JSON</a>, <a "
          "href=\"/metrics\">metrics</a></p>\n</footer>\n</body>\n</html>\n",
          to);
}

void page_write_icon(FILE *to) {
    fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\" stroke=\"#808a98\" "
          "stroke-width=\"2\"><path d=\"M2 2v12M6 2v12M10 2v12M14 2v12\"/>"
          "<path stroke=\"#c0232c\" d=\"M1 12 15 4\"/></svg>\n",
          to);
}

void page_write_message(const char *title, const char *message, FILE *to) {
    page_begin(title, NULL, 0, to);
    fputs("<header><h1>", to);
    html_text(title, to);
    fputs("</h1></header>\n<main><p>", to);
    html_text(message, to);
    fputs("</p>\n<p><a href=\"" PAGE_PATH "\">All sites</a></p></main>\n</body>\n</html>\n", to);
}

/* A sign of its own for who sees no colour. */
static const char *sign_of(unsigned rank) {
    static const char *const signs[RANKS] = {"✕", "▲", "?", "✓", "∥"};
    return signs[rank];
}

void page_state(const struct board_site *site, FILE *to) {
    const char *name = board_state_name(site);
    fprintf(to, "<span class=\"state %s\"><span aria-hidden=\"true\">%s</span> %s</span>", name,
            sign_of(board_rank(site)), name);
}

static void put_percent(double share, FILE *to) {
    double percent = share * 100;
    fprintf(to,
            percent <= 0     ? "%.0f"
            : percent < 0.95 ? "%.2f"
            : percent < 9.95 ? "%.1f"
                             : "%.0f",
            percent);
}

void page_window(const struct board_site *site, FILE *to) {
    char failed[HTML_COUNT_BYTES], samples[HTML_COUNT_BYTES];
    if (site->last == NULL || !site->last->has_verdict || site->last->verdict.window_samples == 0) {
        fputs("nothing judged yet", to);
        return;
    }
    const struct verdict_result *verdict = &site->last->verdict;
    fprintf(to, "%s of %s failed, <span class=\"range\">",
            html_count(verdict->window_failed, failed),
            html_count(verdict->window_samples, samples));
    put_percent(verdict->window_low, to);
    fputs(" to ", to);
    put_percent(verdict->window_high, to);
    fputs(" %</span>", to);
}

/* ---- the strip ---- */

/* A class of the stylesheet for what failed of a round. */
static const char *shade(const struct board_round *round) {
    if (round->judged == 0) {
        return "ours";
    }
    if (round->failed == 0) {
        return "good";
    }
    return round->failed * 20 >= round->judged * 19 ? "all"
           : round->failed * 2 >= round->judged     ? "many"
                                                    : "some";
}

static void put_tally(const struct board_round *round, FILE *to) {
    fprintf(to, "round %llu, ", (unsigned long long)round->number);
    char time[FORMAT_TIME_BYTES];
    format_time(round->wall_began, time);
    fprintf(to, "%.8s: ", time + 11);
    for (unsigned i = 0; i < round->n_rows; i++) {
        fprintf(to, "%s%u × ", i > 0 ? ", " : "", round->rows[i].count);
        html_outcome(round->rows[i].outcome, to);
    }
    if (round->others > 0) {
        fprintf(to, ", %u others", round->others);
    }
    if (round->judged == 0) {
        fputs("; none judged", to);
    } else {
        fprintf(to, "; %u of %u failed", round->failed, round->judged);
    }
}

static void put_strip_words(const struct board_site *site, FILE *to) {
    unsigned bad = 0, ours = 0;
    for (unsigned i = 0; i < site->n_rounds; i++) {
        const struct board_round *round = board_round(site, i);
        bad += round->failed > 0;
        ours += round->judged == 0;
    }
    fprintf(to, "%u of the last %u round%s had failed samples", bad, site->n_rounds,
            site->n_rounds == 1 ? "" : "s");
    if (ours > 0) {
        fprintf(to, ", %u could not be judged", ours);
    }
}

/* What page_cells() tells as a list, as a picture with one text. */
static void put_strip(const struct board_site *site, FILE *to) {
    if (site->n_rounds == 0) {
        fputs("<span class=\"none\">no round yet</span>", to);
        return;
    }
    fprintf(to, "<svg class=\"strip\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
            BOARD_ROUNDS * (CELL_WIDTH + CELL_GAP) - CELL_GAP, STRIP_HEIGHT);
    put_strip_words(site, to);
    fputs("\">", to);
    for (unsigned i = site->n_rounds; i > 0; i--) {
        const struct board_round *round = board_round(site, i - 1);
        double share = round->judged == 0 ? 1 : (double)round->failed / round->judged;
        double height = share <= 0 ? 4 : 7 + share * (STRIP_HEIGHT - 7);
        unsigned x = (BOARD_ROUNDS - i) * (CELL_WIDTH + CELL_GAP);
        fputs("<g><title>", to);
        put_tally(round, to);
        fprintf(to,
                "</title><rect class=\"ground\" x=\"%u\" width=\"%d\" height=\"%d\"/>"
                "<rect class=\"%s\" x=\"%u\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/></g>",
                x, CELL_WIDTH, STRIP_HEIGHT, shade(round), x, STRIP_HEIGHT - height, CELL_WIDTH,
                height);
    }
    fputs("</svg>", to);
}

/* The heights are classes, as the policy allows no style of an element's own. */
void page_cells(const struct board_site *site, FILE *to) {
    if (site->n_rounds == 0) {
        fputs("<p class=\"none\">No round yet.</p>\n", to);
        return;
    }
    fputs("<ol class=\"cells\" aria-label=\"", to);
    put_strip_words(site, to);
    fputs("\">\n", to);
    for (unsigned i = site->n_rounds; i > 0; i--) {
        const struct board_round *round = board_round(site, i - 1);
        unsigned tenths =
            round->judged == 0 ? 10 : (10 * round->failed + round->judged - 1) / round->judged;
        fprintf(to, "<li tabindex=\"0\" class=\"%s h%u\"><span>", shade(round), tenths);
        put_tally(round, to);
        fputs("</span></li>\n", to);
    }
    fputs(
        "</ol>\n<p class=\"hint\">Point at a round, or tab to it, to see how its samples ended; the newest "
        "is on the right.</p>\n",
        to);
}

/* ---- outcomes ---- */

struct counted {
    outcome_t outcome;
    uint64_t count;
};

/* Of all remembered rounds; returns how many there are, and those that no round told apart. */
static unsigned count_outcomes(const struct board_site *site,
                               struct counted ret_counted[OUTCOMES_MOST], uint64_t *ret_others) {
    unsigned n = 0;
    *ret_others = 0;
    for (unsigned i = 0; i < site->n_rounds; i++) {
        const struct board_round *round = board_round(site, i);
        *ret_others += round->others;
        for (unsigned k = 0; k < round->n_rows; k++) {
            unsigned at = 0;
            while (at < n && ret_counted[at].outcome != round->rows[k].outcome) {
                at++;
            }
            if (at == n && n == OUTCOMES_MOST) {
                *ret_others += round->rows[k].count;
                continue;
            }
            if (at == n) {
                ret_counted[n++] = (struct counted){.outcome = round->rows[k].outcome};
            }
            ret_counted[at].count += round->rows[k].count;
        }
    }
    return n;
}

/* The most frequent first. */
static int compare_counted(const void *a, const void *b) {
    const struct counted *left = a, *right = b;
    if (left->count != right->count) {
        return left->count < right->count ? 1 : -1;
    }
    return (left->outcome > right->outcome) - (left->outcome < right->outcome);
}

static const char *kind_of(const struct board_site *site, outcome_t outcome) {
    return !outcome_is_judged(outcome) ? "ours"
           : outcome_is_status(outcome) && status_set_has(site->site->expect.status, outcome)
               ? "good"
               : "all";
}

static void put_bar(const char *kind, uint64_t count, uint64_t most, FILE *to) {
    double width = (double)count / (double)most * BAR_WIDTH;
    fprintf(to,
            "<svg class=\"bar\" viewBox=\"0 0 %d 10\" preserveAspectRatio=\"none\" "
            "aria-hidden=\"true\"><rect class=\"%s\" width=\"%.1f\" height=\"10\"/></svg>",
            BAR_WIDTH, kind, width < 2 ? 2 : width);
}

void page_outcomes(const struct board_site *site, unsigned most, FILE *to) {
    struct counted counted[OUTCOMES_MOST];
    uint64_t others;
    char count[HTML_COUNT_BYTES];
    unsigned n = count_outcomes(site, counted, &others);
    if (n == 0) {
        fputs("<span class=\"none\">none yet</span>", to);
        return;
    }
    qsort(counted, n, sizeof counted[0], compare_counted);
    for (; n > most; n--) {
        others += counted[n - 1].count;
    }
    uint64_t longest = counted[0].count > others ? counted[0].count : others;
    fputs("<ul class=\"outcomes\">", to);
    for (unsigned i = 0; i < n; i++) {
        fputs("<li><b>", to);
        html_outcome(counted[i].outcome, to);
        fputs("</b> ", to);
        put_bar(kind_of(site, counted[i].outcome), counted[i].count, longest, to);
        fprintf(to, " <span>%s</span></li>", html_count(counted[i].count, count));
    }
    if (others > 0) {
        fputs("<li><b>others</b> ", to);
        put_bar("some", others, longest, to);
        fprintf(to, " <span>%s</span></li>", html_count(others, count));
    }
    fputs("</ul>", to);
}

/* ---- all sites ---- */

/* ASCII letters alone have a case here: names are mostly hosts. */
static bool has_text(const char *text, const char *part) {
    return strcasestr(text, part) != NULL;
}

static bool is_found(const struct board_site *site, const char *part) {
    if (part == NULL || *part == '\0' || has_text(site->site->name, part) ||
        has_text(site->site->url_given, part)) {
        return true;
    }
    for (size_t i = 0; i < site->site->n_labels; i++) {
        if (has_text(site->site->labels[i].value, part)) {
            return true;
        }
    }
    return false;
}

static const char *const rank_names[RANKS] = {"down", "degraded", "unknown", "up", "paused"};

static unsigned rank_asked(const struct page_view *view) {
    for (unsigned rank = 0; rank < RANKS && view->state != NULL; rank++) {
        if (strcmp(view->state, rank_names[rank]) == 0) {
            return rank;
        }
    }
    return RANKS; /* all */
}

/* Its address, with what is not the default. */
static void put_view(const char *state, const char *find, unsigned page, bool still, FILE *to) {
    const char *sign = "?";
    fputs(PAGE_PATH, to);
    if (state != NULL) {
        fprintf(to, "%sstate=%s", sign, state);
        sign = "&";
    }
    if (find != NULL && *find != '\0') {
        fprintf(to, "%sfind=", sign);
        html_encode(find, to);
        sign = "&";
    }
    if (page > 1) {
        fprintf(to, "%spage=%u", sign, page);
        sign = "&";
    }
    if (still) {
        fprintf(to, "%sstill=1", sign);
    }
}

static char *view_url(const char *state, const struct page_view *view, unsigned page, bool still) {
    char *url = NULL;
    size_t n;
    FILE *to = open_memstream(&url, &n);
    if (to == NULL) {
        return NULL;
    }
    put_view(state, view->find, page, still, to);
    if (fclose(to) != 0) {
        free(url);
        return NULL;
    }
    return url;
}

static void put_link(const char *url, const char *words, bool current, FILE *to) {
    fputs(current ? "<a aria-current=\"true\" href=\"" : "<a href=\"", to);
    html_text(url != NULL ? url : PAGE_PATH, to);
    fprintf(to, "\">%s</a>", words);
}

static void put_filters(const struct page_view *view, const size_t counts[RANKS + 1], FILE *to) {
    unsigned asked = rank_asked(view);
    fputs("<nav aria-label=\"Sites by state\"><ul class=\"filters\">", to);
    for (unsigned i = 0; i <= RANKS; i++) {
        unsigned rank = i == 0 ? RANKS : i - 1; /* all first */
        char words[96], count[HTML_COUNT_BYTES];
        snprintf(words, sizeof words, "%s <b>%s</b>", rank == RANKS ? "all" : rank_names[rank],
                 html_count(counts[rank], count));
        char *url = view_url(rank == RANKS ? NULL : rank_names[rank], view, 1, view->still);
        fprintf(to, "<li class=\"%s\">", rank == RANKS ? "every" : rank_names[rank]);
        put_link(url, words, rank == asked, to);
        fputs("</li>", to);
        free(url);
    }
    fputs("</ul></nav>\n<form action=\"" PAGE_PATH "\" role=\"search\">", to);
    if (asked != RANKS) {
        fprintf(to, "<input type=\"hidden\" name=\"state\" value=\"%s\">", rank_names[asked]);
    }
    if (view->still) {
        fputs("<input type=\"hidden\" name=\"still\" value=\"1\">", to);
    }
    fputs("<label>Name, URL or label <input type=\"search\" name=\"find\" value=\"", to);
    html_text(view->find != NULL ? view->find : "", to);
    fputs("\"></label> <button>Find</button></form>\n", to);
}

static void put_row(const struct board_site *site, const struct page_about *about, FILE *to) {
    char span[HTML_SPAN_BYTES], ms[FORMAT_MS_BYTES];
    fputs("<tr><td>", to);
    page_state(site, to);
    if (site->state.wall_since != NSEC_UNKNOWN) {
        fprintf(to, "<small>for %s</small>",
                html_span(about->wall_now - site->state.wall_since, span));
    }
    fputs("</td><th scope=\"row\"><a href=\"" PAGE_SITE_PATH "?name=", to);
    html_encode(site->site->name, to);
    fputs("\">", to);
    html_text(site->site->name, to);
    fputs("</a>", to);
    if (strcmp(site->site->name, site->site->url_given) != 0) {
        fputs("<small>", to);
        html_text(site->site->url_given, to);
        fputs("</small>", to);
    }
    fputs("</th><td data-head=\"Last rounds\">", to);
    put_strip(site, to);
    fputs("</td><td data-head=\"Of late\">", to);
    page_window(site, to);
    fputs("</td><td data-head=\"Outcomes\">", to);
    page_outcomes(site, 4, to);
    fputs("</td><td class=\"number\" data-head=\"Median\">", to);
    if (site->last != NULL && site->last->latency.n > 0) {
        fprintf(to, "%s ms", format_ms(site->last->latency.p50, ms));
    } else {
        fputs("<span class=\"none\">-</span>", to);
    }
    fputs("</td></tr>\n", to);
}

static void put_pages(const struct page_view *view, unsigned page, unsigned pages, FILE *to) {
    if (pages < 2) {
        return;
    }
    const char *state = rank_asked(view) < RANKS ? rank_names[rank_asked(view)] : NULL;
    fputs("<nav class=\"pages\" aria-label=\"Pages\">", to);
    if (page > 1) {
        char *url = view_url(state, view, page - 1, view->still);
        put_link(url, "← previous", false, to);
        free(url);
    }
    fprintf(to, " <span>page %u of %u</span> ", page, pages);
    if (page < pages) {
        char *url = view_url(state, view, page + 1, view->still);
        put_link(url, "next →", false, to);
        free(url);
    }
    fputs("</nav>\n", to);
}

static void put_table(struct board_site *const *sites, size_t n, const struct page_about *about,
                      FILE *to) {
    if (n == 0) {
        fputs("<p class=\"none\">No site is like that.</p>\n", to);
        return;
    }
    fputs(
        "<table class=\"sites\"><thead><tr><th scope=\"col\">State</th><th scope=\"col\">Site</th>"
        "<th scope=\"col\">Last rounds</th><th scope=\"col\">Failed of late (95 %)</th><th "
        "scope=\"col\">Outcomes</th><th scope=\"col\">Median</th></tr></thead>\n<tbody>\n",
        to);
    for (size_t i = 0; i < n; i++) {
        put_row(sites[i], about, to);
    }
    fputs("</tbody></table>\n", to);
}

/* Those that are asked for, the worst first; counts of those that are found, by rank, and of all. */
static size_t choose(const struct board *board, const struct page_view *view,
                     struct board_site **sites, size_t ret_counts[RANKS + 1]) {
    size_t n = 0, all = board_n_sites(board);
    unsigned asked = rank_asked(view);
    memset(ret_counts, 0, (RANKS + 1) * sizeof ret_counts[0]);
    board_worst_first(board, sites);
    for (size_t i = 0; i < all; i++) {
        if (!is_found(sites[i], view->find)) {
            continue;
        }
        unsigned rank = board_rank(sites[i]);
        ret_counts[rank]++;
        ret_counts[RANKS]++;
        if (asked == RANKS || asked == rank) {
            sites[n++] = sites[i];
        }
    }
    return n;
}

static void put_title(const size_t counts[RANKS + 1], char *ret_title, size_t size) {
    char count[HTML_COUNT_BYTES];
    if (counts[0] + counts[1] == 0) {
        snprintf(ret_title, size, "%s site%s - tallyd", html_count(counts[RANKS], count),
                 counts[RANKS] == 1 ? "" : "s");
    } else {
        snprintf(ret_title, size, "%zu down, %zu degraded - tallyd", counts[0], counts[1]);
    }
}

void page_write_sites(const struct board *board, const struct page_view *view,
                      const struct page_about *about, FILE *to) {
    size_t counts[RANKS + 1];
    struct board_site **sites = calloc(board_n_sites(board) + 1, sizeof(struct board_site *));
    if (sites == NULL) {
        page_write_message("tallyd", "Out of memory.", to);
        return;
    }
    size_t n = choose(board, view, sites, counts);
    unsigned pages = n == 0 ? 1 : (unsigned)((n + PAGE_SITES_MOST - 1) / PAGE_SITES_MOST);
    unsigned page = view->page < 1 ? 1 : view->page > pages ? pages : view->page;
    size_t first = (size_t)(page - 1) * PAGE_SITES_MOST;
    size_t here = n - first < PAGE_SITES_MOST ? n - first : PAGE_SITES_MOST;
    const char *state = rank_asked(view) < RANKS ? rank_names[rank_asked(view)] : NULL;
    char title[96];
    put_title(counts, title, sizeof title);
    char *own = view_url(state, view, page, false);
    char *other = view_url(state, view, page, !view->still);
    page_begin(title, view->still ? NULL : own, about->refresh_seconds, to);
    fputs("<header><h1>Sites</h1>\n", to);
    put_filters(view, counts, to);
    fputs("</header>\n<main>\n", to);
    page_trouble(about, to);
    put_table(sites + first, here, about, to);
    put_pages(view, page, pages, to);
    fputs("</main>\n", to);
    page_end(about, other != NULL ? other : PAGE_PATH, view->still, to);
    free(own);
    free(other);
    free(sites);
}
