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
