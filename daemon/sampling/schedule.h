/* Whose slot is it? Pure: no clock, no events; time is an argument. Slots are absolute,
 * t0 + phase + k * interval, and never drift. See design notes at the top of schedule.c. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule;
struct schedule_entry; /* what the schedule knows of a site */

/* A site as the schedule knows it. `name` is borrowed only during the call. */
struct schedule_site {
    const char *name;
    nsec_t interval;
    unsigned ring; /* index of its interval among those of the configuration */
    uint64_t
        number; /* of the last round that it ever had, before it came into the schedule; counts for
                        a site that is new there, and one that had a round gets no extra first one */
};

/* A slot that begins now. */
struct schedule_slot {
    size_t site; /* index into the array last given to schedule_set() */
    nsec_t due;
    uint64_t
        number; /* the round's number at its site, from 1 or what schedule_set() was given; goes
                         on over a reload */
    uint64_t skipped; /* slots of this site passed over since its last round */
    bool first;       /* the extra first round of a site with a long interval: belongs to no slot */
    struct schedule_entry
        *entry; /* for schedule_done(); valid until then, whatever is set meanwhile */
};

struct schedule *schedule_new(nsec_t t0); /* NULL: out of memory */
void schedule_free(struct schedule *schedule);

/* The whole set of sites, at start and at every reload, in configuration order. Sites with the same
 * name and interval keep phase, slot and counts; rounds in flight stay in flight (a site whose
 * interval changed begins no round before its old one is done). 0 or -ENOMEM, then nothing changed.
 */
int schedule_set(struct schedule *schedule, const struct schedule_site *sites, size_t n,
                 nsec_t now);

/* When schedule_take() should next be called, which may be in the past; false: nothing is planned
 * (no sites, or all are in flight past their next slot). */
bool schedule_next(const struct schedule *schedule, nsec_t *ret_at);

/* The next slot that begins at `now`; false: none. Oldest first, but slots that are overdue after a
 * stop of the process are paced, and those on time do not wait for them. Its site is in flight
 * until schedule_done(). */
bool schedule_take(struct schedule *schedule, nsec_t now, struct schedule_slot *ret_slot);

/* The round that schedule_take() gave has closed; once for each. */
void schedule_done(struct schedule *schedule, struct schedule_entry *entry, nsec_t now);

/* The site's phase, in [0, interval). For tests alone, which cannot wait for the slots of all. */
nsec_t schedule_phase(const struct schedule *schedule, size_t site);
