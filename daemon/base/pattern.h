/* Regular expressions, by PCRE2. A compiled pattern is immutable and may be used by any thread.
 * Matching is bounded in memory (16 MiB) and processor time, whatever the pattern and whatever the
 * text.
 *
 * A text is bytes, as with LC_ALL=C grep -P: `.` is one byte, and where a character beyond ASCII is
 * repeated it stands in a group, (?:é)+. ^ and $ are the ends of a line, and `.` does not match a
 * line's end, which is LF, CR or CRLF; \A and \z are the ends of the text. (?i), (?s) and the like
 * at the start change the rules. */
#pragma once

#include "base/clock.h"

#include <stddef.h>

#define PATTERN_TEXT_BYTES_MOST ((size_t)1 << 20)
/* What ordinary patterns never need: measured are 1 to 35 ns for each byte that is searched. */
#define PATTERN_BUDGET          (10 * NSEC_PER_MSEC)
#define PATTERN_BUDGET_PER_BYTE ((nsec_t)40)

struct pattern;

enum pattern_result {
    PATTERN_MATCHES,
    PATTERN_DIFFERS,
    PATTERN_GAVE_UP, /* a limit was reached before it was known */
};

/* 0; -EINVAL with what is wrong in ret_why (words of PCRE2's or ours) and the byte offset in the
 * text where; -ENOMEM. */
int pattern_new(const char *text, struct pattern **ret_pattern, char *ret_why, size_t why_size,
                size_t *ret_offset);
void pattern_free(struct pattern *pattern); /* NULL does nothing */

/* Whether it is found anywhere in those bytes, which need be no UTF-8; where it is, ret_at (NULL:
 * not of interest) gets the offset of the first place. So much processor time as *budget says it may
 * take, and a little more; what it took is subtracted. With nothing left, out of memory, or with a
 * text of more than PATTERN_TEXT_BYTES_MOST it gives up. */
enum pattern_result pattern_match(const struct pattern *pattern, const char *bytes, size_t n,
                                  nsec_t *budget, size_t *ret_at);
