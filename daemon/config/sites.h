/* From settings to sites. */
#pragma once

#include "config/draft.h"

/* Makes config->sites of the draft's, with their names and rings. What is wrong is among its
 * messages; -ENOMEM. */
int sites_fill(struct draft *draft, struct config *config);
