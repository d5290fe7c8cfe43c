/* What a configuration costs, worked out before anything is sent. Pure, but for the last. */
#pragma once

#include "config/config.h"

#include <stdio.h>

/* Prints `tallyd check`'s page: per site (at most `most_sites` of them, then how many more) and in
 * total samples/s, requests and bytes a day in the worst case, log bytes a day, fds and memory at
 * the most, the longest a report can wait for its order. `fd_limit` is RLIMIT_NOFILE's soft limit.
 */
void plan_print(const struct config *config, size_t most_sites, uint64_t fd_limit, FILE *to);

/* Descriptors that `config` can need at the most, the process's own included. */
uint64_t plan_fds(const struct config *config);

/* Prints a warning for each log that this user could not write, as far as can be told without
 * opening it, and for a journal that would drop reports. */
void plan_print_obstacles(const struct config *config, FILE *to);
