/* The sinks of a writer, and how a reload changes them in two steps. On the writer's loop, or
 * before it starts. */
#pragma once

#include "output/sink.h"

struct sink_wanted;

struct sink_set {
    struct sink_shared *shared; /* borrowed */
    struct sink **sinks;        /* every one there ever was */
    size_t n;
    struct sink_wanted *wanted; /* prepared, neither committed nor rolled back; else NULL */
    size_t n_wanted;
};

void sink_set_init(struct sink_set *set, struct sink_shared *shared);
void sink_set_clear(struct sink_set *set);

/* Opens what `config` wants beyond the present. 0; or -errno with *ret_why set to a sentence (heap;
 * NULL without memory), and nothing has changed. */
int sink_set_prepare(struct sink_set *set, const struct config *config, char **ret_why);
void sink_set_commit(struct sink_set *set);
void sink_set_roll_back(struct sink_set *set);

void sink_set_push(struct sink_set *set, struct record *record);
void sink_set_miss(struct sink_set *set, const uint64_t missed[SINK_ONLY_CHANGES + 1]);
void sink_set_reopen(struct sink_set *set);

/* Closes removed sinks that have written what waited. Returns whether all sinks have. */
bool sink_set_tidy(struct sink_set *set);
