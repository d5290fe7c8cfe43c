#include "output/html.h"

#include "base/text.h"
#include "output/format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The five characters of HTML; what is left of a text by text_escape() is one line of UTF-8. */
static void put(const char *safe, FILE *to) {
    for (const char *c = safe; *c != '\0'; c++) {
        switch (*c) {
        case '&':
            fputs("&amp;", to);
            break;
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        case '\'':
            fputs("&#39;", to);
            break;
        default:
            putc(*c, to);
        }
    }
}

void html_text(const char *text, FILE *to) {
    size_t n = strlen(text);
    if (text_is_safe(text, n)) {
        put(text, to);
        return;
    }
    char *safe = format_escape(text);
    put(safe != NULL ? safe : "(out of memory)", to);
    free(safe);
}

void html_outcome(outcome_t outcome, FILE *to) {
    char text[FORMAT_OUTCOME_BYTES];
    fputs(format_outcome(outcome, text), to);
}

void html_encode(const char *text, FILE *to) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr(plain, *c) != NULL) {
            putc(*c, to);
        } else {
            fprintf(to, "%%%02X", (unsigned char)*c);
        }
    }
}

const char *html_count(uint64_t n, char ret_text[HTML_COUNT_BYTES]) {
    char digits[HTML_COUNT_BYTES];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *out = ret_text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *out++ = ',';
        }
        *out++ = digits[i];
    }
    *out = '\0';
    return ret_text;
}

const char *html_span(nsec_t span, char ret_text[HTML_SPAN_BYTES]) {
    int64_t seconds = span > 0 ? span / NSEC_PER_SEC : 0;
    if (seconds < 120) {
        snprintf(ret_text, HTML_SPAN_BYTES, "%" PRId64 " s", seconds);
    } else if (seconds < 120 * 60) {
        snprintf(ret_text, HTML_SPAN_BYTES, "%" PRId64 " min", seconds / 60);
    } else if (seconds < 48 * 3600) {
        snprintf(ret_text, HTML_SPAN_BYTES, "%" PRId64 " h", seconds / 3600);
    } else {
        snprintf(ret_text, HTML_SPAN_BYTES, "%" PRId64 " days", seconds / 86400);
    }
    return ret_text;
}

void html_time(nsec_t wall_time, FILE *to) {
    char text[FORMAT_TIME_BYTES];
    format_time(wall_time, text);
    /* "2026-11-22T10:06:00.123Z": the date, and the time to the second */
    fprintf(to, "<time datetime=\"%s\">%.10s %.8s</time>", text, text, text + 11);
}
