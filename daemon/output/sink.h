/* A sink: one log, the records that wait for it, their sequence, and what becomes of them when it
 * cannot be written. Lives on the writer's loop; see sink.c. */
#pragma once

#include "config/config.h"
#include "output/format.h"
#include "output/progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SINK_BACKLOG_MOST 8192 /* records that wait at a sink */

struct event_base;

/* What the sinks of a writer share. */
struct sink_shared {
    struct event_base *base;
    const char *boot; /* NULL: records have no places, and none is dropped for want of room */
    struct progress progress;
    void (*on_settled)(void *arg);           /* a sink has nothing left to write */
    void (*on_broken)(int error, void *arg); /* a stream sink will never write again */
    void *arg;
    atomic_uint failing;        /* sinks that cannot write just now */
    atomic_ullong unwritten;    /* records that wait, or were dropped without a statement of it */
    atomic_ullong lost;         /* records that a sink did not write, and has stated or will */
    _Atomic(nsec_t) busy_since; /* in a system call that may block; 0: in none */
};

struct sink;

/* Closed and without records. `shared` must outlive it. NULL: out of memory. */
struct sink *sink_new(const struct sink_config *config, struct sink_shared *shared);
void sink_free(struct sink *sink); /* closes it; what waits is dropped, and stays counted */

/* Whether it writes where `config` says; a sink keeps its place and sequence for life. */
bool sink_is_for(const struct sink *sink, const struct sink_config *config);

/* Opens the log, mending its tail in that format. 0, or -errno with *ret_why set to a sentence
 * (heap; NULL without memory). */
int sink_open(struct sink *sink, const struct format *format, char **ret_why);
void sink_close(struct sink *sink); /* keeps its sequence for the next open */
bool sink_is_open(const struct sink *sink);

/* An active sink takes records. Those that wait are written in the format of then, unfiltered. */
void sink_activate(struct sink *sink, const struct format *format, enum sink_only only);
void sink_retire(struct sink *sink); /* takes no more; writes what waits */
bool sink_is_active(const struct sink *sink);

void sink_push(struct sink *sink, struct record *record); /* takes a reference if it is shown */
/* Records that never came: counts by `only`, as in struct record. */
void sink_miss(struct sink *sink, const uint64_t missed[SINK_ONLY_CHANGES + 1]);

/* The log file's path may be another file now. */
void sink_reopen(struct sink *sink);

bool sink_is_settled(const struct sink *sink); /* nothing waits, or will never be written */
