/* What the daemon remembers of each site from round to round: its verdict and since when, the addresses
 * and the number of its last round. Kept over reloads by name, as long as the site asks the same
 * question, and over restarts by a snapshot. Pure. */
#pragma once

#include "config/config.h"
#include "report/board.h"
#include "report/change.h"
#include "report/report.h"
#include "report/snapshot.h"
#include "report/trouble.h"

struct watch_list;

/* For every site of `config` (a reference is kept), paused ones too; what `before` knew of sites that
 * ask the same URL for the same expectation is carried over, but not over a pause.
 * `before` may be NULL, and stays the caller's. NULL: out of memory. */
struct watch_list *watch_list_new(struct config *config, const struct watch_list *before);
void watch_list_free(struct watch_list *list);

/* Dates what the list changed against `before`, and calls `tell` for each site that was sampled and
 * is not any more, in their order. That one is sampled again, its state unknown, is not told: what it
 * turns out to be is. */
void watch_list_tell_paused(struct watch_list *list, const struct watch_list *before,
                            nsec_t wall_now,
                            void (*tell)(struct config *config, const struct site *site,
                                         const struct change *change, void *arg),
                            void *arg);

/* The judge's, of a site (judge.c). All zeros at first. */
struct watch_mark {
    struct trouble_mark trouble;
    unsigned kept;    /* of its rounds */
    uint64_t number;  /* of the last that was kept */
    uint64_t skipped; /* in which pass over those that are kept one of them stayed */
};

/* The mark of the site of that name, valid as long as the list; NULL: it is gone. */
struct watch_mark *watch_mark(struct watch_list *list, const char *name);

/* Judges a closed round, which began at `began`, and puts the verdict into its report, and which of
 * its addresses appeared or went since the site's last round with a whole lookup. True: the
 * site's state changed in a way to tell (not from unknown to up), and how is in `ret_change`. A round
 * of a site that is gone, or asks something else by now, is not judged, and that of one that is paused
 * is in that state. */
bool watch_judge(struct watch_list *list, struct report *report, nsec_t began, nsec_t wall_now,
                 struct change *ret_change);

/* How the i-th site of its configuration is, for the board. */
struct board_state watch_state(const struct watch_list *list, size_t i);
/* The same of the site of that name; false: it is gone. */
bool watch_find_state(const struct watch_list *list, const char *name,
                      struct board_state *ret_state);

/* The number of the site's last round, in this process or before; 0: it never had one. */
uint64_t watch_round(const struct watch_list *list, const struct site *site);

/* The sites that are enabled, and how many of them are in each state. */
struct watch_counts {
    size_t enabled;
    size_t of_state[STATE_COUNT];
};
void watch_count(const struct watch_list *list, struct watch_counts *ret_counts);

/* All that is worth keeping at `now`, but for the moment; it has a reference of the configuration, and
 * finding out what its sites ask is left to snapshot_encode(). Quick. NULL: out of memory. */
struct snapshot *watch_list_snapshot(const struct watch_list *list, nsec_t now);

/* Puts back what a snapshot of another process, taken at `then` (which may be before the clock's zero),
 * knows of the list's sites and what is not too old at `now`: all of a site that asks the same
 * question, of others and of paused ones the number of their last round. */
struct watch_restored {
    size_t known;   /* sites that go on as they were */
    size_t too_old; /* that would have, but for their age */
    size_t other;   /* that ask something else by now */
};
void watch_list_restore(struct watch_list *list, const struct snapshot *snapshot, nsec_t then,
                        nsec_t now, struct watch_restored *ret_restored);
