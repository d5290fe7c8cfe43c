/* The inside of a configuration, for the files of this folder that make one. */
#pragma once

#include "config/arena.h"
#include "config/config.h"
#include "config/index.h"

#include <stdatomic.h>

struct config_private {
    atomic_size_t refs;
    struct arena arena; /* everything but the sites' URLs, which are url.c's */
    struct index names;
    struct config *of; /* a reference: it owns what the sites point to, URLs too; NULL: they do */
};

struct draft;
/* Makes the value of a draft, unless `r` says that it is not worth it, hands over the messages and
 * clears the draft. As config_load(). */
int config_conclude(int r, struct draft *draft, struct config_messages *ret_messages,
                    struct config **ret_config);

/* Empty, with one reference; NULL: out of memory. */
struct config *config_new(void);

/* After config->sites is set: numbers the rings. 0 or -ENOMEM. */
int config_number_rings(struct config *config);

struct index_key config_name_of(const void *sites, size_t i);
