/* The request of a sample as a command line: what an operator pastes into a shell to see the same
 * failure. Pure; no file is read. */
#pragma once

#include "config/config.h"

#include <stddef.h>

#define CURL_LINE_BYTES_MOST (16 << 10)

/* `curl` with what the site's first request needs to be sent to that very address: the site is the
 * configuration's. The line is for a POSIX shell, printable as it is (text_escape() would not change
 * it), shows no secret but reads it from where tallyd does, and depends on neither ~/.curlrc nor the
 * environment's proxies. `most` bounds its length. 0 with *ret_line, the caller's to free; -ENOMEM;
 * -E2BIG; -EINVAL: no argument could carry one of the values. */
int curl_line(const struct config *config, const struct site *site, const char *address,
              size_t most, char **ret_line);
