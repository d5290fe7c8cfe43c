/* HTML: texts as they may stand in it, and what all pages are made of. */
#pragma once

#include "base/clock.h"
#include "probe/outcome.h"

#include <stdint.h>
#include <stdio.h>

/* A text of any origin, safe for a terminal too (text_escape()) and for HTML, in content and in a
 * quoted attribute. */
void html_text(const char *text, FILE *to);
void html_outcome(outcome_t outcome, FILE *to);

/* As a value in a URL's query: percent-encoded but for [A-Za-z0-9._~-]. */
void html_encode(const char *text, FILE *to);

/* "1,234,567". */
#define HTML_COUNT_BYTES 32
const char *html_count(uint64_t n, char ret_text[HTML_COUNT_BYTES]);

/* "4 s", "12 min", "5 h", "3 days": a time that has passed. */
#define HTML_SPAN_BYTES 32
const char *html_span(nsec_t span, char ret_text[HTML_SPAN_BYTES]);

/* A moment in UTC for people and for programs (<time>). */
void html_time(nsec_t wall_time, FILE *to);
