/* A sink is never forgotten while the daemon runs: one that a reload removes writes what waits,
 * closes its file and keeps its number, for should it come back its log goes on where it was. */
#include "output/sink_set.h"

#include "output/format.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A sink of the configuration that is being prepared. */
struct sink_wanted {
    struct sink *sink;
    bool opened; /* by this preparation */
    const struct format *format;
    enum sink_only only;
};

void sink_set_init(struct sink_set *set, struct sink_shared *shared) {
    *set = (struct sink_set){.shared = shared};
}

void sink_set_clear(struct sink_set *set) {
    for (size_t i = 0; i < set->n; i++) {
        sink_free(set->sinks[i]);
    }
    free(set->sinks);
    free(set->wanted);
    sink_set_init(set, set->shared);
}

static struct sink *find(const struct sink_set *set, const struct sink_config *config) {
    for (size_t i = 0; i < set->n; i++) {
        if (sink_is_for(set->sinks[i], config)) {
            return set->sinks[i];
        }
    }
    return NULL;
}

static bool is_wanted(const struct sink_set *set, const struct sink *sink) {
    for (size_t i = 0; i < set->n_wanted; i++) {
        if (set->wanted[i].sink == sink) {
            return true;
        }
    }
    return false;
}

/* 0 or -errno with *ret_why set (NULL without memory). */
static int want(struct sink_set *set, const struct sink_config *config, char **ret_why) {
    const struct format *format =
        config->kind == SINK_JOURNAL ? &format_journal : format_find(config->format);
    assert(format != NULL); /* the configuration has checked it */
    struct sink *sink = find(set, config);
    if (sink != NULL && is_wanted(set, sink)) {
        if (asprintf(ret_why, "%s is named twice: a log has one format and one filter",
                     config->kind == SINK_FILE      ? config->path
                     : config->kind == SINK_JOURNAL ? "the journal"
                                                    : "standard output") < 0) {
            *ret_why = NULL;
        }
        return -EINVAL;
    }
    if (sink == NULL) {
        sink = sink_new(config, set->shared);
        if (sink == NULL) {
            return -ENOMEM;
        }
        set->sinks[set->n++] = sink;
    }
    bool opened = !sink_is_open(sink);
    if (opened) {
        int r = sink_open(sink, format, ret_why);
        if (r < 0) {
            return r;
        }
    }
    set->wanted[set->n_wanted++] = (struct sink_wanted){
        .sink = sink,
        .opened = opened,
        .format = format,
        .only = config->only,
    };
    return 0;
}

static void forget_wanted(struct sink_set *set) {
    free(set->wanted);
    set->wanted = NULL;
    set->n_wanted = 0;
}

void sink_set_roll_back(struct sink_set *set) {
    for (size_t i = 0; i < set->n_wanted; i++) {
        if (set->wanted[i].opened) {
            sink_close(set->wanted[i].sink);
        }
    }
    forget_wanted(set);
}

void sink_set_commit(struct sink_set *set) {
    for (size_t i = 0; i < set->n; i++) {
        if (!is_wanted(set, set->sinks[i])) {
            sink_retire(set->sinks[i]);
        }
    }
    for (size_t i = 0; i < set->n_wanted; i++) {
        const struct sink_wanted *wanted = &set->wanted[i];
        sink_activate(wanted->sink, wanted->format, wanted->only);
    }
    forget_wanted(set);
}

int sink_set_prepare(struct sink_set *set, const struct config *config, char **ret_why) {
    assert(set->wanted == NULL);
    *ret_why = NULL;
    struct sink **sinks = reallocarray(set->sinks, set->n + config->n_sinks + 1, sizeof *sinks);
    if (sinks == NULL) {
        return -ENOMEM;
    }
    set->sinks = sinks;
    set->wanted = calloc(config->n_sinks + 1, sizeof *set->wanted);
    if (set->wanted == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->n_sinks; i++) {
        int r = want(set, &config->sinks[i], ret_why);
        if (r < 0) {
            sink_set_roll_back(set);
            return r;
        }
    }
    return 0;
}

void sink_set_push(struct sink_set *set, struct record *record) {
    for (size_t i = 0; i < set->n; i++) {
        sink_push(set->sinks[i], record);
    }
}

void sink_set_miss(struct sink_set *set, const uint64_t missed[SINK_ONLY_CHANGES + 1]) {
    for (size_t i = 0; i < set->n; i++) {
        sink_miss(set->sinks[i], missed);
    }
}

void sink_set_reopen(struct sink_set *set) {
    for (size_t i = 0; i < set->n; i++) {
        sink_reopen(set->sinks[i]);
    }
}

bool sink_set_tidy(struct sink_set *set) {
    bool all_settled = true;
    for (size_t i = 0; i < set->n; i++) {
        struct sink *sink = set->sinks[i];
        if (!sink_is_open(sink)) {
            continue;
        }
        if (!sink_is_settled(sink)) {
            all_settled = false;
        } else if (!sink_is_active(sink) && set->wanted == NULL) {
            sink_close(sink);
        }
    }
    return all_settled;
}
