/* The status pages: HTML and inline SVG made here, one stylesheet, no script, nothing from outside.
 * Each function writes one whole document to `to`; errors of `to` itself are for the caller to see
 * (ferror). What comes from outside passes html_text() alone. */
#pragma once

#include "report/board.h"

#include <stdbool.h>
#include <stdio.h>

#define PAGE_SITES_MOST 100 /* of one page; more are on the next */

/* The policy that goes with a page: nothing but its own stylesheet and icon, and forms to itself. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "  \
    "frame-ancestors 'none'"

/* Where things are; what page.c links to and whoever serves it must know. */
#define PAGE_PATH       "/"
#define PAGE_SITE_PATH  "/site" /* ?name=NAME */
#define PAGE_STYLE_PATH "/style.css"
#define PAGE_ICON_PATH  "/icon.svg"

void page_write_style(FILE *to); /* text/css */
void page_write_icon(FILE *to);  /* image/svg+xml: a tally of five */

/* What of all sites is asked for. All borrowed. */
struct page_view {
    const char *state; /* as board_state_name() says it; NULL or something else: all */
    const char *find;  /* part of a name, a URL or a label's value, whatever its case; NULL: all */
    unsigned page;     /* from 1; beyond the last: the last */
    bool still;        /* does not refresh itself */
};

/* What a page tells beside its sites. All borrowed. */
struct page_about {
    nsec_t wall_now;
    unsigned refresh_seconds; /* how often a page refreshes itself */
    const char *trouble;      /* why this machine itself is in trouble; NULL: it is not */
};

void page_write_sites(const struct board *board, const struct page_view *view,
                      const struct page_about *about, FILE *to);
void page_write_site(const struct board_site *site, bool still, const struct page_about *about,
                     FILE *to);
/* A page of one sentence: there is no such site or page. */
void page_write_message(const char *title, const char *message, FILE *to);

/* For page.c and page_site.c. */

void page_begin(const char *title, const char *refresh_url, unsigned refresh_seconds, FILE *to);
void page_trouble(const struct page_about *about, FILE *to);
void page_end(const struct page_about *about, const char *other_url, bool still, FILE *to);

void page_state(const struct board_site *site, FILE *to);  /* a badge */
void page_window(const struct board_site *site, FILE *to); /* "3 of 120 failed, 0.9 to 7.1 %" */
/* Its last rounds, the newest on the right: how high a cell is, and its colour, is what failed. Each can
 * be focused, and then tells its tally. */
void page_cells(const struct board_site *site, FILE *to);
/* How samples ended, of the rounds that are remembered: a bar each, the most frequent first;
 * those beyond `most` together. */
void page_outcomes(const struct board_site *site, unsigned most, FILE *to);
