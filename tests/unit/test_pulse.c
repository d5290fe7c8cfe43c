#include "base/loop.h"
#include "base/pulse.h"

#include <check.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

static struct loop *control, *first, *second;
static struct pulse *pulse;
static unsigned beats;
static atomic_bool hold; /* what holds the second loop up */

struct hold_up {
    struct mail mail;
    atomic_bool holding;
};

static void deliver_hold_up(struct mail *mail, void *receiver) {
    struct hold_up *hold_up = (struct hold_up *)mail;
    (void)receiver;
    atomic_store(&hold_up->holding, true);
    while (atomic_load(&hold)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void on_beat(void *arg) {
    (void)arg;
    beats++;
}

static void setup(void) {
    beats = 0;
    ck_assert_int_eq(loop_new("control", NULL, &control), 0);
    ck_assert_int_eq(loop_new("first", NULL, &first), 0);
    ck_assert_int_eq(loop_new("second", NULL, &second), 0);
    struct loop *loops[] = {first, second};
    ck_assert_int_eq(pulse_new(control, loops, 2, NSEC_PER_MSEC, on_beat, NULL, &pulse), 0);
}

static void teardown(void) {
    pulse_stop(pulse);
    loop_stop(first);
    loop_join(first);
    loop_stop(second);
    loop_join(second);
    loop_free(first);
    loop_free(second);
    loop_free(control);
    pulse_free(pulse);
}

/* Whatever the pulse's timer does once. */
static void turn(void) {
    event_base_loop(loop_base(control), EVLOOP_ONCE);
}

START_TEST(it_beats_while_all_loops_turn) {
    ck_assert_int_eq(loop_start(first), 0);
    ck_assert_int_eq(loop_start(second), 0);
    while (beats < 20) {
        turn();
    }
}
END_TEST

START_TEST(one_that_does_not_turn_silences_it_for_as_long) {
    atomic_store(&hold, true);
    struct hold_up hold_up = {.mail.deliver = deliver_hold_up};
    loop_post(second, &hold_up.mail);
    ck_assert_int_eq(loop_start(first), 0);
    ck_assert_int_eq(loop_start(second), 0);
    while (!atomic_load(&hold_up.holding)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    turn(); /* what it was asked before it was held up, it may have answered */
    turn();
    nsec_t least = 0;
    beats = 0;
    for (int i = 0; i < 20; i++) {
        turn();
        nsec_t silence = pulse_silence(pulse);
        ck_assert_int_gt(silence, least); /* it is not asked anew meanwhile */
        least = silence;
    }
    ck_assert_uint_eq(beats, 0);
    atomic_store(&hold, false);
    while (beats < 3) {
        turn();
    }
    ck_assert_int_lt(pulse_silence(pulse), least);
}
END_TEST

START_TEST(one_that_never_began_to_turn_has_not_answered) {
    ck_assert_int_eq(loop_start(first), 0);
    for (int i = 0; i < 20; i++) {
        turn();
    }
    ck_assert_uint_eq(beats, 0);
    ck_assert_int_gt(pulse_silence(pulse), 0);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("pulse");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_beats_while_all_loops_turn);
    tcase_add_test(tcase, one_that_does_not_turn_silences_it_for_as_long);
    tcase_add_test(tcase, one_that_never_began_to_turn_has_not_answered);
    Suite *suite = suite_create("pulse");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
