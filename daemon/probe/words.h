/* A line of words that is put together from our own text and pieces of what came from outside, each
 * of them escaped and cut. Internal to probe/. */
#pragma once

#include <stddef.h>

struct words {
    char *text; /* borrowed; always terminated */
    size_t size, used;
};

/* Begins an empty line. */
void words_init(struct words *words, char *text, size_t size);
/* Our own text; what does not fit is left away, from this piece on. */
void words_add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What is escaped already; cut where the room ends. */
void words_append(struct words *words, const char *escaped);
/* Somebody else's, in quotation marks (or any other `mark`); cut text ends in "…" after the mark. */
void words_quote(struct words *words, const char *mark, const char *bytes, size_t n);
