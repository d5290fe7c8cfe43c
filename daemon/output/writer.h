/* The writer: one loop of its own, and the sinks. A slow or full disk stops here; it never moves a
 * sample. The control loop owns the writer; all calls are made there. See writer.c. */
#pragma once

#include "base/loop.h"
#include "config/config.h"
#include "report/record.h"

struct writer;

struct writer_options {
    struct loop *control; /* where callbacks arrive, as mail */
    const char *boot;     /* 32 hex digits; NULL in `tallyd sample`: no places in records */
    /* Called on the control loop, at most once a sink: a stream sink (stdout) is broken for good,
     * its reader has gone or writing failed. */
    void (*on_broken)(int error, void *arg);
    void *arg;
    bool progress; /* draw progress lines on stderr (a terminal) */
};

/* Opens the sinks of `config` and starts the loop. 0, or -errno with *ret_why set to a whole
 * sentence (heap, the caller's): the file is locked, is not ours, cannot be opened. */
int writer_new(const struct writer_options *options, struct config *config,
               struct writer **ret_writer, char **ret_why);
void writer_free(struct writer *writer); /* stops at once; call writer_drain() first */

/* The record is the writer's, whatever happens; when too many wait it is dropped and counted, and
 * the log will say so. */
void writer_post(struct writer *writer, struct record *record);

/* Opens what a new configuration wants beyond the current, without using it; then `done` on the
 * control loop with NULL, or with a sentence (borrowed) when that failed and nothing has changed.
 * Follow with exactly one of writer_commit() and writer_rollback(). */
void writer_prepare(struct writer *writer, struct config *config,
                    void (*done)(const char *why_not, void *arg), void *arg);
void writer_commit(struct writer *writer);
void writer_rollback(struct writer *writer);

void writer_reopen(
    struct writer *writer); /* SIGUSR1, SIGHUP: log files whose path is another file now */

/* Once in a writer's life: `done` on the control loop when everything posted is written, or `limit`
 * has passed (kept by the control loop: the writer's may be stuck). The argument is how many
 * records were not written, and no log says so; one that two sinks miss counts twice. */
#define WRITER_NO_LIMIT NSEC_UNKNOWN
void writer_drain(struct writer *writer, nsec_t limit, void (*done)(uint64_t unwritten, void *arg),
                  void *arg);

/* How many records were posted and are not written yet, or never will be. */
uint64_t writer_unwritten(const struct writer *writer);

uint64_t writer_lost(
    const struct writer *writer); /* records that are stated as lost, of all sinks; any thread */

/* Whether the writer's loop has been inside one write for over a second: a dead disk. Then writer_free()
 * would wait for it, perhaps for ever; a process that wants to end must do so without. */
bool writer_is_stuck(const struct writer *writer);

/* Replaces the progress line (copied; "" clears it). Drawn by the writer so that it never mixes
 * with reports on the same terminal. */
void writer_progress(struct writer *writer, const char *line);

struct loop *writer_loop(const struct writer *writer); /* borrowed */

/* Whether every sink wrote its last record. Any thread. */
bool writer_is_ready(const struct writer *writer);
