#include "sampling/round.h"

#include "fake_config.h"
#include "memory.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct config config;
static const struct site site = {.name = "shop", .samples = 20};

START_TEST(a_new_round_has_all_its_samples_as_never_started) {
    struct round *round = round_new(&config, &site);
    ck_assert_ptr_nonnull(round);
    ck_assert_ptr_eq(round->config, &config);
    ck_assert_ptr_eq(round->site, &site);
    ck_assert_uint_eq(round->planned, 20);
    ck_assert_int_eq(round->dns_took, NSEC_UNKNOWN);
    ck_assert_uint_eq(round->n_addresses, 0);
    ck_assert_uint_eq(round->n_evidence, 0);
    for (unsigned i = 0; i < round->planned; i++) {
        const struct sample *sample = &round->samples[i];
        ck_assert_uint_eq(sample->outcome, OUTCOME_NONE);
        ck_assert_uint_eq(sample->reason, REASON_NONE);
        ck_assert_uint_eq(sample->address, SAMPLE_NO_ADDRESS);
        ck_assert_uint_eq(sample->local_port, 0);
        ck_assert_int_eq(sample->at, NSEC_UNKNOWN);
        ck_assert_int_eq(sample->took, NSEC_UNKNOWN);
        for (int phase = 0; phase < PHASE_COUNT; phase++) {
            ck_assert_int_eq(sample->phases[phase], NSEC_UNKNOWN);
        }
    }
    round_free(round);
}
END_TEST

START_TEST(a_round_holds_its_configuration_and_all_that_it_was_given) {
    struct round *round = round_new(&config, &site);
    ck_assert_uint_eq(config_refs, 1);
    round->addresses = calloc(2, sizeof *round->addresses);
    round->evidence = calloc(3, sizeof *round->evidence);
    round_free(round); /* valgrind and ASan see the rest */
    ck_assert_uint_eq(config_refs, 0);
    round_free(NULL);
}
END_TEST

static struct round *round_for_each(unsigned samples, size_t addresses) {
    static struct site each;
    each = (struct site){.name = "each", .samples = samples, .addresses = ADDRESSES_EACH};
    struct round *round = round_new(&config, &each);
    round->addresses = calloc(addresses, sizeof *round->addresses);
    round->n_addresses = addresses;
    return round;
}

START_TEST(with_each_the_samples_are_planned_for_every_address) {
    struct round *round = round_for_each(4, 3);
    round->samples[3].local_port = 7; /* what was there stays */
    ck_assert_int_eq(round_plan_addresses(round), 0);
    ck_assert_uint_eq(round->planned, 12);
    ck_assert_uint_eq(round->samples[3].local_port, 7);
    for (unsigned i = 4; i < 12; i++) {
        ck_assert_uint_eq(round->samples[i].outcome, OUTCOME_NONE);
        ck_assert_uint_eq(round->samples[i].address, SAMPLE_NO_ADDRESS);
        ck_assert_uint_eq(round->samples[i].backend, SAMPLE_NO_BACKEND);
        ck_assert_int_eq(round->samples[i].at, NSEC_UNKNOWN);
    }
    round_free(round);
}
END_TEST

START_TEST(one_address_or_another_mode_leaves_the_plan_as_it_is) {
    struct round *round = round_for_each(4, 1);
    ck_assert_int_eq(round_plan_addresses(round), 0);
    ck_assert_uint_eq(round->planned, 4);
    round_free(round);
    round = round_new(&config, &site);
    round->addresses = calloc(3, sizeof *round->addresses);
    round->n_addresses = 3;
    ck_assert_int_eq(round_plan_addresses(round), 0);
    ck_assert_uint_eq(round->planned, 20);
    round_free(round);
}
END_TEST

START_TEST(a_plan_has_a_bound) {
    struct round *round = round_for_each(1000, ROUND_PLANNED_MOST / 1000);
    ck_assert_int_eq(round_plan_addresses(round), 0);
    ck_assert_uint_eq(round->planned, ROUND_PLANNED_MOST);
    round_free(round);
    round = round_for_each(1000, ROUND_PLANNED_MOST / 1000 + 1);
    ck_assert_int_eq(round_plan_addresses(round), -E2BIG);
    ck_assert_uint_eq(round->planned, 1000);
    round_free(round);
}
END_TEST

START_TEST(a_backend_has_one_index) {
    struct round *round = round_new(&config, &site);
    ck_assert_uint_eq(round_find_backend(round, ""), SAMPLE_NO_BACKEND);
    ck_assert_uint_eq(round_find_backend(round, "b1"), 0);
    ck_assert_uint_eq(round_find_backend(round, "b2"), 1);
    ck_assert_uint_eq(round_find_backend(round, "b1"), 0);
    ck_assert_uint_eq(round->n_backends, 2);
    ck_assert_str_eq(round->backends[1].name, "b2");
    round_free(round);
}
END_TEST

START_TEST(backends_beyond_the_most_share_an_entry_without_a_name) {
    struct round *round = round_new(&config, &site);
    char name[32];
    for (unsigned i = 0; i < 2 * ROUND_BACKENDS_MOST; i++) {
        snprintf(name, sizeof name, "request-%u", i);
        unsigned expected = i < ROUND_BACKENDS_MOST - 1 ? i : ROUND_BACKENDS_MOST - 1;
        ck_assert_uint_eq(round_find_backend(round, name), expected);
    }
    ck_assert_uint_eq(round->n_backends, ROUND_BACKENDS_MOST);
    ck_assert_str_eq(round->backends[ROUND_BACKENDS_MOST - 1].name, "");
    ck_assert_uint_eq(round_find_backend(round, "request-5"), 5);
    round_free(round);
}
END_TEST

START_TEST(without_memory_a_plan_and_a_backend_leave_all_as_it_was) {
    struct round *round = round_for_each(4, 3);
    memory_left = 0;
    ck_assert_int_eq(round_plan_addresses(round), -ENOMEM);
    ck_assert_uint_eq(round->planned, 4);
    memory_left = 0;
    ck_assert_uint_eq(round_find_backend(round, "b1"), SAMPLE_NO_BACKEND);
    ck_assert_uint_eq(round->n_backends, 0);
    memory_left = SIZE_MAX;
    round_free(round);
}
END_TEST

START_TEST(without_memory_there_is_no_round_and_no_reference) {
    size_t k = 0;
    struct round *round = NULL;
    while (round == NULL) {
        memory_left = k++;
        round = round_new(&config, &site);
        ck_assert_uint_eq(config_refs, round == NULL ? 0 : 1);
    }
    memory_left = SIZE_MAX;
    ck_assert_uint_gt(k, 1);
    round_free(round);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("round");
    TCase *tests = tcase_create("round");
    tcase_add_test(tests, a_new_round_has_all_its_samples_as_never_started);
    tcase_add_test(tests, a_round_holds_its_configuration_and_all_that_it_was_given);
    tcase_add_test(tests, with_each_the_samples_are_planned_for_every_address);
    tcase_add_test(tests, one_address_or_another_mode_leaves_the_plan_as_it_is);
    tcase_add_test(tests, a_plan_has_a_bound);
    tcase_add_test(tests, a_backend_has_one_index);
    tcase_add_test(tests, backends_beyond_the_most_share_an_entry_without_a_name);
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_a_plan_and_a_backend_leave_all_as_it_was);
        tcase_add_test(tests, without_memory_there_is_no_round_and_no_reference);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
