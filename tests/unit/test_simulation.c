/* The rule of a site's health on simulated time: 20 samples a minute over 15 s, as a daemon would take
 * them, against what usual checkers do with one request a minute: failed when 3 in a row did, well with
 * the next good one. Both see the same streams. What tallyd does is held against the Markov chain of the
 * test, to within six standard deviations.
 *
 * TALLYD_SIMULATED_YEARS is how long each stream is, 2 if not given; the table is on stderr. */
#include "report/verdict.h"

#include "chain.h"
#include "chance.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MINUTE       (60 * NSEC_PER_SEC)
#define DAY_MINUTES  (24 * 60)
#define YEAR_MINUTES (365.25 * DAY_MINUTES)

enum { SAMPLES = 20, SPREAD_SECONDS = 15, BLIP_SECONDS = 3, LOOKUPS = 2000 };
enum { FOUNDS_MOST = 4000, FOUNDS_LEAST = 20 }; /* cases; fewer have no 95 % */

static const struct health_config usual = {
    .forgive = 50, .degraded_at = 4000, .round_max = 2500, .down_at = 950};
static const struct chain_rule usual_rule = {SAMPLES, 50, 200, 125, 950, 2};

static double simulated_years(void) {
    const char *given = getenv("TALLYD_SIMULATED_YEARS");
    return given != NULL ? strtod(given, NULL) : 2;
}

/* ---- what the samples of a site see ---- */

struct stream {
    enum {
        STREAM_CHANCE,   /* each fails with chance p */
        STREAM_ROTATION, /* every n-th does */
        STREAM_BLIPS,    /* all of an instant, twice a day */
        STREAM_LOOKUPS,  /* all of a round, now and then */
    } kind;
    double p;
    unsigned n;
    struct chance *chance;
    uint64_t round;
    double until_failure; /* good samples before the next bad one */
    double blips[2];      /* seconds of the day */
    bool alone;           /* of the last round: what a lone request a minute saw */
};

static double next_failure(const struct stream *stream) {
    return stream->p <= 0   ? INFINITY
           : stream->p >= 1 ? 0
                            : floor(log(1 - chance_unit(stream->chance)) / log1p(-stream->p));
}

static struct stream stream_new(int kind, double p, unsigned n, struct chance *chance) {
    struct stream stream = {.kind = kind, .p = p, .n = n, .chance = chance};
    stream.until_failure = next_failure(&stream);
    return stream;
}

/* How many of the next round fail. */
static unsigned stream_round(struct stream *stream) {
    uint64_t round = stream->round++;
    unsigned failed = 0;
    stream->alone = false;
    switch (stream->kind) {
    case STREAM_CHANCE:
        stream->alone = stream->until_failure < 1;
        for (; stream->until_failure < SAMPLES; failed++) { /* counted from the round's first */
            stream->until_failure += 1 + next_failure(stream);
        }
        stream->until_failure -= SAMPLES;
        break;
    case STREAM_ROTATION:
        for (unsigned i = 0; i < SAMPLES; i++) {
            failed += (round * SAMPLES + i) % stream->n == 0;
        }
        stream->alone = round % stream->n == 0; /* its own turns: it asks nothing else */
        break;
    case STREAM_BLIPS:
        if (round % DAY_MINUTES == 0) {
            stream->blips[0] = chance_unit(stream->chance) * 86400;
            stream->blips[1] = chance_unit(stream->chance) * 86400;
        }
        for (unsigned i = 0; i < SAMPLES; i++) {
            double at = (double)(round % DAY_MINUTES) * 60 + i * (double)SPREAD_SECONDS / SAMPLES;
            bool hit = false;
            for (int k = 0; k < 2; k++) {
                hit |= at >= stream->blips[k] && at < stream->blips[k] + BLIP_SECONDS;
            }
            failed += hit;
            stream->alone |= hit && i == 0;
        }
        break;
    case STREAM_LOOKUPS:
        stream->alone = chance_below(stream->chance, LOOKUPS) == 0;
        failed = stream->alone ? SAMPLES : 0;
        break;
    }
    return failed;
}

/* ---- who looks at it ---- */

/* Rounds until something had happened, of many cases. */
struct delays {
    unsigned *list;
    size_t n, size;
};

static void delays_add(struct delays *delays, unsigned rounds) {
    if (delays->n == delays->size) {
        delays->size = delays->size > 0 ? 2 * delays->size : 1024;
        delays->list = realloc(delays->list, delays->size * sizeof *delays->list);
        ck_assert_ptr_nonnull(delays->list);
    }
    delays->list[delays->n++] = rounds;
}

static int compare_rounds(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

/* "7/15", the median and what 95 % need; "-" if there are too few. */
static const char *delays_print(struct delays *delays, char text[32]) {
    if (delays->n < FOUNDS_LEAST) {
        return "-";
    }
    qsort(delays->list, delays->n, sizeof *delays->list, compare_rounds);
    snprintf(text, 32, "%u/%u", delays->list[(delays->n - 1) / 2],
             delays->list[(delays->n * 95 + 99) / 100 - 1]);
    return text;
}

struct look {
    uint64_t rounds, alarms, changes, alarmed; /* alarms begin at up; rounds that are not up */
    struct delays found, over;                 /* of steps: rounds until an alarm, until up again */
};

static void look_clear(struct look *look) {
    free(look->found.list);
    free(look->over.list);
}

/* The usual checker. */
struct lone {
    unsigned failed; /* in a row */
    bool alarm;
    struct look look;
};

static void lone_judge(struct lone *lone, bool failed) {
    bool before = lone->alarm;
    lone->failed = failed ? lone->failed + 1 : 0;
    lone->alarm = failed && (lone->alarm || lone->failed >= 3);
    lone->look.rounds++;
    lone->look.alarmed += lone->alarm;
    lone->look.changes += lone->alarm != before;
    lone->look.alarms += lone->alarm && !before;
}

struct tallied {
    struct verdict verdict;
    nsec_t now;
    struct look look;
    uint64_t downs;
};

static struct tallied tallied_new(void) {
    struct tallied tallied = {.now = MINUTE};
    struct verdict_result result;
    verdict_init(&tallied.verdict);
    verdict_judge(&tallied.verdict, &usual, 0, MINUTE, SAMPLES, SAMPLES, 0, &result);
    ck_assert_int_eq(result.to, STATE_UP);
    return tallied;
}

static void tallied_judge(struct tallied *tallied, unsigned failed) {
    struct verdict_result result;
    verdict_judge(&tallied->verdict, &usual, tallied->now, MINUTE, SAMPLES, SAMPLES, failed,
                  &result);
    tallied->now += MINUTE;
    tallied->look.rounds++;
    tallied->look.alarmed += result.to != STATE_UP;
    tallied->look.changes += result.from != result.to;
    tallied->look.alarms += result.from == STATE_UP && result.to != STATE_UP;
    tallied->downs += result.from != result.to && result.to == STATE_DOWN;
}

/* ---- the table ---- */

static void print_head(void) {
    fprintf(stderr, "# %-28s | %10s %11s %9s %9s %6s | %10s %11s %9s %9s %6s\n",
            "20 samples a minute", "alarms/yr", "changes/day", "found", "over", "alarm",
            "alarms/yr", "changes/day", "found", "over", "alarm");
}

static void print_look(struct look *look) {
    char found[32], over[32];
    double years = (double)look->rounds / YEAR_MINUTES;
    fprintf(stderr, " | %10.4g %11.4g %9s %9s %5.1f%%", (double)look->alarms / years,
            (double)look->changes / years / 365.25, delays_print(&look->found, found),
            delays_print(&look->over, over), 100 * (double)look->alarmed / (double)look->rounds);
}

static void print_row(const char *name, struct tallied *tallied, struct lone *lone) {
    fprintf(stderr, "# %-28s", name);
    print_look(&tallied->look);
    print_look(&lone->look);
    fputc('\n', stderr);
    look_clear(&tallied->look);
    look_clear(&lone->look);
}

/* So many were counted where so many were to be expected, each by itself. */
static void assert_count(uint64_t count, double expected) {
    double off = 6 * sqrt(expected) + 8; /* a few more than none are none too many */
    ck_assert_msg(fabs((double)count - expected) <= off, "%" PRIu64 " where %g were expected",
                  count, expected);
}

/* As many of `delays` are at most `rounds` as the chance of it says. */
static void assert_share(const struct delays *delays, unsigned rounds, double chance) {
    size_t n = 0;
    for (size_t i = 0; i < delays->n; i++) {
        n += delays->list[i] <= rounds;
    }
    double share = (double)n / (double)delays->n;
    double off = 6 * sqrt(chance * (1 - chance) / (double)delays->n) + 8 / (double)delays->n;
    ck_assert_msg(fabs(share - chance) <= off, "%g within %u rounds, where it is %g", share, rounds,
                  chance);
}

static void run(struct stream *stream, double years, struct tallied *tallied, struct lone *lone) {
    for (uint64_t round = 0; (double)round < years * YEAR_MINUTES; round++) {
        tallied_judge(tallied, stream_round(stream));
        lone_judge(lone, stream->alone);
    }
}

/* ---- streams that stay as they are ---- */

static const double shares[] = {0, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0 / 3, 0.5, 1};
enum { SHARES = sizeof shares / sizeof shares[0] };

/* How soon both find it, each from a site that was well. */
static void run_founds(double p, struct chance *chance, struct look *tallied, struct look *lone) {
    double rounds_most = simulated_years() * 1000 * 1000;
    for (uint64_t rounds = 0; tallied->found.n < FOUNDS_MOST && (double)rounds < rounds_most;) {
        struct stream stream = stream_new(STREAM_CHANCE, p, 0, chance);
        struct tallied site = tallied_new();
        unsigned n = 0;
        while (site.look.alarms == 0) {
            tallied_judge(&site, stream_round(&stream));
            n++;
        }
        delays_add(&tallied->found, n);
        rounds += n;
    }
    for (uint64_t rounds = 0; lone->found.n < FOUNDS_MOST && (double)rounds < rounds_most;) {
        struct stream stream = stream_new(STREAM_CHANCE, p, 0, chance);
        struct lone checker = {0};
        unsigned n = 0;
        while (!checker.alarm) {
            (void)stream_round(&stream);
            lone_judge(&checker, stream.alone);
            n++;
        }
        delays_add(&lone->found, n);
        rounds += n;
    }
}

START_TEST(samples_that_fail_by_chance_do_what_the_chain_says) {
    double p = shares[_i], years = simulated_years();
    struct chance chance = chance_new(__func__);
    struct stream stream = stream_new(STREAM_CHANCE, p, 0, &chance);
    struct tallied tallied = tallied_new();
    struct lone lone = {0};
    run(&stream, years, &tallied, &lone);
    if (p >= 0.01) {
        run_founds(p, &chance, &tallied.look, &lone.look);
    }
    if (p == 0) {
        ck_assert_uint_eq(tallied.look.changes, 0);
    } else if (p == 1) {
        ck_assert_uint_eq(tallied.look.alarms, 1);
        ck_assert_uint_eq(tallied.downs, 1);
        assert_share(&tallied.look.found, 2, 1);
        assert_share(&tallied.look.found, 1, 0);
    } else {
        struct chain chain = chain_new(usual_rule, p);
        chain_settle(&chain);
        assert_count(tallied.look.alarms, chain.entered * years * YEAR_MINUTES);
        /* of which two belong together */
        assert_count(tallied.look.changes / 2, chain.changed * years * YEAR_MINUTES / 2);
        chain_free(&chain);
        chain = chain_new(usual_rule, p);
        double found = 0;
        for (unsigned round = 1; p >= 0.01 && found < 0.99 && round < 10000; round++) {
            found += chain_find(&chain);
            assert_share(&tallied.look.found, round, found);
        }
        chain_free(&chain);
    }
    char name[32];
    snprintf(name, sizeof name, "%.3g %% fail", 100 * p);
    print_row(name, &tallied, &lone);
}
END_TEST

/* ---- steps ---- */

static const double steps[] = {0.05, 0.1, 1.0 / 3, 0.5, 1};
enum { STEPS = sizeof steps / sizeof steps[0], STEP_ROUNDS = 200 };

/* Counts from the beginning of a step to what it is to bring about. */
static void time_step(struct delays *delays, unsigned round, bool there, bool *waiting) {
    if (*waiting && there) {
        delays_add(delays, round);
        *waiting = false;
    }
}

START_TEST(a_step_up_is_found_and_a_step_down_is_over) {
    double p = steps[_i], years = simulated_years();
    struct chance chance = chance_new(__func__);
    struct stream bad = stream_new(STREAM_CHANCE, p, 0, &chance);
    struct tallied tallied = tallied_new();
    struct lone lone = {0};
    for (double step = 0; step < years * YEAR_MINUTES / STEP_ROUNDS; step += 2) {
        bool waiting = true, lone_waiting = true;
        for (unsigned round = 1; round <= STEP_ROUNDS; round++) {
            tallied_judge(&tallied, stream_round(&bad));
            lone_judge(&lone, bad.alone);
            time_step(&tallied.look.found, round, tallied.verdict.state != STATE_UP, &waiting);
            time_step(&lone.look.found, round, lone.alarm, &lone_waiting);
        }
        ck_assert(!waiting || p < 0.1); /* 1 in 10^4 is not found in so many */
        waiting = tallied.verdict.state != STATE_UP;
        lone_waiting = lone.alarm;
        for (unsigned round = 1; round <= STEP_ROUNDS; round++) {
            tallied_judge(&tallied, 0);
            lone_judge(&lone, false);
            time_step(&tallied.look.over, round, tallied.verdict.state == STATE_UP, &waiting);
            time_step(&lone.look.over, round, !lone.alarm, &lone_waiting);
        }
        ck_assert(!waiting);
    }
    struct chain chain = chain_new(usual_rule, p < 1 ? p : 1 - 1e-12);
    double found = 0;
    for (unsigned round = 1; round <= 30; round++) {
        found += chain_find(&chain);
        assert_share(&tallied.look.found, round, found < 1 ? found : 1);
    }
    chain_free(&chain);
    for (size_t i = 0; i < tallied.look.over.n; i++) { /* 20 good ones a round, from 200 at most */
        ck_assert_uint_le(tallied.look.over.list[i], 10);
        ck_assert(p < 1 || tallied.look.over.list[i] == 10);
    }
    char name[32];
    snprintf(name, sizeof name, "steps to %.3g %% and back", 100 * p);
    print_row(name, &tallied, &lone);
}
END_TEST

/* ---- streams with a pattern ---- */

START_TEST(one_backend_in_strict_rotation_is_found_once_and_for_all) {
    static const struct { unsigned of, rounds; } rows[] = {{2, 2}, {3, 2}, {20, 7}};
    struct stream stream = stream_new(STREAM_ROTATION, 0, rows[_i].of, NULL);
    struct tallied tallied = tallied_new();
    struct lone lone = {0};
    for (unsigned round = 1; round <= rows[_i].rounds; round++) {
        ck_assert_uint_eq(tallied.look.alarms, 0);
        tallied_judge(&tallied, stream_round(&stream));
        lone_judge(&lone, stream.alone);
    }
    ck_assert_uint_eq(tallied.look.alarms, 1);
    run(&stream, simulated_years(), &tallied, &lone);
    ck_assert_int_eq(tallied.verdict.state, STATE_DEGRADED);
    ck_assert_uint_eq(tallied.look.changes, 1);
    ck_assert_uint_eq(lone.look.alarms, 0);  /* it never sees three in a row */
    for (int i = 0; i < FOUNDS_LEAST; i++) { /* there is no chance in it */
        delays_add(&tallied.look.found, rows[_i].rounds);
    }
    char name[32];
    snprintf(name, sizeof name, "1 of %u in strict turn", rows[_i].of);
    print_row(name, &tallied, &lone);
}
END_TEST

START_TEST(two_blips_of_3_s_a_day_are_no_alarm) {
    double years = simulated_years();
    struct chance chance = chance_new(__func__);
    struct stream stream = stream_new(STREAM_BLIPS, 0, 0, &chance);
    struct tallied tallied = tallied_new();
    struct lone lone = {0};
    run(&stream, years, &tallied, &lone);
    ck_assert_uint_gt(tallied.verdict.n_cells, 0);
    /* only when both of a day are in two rounds running, both in the 18 s of a minute in which there are
     * samples: the second is so near in one of 720 days, and both are there in one of 11 */
    ck_assert_uint_le(tallied.look.alarms, (uint64_t)(years * 0.1 + 6 * sqrt(years * 0.1) + 8));
    ck_assert_uint_eq(tallied.downs, 0);
    print_row("two blips of 3 s a day", &tallied, &lone);
}
END_TEST

START_TEST(one_failed_lookup_in_2000_hardly_ever_is_an_alarm) {
    double years = simulated_years(), p = 1.0 / LOOKUPS;
    struct chance chance = chance_new(__func__);
    struct stream stream = stream_new(STREAM_LOOKUPS, 0, 0, &chance);
    struct tallied tallied = tallied_new();
    struct lone lone = {0};
    run(&stream, years, &tallied, &lone);
    /* 125 fill it with 125 more as long as no more than 50 are gone: in one of the next three rounds, and
     * in the very next it is down */
    assert_count(tallied.look.alarms, years * YEAR_MINUTES * p * 3 * p);
    assert_count(tallied.downs, years * YEAR_MINUTES * p * p);
    print_row("1 lookup in 2,000 fails", &tallied, &lone);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("simulation");
    TCase *tests = tcase_create("simulation");
    tcase_set_timeout(tests, 600);
    fprintf(stderr, "# %g years of each; tallyd, and 3 failures in a row of one request a minute\n",
            simulated_years());
    print_head();
    tcase_add_loop_test(tests, samples_that_fail_by_chance_do_what_the_chain_says, 0, SHARES);
    tcase_add_loop_test(tests, a_step_up_is_found_and_a_step_down_is_over, 0, STEPS);
    tcase_add_loop_test(tests, one_backend_in_strict_rotation_is_found_once_and_for_all, 0, 3);
    tcase_add_test(tests, two_blips_of_3_s_a_day_are_no_alarm);
    tcase_add_test(tests, one_failed_lookup_in_2000_hardly_ever_is_an_alarm);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
