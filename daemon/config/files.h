/* From files to a draft. */
#pragma once

#include "config/draft.h"

/* Reads a file and all that it includes. What is wrong is among the draft's messages; -ENOMEM. */
int files_read(const char *path, struct draft *draft);
/* The same from memory; an `include` is an error there. */
int files_read_memory(const char *name, const char *bytes, size_t n, struct draft *draft);
