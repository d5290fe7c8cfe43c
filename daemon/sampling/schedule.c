/* Slots. A site's slots are due at t0 + phase + k * T, for whole k, for as long as it keeps its
 * interval T. A site remembers the one slot that is next for it; every slot either begins a round
 * or is counted as skipped, once, when the site moves on to the next, so rounds + skipped == slots
 * passed holds by construction.
 *
 * Phases. At the start site i of the n in ring r has phase T * (i + frac(0.618 * r)) / n: even, in
 * the order of the configuration, and the golden section keeps rings from beginning together. At a
 * reload, sites that stay keep theirs, new ones halve the largest gaps (gaps.h); a ring in which
 * none stays is laid out as at the start, from the same t0. Staying is meant by name and interval.
 *
 * Starts. The heap holds a site by `at`, the time when it is to be looked at next: its slot's due
 * time, or a later one by pacing. One that is in flight then is set aside ("parked") until it is
 * done. A slot that is more than T/2 late is skipped.
 *
 * Pacing. After a stop of the process, many slots are overdue at once. One that is later than what
 * a busy loop explains (LATE_ENOUGH, or the pace itself if that is more) gets a start of its own,
 * at least a pace after the ring's last one so given: min(T / 2n, 100 ms), so catching up adds
 * twice the normal rate to the slots that are on time, which are never held back. A paced start
 * that is itself overdue, after a second stop, is given a new one; that is one move in the heap a
 * site and stop. Lateness counts from the due time all along.
 *
 * The extra first round of a new site belongs to no slot. It is planned before the site's first
 * slot, and if a stop eats the time between, the slot takes its place.
 *
 * A reload makes everything that it needs before it changes anything. A site's entry outlives it: it is
 * the site's for as long as it is known by name, and one that is removed while its round is in flight
 * stays known until that is done. Were it added again meanwhile, it must not begin a second one. So
 * whoever has a round in flight may hold the entry, and needs no search when it is done, which would be
 * a third of the schedule's time. */
#include "sampling/schedule.h"

#include "base/hash.h"
#include "sampling/gaps.h"
#include "sampling/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PACE_MOST    (100 * NSEC_PER_MSEC)
#define LATE_ENOUGH  (50 * NSEC_PER_MSEC)
#define FIRST_WITHIN (60 * NSEC_PER_SEC)

struct ring {
    nsec_t interval;
    size_t n;         /* its sites */
    nsec_t next_free; /* no paced start before */

    /* only during schedule_set() */
    struct gaps gaps;
    struct gap *members;
    size_t n_members;  /* that have their phase */
    size_t n_staying;  /* of those that were there before */
    size_t n_placed;   /* in the order of the configuration, so far */
    nsec_t last_phase; /* of the ring's latest site in the order of the configuration */
};

struct schedule_entry {
    struct schedule_entry *next; /* in its bucket */
    struct ring *ring;           /* NULL: removed, but its round is in flight */
    nsec_t phase;
    size_t site; /* its index */
    nsec_t due;  /* of the slot that is next */
    nsec_t at;   /* when to look at it; the key in the heap */
    uint64_t number;
    uint64_t skipped; /* not yet told */
    bool first;       /* planned is the extra round, before that slot */
    nsec_t first_due; /* if first */
    bool in_flight;
    bool parked;  /* out of the heap: in flight, and its slot has come */
    bool fresh;   /* only during schedule_set(): not in the table yet */
    bool staying; /* only during schedule_set() */
    bool listed;  /* only during schedule_set(): in the new set */
    char name[];
};

/* What a set of sites needs; replaced as a whole. */
struct set {
    struct schedule_entry **sites; /* in configuration order */
    size_t n;
    struct ring *rings;
    size_t n_rings;
    struct heap heap;
    struct schedule_entry **buckets; /* by name; also those that are only in flight */
    size_t n_buckets;                /* a power of two */
};

struct schedule {
    nsec_t t0;
    struct set set;
};

/* --- by name --- */

static size_t bucket_of(const struct set *set, const char *name) {
    uint64_t hash = hash_bytes(HASH_BEGIN, name, strlen(name)); /* names are the operator's own */
    return (size_t)(hash ^ hash >> 32) & (set->n_buckets - 1);
}

static struct schedule_entry *find(const struct set *set, const char *name) {
    if (set->n_buckets == 0) {
        return NULL;
    }
    struct schedule_entry *entry = set->buckets[bucket_of(set, name)];
    while (entry != NULL && strcmp(entry->name, name) != 0) {
        entry = entry->next;
    }
    return entry;
}

static void insert(struct set *set, struct schedule_entry *entry) {
    struct schedule_entry **bucket = &set->buckets[bucket_of(set, entry->name)];
    entry->next = *bucket;
    *bucket = entry;
}

static void forget(struct set *set, struct schedule_entry *entry) {
    struct schedule_entry **link = &set->buckets[bucket_of(set, entry->name)];
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    free(entry);
}

/* --- when --- */

static nsec_t scale(nsec_t value, nsec_t by, nsec_t over) {
    __extension__ typedef __int128 wide_t; /* a day times a thousand sites is more than 2^63 */
    return (nsec_t)((wide_t)value * by / over);
}

static nsec_t even_phase(nsec_t interval, size_t i, size_t n, size_t ring) {
    nsec_t golden = (nsec_t)(618 * (ring % 1000) % 1000); /* in thousandths: below T for every i */
    return scale(interval, (nsec_t)i * 1000 + golden, (nsec_t)n * 1000);
}

/* How many slots from `due` on are due at or before `now`. */
static uint64_t slots_until(nsec_t due, nsec_t interval, nsec_t now) {
    return now < due ? 0 : (uint64_t)((now - due) / interval) + 1;
}

static void next_slot(struct schedule_entry *entry, uint64_t slots) {
    entry->due += (nsec_t)slots * entry->ring->interval;
    entry->at = entry->due;
}

static void skip(struct schedule_entry *entry, uint64_t slots) {
    entry->skipped += slots;
    next_slot(entry, slots);
}

/* Whether what is planned for the entry begins now; if not, `at` is later than `now`. */
static bool begins(struct schedule_entry *entry, nsec_t now) {
    struct ring *ring = entry->ring;
    nsec_t late_most = ring->interval / 2;
    if (entry->first && entry->due <= now) {
        entry->first = false;
        entry->at = entry->due;
    }
    if (!entry->first && now - entry->due > late_most) {
        skip(entry, slots_until(entry->due, ring->interval, now - late_most - 1));
    }
    if (entry->at > now) {
        return false;
    }
    nsec_t pace = ring->interval / (nsec_t)(2 * ring->n);
    pace = pace < PACE_MOST ? pace : PACE_MOST;
    if (now - entry->at <= (pace > LATE_ENOUGH ? pace : LATE_ENOUGH)) {
        return true;
    }
    nsec_t start = ring->next_free > now ? ring->next_free : now;
    if (entry->first && start >= entry->due) {
        entry->first = false;
        entry->at = entry->due;
        return false;
    }
    if (!entry->first && start - entry->due > late_most) {
        skip(entry, 1);
        return false;
    }
    entry->at = start;
    ring->next_free = start + pace;
    return start == now;
}

bool schedule_next(const struct schedule *schedule, nsec_t *ret_at) {
    const struct heap *heap = &schedule->set.heap;
    if (heap->n == 0) {
        return false;
    }
    *ret_at = heap->nodes[0].at;
    return true;
}

bool schedule_take(struct schedule *schedule, nsec_t now, struct schedule_slot *ret_slot) {
    struct set *set = &schedule->set;
    struct heap *heap = &set->heap;
    while (heap->n > 0 && heap->nodes[0].at <= now) {
        size_t site = heap->nodes[0].site;
        struct schedule_entry *entry = set->sites[site];
        if (entry->in_flight) {
            entry->parked = true;
            heap_pop(heap);
            continue;
        }
        if (!begins(entry, now)) {
            heap_move_top(heap, entry->at);
            continue;
        }
        *ret_slot = (struct schedule_slot){
            .site = site,
            .due = entry->first ? entry->first_due : entry->due,
            .number = ++entry->number,
            .skipped = entry->skipped,
            .first = entry->first,
            .entry = entry,
        };
        entry->skipped = 0;
        entry->in_flight = true;
        next_slot(entry, entry->first ? 0 : 1);
        entry->first = false;
        heap_move_top(heap, entry->at);
        return true;
    }
    return false;
}

void schedule_done(struct schedule *schedule, struct schedule_entry *entry, nsec_t now) {
    (void)now; /* a slot that was waiting for this is overdue, and schedule_take() sees how much */
    struct set *set = &schedule->set;
    assert(entry->in_flight);
    entry->in_flight = false;
    if (entry->ring == NULL) {
        forget(set, entry);
    } else if (entry->parked) {
        entry->parked = false;
        heap_push(&set->heap, entry->at, entry->site);
    }
}

nsec_t schedule_phase(const struct schedule *schedule, size_t site) {
    assert(site < schedule->set.n);
    return schedule->set.sites[site]->phase;
}

/* --- the set of sites --- */

/* Not its entries: most of them belong to two sets, the old one and the new. */
static void set_clear(struct set *set) {
    free(set->sites);
    free(set->rings);
    free(set->buckets);
    heap_clear(&set->heap);
    *set = (struct set){0};
}

static void free_fresh(struct set *set) {
    for (size_t i = 0; set->sites != NULL && i < set->n; i++) {
        if (set->sites[i] != NULL && set->sites[i]->fresh) {
            free(set->sites[i]);
        }
    }
}

static struct schedule_entry *entry_new(const struct schedule_site *site) {
    size_t bytes = strlen(site->name) + 1;
    struct schedule_entry *entry = calloc(1, sizeof *entry + bytes);
    if (entry == NULL) {
        return NULL;
    }
    entry->fresh = true;
    entry->number = site->number;
    memcpy(entry->name, site->name, bytes);
    return entry;
}

/* All that can fail. Changes nothing in `known`. 0 or -ENOMEM */
static int set_prepare(struct set *set, const struct set *known, const struct schedule_site *sites,
                       size_t n) {
    *set = (struct set){.n = n, .n_buckets = 1};
    for (size_t i = 0; i < n; i++) {
        set->n_rings = sites[i].ring >= set->n_rings ? (size_t)sites[i].ring + 1 : set->n_rings;
    }
    while (set->n_buckets < n) {
        set->n_buckets *= 2;
    }
    set->sites = calloc(n + 1, sizeof *set->sites); /* + 1: no sites is not out of memory */
    set->rings = calloc(set->n_rings + 1, sizeof *set->rings);
    set->buckets = calloc(set->n_buckets, sizeof *set->buckets);
    if (set->sites == NULL || set->rings == NULL || set->buckets == NULL ||
        heap_init(&set->heap, n) < 0) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        set->sites[i] = find(known, sites[i].name);
        if (set->sites[i] == NULL) {
            set->sites[i] = entry_new(&sites[i]);
        }
        if (set->sites[i] == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Finds out who stays, and counts the rings. */
static void join_rings(struct set *set, const struct schedule_site *sites) {
    for (size_t i = 0; i < set->n; i++) {
        struct schedule_entry *entry = set->sites[i];
        struct ring *ring = &set->rings[sites[i].ring];
        assert(sites[i].interval > 0 && (ring->n == 0 || ring->interval == sites[i].interval));
        ring->interval = sites[i].interval;
        ring->n++;
        assert(!entry->listed); /* no name twice */
        entry->listed = true;
        entry->staying = entry->ring != NULL && entry->ring->interval == sites[i].interval;
        if (entry->staying) {
            ring->n_staying++;
            ring->next_free = entry->ring->next_free; /* the same for all of them */
        }
    }
}

/* Gives the rings that keep some of their sites the gaps between these. `members` has room for a
 * gap a site. */
static void measure_gaps(struct set *set, const struct schedule_site *sites, struct gap *members) {
    for (size_t r = 0; r < set->n_rings; r++) {
        set->rings[r].members = members;
        members += set->rings[r].n;
    }
    for (size_t i = 0; i < set->n; i++) {
        struct ring *ring = &set->rings[sites[i].ring];
        if (set->sites[i]->staying) {
            ring->members[ring->n_members++].phase = set->sites[i]->phase;
        }
    }
    for (size_t r = 0; r < set->n_rings; r++) {
        struct ring *ring = &set->rings[r];
        if (ring->n_staying > 0) {
            gaps_init(&ring->gaps, ring->interval, ring->members, ring->n_members);
        }
    }
}

/* The phase of a site that is new in its ring. */
static nsec_t new_phase(const struct set *set, struct ring *ring) {
    if (ring->n_staying == 0) {
        return even_phase(ring->interval, ring->n_placed, ring->n, (size_t)(ring - set->rings));
    }
    return gaps_halve(&ring->gaps, ring->last_phase, &ring->members[ring->n_members++]);
}

/* Puts a site that is new in its ring into its first slot. */
static void settle(struct schedule_entry *entry, nsec_t t0, nsec_t now) {
    nsec_t interval = entry->ring->interval;
    entry->due = t0 + entry->phase;
    next_slot(entry, slots_until(entry->due, interval, now - 1));
    /* a site that has had a round is not new, only re-timed */
    entry->first = entry->number == 0 && entry->due - now > FIRST_WITHIN;
    if (entry->first) {
        entry->first_due = now + scale(entry->phase, FIRST_WITHIN, interval);
        entry->at = entry->first_due;
    }
}

/* Moves the sites into their new rings. */
static void place(struct set *set, const struct schedule_site *sites, nsec_t t0, nsec_t now) {
    for (size_t i = 0; i < set->n; i++) {
        struct schedule_entry *entry = set->sites[i];
        struct ring *ring = &set->rings[sites[i].ring];
        if (!entry->staying) {
            if (entry->ring != NULL) { /* its old slots end now */
                entry->skipped += slots_until(entry->due, entry->ring->interval, now);
            }
            entry->phase = new_phase(set, ring);
        }
        entry->ring = ring;
        entry->site = i;
        if (!entry->staying) {
            settle(entry, t0, now);
        }
        ring->last_phase = entry->phase;
        ring->n_placed++;
    }
}

/* Hands the known entries that are not in the new set on, or frees them. */
static void carry_over(struct set *set, const struct set *known) {
    for (size_t b = 0; b < known->n_buckets; b++) {
        struct schedule_entry *next;
        for (struct schedule_entry *entry = known->buckets[b]; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->listed) {
                continue;
            }
            if (entry->in_flight) {
                entry->ring = NULL;
                insert(set, entry);
            } else {
                free(entry);
            }
        }
    }
}

int schedule_set(struct schedule *schedule, const struct schedule_site *sites, size_t n,
                 nsec_t now) {
    struct set set;
    struct gap *members = calloc(n + 1, sizeof *members);
    int r = set_prepare(&set, &schedule->set, sites, n);
    if (members == NULL || r < 0) {
        free_fresh(&set);
        set_clear(&set);
        free(members);
        return -ENOMEM;
    }
    join_rings(&set, sites);
    measure_gaps(&set, sites, members);
    place(&set, sites, schedule->t0, now);
    free(members);
    carry_over(&set, &schedule->set);
    for (size_t i = 0; i < n; i++) {
        struct schedule_entry *entry = set.sites[i];
        entry->listed = false;
        entry->fresh = false;
        insert(&set, entry);
        if (!entry->parked) {
            heap_push(&set.heap, entry->at, i);
        }
    }
    set_clear(&schedule->set);
    schedule->set = set;
    return 0;
}

struct schedule *schedule_new(nsec_t t0) {
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule != NULL) {
        schedule->t0 = t0;
    }
    return schedule;
}

void schedule_free(struct schedule *schedule) {
    if (schedule == NULL) {
        return;
    }
    for (size_t b = 0; b < schedule->set.n_buckets; b++) {
        struct schedule_entry *next;
        for (struct schedule_entry *entry = schedule->set.buckets[b]; entry != NULL; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    set_clear(&schedule->set);
    free(schedule);
}
