/* The value. It is built once, by draft_finish() or config_once(), and never changes; what it points to
 * lies in one arena. */
#include "config/config.h"

#include "config/draft.h"
#include "config/files.h"
#include "config/messages.h"
#include "config/nearest.h"
#include "config/private.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config *config_new(void) {
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return NULL;
    }
    config->private_ = calloc(1, sizeof *config->private_);
    if (config->private_ == NULL) {
        free(config);
        return NULL;
    }
    atomic_init(&config->private_->refs, 1);
    config->max_removed = -1;
    return config;
}

struct config *config_ref(struct config *config) {
    size_t before = atomic_fetch_add_explicit(&config->private_->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return config;
}

void config_unref(struct config *config) {
    if (config == NULL) {
        return;
    }
    /* release: what this thread read is read before; acquire: all others have released */
    size_t before = atomic_fetch_sub_explicit(&config->private_->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1) {
        return;
    }
    for (size_t i = 0; i < config->n_sites && config->private_->of == NULL; i++) {
        url_clear(&config->sites[i].url);
    }
    config_unref(config->private_->of);
    arena_clear(&config->private_->arena);
    free(config->private_);
    free(config);
}

struct index_key config_name_of(const void *sites, size_t i) {
    const char *name = ((const struct site *)sites)[i].name;
    return (struct index_key){name, strlen(name)};
}

const struct site *config_find(const struct config *config, const char *name) {
    size_t i =
        index_find(&config->private_->names, config->sites, (struct index_key){name, strlen(name)});
    return i == INDEX_NONE ? NULL : &config->sites[i];
}

bool status_set_has(const struct status_set *set, unsigned status) {
    return status >= 100 && status <= 999 &&
           (set->bits[(status - 100) / 64] >> ((status - 100) % 64) & 1) != 0;
}

int config_parse_duration(const char *text, bool bare_seconds, nsec_t *ret_duration) {
    const char *why;
    return value_parse_duration(text, bare_seconds, ret_duration, &why);
}

static struct index_key interval_of(const void *intervals, size_t i) {
    return (struct index_key){(const nsec_t *)intervals + i, sizeof(nsec_t)};
}

int config_number_rings(struct config *config) {
    struct arena *arena = &config->private_->arena;
    struct index rings;
    config->ring_intervals =
        arena_take_array(arena, config->n_sites, sizeof *config->ring_intervals);
    if (config->ring_intervals == NULL ||
        index_init(&rings, arena, config->n_sites, interval_of) < 0) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->n_sites; i++) {
        config->ring_intervals[config->n_rings] = config->sites[i].interval;
        size_t ring = index_add(&rings, config->ring_intervals, config->n_rings);
        config->sites[i].ring = (unsigned)ring;
        config->n_rings += ring == config->n_rings;
    }
    return 0;
}

/* The messages have the last word: with an error among them there is no configuration. */
int config_conclude(int r, struct draft *draft, struct config_messages *ret_messages,
                    struct config **ret_config) {
    struct config *config = NULL;
    if (r == 0) {
        r = draft_finish(draft, &config);
    }
    *ret_messages = (struct config_messages){0};
    bool has_errors = draft->messages.counts[MESSAGE_ERROR] > 0;
    int taken = messages_take(&draft->messages, ret_messages);
    r = r == -ENOMEM || taken < 0 ? -ENOMEM : has_errors ? -EINVAL : r;
    draft_clear(draft);
    if (r < 0) {
        config_unref(config);
        return r;
    }
    *ret_config = config;
    return 0;
}

const char *config_nearest(const struct config *config, const char *name) {
    const char *nearest = NULL;
    unsigned least = 0;
    for (size_t i = 0; i < config->n_sites; i++) {
        unsigned far = nearest_distance(name, config->sites[i].name);
        if (far <= nearest_limit(config->sites[i].name) && (nearest == NULL || far < least)) {
            nearest = config->sites[i].name;
            least = far;
        }
    }
    return nearest;
}

int config_load(const char *path, struct config_messages *ret_messages,
                struct config **ret_config) {
    struct draft draft = {0};
    return config_conclude(files_read(path, &draft), &draft, ret_messages, ret_config);
}

int config_load_without_secrets(const char *path, struct config_messages *ret_messages,
                                struct config **ret_config) {
    struct draft draft = {.without_secrets = true};
    return config_conclude(files_read(path, &draft), &draft, ret_messages, ret_config);
}

int config_load_memory(const char *name, const char *bytes, size_t n,
                       struct config_messages *ret_messages, struct config **ret_config) {
    struct draft draft = {0};
    return config_conclude(files_read_memory(name, bytes, n, &draft), &draft, ret_messages,
                           ret_config);
}
