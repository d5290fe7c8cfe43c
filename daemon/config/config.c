/* The value. It is built once by draft_finish() or config_from_urls(), and never changes; what it
 * points to lies in one arena. */
#include "config/config.h"

#include "config/draft.h"
#include "config/files.h"
#include "config/keys.h"
#include "config/messages.h"
#include "config/private.h"
#include "config/question.h"
#include "config/timing.h"
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
    for (size_t i = 0; i < config->n_sites; i++) {
        url_clear(&config->sites[i].url);
    }
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
static int conclude(int r, struct messages *messages, struct config *config,
                    struct config_messages *ret_messages, struct config **ret_config) {
    bool has_errors = messages->counts[MESSAGE_ERROR] > 0;
    int taken = messages_take(messages, ret_messages);
    r = r == -ENOMEM || taken < 0 ? -ENOMEM : has_errors ? -EINVAL : r;
    if (r < 0) {
        config_unref(config);
        return r;
    }
    *ret_config = config;
    return 0;
}

static int finish(int r, struct draft *draft, struct config_messages *ret_messages,
                  struct config **ret_config) {
    struct config *config = NULL;
    if (r == 0) {
        r = draft_finish(draft, &config);
    }
    *ret_messages = (struct config_messages){0};
    r = conclude(r, &draft->messages, config, ret_messages, ret_config);
    draft_clear(draft);
    return r;
}

int config_load(const char *path, struct config_messages *ret_messages,
                struct config **ret_config) {
    struct draft draft = {0};
    return finish(files_read(path, &draft), &draft, ret_messages, ret_config);
}

int config_load_memory(const char *name, const char *bytes, size_t n,
                       struct config_messages *ret_messages, struct config **ret_config) {
    struct draft draft = {0};
    return finish(files_read_memory(name, bytes, n, &draft), &draft, ret_messages, ret_config);
}

/* One bad value of the command line; the rows know the bounds. */
static void check_number(struct messages *messages, const char *name, enum key_place place,
                         int64_t number) {
    const struct key *key = key_find(name, place);
    if (number < key->min || number > key->max) {
        messages_add_whole(messages, MESSAGE_ERROR, "command line",
                           "%s: %lld is not from %lld to %lld", name, (long long)number,
                           (long long)key->min, (long long)key->max);
    }
}

static int add_url(struct config *config, const struct config_urls *urls, size_t i,
                   const struct site *pattern, struct messages *messages) {
    struct arena *arena = &config->private_->arena;
    struct site *site = &config->sites[i];
    *site = *pattern;
    const char *why;
    int r = url_parse(urls->urls[i], &site->url, &why);
    if (r == -EINVAL) {
        struct source *source =
            source_new(urls->origins[i], urls->urls[i], strlen(urls->urls[i]), false);
        if (source == NULL) {
            return -ENOMEM;
        }
        source->order = (unsigned)i;
        struct mark mark = {.source = source};
        if (strchr(urls->urls[i], '@') != NULL) {
            messages_add_secret(messages, MESSAGE_ERROR, mark, NULL, "the URL %s", why);
        } else {
            messages_add(messages, MESSAGE_ERROR, mark, value_url_hint(urls->urls[i]), "the URL %s",
                         why);
        }
        source_free(source);
        site->url_given = ""; /* never seen: there is an error */
    } else if (r == 0) {
        site->url_given = arena_copy(arena, urls->urls[i]);
    }
    site->name = site->url_given;
    return r == -ENOMEM || site->url_given == NULL ? -ENOMEM : 0;
}

/* " (2)" makes the second site of a URL another name; no URL has a space, so it is nobody's. */
static int make_names_unique(struct config *config) {
    struct arena *arena = &config->private_->arena;
    struct index *names = &config->private_->names;
    unsigned *seen = arena_take_array(arena, config->n_sites, sizeof *seen);
    if (seen == NULL || index_init(names, arena, config->n_sites, config_name_of) < 0) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->n_sites; i++) {
        struct site *site = &config->sites[i];
        size_t first = index_add(names, config->sites, i);
        if (first == i) {
            continue;
        }
        size_t size = strlen(site->name) + 32;
        char *name = arena_take(arena, size);
        if (name == NULL) {
            return -ENOMEM;
        }
        snprintf(name, size, "%s (%u)", site->name, ++seen[first] + 1);
        site->name = name;
        (void)index_add(names, config->sites, i);
    }
    return 0;
}

/* All sites of `tallyd sample` have the same settings. */
static int make_pattern(const struct config_urls *urls, struct arena *arena,
                        struct messages *messages, struct site *ret_site) {
    struct site_form form = {0};
    int r = key_store_fallbacks(KEY_ALL_OF_SITE, arena, &form);
    if (r == 0) {
        r = question_settle(&form, false, arena);
    }
    if (r < 0) {
        return r;
    }
    struct site site = form.site;
    if (urls->samples > 0) {
        site.samples = urls->samples;
        check_number(messages, "samples", KEY_SITE, urls->samples);
    }
    if (urls->concurrency > 0) {
        site.concurrency = urls->concurrency;
        check_number(messages, "concurrency", KEY_SITE, urls->concurrency);
    }
    if (urls->timeout > 0) {
        site.timeout = urls->timeout;
        site.timeout_given = true;
        const struct key *key = key_find("timeout", KEY_SITE);
        if (site.timeout < key->min || site.timeout > key->max) {
            char given[VALUE_TEXT_SIZE], least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
            value_print_duration(site.timeout, given);
            value_print_duration(key->min, least);
            value_print_duration(key->max, most);
            messages_add_whole(messages, MESSAGE_ERROR, "command line",
                               "timeout: %s is not from %s to %s", given, least, most);
        }
    }
    site.enabled = true;
    site.spread = 0;
    site.deadline = timing_need(&site);
    site.interval = site.deadline; /* there is no second round */
    *ret_site = site;
    return 0;
}

static int build_from_urls(const struct config_urls *urls, struct config *config,
                           struct messages *messages) {
    struct arena *arena = &config->private_->arena;
    struct site pattern;
    int r = key_store_fallbacks(KEY_TOP | KEY_RESOLVER, arena, config);
    if (r == 0) {
        r = make_pattern(urls, arena, messages, &pattern);
    }
    if (r < 0) {
        return r;
    }
    if (urls->max_in_flight > 0) {
        config->max_in_flight = urls->max_in_flight;
        check_number(messages, "max_in_flight", KEY_TOP, urls->max_in_flight);
    }
    if (urls->n_urls == 0) {
        messages_add_whole(messages, MESSAGE_ERROR, "command line", "there are no URLs");
        return -EINVAL;
    }
    config->sinks = arena_take(arena, sizeof *config->sinks);
    config->sites = arena_take_array(arena, urls->n_urls, sizeof *config->sites);
    if (config->sinks == NULL || config->sites == NULL) {
        return -ENOMEM;
    }
    config->n_sinks = 1;
    config->sinks[0] = (struct sink_config){
        .kind = SINK_STDOUT,
        .format = arena_copy(arena, urls->format != NULL ? urls->format : "text"),
        .only = SINK_ONLY_ALL,
    };
    config->ca_file = urls->ca_file != NULL ? arena_copy(arena, urls->ca_file) : NULL;
    if (config->sinks[0].format == NULL || (urls->ca_file != NULL && config->ca_file == NULL)) {
        return -ENOMEM;
    }
    for (; config->n_sites < urls->n_urls; config->n_sites++) {
        r = add_url(config, urls, config->n_sites, &pattern, messages);
        if (r < 0) {
            return r;
        }
    }
    r = make_names_unique(config);
    return r == 0 ? config_number_rings(config) : r;
}

int config_from_urls(const struct config_urls *urls, struct config_messages *ret_messages,
                     struct config **ret_config) {
    *ret_messages = (struct config_messages){0};
    struct config *config = config_new();
    if (config == NULL) {
        return -ENOMEM;
    }
    struct messages messages = {0};
    int r = build_from_urls(urls, config, &messages);
    r = conclude(r, &messages, config, ret_messages, ret_config);
    messages_clear(&messages);
    return r;
}
