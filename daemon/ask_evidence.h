/* Samples that failed, as the daemon's API tells of them. */
#pragma once

#include <stdio.h>

struct json_t; /* jansson.h */

/* Prints the evidence of a report (a record as in a log; NULL: none) as `tallyd sample -v` does: those of
 * a kind together, when and where each began and how long its phases were, and what is the same of them
 * once. 0 or -ENOMEM. */
int ask_evidence_print(const struct json_t *report, FILE *to);
