/* A configuration for tests of what only holds references to one: they are counted here. To be
 * included by one file of a test program. */
#pragma once

#include "config/config.h"

static _Atomic unsigned config_refs; /* records cross threads */

struct config *config_ref(struct config *config) {
    config_refs++;
    return config;
}

void config_unref(struct config *config) {
    if (config != NULL) {
        config_refs--;
    }
}

/* In the same object file as those two, so it is replaced with them. */
bool status_set_has(const struct status_set *set, unsigned status) {
    return set != NULL && status >= 100 && status <= 999 &&
           (set->bits[(status - 100) / 64] >> ((status - 100) % 64) & 1) != 0;
}
