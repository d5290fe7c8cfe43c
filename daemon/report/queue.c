/* A place stands in two lanes at once, its ring's and its site's, each in the order of reservation.
 * A filled place leaves when it is at the head of both; it then moves to the list of what is ready,
 * and whoever stood behind it may follow. Both lanes are in the order of one clock, the
 * reservations, so they cannot wait for each other in a circle. A place that is given up is taken
 * out of the middle of its lanes: nobody waits for it any longer.
 *
 * Every place is examined when it is filled and when one before it leaves, so the cost of all this
 * is constant a place, beside finding the two lanes by name at its reservation. A lane lives as
 * long as places point to it: neither a reload nor the number of rings leaves anything behind. */
#include "report/queue.h"

#include <assert.h>
#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum lane_kind {
    LANE_RING,
    LANE_SITE,
    LANE_KINDS,
};

TAILQ_HEAD(place_list, queue_ticket);

struct lane {
    RB_ENTRY(lane) node;
    struct place_list places; /* neither given up nor ready */
    size_t refs;              /* places that point here */
    enum lane_kind kind;
    long long ring;   /* LANE_RING */
    const char *site; /* LANE_SITE */
    char name[];      /* what `site` points to, once the lane is more than a search key */
};

struct queue_ticket {
    struct lane *lanes[LANE_KINDS];
    TAILQ_ENTRY(queue_ticket) links[LANE_KINDS];
    TAILQ_ENTRY(queue_ticket) ready; /* or leaving, for as long as its followers move */
    bool filled;
    void *thing; /* NULL: given up */
};

RB_HEAD(lane_tree, lane);

struct queue {
    struct lane_tree lanes;
    struct place_list ready;
    size_t waiting;
};

static int compare_lanes(const struct lane *a, const struct lane *b) {
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->kind == LANE_SITE) {
        return strcmp(a->site, b->site);
    }
    return (a->ring > b->ring) - (a->ring < b->ring);
}

/* not RB_GENERATE_STATIC: on Linux libbsd defines no __unused, which that needs */
RB_GENERATE_INTERNAL(lane_tree, lane, node, compare_lanes, __attribute__((unused)) static)

struct queue *queue_new(void) {
    struct queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL) {
        return NULL;
    }
    RB_INIT(&queue->lanes);
    TAILQ_INIT(&queue->ready);
    return queue;
}

/* One more reference to the lane that `key` describes, made if need be. NULL: out of memory. */
static struct lane *lane_get(struct queue *queue, struct lane *key) {
    struct lane *lane = RB_FIND(lane_tree, &queue->lanes, key);
    if (lane == NULL) {
        size_t name_bytes = key->kind == LANE_SITE ? strlen(key->site) + 1 : 0;
        lane = calloc(1, sizeof *lane + name_bytes);
        if (lane == NULL) {
            return NULL;
        }
        lane->kind = key->kind;
        lane->ring = key->ring;
        if (name_bytes > 0) {
            memcpy(lane->name, key->site, name_bytes);
            lane->site = lane->name;
        }
        TAILQ_INIT(&lane->places);
        RB_INSERT(lane_tree, &queue->lanes, lane);
    }
    lane->refs++;
    return lane;
}

static void lane_put(struct queue *queue, struct lane *lane) {
    if (lane == NULL || --lane->refs > 0) {
        return;
    }
    assert(TAILQ_EMPTY(&lane->places));
    RB_REMOVE(lane_tree, &queue->lanes, lane);
    free(lane);
}

static void put_lanes(struct queue *queue, struct queue_ticket *place) {
    for (int i = 0; i < LANE_KINDS; i++) {
        lane_put(queue, place->lanes[i]);
        place->lanes[i] = NULL;
    }
}

struct queue_ticket *queue_reserve(struct queue *queue, long long ring, const char *site) {
    struct queue_ticket *place = calloc(1, sizeof *place);
    if (place == NULL) {
        return NULL;
    }
    place->lanes[LANE_RING] = lane_get(queue, &(struct lane){.kind = LANE_RING, .ring = ring});
    place->lanes[LANE_SITE] = lane_get(queue, &(struct lane){.kind = LANE_SITE, .site = site});
    if (place->lanes[LANE_RING] == NULL || place->lanes[LANE_SITE] == NULL) {
        put_lanes(queue, place);
        free(place);
        return NULL;
    }
    for (int i = 0; i < LANE_KINDS; i++) {
        TAILQ_INSERT_TAIL(&place->lanes[i]->places, place, links[i]);
    }
    return place;
}

static void leave_lanes(struct queue_ticket *place, struct place_list *leaving) {
    for (int i = 0; i < LANE_KINDS; i++) {
        TAILQ_REMOVE(&place->lanes[i]->places, place, links[i]);
    }
    TAILQ_INSERT_TAIL(leaving, place, ready);
}

static bool may_leave(const struct queue_ticket *place) {
    return place->filled && TAILQ_FIRST(&place->lanes[LANE_RING]->places) == place &&
           TAILQ_FIRST(&place->lanes[LANE_SITE]->places) == place;
}

/* Moves what is leaving to where it goes, and with it all that only waited for it. First in, first
 * out, so that followers in a lane become ready after those that they followed. */
static void settle(struct queue *queue, struct place_list *leaving) {
    struct queue_ticket *place;
    while ((place = TAILQ_FIRST(leaving)) != NULL) {
        for (int i = 0; i < LANE_KINDS; i++) {
            struct queue_ticket *next = TAILQ_FIRST(&place->lanes[i]->places);
            if (next != NULL && may_leave(next)) {
                leave_lanes(next, leaving);
            }
        }
        put_lanes(queue, place);
        TAILQ_REMOVE(leaving, place, ready);
        if (place->thing != NULL) {
            TAILQ_INSERT_TAIL(&queue->ready, place, ready);
        } else {
            free(place);
        }
    }
}

void queue_fill(struct queue *queue, struct queue_ticket *place, void *thing) {
    assert(!place->filled);
    place->filled = true;
    place->thing = thing;
    if (thing != NULL) {
        queue->waiting++;
        if (!may_leave(place)) {
            return;
        }
    }
    struct place_list leaving = TAILQ_HEAD_INITIALIZER(leaving);
    leave_lanes(place, &leaving);
    settle(queue, &leaving);
}

void *queue_pop(struct queue *queue) {
    struct queue_ticket *place = TAILQ_FIRST(&queue->ready);
    if (place == NULL) {
        return NULL;
    }
    TAILQ_REMOVE(&queue->ready, place, ready);
    queue->waiting--;
    void *thing = place->thing;
    free(place);
    return thing;
}

size_t queue_waiting(const struct queue *queue) {
    return queue->waiting;
}

void queue_free(struct queue *queue, void (*discard)(void *thing)) {
    if (queue == NULL) {
        return;
    }
    struct lane *lane;
    while ((lane = RB_ROOT(&queue->lanes)) != NULL) {
        /* a lane without places is gone, so this always takes one away */
        struct queue_ticket *place = TAILQ_FIRST(&lane->places);
        for (int i = 0; i < LANE_KINDS; i++) {
            TAILQ_REMOVE(&place->lanes[i]->places, place, links[i]);
        }
        put_lanes(queue, place);
        if (place->thing != NULL) {
            discard(place->thing);
        }
        free(place);
    }
    void *thing;
    while ((thing = queue_pop(queue)) != NULL) {
        discard(thing);
    }
    free(queue);
}
