/* The header fields of one head, as answer.c keeps them: lines that end in LF, unfolded. Pure.
 * Internal to probe/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct field { /* borrowed from the head; not terminated */
    const char *name;
    size_t name_bytes;
    const char *value; /* without the spaces and tabs around it */
    size_t value_bytes;
};

/* The next field from *at (0 at first) on; lines that are none are passed over. False: no more. */
bool fields_next(const char *head, size_t n, size_t *at, struct field *ret_field);

/* The same, of that name in whatever case. */
bool fields_find(const char *head, size_t n, size_t *at, const char *name, struct field *ret_field);

/* The value of a cookie that is set: of the first Set-Cookie field of that name, in that case. */
bool fields_cookie(const char *head, size_t n, const char *name, struct field *ret_cookie);
