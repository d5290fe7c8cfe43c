#include "watch.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL (INT64_C(1795341960) * NSEC_PER_SEC)

static struct config *config;
static struct watch_list *list;

static struct config *load(const char *url, const char *more) {
    struct config_messages messages;
    struct config *loaded = NULL;
    char text[256];
    int n = snprintf(text, sizeof text, "sites: [ { name: shop, url: \"%s\"%s } ]\n", url, more);
    ck_assert_int_eq(config_load_memory("test", text, (size_t)n, &messages, &loaded), 0);
    config_messages_clear(&messages);
    return loaded;
}

static void setup(void) {
    config = load("http://shop.test/", "");
    list = watch_list_new(config, NULL);
    ck_assert_ptr_nonnull(list);
}

static void teardown(void) {
    watch_list_free(list);
    config_unref(config);
}

static void reload(const char *url, const char *more) {
    struct config *next = load(url, more);
    struct watch_list *next_list = watch_list_new(next, list);
    ck_assert_ptr_nonnull(next_list);
    teardown();
    list = next_list;
    config = next;
}

/* A round of one good sample, whose lookup found these addresses; the list ends with NULL. */
static struct report *make(const char *first, ...) {
    struct report *report = calloc(1, sizeof *report);
    report->config = config_ref(config);
    report->site = &config->sites[0];
    report->planned = report->judged = 1;
    ck_assert_int_eq(tally_add(&report->tally, 200, 1), 0);
    report->addresses = calloc(8, sizeof *report->addresses);
    va_list more;
    va_start(more, first);
    for (const char *text = first; text != NULL; text = va_arg(more, const char *)) {
        snprintf(report->addresses[report->n_addresses++].text, INET6_ADDRSTRLEN, "%s", text);
    }
    va_end(more);
    return report;
}

/* Judges and frees it: what appeared and went must be these, separated by spaces. */
static void judged(struct report *report, const char *appeared, const char *gone) {
    struct change change;
    char seen[2][512] = {"", ""};
    ck_assert(!watch_judge(list, report, 1, WALL, &change));
    for (size_t i = 0; i < report->n_appeared; i++) {
        snprintf(seen[0] + strlen(seen[0]), 64, "%s%s", i > 0 ? " " : "", report->appeared[i]);
    }
    for (size_t i = 0; i < report->n_gone; i++) {
        snprintf(seen[1] + strlen(seen[1]), 64, "%s%s", i > 0 ? " " : "", report->gone[i]);
    }
    ck_assert_str_eq(seen[0], appeared);
    ck_assert_str_eq(seen[1], gone);
    report_free(report);
}

START_TEST(a_first_round_has_no_news) {
    judged(make("192.0.2.1", "192.0.2.2", NULL), "", "");
    judged(make("192.0.2.1", "192.0.2.2", NULL), "", "");
}
END_TEST

START_TEST(addresses_that_came_and_went_are_named_once) {
    judged(make("192.0.2.1", "192.0.2.2", "192.0.2.10", NULL), "", "");
    judged(make("192.0.2.2", "192.0.2.3", "192.0.2.10", "2001:db8::1", NULL),
           "192.0.2.3 2001:db8::1", "192.0.2.1");
    judged(make("192.0.2.2", "192.0.2.3", "192.0.2.10", "2001:db8::1", NULL), "", "");
    judged(make("192.0.2.1", NULL), "192.0.2.1", "192.0.2.10 192.0.2.2 192.0.2.3 2001:db8::1");
}
END_TEST

START_TEST(a_failed_lookup_is_no_news_and_is_not_remembered) {
    judged(make("192.0.2.1", "192.0.2.2", NULL), "", "");
    judged(make(NULL), "", "");
    judged(make("192.0.2.1", "192.0.2.3", NULL), "192.0.2.3", "192.0.2.2");
}
END_TEST

START_TEST(a_lookup_with_one_family_unanswered_is_no_news_and_is_not_remembered) {
    judged(make("192.0.2.1", "2001:db8::1", NULL), "", "");
    struct report *report = make("192.0.2.1", NULL);
    report->lookup_incomplete = true;
    judged(report, "", "");
    judged(make("192.0.2.1", "2001:db8::1", NULL), "", "");
}
END_TEST

START_TEST(a_family_without_a_route_neither_goes_nor_comes) {
    judged(make("192.0.2.1", "2001:db8::1", NULL), "", "");
    struct report *report = make("192.0.2.2", NULL);
    report->left_out_ipv6 = true;
    judged(report, "192.0.2.2", "192.0.2.1");
    judged(make("192.0.2.2", "2001:db8::1", NULL), "", "");
    judged(make("192.0.2.2", NULL), "", "2001:db8::1");
}
END_TEST

START_TEST(a_reload_keeps_what_is_known_of_a_site_that_asks_the_same) {
    judged(make("192.0.2.1", NULL), "", "");
    reload("http://shop.test/", ", samples: 3");
    judged(make("192.0.2.2", NULL), "192.0.2.2", "192.0.2.1");
    reload("http://shop.test/other", "");
    judged(make("192.0.2.3", NULL), "", "");
    reload("http://shop.test/other", ", family: ipv4");
    judged(make("192.0.2.4", NULL), "", "");
}
END_TEST

/* A round of 20 samples that are judged, of which all failed. */
static struct report *make_bad(outcome_t first, unsigned n, outcome_t second) {
    struct report *report = make("192.0.2.1", NULL);
    tally_clear(&report->tally);
    report->planned = report->judged = report->failed = 20;
    ck_assert_int_eq(tally_add(&report->tally, first, n), 0);
    ck_assert_int_eq(tally_add(&report->tally, second, 20 - n), 0);
    return report;
}

START_TEST(a_change_says_what_most_samples_failed_for) {
    struct change change;
    struct report *report = make_bad(OUTCOME_RESET, 11, 503);
    report->reasons[REASON_ERROR] = 11;
    report->reasons[REASON_STATUS] = 9;
    ck_assert(!watch_judge(list, report, 1, WALL, &change));
    report_free(report);
    report = make_bad(200, 12, 503);
    report->reasons[REASON_STATUS] = 8;
    report->reasons[REASON_BODY] = 12;
    ck_assert(watch_judge(list, report, 60 * NSEC_PER_SEC, WALL, &change));
    ck_assert_str_eq(change.why,
                     "20 of 20 samples failed in this round, 40 of 40 lately; most often for "
                     "its body");
    report_free(report);

    reload("http://shop.test/other", "");
    for (int i = 0; i < 2; i++) {
        report = make_bad(OUTCOME_RESET, 11, 503);
        ck_assert_int_eq(watch_judge(list, report, 60 * NSEC_PER_SEC, WALL, &change), i == 1);
        report_free(report);
    }
    ck_assert_ptr_nonnull(strstr(change.why, "; most often reset"));
}
END_TEST

/* Judges a round of 20 at that time, of which so many failed; true: a change. */
static bool judge_at(nsec_t wall_now, unsigned failed, struct change *ret_change) {
    static uint64_t number;
    struct report *report = make("192.0.2.1", NULL);
    report->round = ++number;
    report->planned = report->judged = 20;
    report->failed = report->reasons[REASON_STATUS] = failed;
    bool changed =
        watch_judge(list, report, (nsec_t)number * 60 * NSEC_PER_SEC, wall_now, ret_change);
    ck_assert(!changed || ret_change->round == number);
    report_free(report);
    return changed;
}

START_TEST(a_change_says_since_when_the_state_that_ended_was) {
    struct change change;
    ck_assert(!judge_at(WALL, 20, &change));
    ck_assert(judge_at(WALL + 1, 20, &change)); /* before that nobody had looked */
    ck_assert_int_eq(change.from, STATE_UNKNOWN);
    ck_assert_int_eq(change.to, STATE_DOWN);
    ck_assert_int_eq(change.wall_time, WALL + 1);
    ck_assert_int_eq(change.wall_since, NSEC_UNKNOWN);
    ck_assert(!judge_at(WALL + 2, 0, &change));
    reload("http://shop.test/", ", samples: 3");
    ck_assert(judge_at(WALL + 3, 0, &change));
    ck_assert_int_eq(change.from, STATE_DOWN);
    ck_assert_int_eq(change.wall_since, WALL + 1);

    reload("http://shop.test/other", "");
    ck_assert(!judge_at(WALL + 4, 0, &change)); /* up at first: no event, but its beginning */
    ck_assert(!judge_at(WALL + 5, 20, &change));
    ck_assert(judge_at(WALL + 6, 20, &change));
    ck_assert_int_eq(change.from, STATE_UP);
    ck_assert_int_eq(change.wall_since, WALL + 4);
}
END_TEST

START_TEST(rounds_go_on_from_one_that_is_still_to_be_judged) {
    watch_mark(list, "shop")->number = 7;
    struct report *earlier = make("192.0.2.1", NULL);
    earlier->round = 6;
    judged(earlier, "", "");
    reload("http://shop.test/", ", enabled: no");
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 7);
    ck_assert_ptr_null(watch_mark(list, "another"));
}
END_TEST

START_TEST(a_round_of_before_a_reload_that_asks_otherwise_is_not_judged) {
    struct report *late = make("192.0.2.1", NULL);
    reload("http://shop.test/other", "");
    struct change change;
    ck_assert(!watch_judge(list, late, 1, WALL, &change));
    ck_assert(!late->has_verdict);
    report_free(late);
    judged(make("192.0.2.2", NULL), "", ""); /* still the first */
}
END_TEST

/* The sentence of the first round that changes the state, of rounds with these: of 10 samples so many
 * got a 503, and so many of the others a body that is not as expected. */
static void fails_with(unsigned unavailable, unsigned body, const char *wanted) {
    struct change change = {0};
    for (nsec_t round = 1; *change.why == '\0' && round < 9; round++) {
        struct report *report = make("192.0.2.1", NULL);
        report->planned = report->judged = 10;
        report->failed = unavailable + body;
        report->reasons[REASON_STATUS] = unavailable;
        report->reasons[REASON_BODY] = body;
        ck_assert_int_eq(tally_add(&report->tally, 200, 9 - unavailable), 0); /* one is there */
        ck_assert(unavailable == 0 || tally_add(&report->tally, 503, unavailable) == 0);
        bool changed = watch_judge(list, report, round * 60 * NSEC_PER_SEC, WALL, &change);
        ck_assert(changed || *change.why == '\0');
        report_free(report);
    }
    const char *most = strstr(change.why, "; most often ");
    ck_assert_ptr_nonnull(most);
    ck_assert_str_eq(most, wanted);
}

START_TEST(a_change_is_told_with_what_most_samples_failed_for) {
    fails_with(2, 7, "; most often for its body");
    reload("http://shop.test/again", "");
    fails_with(7, 2, "; most often 503");
    reload("http://shop.test/", "");
    fails_with(0, 3, "; most often for its body");
}
END_TEST

/* ---- pauses ---- */

static struct change paused;
static unsigned n_paused;

static void on_paused(struct config *of, const struct site *site, const struct change *change,
                      void *arg) {
    ck_assert_ptr_eq(of, config);
    ck_assert_ptr_eq(site, &config->sites[0]);
    ck_assert_ptr_eq(arg, &n_paused);
    paused = *change;
    n_paused++;
}

/* A reload at that time; how many it paused. */
static unsigned reload_at(nsec_t wall_now, const char *url, const char *more) {
    struct config *next = load(url, more);
    struct watch_list *next_list = watch_list_new(next, list), *before = list;
    struct config *before_config = config;
    list = next_list;
    config = next;
    n_paused = 0;
    watch_list_tell_paused(list, before, wall_now, on_paused, &n_paused);
    watch_list_free(before);
    config_unref(before_config);
    return n_paused;
}

START_TEST(a_reload_that_pauses_a_site_tells_from_what_and_since_when) {
    struct change change;
    judge_at(WALL, 20, &change);
    ck_assert(judge_at(WALL + 1, 20, &change));
    ck_assert_uint_eq(reload_at(WALL + 2, "http://shop.test/", ", samples: 3"), 0);
    ck_assert_uint_eq(reload_at(WALL + 3, "http://shop.test/", ", enabled: no"), 1);
    ck_assert_int_eq(paused.from, STATE_DOWN);
    ck_assert_int_eq(paused.to, STATE_PAUSED);
    ck_assert_int_eq(paused.wall_time, WALL + 3);
    ck_assert_int_eq(paused.wall_since, WALL + 1);
    ck_assert_uint_eq(paused.round, 0);
    ck_assert_str_ne(paused.why, "");
    ck_assert_uint_eq(reload_at(WALL + 4, "http://shop.test/other", ", enabled: no"), 0);
}
END_TEST

START_TEST(a_pause_of_a_site_that_asks_otherwise_at_once_is_told_too) {
    struct change change;
    ck_assert(!judge_at(WALL, 0, &change));
    ck_assert_uint_eq(reload_at(WALL + 1, "http://shop.test/other", ", enabled: no"), 1);
    ck_assert_int_eq(paused.from, STATE_UP);
}
END_TEST

START_TEST(a_site_that_comes_back_is_unknown_and_says_what_it_turns_out_to_be) {
    struct change change;
    judge_at(WALL, 20, &change);
    judge_at(WALL + 1, 20, &change);
    reload_at(WALL + 2, "http://shop.test/", ", enabled: no");
    ck_assert_uint_eq(reload_at(WALL + 3, "http://shop.test/", ""), 0);
    ck_assert(!judge_at(WALL + 4, 20, &change)); /* the one before the pause does not count */
    ck_assert(judge_at(WALL + 5, 20, &change));
    ck_assert_int_eq(change.from, STATE_UNKNOWN);
    ck_assert_int_eq(change.to, STATE_DOWN);
    ck_assert_int_eq(change.wall_since, WALL + 3);
    reload_at(WALL + 6, "http://shop.test/", ", enabled: no");
    reload_at(WALL + 7, "http://shop.test/", "");
    ck_assert(!judge_at(WALL + 8, 0, &change)); /* up at first is no news */
}
END_TEST

START_TEST(a_round_in_flight_over_a_pause_says_paused_and_changes_nothing) {
    struct report *report = make_bad(503, 20, 503);
    struct change change;
    reload_at(WALL, "http://shop.test/", ", enabled: no");
    ck_assert(!watch_judge(list, report, 60 * NSEC_PER_SEC, WALL, &change));
    ck_assert(report->has_verdict);
    ck_assert_int_eq(report->verdict.to, STATE_PAUSED);
    ck_assert_int_eq(report->verdict.from, STATE_PAUSED);
    report_free(report);
}
END_TEST

START_TEST(a_site_that_is_new_or_gone_was_not_paused) {
    static const char more[] = " }, { name: other, url: \"http://other.test/\", enabled: no";
    ck_assert_uint_eq(reload_at(WALL, "http://shop.test/", more), 0);
    ck_assert_uint_eq(reload_at(WALL, "http://shop.test/", ""), 0);
}
END_TEST

START_TEST(other_keys_of_health_keep_the_state_and_the_level) {
    struct change change;
    for (int i = 0; i < 2; i++) {
        (void)judge_at(WALL, 10, &change);
    }
    ck_assert_int_eq(change.to, STATE_DEGRADED);
    reload("http://shop.test/", ", health: { forgive: 100 }");
    struct report *report = make("192.0.2.1", NULL);
    ck_assert(!watch_judge(list, report, 1, WALL, &change));
    ck_assert_int_eq(report->verdict.to, STATE_DEGRADED);
    ck_assert_double_eq_tol(report->verdict.level, 399.0 / 400, 1e-12);
    report_free(report);
}
END_TEST

START_TEST(the_keys_of_the_site_judge_it) {
    struct change change;
    reload("http://shop.test/", ", health: { down_rounds: 1, down_at: 50% }");
    ck_assert(judge_at(WALL, 10, &change));
    ck_assert_int_eq(change.to, STATE_DOWN);
}
END_TEST

/* ---- over a restart ---- */

#define AT (1000 * NSEC_PER_SEC)

/* One round that began at `began`. */
static void judge_began(struct report *report, uint64_t round, nsec_t began) {
    struct change change;
    report->round = round;
    (void)watch_judge(list, report, began, WALL, &change);
    report_free(report);
}

/* Another process with this configuration, so much later, which is `now` by its clock; what it knows has
 * been bytes in between. */
static struct watch_restored restart_with(struct config *next, nsec_t later, nsec_t now) {
    struct snapshot *taken = watch_list_snapshot(list, AT), *read = NULL;
    char *bytes, why[SNAPSHOT_WHY_SIZE] = "";
    size_t n;
    ck_assert_ptr_nonnull(taken);
    ck_assert_int_eq(snapshot_encode(taken, &bytes, &n), 0);
    snapshot_free(taken);
    teardown();
    ck_assert_msg(snapshot_decode(bytes, n, &read, why) == 0, "it %s", why);
    free(bytes);
    config = next;
    list = watch_list_new(config, NULL);
    struct watch_restored restored;
    watch_list_restore(list, read, now - later, now, &restored);
    snapshot_free(read);
    return restored;
}

static struct watch_restored restart(const char *url, const char *more, nsec_t later) {
    return restart_with(load(url, more), later, 5 * NSEC_PER_SEC);
}

static void assert_restored(struct watch_restored restored, size_t known, size_t too_old,
                            size_t other) {
    ck_assert_uint_eq(restored.known, known);
    ck_assert_uint_eq(restored.too_old, too_old);
    ck_assert_uint_eq(restored.other, other);
}

/* The state after one more good round. */
static enum state state_after(uint64_t round) {
    struct report *report = make("192.0.2.1", NULL);
    struct change change;
    report->round = round;
    (void)watch_judge(list, report, 6 * NSEC_PER_SEC, WALL, &change);
    enum state state = report->verdict.to;
    report_free(report);
    return state;
}

static void go_down(void) {
    judge_began(make_bad(503, 20, 503), 7, AT - 70 * NSEC_PER_SEC);
    judge_began(make_bad(503, 20, 503), 8, AT - 10 * NSEC_PER_SEC);
}

START_TEST(a_restart_changes_no_state_and_goes_on_counting_rounds) {
    go_down();
    assert_restored(restart("http://shop.test/", ", samples: 3, timeout: 1s", 30 * NSEC_PER_SEC), 1,
                    0, 0);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 8);
    struct report *report = make_bad(503, 20, 503);
    struct change change;
    ck_assert(!watch_judge(list, report, 6 * NSEC_PER_SEC, WALL + 1, &change));
    ck_assert_int_eq(report->verdict.from, STATE_DOWN);
    ck_assert_int_eq(report->verdict.to, STATE_DOWN);
    ck_assert_uint_eq(report->verdict.window_samples, 60);
    report_free(report);
    for (uint64_t round = 10; round < 12;
         round++) { /* when the state that ends now began is known */
        report = make("192.0.2.1", NULL);
        report->round = round;
        ck_assert_int_eq(watch_judge(list, report, 6 * NSEC_PER_SEC, WALL + 2, &change),
                         round == 11);
        report_free(report);
    }
    ck_assert_int_eq(change.from, STATE_DOWN);
    ck_assert_int_eq(change.wall_since, WALL);
}
END_TEST

START_TEST(addresses_appear_and_go_over_a_restart) {
    judge_began(make("192.0.2.10", "2001:db8::1", "192.0.2.2", NULL), 1, AT - NSEC_PER_SEC);
    assert_restored(restart("http://shop.test/", "", NSEC_PER_SEC), 1, 0, 0);
    judged(make("192.0.2.2", "192.0.2.3", "2001:db8::1", NULL), "192.0.2.3", "192.0.2.10");
    struct report *report = make("192.0.2.2", NULL);
    report->left_out_ipv6 = true;
    judge_began(report, 2, AT - NSEC_PER_SEC);
    assert_restored(restart("http://shop.test/", "", NSEC_PER_SEC), 1, 0, 0);
    judged(make("192.0.2.2", "2001:db8::1", NULL), "", "");
    judge_began(make("192.0.2.2", NULL), 3, AT - NSEC_PER_SEC);
    assert_restored(restart("http://shop.test/", ", family: ipv4", NSEC_PER_SEC), 1, 0, 0);
    judged(make("192.0.2.3", NULL), "", "");
}
END_TEST

START_TEST(another_question_or_name_begins_anew) {
    go_down();
    assert_restored(restart("http://shop.test/other", "", NSEC_PER_SEC), 0, 0, 1);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 8); /* the number is the name's */
    ck_assert_int_eq(state_after(9), STATE_UP);
    go_down();
    assert_restored(restart("http://shop.test/other", ", expect: { status: 204 }", NSEC_PER_SEC), 0,
                    0, 1);
    ck_assert_int_eq(state_after(9), STATE_UP);
    go_down();
    struct config_messages messages;
    struct config *renamed = NULL;
    static const char text[] = "sites: [ { name: shoppe, url: http://shop.test/ }, http://a/ ]\n";
    ck_assert_int_eq(config_load_memory("x", text, strlen(text), &messages, &renamed), 0);
    config_messages_clear(&messages);
    assert_restored(restart_with(renamed, NSEC_PER_SEC, AT), 0, 0, 0);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 0);
    ck_assert_int_eq(state_after(1), STATE_UP);
}
END_TEST

START_TEST(what_is_older_than_its_limit_begins_anew) {
    static const struct {
        const char *interval;
        nsec_t most; /* since the last round, 10 s before the snapshot */
    } rows[] = {
        {", interval: 60s", 600 * NSEC_PER_SEC},
        {", interval: 299s", 600 * NSEC_PER_SEC},
        {", interval: 1h", 7200 * NSEC_PER_SEC},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nsec_t later = rows[i].most - 10 * NSEC_PER_SEC;
        go_down();
        assert_restored(restart("http://shop.test/", rows[i].interval, later), 1, 0, 0);
        ck_assert_int_eq(state_after(9), STATE_DOWN);
        go_down();
        assert_restored(restart("http://shop.test/", rows[i].interval, later + 1), 0, 1, 0);
        ck_assert_uint_eq(watch_round(list, &config->sites[0]), 0);
        ck_assert_int_eq(state_after(9), STATE_UP);
        go_down();
        assert_restored(restart("http://shop.test/", rows[i].interval, INT64_MAX / 2), 0, 1, 0);
    }
}
END_TEST

START_TEST(starting_again_and_again_makes_nothing_younger) {
    go_down();
    for (int i = 0; i < 3; i++) { /* the last round is 200, 390, 580 s ago then */
        struct config *same = load("http://shop.test/", "");
        assert_restored(restart_with(same, 190 * NSEC_PER_SEC, AT), 1, 0, 0);
    }
    assert_restored(restart("http://shop.test/", "", 190 * NSEC_PER_SEC), 0, 1, 0);
}
END_TEST

START_TEST(what_cannot_be_restored_is_not_kept) {
    struct snapshot *snapshot = watch_list_snapshot(list, AT);
    ck_assert_uint_eq(snapshot->n_sites, 0); /* no round yet */
    snapshot_free(snapshot);
    go_down();
    snapshot = watch_list_snapshot(list, AT + 590 * NSEC_PER_SEC);
    ck_assert_uint_eq(snapshot->n_sites, 1);
    snapshot_free(snapshot);
    snapshot = watch_list_snapshot(list, AT + 591 * NSEC_PER_SEC);
    ck_assert_uint_eq(snapshot->n_sites, 0);
    snapshot_free(snapshot);
}
END_TEST

START_TEST(a_snapshot_outlives_the_list_and_its_configuration) {
    go_down();
    struct snapshot *snapshot = watch_list_snapshot(list, AT);
    reload("http://shop.test/other", "");
    char *bytes;
    size_t n;
    ck_assert_int_eq(snapshot_encode(snapshot, &bytes, &n), 0);
    ck_assert_str_eq(snapshot->sites[0].name, "shop");
    ck_assert_str_eq(snapshot->sites[0].addresses[0], "192.0.2.1");
    free(bytes);
    snapshot_free(snapshot);
}
END_TEST

START_TEST(the_number_of_a_round_stays_with_the_name_over_a_reload) {
    judge_began(make("192.0.2.1", NULL), 8, AT);
    reload("http://shop.test/other", "");
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 8);
}
END_TEST

START_TEST(no_pause_is_restored) {
    go_down();
    assert_restored(restart("http://shop.test/", ", enabled: no", NSEC_PER_SEC), 0, 0, 0);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 8);
    ck_assert_int_eq(state_after(9), STATE_PAUSED);
    judge_began(make_bad(503, 20, 503), 10, AT - NSEC_PER_SEC);
    assert_restored(restart("http://shop.test/", "", NSEC_PER_SEC), 0, 0, 0);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 10);
    ck_assert_int_eq(state_after(11), STATE_UP);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("watch");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_first_round_has_no_news);
    tcase_add_test(tests, addresses_that_came_and_went_are_named_once);
    tcase_add_test(tests, a_failed_lookup_is_no_news_and_is_not_remembered);
    tcase_add_test(tests, a_lookup_with_one_family_unanswered_is_no_news_and_is_not_remembered);
    tcase_add_test(tests, a_family_without_a_route_neither_goes_nor_comes);
    tcase_add_test(tests, a_reload_keeps_what_is_known_of_a_site_that_asks_the_same);
    tcase_add_test(tests, a_change_says_what_most_samples_failed_for);
    tcase_add_test(tests, a_change_says_since_when_the_state_that_ended_was);
    tcase_add_test(tests, rounds_go_on_from_one_that_is_still_to_be_judged);
    tcase_add_test(tests, a_round_of_before_a_reload_that_asks_otherwise_is_not_judged);
    tcase_add_test(tests, a_change_is_told_with_what_most_samples_failed_for);
    tcase_add_test(tests, a_reload_that_pauses_a_site_tells_from_what_and_since_when);
    tcase_add_test(tests, a_pause_of_a_site_that_asks_otherwise_at_once_is_told_too);
    tcase_add_test(tests, a_site_that_comes_back_is_unknown_and_says_what_it_turns_out_to_be);
    tcase_add_test(tests, a_round_in_flight_over_a_pause_says_paused_and_changes_nothing);
    tcase_add_test(tests, a_site_that_is_new_or_gone_was_not_paused);
    tcase_add_test(tests, other_keys_of_health_keep_the_state_and_the_level);
    tcase_add_test(tests, the_keys_of_the_site_judge_it);
    tcase_add_test(tests, no_pause_is_restored);
    tcase_add_test(tests, a_restart_changes_no_state_and_goes_on_counting_rounds);
    tcase_add_test(tests, addresses_appear_and_go_over_a_restart);
    tcase_add_test(tests, another_question_or_name_begins_anew);
    tcase_add_test(tests, what_is_older_than_its_limit_begins_anew);
    tcase_add_test(tests, starting_again_and_again_makes_nothing_younger);
    tcase_add_test(tests, what_cannot_be_restored_is_not_kept);
    tcase_add_test(tests, a_snapshot_outlives_the_list_and_its_configuration);
    tcase_add_test(tests, the_number_of_a_round_stays_with_the_name_over_a_reload);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
