/* What a reload changes, in numbers for the message about it. */
#pragma once

#include "config/config.h"

#include <stddef.h>

/* In sites. */
struct difference {
    size_t added, removed, changed, before;
};
struct difference difference_between(const struct config *before, const struct config *after);
