#include "sampling/round.h"

#include "fake_config.h"
#include "memory.h"

#include <check.h>
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
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_there_is_no_round_and_no_reference);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
