/* Who saw what: a round's addresses, or the servers that named themselves, against outcomes, for a
 * reader at a terminal. */
#pragma once

#include "report/report.h"

#include <stdio.h>

/* Each matrix with an empty line before it. 0 or -ENOMEM. */
int matrix_put(const struct report *report, FILE *to);
