/* What a board knows, for Prometheus: its text format, version 0.0.4. */
#pragma once

#include "report/board.h"
#include "report/vitals.h"

#include <stdbool.h>
#include <stdio.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics;

/* For the sites of this moment, which stay the same until it is freed; their numbers are those of the
 * moment in which they are written. NULL: out of memory. */
struct metrics *metrics_new(const struct board *board, const struct vitals *vitals);
void metrics_free(struct metrics *metrics);

/* The next piece, a few KiB; whether there is more. */
bool metrics_write(struct metrics *metrics, FILE *to);
