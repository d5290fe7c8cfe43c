/* The sampler with a probe that is made of timers: who may start when, who waits for whom, and that
 * every planned sample ends in exactly one outcome, however its round ends. */
#include "sampling/sampler.h"

#include "config/config.h"
#include "probe/probe.h"

#include "name_server.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MOST = 64 };

/* ---- the probe ---- */

/* What the fake does, and what it saw. Set before the sampler starts, read after it has ended. */
static struct {
    nsec_t takes;           /* of a sample; 0: it hangs until ended */
    int refuse;             /* start() fails with this */
    const char *black_hole; /* samples to this address hang */
    bool names_backends;    /* by their address */
    unsigned in_flight, most_in_flight, lanes, started;
    unsigned by_address[256], most_by_address; /* in flight, by the address' last byte */
    const struct site *order[4096];            /* whose sample started, one after the other */
} fake;

struct probe_engine {
    struct event_base *base;
};

struct probe_lane {
    struct probe_engine *engine;
    unsigned in_flight;
};

struct probe_run {
    struct probe_lane *lane;
    struct probe_request request;
    struct event *due;
    nsec_t started;
};

static int fake_engine_new(struct event_base *base, struct probe_engine **ret_engine) {
    *ret_engine = calloc(1, sizeof **ret_engine);
    (*ret_engine)->base = base;
    return 0;
}

static void fake_engine_free(struct probe_engine *engine) {
    free(engine);
}

static void fake_engine_configure(struct probe_engine *engine, const struct config *new_config) {
    (void)engine;
    (void)new_config;
}

static int fake_lane_open(struct probe_engine *engine, const struct site *site,
                          struct probe_lane **ret_lane) {
    (void)site;
    *ret_lane = calloc(1, sizeof **ret_lane);
    (*ret_lane)->engine = engine;
    fake.lanes++;
    return 0;
}

static void fake_lane_close(struct probe_lane *lane) {
    ck_assert_uint_eq(lane->in_flight, 0);
    fake.lanes--;
    free(lane);
}

static void finish(struct probe_run *run, outcome_t outcome) {
    bool failed = outcome_is_judged(outcome) && !outcome_is_status(outcome);
    struct probe_result result = {.outcome = outcome,
                                  .reason = failed ? REASON_ERROR : REASON_NONE,
                                  .took = clock_now() - run->started,
                                  .wall_certificate_ends = NSEC_UNKNOWN};
    struct probe_request request = run->request;
    if (fake.names_backends) {
        snprintf(result.backend, sizeof result.backend, "b-%s", request.address->text);
    }
    fake.by_address[request.address->bytes[3]]--;
    fake.in_flight--;
    run->lane->in_flight--;
    event_free(run->due);
    free(run);
    request.on_end(&result, request.arg);
}

static void on_due(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    finish(arg, 200);
}

static int fake_start(struct probe_lane *lane, const struct probe_request *request,
                      struct probe_run **ret_run) {
    if (fake.refuse != 0) {
        return fake.refuse;
    }
    struct probe_run *run = calloc(1, sizeof *run);
    run->lane = lane;
    run->request = *request;
    run->started = clock_now();
    run->due = event_new(lane->engine->base, -1, 0, on_due, run);
    bool hangs = fake.takes == 0 ||
                 (fake.black_hole != NULL && strcmp(fake.black_hole, request->address->text) == 0);
    if (!hangs) {
        struct timeval delay = loop_timeval(fake.takes);
        event_add(run->due, &delay);
    }
    lane->in_flight++;
    fake.order[fake.started++] = request->site;
    if (++fake.in_flight > fake.most_in_flight) {
        fake.most_in_flight = fake.in_flight;
    }
    unsigned *of_address = &fake.by_address[request->address->bytes[3]];
    if (++*of_address > fake.most_by_address) {
        fake.most_by_address = *of_address;
    }
    *ret_run = run;
    return 0;
}

static void fake_end(struct probe_run *run, outcome_t forced) {
    finish(run, forced != OUTCOME_NONE ? forced : (outcome_t)OUTCOME_FIRST_BYTE_TIMEOUT);
}

static const struct probe_type fake_probe = {
    .engine_new = fake_engine_new,
    .engine_free = fake_engine_free,
    .engine_configure = fake_engine_configure,
    .lane_open = fake_lane_open,
    .lane_close = fake_lane_close,
    .start = fake_start,
    .end = fake_end,
};

/* ---- the control loop's side ---- */

static struct loop *control;
static struct sampler *sampler;
static struct config *config;
static struct round *closed[ROUNDS_MOST];
static unsigned n_closed, n_expected;
static uint64_t n_added;

static void on_closed(struct round *round) {
    closed[n_closed++] = round;
    if (n_closed == n_expected) {
        loop_stop(control);
    }
}

static char csv[32];
static char *servers[] = {csv};

/* `n` sites of one URL, alike but for their names; the test may change them. */
static void start_for(unsigned n, unsigned samples, unsigned concurrency, unsigned max_in_flight,
                      const char *url) {
    const char *urls[ROUNDS_MOST], *origins[ROUNDS_MOST];
    for (unsigned i = 0; i < n; i++) {
        urls[i] = url;
        origins[i] = "test";
    }
    struct config_urls settings = {.urls = urls,
                                   .origins = origins,
                                   .n_urls = n,
                                   .samples = samples,
                                   .concurrency = concurrency,
                                   .format = "text"};
    struct config_messages messages = {0};
    ck_assert_int_eq(config_from_urls(&settings, &messages, &config), 0);
    config_messages_clear(&messages);
    server_start();
    snprintf(csv, sizeof csv, "127.0.0.1:%u", server.port);
    config->resolver_servers = servers;
    config->n_resolver_servers = 1;
    config->resolver_timeout = 20 * NSEC_PER_SEC;
    config->resolver_tries = 1;
    ck_assert_int_eq(loop_new("control", NULL, &control), 0);
    struct sampler_options options = {.name = "sampling",
                                      .control = control,
                                      .on_closed = on_closed,
                                      .probe = &fake_probe,
                                      .config = config,
                                      .max_in_flight = max_in_flight};
    ck_assert_int_eq(sampler_new(&options, &sampler), 0);
}

static void start(unsigned n, unsigned samples, unsigned concurrency, unsigned max_in_flight) {
    start_for(n, samples, concurrency, max_in_flight, "http://192.0.2.1/");
}

static void begin(unsigned site) {
    struct round *round = round_new(config, &config->sites[site]);
    round->number = 1;
    round->due = clock_now();
    sampler_begin(sampler, round);
}

static void finish_all(void) {
    loop_run(control);
    ck_assert_uint_eq(n_closed, n_expected);
    for (unsigned i = 0; i < n_closed; i++) {
        const struct round *round = closed[i];
        unsigned ended = 0;
        for (unsigned k = 0; k < round->planned; k++) {
            ended += round->samples[k].outcome != OUTCOME_NONE;
            ck_assert_int_eq(round->samples[k].address == SAMPLE_NO_ADDRESS,
                             round->samples[k].at == NSEC_UNKNOWN);
        }
        ck_assert_uint_eq(ended, round->planned);
        ck_assert_int_ge(round->ended, round->began);
    }
    n_added = sampler_added(sampler);
    sampler_free(sampler);
    loop_free(control);
    server_stop();
    ck_assert_uint_eq(fake.in_flight, 0);
    ck_assert_uint_eq(fake.lanes, 0);
}

static unsigned count(const struct round *round, outcome_t outcome) {
    unsigned n = 0;
    for (unsigned i = 0; i < round->planned; i++) {
        n += round->samples[i].outcome == outcome;
    }
    return n;
}

static void clear(void) {
    for (unsigned i = 0; i < n_closed; i++) {
        round_free(closed[i]);
    }
    config_unref(config);
}

/* ---- tests ---- */

START_TEST(a_round_never_has_more_in_flight_than_its_concurrency) {
    fake.takes = 2 * NSEC_PER_MSEC;
    start(1, 30, 4, 100);
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(count(closed[0], 200), 30);
    ck_assert_uint_eq(fake.most_in_flight, 4);
    clear();
}
END_TEST

START_TEST(all_rounds_together_never_exceed_the_loops_limit) {
    fake.takes = NSEC_PER_MSEC;
    start(20, 10, 5, 7);
    n_expected = 20;
    for (unsigned i = 0; i < 20; i++) {
        begin(i);
    }
    finish_all();
    ck_assert_uint_eq(fake.most_in_flight, 7);
    ck_assert_uint_eq(fake.started, 200);
    clear();
}
END_TEST

START_TEST(rounds_wait_for_the_limit_in_their_order) {
    fake.takes = NSEC_PER_MSEC;
    start(5, 6, 5, 1);
    n_expected = 5;
    for (unsigned i = 0; i < 5; i++) {
        begin(i);
    }
    finish_all();
    for (unsigned i = 0; i < fake.started; i++) {
        ck_assert_ptr_eq(fake.order[i], &config->sites[i / 6]);
    }
    clear();
}
END_TEST

START_TEST(an_older_round_goes_first_also_when_its_samples_fall_due_later) {
    fake.takes = 5 * NSEC_PER_MSEC;
    start(2, 40, 40, 1);
    config->sites[0].samples = 2;
    config->sites[0].spread = 40 * NSEC_PER_MSEC; /* the second is due while the younger is at it */
    n_expected = 2;
    begin(0);
    begin(1);
    finish_all();
    ck_assert_uint_eq(fake.started, 42);
    /* else the younger would keep the only place until it is done */
    ck_assert_ptr_eq(fake.order[41], &config->sites[1]);
    clear();
}
END_TEST

START_TEST(a_name_that_is_unknown_at_the_deadline_is_a_dns_timeout) {
    fake.takes = NSEC_PER_MSEC;
    start_for(2, 4, 4, 100, "http://silent.test./");
    config->sites[0].deadline = config->sites[0].dns_timeout = 3 * NSEC_PER_SEC;
    config->sites[1].deadline = 2 * NSEC_PER_SEC; /* before the lookup's own limit */
    n_expected = 3;
    begin(0);
    begin(0);
    begin(1);
    finish_all();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(count(closed[i], OUTCOME_DNS_TIMEOUT), 4);
        ck_assert_uint_eq(closed[i]->samples[0].reason, REASON_ERROR);
        ck_assert(!closed[i]->signs.silent && !closed[i]->signs.no_route);
    }
    clear();
}
END_TEST

START_TEST(a_round_says_that_no_name_server_says_anything) {
    start_for(1, 4, 4, 100, "http://a.test./");
    atomic_store(&server.silent, true);
    config->sites[0].deadline = config->sites[0].dns_timeout = 3 * NSEC_PER_SEC;
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(count(closed[0], OUTCOME_DNS_TIMEOUT), 4);
    ck_assert(closed[0]->signs.silent);
    clear();
}
END_TEST

START_TEST(samples_start_no_earlier_than_their_share_of_the_spread) {
    fake.takes = NSEC_PER_MSEC;
    start(1, 8, 8, 100);
    config->sites[0].spread = 40 * NSEC_PER_MSEC;
    n_expected = 1;
    begin(0);
    finish_all();
    for (unsigned k = 0; k < 8; k++) {
        ck_assert_int_ge(closed[0]->samples[k].at, 5 * NSEC_PER_MSEC * k);
    }
    clear();
}
END_TEST

START_TEST(at_the_deadline_what_hangs_times_out_and_the_rest_was_not_sent) {
    fake.takes = 0;
    start(1, 20, 5, 100);
    config->sites[0].deadline = 30 * NSEC_PER_MSEC;
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(count(closed[0], OUTCOME_FIRST_BYTE_TIMEOUT), 5);
    ck_assert_uint_eq(count(closed[0], OUTCOME_NOT_SENT), 15);
    ck_assert_uint_eq(closed[0]->samples[0].reason, REASON_ERROR);
    ck_assert_uint_eq(closed[0]->samples[19].reason, REASON_NONE);
    clear();
}
END_TEST

START_TEST(a_round_in_line_meets_its_deadline_too) {
    fake.takes = 0;
    start(2, 3, 3, 3);
    config->sites[0].deadline = 60 * NSEC_PER_MSEC;
    config->sites[1].deadline = 20 * NSEC_PER_MSEC;
    n_expected = 2;
    begin(0);
    begin(1);
    finish_all();
    ck_assert_ptr_eq(closed[0]->site, &config->sites[1]);
    ck_assert_uint_eq(count(closed[0], OUTCOME_NOT_SENT), 3);
    ck_assert_uint_eq(count(closed[1], OUTCOME_FIRST_BYTE_TIMEOUT), 3);
    clear();
}
END_TEST

START_TEST(a_stop_lets_samples_in_flight_end) {
    fake.takes = 20 * NSEC_PER_MSEC;
    start(3, 20, 5, 8);
    n_expected = 3;
    for (unsigned i = 0; i < 3; i++) {
        begin(i);
    }
    sampler_stop(sampler, SAMPLER_STOP_SOON);
    finish_all();
    unsigned good = 0, aborted = 0;
    for (unsigned i = 0; i < 3; i++) {
        good += count(closed[i], 200);
        aborted += count(closed[i], OUTCOME_ABORTED);
    }
    ck_assert_uint_eq(good + aborted, 60);
    ck_assert_uint_eq(good, fake.started);
    ck_assert_uint_le(good, 8);
    clear();
}
END_TEST

START_TEST(a_second_stop_ends_them_at_once) {
    fake.takes = 0;
    start(2, 5, 5, 100);
    n_expected = 3;
    begin(0);
    begin(1);
    sampler_stop(sampler, SAMPLER_STOP_SOON);
    sampler_stop(sampler, SAMPLER_STOP_NOW);
    begin(0); /* on its way when the stop came */
    finish_all();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(count(closed[i], OUTCOME_ABORTED), 5);
    }
    clear();
}
END_TEST

START_TEST(a_sample_that_cannot_start_is_our_own_failure) {
    fake.refuse = -EMFILE;
    start(1, 20, 5, 100);
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(count(closed[0], OUTCOME_LOCAL_RESOURCE), 20);
    ck_assert_uint_eq(closed[0]->samples[0].reason, REASON_NONE);
    ck_assert_uint_eq(closed[0]->n_evidence, ROUND_EVIDENCE_EACH);
    ck_assert_str_eq(closed[0]->evidence[0].words, strerror(EMFILE));
    ck_assert_uint_eq(closed[0]->signs.exhausted, 20);
    clear();
}
END_TEST

START_TEST(https_without_a_trust_store_is_never_sent) {
    fake.takes = NSEC_PER_MSEC;
    start(1, 4, 4, 100);
    config->sites[0].url.tls = true;
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(count(closed[0], OUTCOME_LOCAL_RESOURCE), 4);
    ck_assert_uint_eq(closed[0]->signs.exhausted, 0); /* it is this site's settings */
    ck_assert_uint_eq(fake.started, 0);
    clear();
}
END_TEST

START_TEST(a_higher_limit_takes_effect_at_once) {
    fake.takes = 0;
    start(2, 2, 2, 1);
    config->sites[0].deadline = config->sites[1].deadline = 200 * NSEC_PER_MSEC;
    n_expected = 2;
    begin(0);
    begin(1);
    ck_assert_int_eq(sampler_configure(sampler, config, 4, NULL), 0);
    finish_all();
    ck_assert_uint_eq(fake.most_in_flight, 4);
    clear();
}
END_TEST

static unsigned count_at(const struct round *round, unsigned address, outcome_t outcome) {
    unsigned n = 0;
    for (unsigned i = 0; i < round->planned; i++) {
        n += round->samples[i].address == address && round->samples[i].outcome == outcome;
    }
    return n;
}

START_TEST(samples_go_to_the_addresses_in_turn_from_round_to_round) {
    fake.takes = NSEC_PER_MSEC;
    start_for(1, 4, 4, 100, "http://three.test./");
    n_expected = 1;
    struct round *round = round_new(config, &config->sites[0]);
    round->number = 3;
    round->due = clock_now();
    sampler_begin(sampler, round);
    finish_all();
    ck_assert_uint_eq(closed[0]->planned, 4);
    for (unsigned k = 0; k < 4; k++) {
        ck_assert_uint_eq(closed[0]->samples[k].address, (2 * 4 + k) % 3);
    }
    ck_assert_uint_eq(n_added, 0);
    clear();
}
END_TEST

START_TEST(with_each_every_address_gets_all_samples) {
    fake.takes = NSEC_PER_MSEC;
    fake.names_backends = true;
    start_for(1, 4, 2, 100, "http://three.test./");
    config->sites[0].addresses = ADDRESSES_EACH;
    config->sites[0].spread = 60 * NSEC_PER_MSEC;
    n_expected = 2;
    begin(0);
    begin(0);
    finish_all();
    ck_assert_uint_eq(n_added, 2 * 8);
    for (unsigned i = 0; i < 2; i++) {
        const struct round *round = closed[i];
        ck_assert_uint_eq(round->planned, 12);
        ck_assert_uint_eq(round->n_backends, 3);
        for (unsigned k = 0; k < 12; k++) {
            const struct sample *sample = &round->samples[k];
            ck_assert_uint_eq(sample->outcome, 200);
            ck_assert_uint_eq(sample->address, k % 3);
            ck_assert_int_ge(sample->at, 5 * NSEC_PER_MSEC * k); /* spread over all twelve */
            ck_assert_str_eq(round->backends[sample->backend].name + 2,
                             round->addresses[k % 3].text);
        }
    }
    clear();
}
END_TEST

START_TEST(with_each_an_address_that_hangs_holds_up_no_other) {
    fake.takes = NSEC_PER_MSEC;
    fake.black_hole = "127.0.1.199";
    start_for(1, 6, 2, 100, "http://three.test./");
    config->sites[0].addresses = ADDRESSES_EACH;
    config->sites[0].deadline = 800 * NSEC_PER_MSEC;
    n_expected = 1;
    begin(0);
    finish_all();
    const struct round *round = closed[0];
    ck_assert_uint_eq(round->planned, 18);
    ck_assert_str_eq(round->addresses[1].text, fake.black_hole);
    ck_assert_uint_eq(count_at(round, 0, 200), 6);
    ck_assert_uint_eq(count_at(round, 2, 200), 6);
    ck_assert_uint_eq(count_at(round, 1, OUTCOME_FIRST_BYTE_TIMEOUT), 2);
    ck_assert_uint_eq(count(round, OUTCOME_NOT_SENT), 4);
    for (unsigned k = 0; k < 18; k++) {
        const struct sample *sample = &round->samples[k];
        ck_assert(sample->outcome != 200 || sample->at < 400 * NSEC_PER_MSEC);
        ck_assert(sample->outcome != OUTCOME_NOT_SENT || k % 3 == 1);
    }
    ck_assert_uint_eq(fake.most_by_address, 2);
    ck_assert_uint_eq(fake.most_in_flight, 6);
    clear();
}
END_TEST

START_TEST(with_each_the_loops_limit_holds_over_all_addresses) {
    fake.takes = NSEC_PER_MSEC;
    start_for(2, 5, 5, 4, "http://thirty.test./");
    config->sites[0].addresses = config->sites[1].addresses = ADDRESSES_EACH;
    n_expected = 2;
    begin(0);
    begin(1);
    finish_all();
    ck_assert_uint_eq(fake.most_in_flight, 4);
    ck_assert_uint_eq(fake.started, 300);
    clear();
}
END_TEST

START_TEST(with_each_a_failed_lookup_plans_no_more_than_the_samples) {
    fake.takes = NSEC_PER_MSEC;
    start_for(1, 5, 5, 100, "http://nx.test./");
    config->sites[0].addresses = ADDRESSES_EACH;
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(closed[0]->planned, 5);
    ck_assert_uint_eq(count(closed[0], OUTCOME_DNS_NXDOMAIN), 5);
    ck_assert_uint_eq(n_added, 0);
    clear();
}
END_TEST

START_TEST(with_each_more_samples_than_a_round_can_have_are_our_own_failure) {
    fake.takes = NSEC_PER_MSEC;
    start_for(1, 10000, 5, 100, "http://thirty.test./");
    config->sites[0].addresses = ADDRESSES_EACH;
    n_expected = 1;
    begin(0);
    finish_all();
    ck_assert_uint_eq(closed[0]->planned, 10000);
    ck_assert_uint_eq(count(closed[0], OUTCOME_LOCAL_RESOURCE), 10000);
    ck_assert_str_eq(closed[0]->evidence[0].words,
                     "10000 samples for each of 30 addresses: too many for a round");
    ck_assert_uint_eq(fake.started, 0);
    clear();
}
END_TEST

START_TEST(with_each_a_stop_ends_every_sample_once) {
    fake.takes = 0;
    start_for(1, 4, 2, 100, "http://three.test./");
    config->sites[0].addresses = ADDRESSES_EACH;
    config->sites[0].deadline = 10 * NSEC_PER_SEC;
    n_expected = 1;
    begin(0);
    nsec_t until = clock_now() + 5 * NSEC_PER_SEC;
    while (sampler_added(sampler) == 0 && clock_now() < until) {
        usleep(1000);
    }
    sampler_stop(sampler, SAMPLER_STOP_NOW);
    finish_all();
    ck_assert_uint_eq(closed[0]->planned, 12);
    ck_assert_uint_eq(count(closed[0], OUTCOME_ABORTED), 12);
    clear();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sampler");
    TCase *tests = tcase_create("sampler");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_round_never_has_more_in_flight_than_its_concurrency);
    tcase_add_test(tests, all_rounds_together_never_exceed_the_loops_limit);
    tcase_add_test(tests, rounds_wait_for_the_limit_in_their_order);
    tcase_add_test(tests, an_older_round_goes_first_also_when_its_samples_fall_due_later);
    tcase_add_test(tests, a_name_that_is_unknown_at_the_deadline_is_a_dns_timeout);
    tcase_add_test(tests, a_round_says_that_no_name_server_says_anything);
    tcase_add_test(tests, samples_start_no_earlier_than_their_share_of_the_spread);
    tcase_add_test(tests, at_the_deadline_what_hangs_times_out_and_the_rest_was_not_sent);
    tcase_add_test(tests, a_round_in_line_meets_its_deadline_too);
    tcase_add_test(tests, a_stop_lets_samples_in_flight_end);
    tcase_add_test(tests, a_second_stop_ends_them_at_once);
    tcase_add_test(tests, a_sample_that_cannot_start_is_our_own_failure);
    tcase_add_test(tests, https_without_a_trust_store_is_never_sent);
    tcase_add_test(tests, a_higher_limit_takes_effect_at_once);
    tcase_add_test(tests, samples_go_to_the_addresses_in_turn_from_round_to_round);
    tcase_add_test(tests, with_each_every_address_gets_all_samples);
    tcase_add_test(tests, with_each_an_address_that_hangs_holds_up_no_other);
    tcase_add_test(tests, with_each_the_loops_limit_holds_over_all_addresses);
    tcase_add_test(tests, with_each_a_failed_lookup_plans_no_more_than_the_samples);
    tcase_add_test(tests, with_each_more_samples_than_a_round_can_have_are_our_own_failure);
    tcase_add_test(tests, with_each_a_stop_ends_every_sample_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
