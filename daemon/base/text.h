/* Text that came from outside (servers, libraries, the configuration) and is about to be shown.
 * The one place that decides what may reach a terminal, a log or a page. */
#pragma once

#include <stddef.h>

/* Copies `n` bytes of `bytes` to `ret_text` so that the result is valid UTF-8 in one line: C0 and
 * C1 controls, DEL, U+2028, U+2029, bidi controls (U+061C, U+200E/F, U+202A-202E, U+2066-2069),
 * U+FEFF and every byte that is not valid UTF-8 become \xNN (each byte of the sequence); a
 * backslash stays. At most `size` - 1 bytes are written, cut between characters, and a NUL. Returns
 * the length. */
size_t text_escape(const char *bytes, size_t n, char *ret_text, size_t size);

/* The room that text_escape() needs at the most for `n` bytes. */
#define TEXT_ESCAPED_SIZE(n) (4 * (n) + 1)

/* Whether text_escape() would change anything. */
int text_is_safe(const char *bytes, size_t n);
/* How many of the first bytes it would leave as they are. */
size_t text_safe_length(const char *bytes, size_t n);
