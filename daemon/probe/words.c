#include "probe/words.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { QUOTE_BYTES = 64 }; /* escaped; two of them and what stands around fit in one line */

void words_init(struct words *words, char *text, size_t size) {
    *words = (struct words){.text = text, .size = size};
    text[0] = '\0';
}

void words_add(struct words *words, const char *format, ...) {
    char piece[128];
    va_list args;
    va_start(args, format);
    vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    words_append(words, piece);
}

void words_append(struct words *words, const char *escaped) {
    words->used +=
        text_escape(escaped, strlen(escaped), words->text + words->used, words->size - words->used);
}

void words_quote(struct words *words, const char *mark, const char *bytes, size_t n) {
    char piece[QUOTE_BYTES + 1], longer[QUOTE_BYTES + TEXT_ESCAPED_SIZE(4)];
    bool cut =
        text_escape(bytes, n, piece, sizeof piece) < text_escape(bytes, n, longer, sizeof longer);
    words_add(words, "%s%s%s%s", mark, piece, mark, cut ? "…" : "");
}
