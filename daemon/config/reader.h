/* From YAML to a draft. The only place that knows how the keys lie in a file. */
#pragma once

#include "config/draft.h"

/* Reads a file and all that it includes. What is wrong is among the draft's messages; -ENOMEM. */
int reader_read_file(const char *path, struct draft *draft);
/* The same from memory; an `include` is an error there. */
int reader_read_memory(const char *name, const char *bytes, size_t n, struct draft *draft);
