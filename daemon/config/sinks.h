/* From settings to sinks. */
#pragma once

#include "config/draft.h"

/* Makes config->sinks of the draft's. What is wrong is among its messages; -ENOMEM. */
int sinks_fill(struct draft *draft, struct config *config);
