#include "report/queue.h"

#include "chance.h"
#include "memory.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST = 4000 };

/* Things are numbered cells, so that a thing's address is its number. */
static char things[MOST];
static unsigned discarded[MOST];

static void *thing(size_t i) {
    return &things[i];
}

static size_t number(const void *thing) {
    return (size_t)((const char *)thing - things);
}

static void discard(void *thing) {
    discarded[number(thing)]++;
}

static void never(void *thing) {
    ck_abort_msg("discarded %zu", number(thing));
}

static struct queue *queue;

static struct queue_ticket *reserve(long long ring, const char *site) {
    struct queue_ticket *ticket = queue_reserve(queue, ring, site);
    ck_assert_ptr_nonnull(ticket);
    return ticket;
}

static void setup(void) {
    queue = queue_new();
    ck_assert_ptr_nonnull(queue);
}

START_TEST(reports_of_a_ring_leave_in_the_order_of_their_rounds) {
    struct queue_ticket *a = reserve(60, "a"), *b = reserve(60, "b"), *c = reserve(60, "c");
    queue_fill(queue, c, thing(3));
    queue_fill(queue, b, thing(2));
    ck_assert_ptr_null(queue_pop(queue));
    ck_assert_uint_eq(queue_waiting(queue), 2);
    queue_fill(queue, a, thing(1));
    ck_assert_uint_eq(queue_waiting(queue), 3);
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_ptr_eq(queue_pop(queue), thing(i));
    }
    ck_assert_ptr_null(queue_pop(queue));
    ck_assert_uint_eq(queue_waiting(queue), 0);
    queue_free(queue, never);
}
END_TEST

START_TEST(the_first_is_out_before_the_second_has_closed) {
    struct queue_ticket *a = reserve(60, "a"), *b = reserve(60, "b");
    queue_fill(queue, a, thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(1));
    queue_fill(queue, b, thing(2));
    ck_assert_ptr_eq(queue_pop(queue), thing(2));
    queue_free(queue, never);
}
END_TEST

START_TEST(rings_do_not_wait_for_one_another) {
    struct queue_ticket *slow = reserve(3600, "slow"), *quick = reserve(1, "quick");
    queue_fill(queue, quick, thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(1));
    queue_fill(queue, slow, thing(2));
    ck_assert_ptr_eq(queue_pop(queue), thing(2));
    queue_free(queue, never);
}
END_TEST

START_TEST(a_site_that_changes_its_ring_keeps_its_own_order) {
    struct queue_ticket *old = reserve(60, "shop"), *new = reserve(10, "shop");
    struct queue_ticket *behind = reserve(10, "blog"), *other = reserve(30, "other");
    queue_fill(queue, new, thing(2));
    queue_fill(queue, behind, thing(3));
    ck_assert_ptr_null(queue_pop(queue));
    queue_fill(queue, other, thing(4));
    ck_assert_ptr_eq(queue_pop(queue), thing(4));
    queue_fill(queue, old, thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(2));
    ck_assert_ptr_eq(queue_pop(queue), thing(3));
    queue_free(queue, never);
}
END_TEST

START_TEST(nobody_waits_for_a_place_that_was_given_up) {
    struct queue_ticket *a = reserve(60, "a"), *b = reserve(60, "b"), *c = reserve(60, "c");
    queue_fill(queue, c, thing(3));
    queue_fill(queue, b, NULL); /* in the middle */
    ck_assert_ptr_null(queue_pop(queue));
    queue_fill(queue, a, NULL); /* at the head */
    ck_assert_ptr_eq(queue_pop(queue), thing(3));
    ck_assert_uint_eq(queue_waiting(queue), 0);
    queue_free(queue, never);
}
END_TEST

START_TEST(the_name_is_copied) {
    char name[] = "shop";
    struct queue_ticket *old = reserve(60, name);
    strcpy(name, "XXXX");
    struct queue_ticket *new = reserve(10, "shop");
    queue_fill(queue, new, thing(2));
    ck_assert_ptr_null(queue_pop(queue));
    queue_fill(queue, old, thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(2));
    queue_free(queue, never);
}
END_TEST

START_TEST(what_was_not_delivered_is_discarded_once) {
    struct queue_ticket *open = reserve(60, "open"), *behind = reserve(60, "behind");
    struct queue_ticket *ready = reserve(10, "ready"), *popped = reserve(20, "popped");
    (void)open;
    queue_fill(queue, behind, thing(1));
    queue_fill(queue, popped, thing(3));
    ck_assert_ptr_eq(queue_pop(queue), thing(3));
    queue_fill(queue, ready, thing(2));
    queue_free(queue, discard);
    ck_assert_uint_eq(discarded[1], 1);
    ck_assert_uint_eq(discarded[2], 1);
    ck_assert_uint_eq(discarded[3], 0);
    queue_free(NULL, never);
}
END_TEST

/* --- against a model that scans everything --- */

enum place_state { RESERVED, FILLED, GONE };

struct model_place {
    struct queue_ticket *ticket;
    unsigned ring, site;
    enum place_state state;
};

static struct model_place places[MOST];
static size_t n_places;

static bool model_may_leave(size_t i) {
    if (places[i].state != FILLED) {
        return false;
    }
    for (size_t j = 0; j < i; j++) {
        if (places[j].state != GONE &&
            (places[j].ring == places[i].ring || places[j].site == places[i].site)) {
            return false;
        }
    }
    return true;
}

static size_t model_count(enum place_state state) {
    size_t n = 0;
    for (size_t i = 0; i < n_places; i++) {
        n += places[i].state == state;
    }
    return n;
}

static void random_fill(struct chance *chance) {
    size_t open = model_count(RESERVED);
    if (open == 0) {
        return;
    }
    size_t which = chance_below(chance, open), i = 0;
    while (places[i].state != RESERVED || which-- > 0) {
        i++;
    }
    bool given_up = chance_below(chance, 5) == 0;
    queue_fill(queue, places[i].ticket, given_up ? NULL : thing(i));
    places[i].state = given_up ? GONE : FILLED;
}

static void random_step(struct chance *chance, unsigned rings, unsigned sites, unsigned weight) {
    uint64_t step = chance_below(chance, 10);
    if (step < weight && n_places < MOST) {
        struct model_place *place = &places[n_places++];
        char name[16];
        *place = (struct model_place){
            .ring = (unsigned)chance_below(chance, rings),
            .site = (unsigned)chance_below(chance, sites),
        };
        snprintf(name, sizeof name, "s%u", place->site);
        place->ticket = reserve(place->ring, name);
    } else if (step < 8) {
        random_fill(chance);
    } else {
        void *popped = queue_pop(queue);
        if (popped != NULL) {
            ck_assert_msg(model_may_leave(number(popped)), "%zu left too early", number(popped));
            places[number(popped)].state = GONE;
        } else {
            for (size_t i = 0; i < n_places; i++) {
                ck_assert_msg(!model_may_leave(i), "%zu was kept", i);
            }
        }
    }
    ck_assert_uint_eq(queue_waiting(queue), model_count(FILLED));
}

START_TEST(the_queue_does_what_the_model_does) {
    struct chance chance = chance_new(__func__);
    queue_free(queue, never);
    for (int run = 0; run < 300; run++) {
        setup();
        n_places = 0;
        memset(discarded, 0, sizeof discarded);
        unsigned rings = 1 + (unsigned)chance_below(&chance, 6);
        unsigned sites = 1 + (unsigned)chance_below(&chance, 20);
        unsigned weight = 3 + (unsigned)chance_below(&chance, 4);
        size_t steps = 1 + chance_below(&chance, 400);
        for (size_t i = 0; i < steps; i++) {
            random_step(&chance, rings, sites, weight);
        }
        queue_free(queue, discard);
        for (size_t i = 0; i < n_places; i++) {
            ck_assert_uint_eq(discarded[i], places[i].state == FILLED);
        }
    }
}
END_TEST

START_TEST(a_hundred_thousand_rings_cost_no_scan) {
    enum { RINGS = 100000 };
    static struct queue_ticket *tickets[RINGS];
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (unsigned i = 0; i < RINGS; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i);
        tickets[i] = queue_reserve(queue, i, name);
    }
    size_t popped = 0;
    for (unsigned i = 0; i < RINGS; i++) {
        queue_fill(queue, tickets[i], thing(i % MOST));
        popped += queue_pop(queue) == thing(i % MOST);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    ck_assert_uint_eq(popped, RINGS);
    double took =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    fprintf(stderr, "# 100,000 rings: %.3f s of CPU\n", took);
    /* a scan of all rings a pop would be 10^10 steps, the better part of a minute */
    ck_assert_double_lt(took, 10);
    queue_free(queue, never);
}
END_TEST

START_TEST(without_memory_no_place_is_half_reserved) {
    struct queue_ticket *kept = reserve(60, "shop");
    size_t k = 0;
    struct queue_ticket *late = NULL;
    while (late == NULL) {
        memory_left = k++;
        late = queue_reserve(queue, 10, "blog");
    }
    memory_left = SIZE_MAX;
    ck_assert_uint_eq(k, 4); /* a place and its two lanes, then none failed */
    queue_fill(queue, late, thing(2));
    ck_assert_ptr_eq(queue_pop(queue), thing(2));
    queue_fill(queue, kept, thing(1));
    ck_assert_ptr_eq(queue_pop(queue), thing(1));
    queue_free(queue, never);
    memory_left = 0;
    ck_assert_ptr_null(queue_new());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("queue");
    TCase *tests = tcase_create("queue");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, reports_of_a_ring_leave_in_the_order_of_their_rounds);
    tcase_add_test(tests, the_first_is_out_before_the_second_has_closed);
    tcase_add_test(tests, rings_do_not_wait_for_one_another);
    tcase_add_test(tests, a_site_that_changes_its_ring_keeps_its_own_order);
    tcase_add_test(tests, nobody_waits_for_a_place_that_was_given_up);
    tcase_add_test(tests, the_name_is_copied);
    tcase_add_test(tests, what_was_not_delivered_is_discarded_once);
    tcase_add_test(tests, the_queue_does_what_the_model_does);
    tcase_add_test(tests, a_hundred_thousand_rings_cost_no_scan);
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_no_place_is_half_reserved);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
