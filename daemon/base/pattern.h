/* Regular expressions, by PCRE2. A compiled pattern is immutable and may be used by any thread.
 * Matching is bounded in memory and processor time, whatever the pattern and whatever the text. */
#pragma once

#include <stddef.h>

struct pattern;

enum pattern_result {
    PATTERN_MATCHES,
    PATTERN_DIFFERS,
    PATTERN_GAVE_UP, /* a limit was reached before it was known */
};

/* 0; -EINVAL with what is wrong in ret_why (a sentence) and the byte offset in the text where;
 * -ENOMEM. */
int pattern_new(const char *text, struct pattern **ret_pattern, char *ret_why, size_t why_size,
                size_t *ret_offset);
void pattern_free(struct pattern *pattern); /* NULL does nothing */

/* Whether it is found anywhere in those bytes, which need be no UTF-8. Out of memory is
 * PATTERN_GAVE_UP. */
enum pattern_result pattern_match(const struct pattern *pattern, const char *bytes, size_t n);
