/* The sites of a configuration that are sampled once, now: copies whose texts stay the configuration's,
 * without what only a daemon needs: slots, rings and sinks of its own. */
#include "config/config.h"

#include "config/private.h"
#include "config/timing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As `tallyd sample` does it: all at once, and with the time that it needs. */
static void prepare(struct site *site, const struct config_urls *urls) {
    site->enabled = true;
    site->spread = 0;
    site->samples = urls->samples > 0 ? urls->samples : site->samples;
    site->concurrency = urls->concurrency > 0 ? urls->concurrency : site->concurrency;
    site->timeout = urls->timeout > 0 ? urls->timeout : site->timeout;
    if (!site->deadline_given) {
        site->deadline = timing_need(site);
    }
}

/* All in one ring, which is in the order of the names. */
static int finish_sites(struct config *once) {
    nsec_t longest = 0;
    for (size_t i = 0; i < once->n_sites; i++) {
        nsec_t deadline = once->sites[i].deadline;
        longest = deadline > longest ? deadline : longest;
    }
    for (size_t i = 0; i < once->n_sites; i++) {
        once->sites[i].interval = longest;
    }
    struct index *names = &once->private_->names;
    if (index_init(names, &once->private_->arena, once->n_sites, config_name_of) < 0) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < once->n_sites; i++) {
        (void)index_add(names, once->sites, i);
    }
    return config_number_rings(once);
}

static int fill(struct config *once, struct config *config, const char *const *names, size_t n,
                const struct config_urls *urls) {
    struct arena *arena = &once->private_->arena;
    once->resolver_servers = config->resolver_servers;
    once->n_resolver_servers = config->n_resolver_servers;
    once->resolver_timeout = config->resolver_timeout;
    once->resolver_tries = config->resolver_tries;
    once->workers = config->workers;
    once->ca_file = config->ca_file;
    once->max_in_flight = urls->max_in_flight > 0 ? urls->max_in_flight : config->max_in_flight;
    once->sinks = arena_take(arena, sizeof *once->sinks);
    once->sites = arena_take_array(arena, n, sizeof *once->sites);
    char *format = arena_copy(arena, urls->format != NULL ? urls->format : "text");
    if (once->sinks == NULL || once->sites == NULL || format == NULL) {
        return -ENOMEM;
    }
    once->n_sinks = 1;
    once->sinks[0] =
        (struct sink_config){.kind = SINK_STDOUT, .format = format, .only = SINK_ONLY_ALL};
    for (size_t i = 0; i < n; i++) {
        once->sites[i] = *config_find(config, names[i]);
        prepare(&once->sites[i], urls);
    }
    once->n_sites = n;
    return finish_sites(once);
}

int config_once(struct config *config, const char *const *names, size_t n,
                const struct config_urls *urls, struct config **ret_once, const char **ret_unknown,
                const char **ret_nearest) {
    for (size_t i = 0; i < n; i++) {
        if (config_find(config, names[i]) == NULL) {
            *ret_unknown = names[i];
            *ret_nearest = config_nearest(config, names[i]);
            return -ENOENT;
        }
    }
    struct config *once = config_new();
    if (once == NULL) {
        return -ENOMEM;
    }
    once->private_->of = config_ref(config);
    int r = fill(once, config, names, n, urls);
    if (r < 0) {
        config_unref(once);
        return r;
    }
    *ret_once = once;
    return 0;
}
