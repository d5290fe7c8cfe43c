#include "news.h"

#include "memory.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define WALL (INT64_C(1795341960) * NSEC_PER_SEC + 123 * NSEC_PER_MSEC)

static const struct label labels[] = {{"team", "web \"q\" 'r' $(id)"}, {"Team", "\x1b[31m\nx"}};
static const struct site site = {
    .name = "sh\n'op\" `x`",
    .url_given = "https://shop.example.org/?a=b&c=$d",
    .labels = labels,
    .n_labels = 2,
};
static struct change change;

static void setup(void) {
    change = (struct change){
        .from = STATE_UP,
        .to = STATE_DOWN,
        .wall_time = WALL,
        .wall_since = WALL - 60 * NSEC_PER_SEC,
        .round = 9,
        .planned = 20,
        .judged = 19,
        .failed = 18,
        .why = "18 of 19\n\x07",
    };
    unsetenv("TZ");
    unsetenv("TMPDIR");
    setenv("HOME", "/var/lib/tallyd", 1);
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/tallyd", 1);
    setenv("LANG", "de_DE.UTF-8", 1);
}

static const char *find(char *const *environment, const char *name) {
    size_t n = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=') {
            return *environment + n + 1;
        }
    }
    return NULL;
}

START_TEST(an_environment_is_all_of_this_and_nothing_else) {
    static const char *const wanted[] = {
        "TALLYD_TRY=3",
        "TALLYD_REPLACED=2",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        "HOME=/var/lib/tallyd",
        "TALLYD_SITE=sh\\x0a'op\" `x`",
        "TALLYD_URL=https://shop.example.org/?a=b&c=$d",
        "TALLYD_FROM=up",
        "TALLYD_TO=down",
        "TALLYD_TIME=2026-11-22T10:06:00.123Z",
        "TALLYD_SINCE=2026-11-22T10:05:00.123Z",
        "TALLYD_WHY=18 of 19\\x0a\\x07",
        "TALLYD_ROUND=9",
        "TALLYD_PLANNED=20",
        "TALLYD_JUDGED=19",
        "TALLYD_FAILED=18",
        "TALLYD_LABEL_team=web \"q\" 'r' $(id)",
        "TALLYD_LABEL_Team=\\x1b[31m\\x0ax",
    };
    struct news *news = news_new(&site, &change);
    ck_assert_ptr_nonnull(news);
    ck_assert_str_eq(news->site, site.name);
    ck_assert_int_eq(news->state, ON_CHANGE_DOWN);
    char **environment = news_environment(news, 3, 2);
    ck_assert_ptr_nonnull(environment);
    size_t n = 0;
    for (; environment[n] != NULL; n++) {
        ck_assert_uint_lt(n, sizeof wanted / sizeof wanted[0]);
        ck_assert_str_eq(environment[n], wanted[n]);
    }
    ck_assert_uint_eq(n, sizeof wanted / sizeof wanted[0]);
    news_environment_free(environment);
    news_unref(news);
}
END_TEST

START_TEST(what_is_not_known_is_empty_and_what_we_have_of_the_machine_is_handed_on) {
    change.wall_since = NSEC_UNKNOWN;
    change.round = 0;
    setenv("TZ", "Europe/Berlin", 1);
    setenv("TMPDIR", "/var/tmp", 1);
    struct news *news = news_new(&site, &change);
    struct news *same = news_ref(news);
    news_unref(news);
    char **environment = news_environment(same, 1, 0);
    ck_assert_str_eq(find(environment, "TALLYD_SINCE"), "");
    ck_assert_str_eq(find(environment, "TALLYD_ROUND"), "");
    ck_assert_str_eq(find(environment, "TZ"), "Europe/Berlin");
    ck_assert_str_eq(find(environment, "TMPDIR"), "/var/tmp");
    ck_assert_ptr_null(find(environment, "CREDENTIALS_DIRECTORY"));
    news_environment_free(environment);
    news_unref(same);
    news_unref(NULL);
    news_environment_free(NULL);
}
END_TEST

START_TEST(a_change_to_unknown_is_told_to_nobody) {
    enum on_change_state state = ON_CHANGE_STATES;
    ck_assert(!news_state(STATE_UNKNOWN, &state));
    ck_assert(news_state(STATE_UP, &state));
    ck_assert_int_eq(state, ON_CHANGE_UP);
    ck_assert(news_state(STATE_DEGRADED, &state));
    ck_assert_int_eq(state, ON_CHANGE_DEGRADED);
    ck_assert(news_state(STATE_PAUSED, &state));
    ck_assert_int_eq(state, ON_CHANGE_PAUSED);
}
END_TEST

START_TEST(lack_of_memory_is_no_news_and_no_leak) {
    if (!memory_can_fail()) {
        return;
    }
    struct news *news = NULL;
    for (size_t k = 0; news == NULL; k++) {
        memory_left = k;
        news = news_new(&site, &change);
        memory_left = SIZE_MAX;
    }
    char **environment = NULL;
    for (size_t k = 0; environment == NULL; k++) {
        memory_left = k;
        environment = news_environment(news, 1, 0);
        memory_left = SIZE_MAX;
    }
    ck_assert_str_eq(find(environment, "TALLYD_FAILED"), "18");
    news_environment_free(environment);
    news_unref(news);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("news");
    TCase *tests = tcase_create("news");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, an_environment_is_all_of_this_and_nothing_else);
    tcase_add_test(tests, what_is_not_known_is_empty_and_what_we_have_of_the_machine_is_handed_on);
    tcase_add_test(tests, a_change_to_unknown_is_told_to_nobody);
    tcase_add_test(tests, lack_of_memory_is_no_news_and_no_leak);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
