/* A change of a site's state as a command is told it: in its environment, built when it happened, so
 * that it does not depend on a configuration that may be replaced before the command runs. */
#pragma once

#include "base/loop.h"
#include "config/config.h"
#include "report/change.h"

#include <stdbool.h>
#include <stddef.h>

struct news {
    struct mail mail; /* whoever posts it */
    unsigned refs;    /* of one thread at a time */
    enum on_change_state state;
    enum state from, to;
    char *site;         /* its name */
    char **environment; /* n of NAME=VALUE */
    size_t n;
};

/* Whether a change to that state is told at all, and as which. */
bool news_state(enum state to, enum on_change_state *ret_state);

/* With one reference. NULL: out of memory. */
struct news *news_new(const struct site *site, const struct change *change);
struct news *news_ref(struct news *news);
void news_unref(struct news *news); /* NULL does nothing */

/* The environment of a run: the news', which number the try is, and how many older changes of the site
 * were not told. Ends with NULL; it borrows from `news`. NULL: out of memory. */
char **news_environment(const struct news *news, unsigned number, unsigned replaced);
void news_environment_free(char **environment);
