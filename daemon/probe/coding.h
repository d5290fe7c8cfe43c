/* How often a body is coded (gzip, deflate, …), by one line of a head. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How many codings a Transfer-Encoding line, or with `unpacked` a Content-Encoding line, names that
 * libcurl undoes: chunked and identity do not count, nor does any other header. */
unsigned coding_count(const char *line, size_t n, bool unpacked);
