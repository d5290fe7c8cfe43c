/* From the YAML of one file to settings. The only place that knows how the keys lie in a file. */
#pragma once

#include "config/draft.h"

/* Adds to the draft what `source` (which must outlive it) says. An included file may hold sites
 * only. What is wrong is among the draft's messages; -ENOMEM. */
int reader_read(struct source *source, bool included, struct draft *draft);
