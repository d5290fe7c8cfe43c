#include "config/keys.h"

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum key_place places[] = {KEY_TOP,      KEY_INCLUDED, KEY_DEFAULTS, KEY_SITE,
                                        KEY_RESOLVER, KEY_REPORT,   KEY_EXPECT};
enum { PLACES = sizeof places / sizeof places[0] };

START_TEST(every_row_is_whole) {
    const struct key *key = &keys[_i];
    ck_assert_ptr_nonnull(key->name);
    ck_assert_uint_ne(key->places, 0);
    ck_assert_ptr_nonnull(key->help);
    ck_assert_msg(key->help[strlen(key->help) - 1] == '.', "%s: a sentence", key->name);
    ck_assert_msg(isupper((unsigned char)key->help[0]) || islower((unsigned char)key->help[0]),
                  "%s", key->name);
    ck_assert_int_le(key->min, key->max);
    ck_assert_msg(!(key->fallback != NULL && key->computed != NULL), "%s: two defaults", key->name);
    ck_assert_int_eq(key->kind == KEY_WORD || key->kind == KEY_NAME, key->words != NULL);
    ck_assert_int_eq(key->kind == KEY_SECTION || key->kind == KEY_ENTRIES, key->inside != 0);
}
END_TEST

START_TEST(no_two_rows_share_name_and_place) {
    for (size_t k = 0; k < keys_n; k++) {
        if (k != (size_t)_i && strcmp(keys[k].name, keys[_i].name) == 0) {
            ck_assert_msg((keys[k].places & keys[_i].places) == 0, "%s", keys[k].name);
        }
    }
}
END_TEST

START_TEST(a_row_is_found_at_its_places_only) {
    for (size_t p = 0; p < PLACES; p++) {
        const struct key *found = key_find(keys[_i].name, places[p]);
        if ((keys[_i].places & places[p]) != 0) {
            ck_assert_ptr_eq(found, &keys[_i]);
        } else {
            ck_assert_ptr_ne(found, &keys[_i]);
        }
        ck_assert_ptr_nonnull(key_place_name(places[p]));
    }
}
END_TEST

START_TEST(a_default_keeps_its_bounds) {
    if (keys[_i].fallback != NULL) {
        struct arena arena = {0};
        struct key_value value;
        char room[KEY_WHY_SIZE];
        const char *why = "";
        int r = key_read(&keys[_i], keys[_i].fallback, true, &arena, &value, room, &why);
        ck_assert_msg(r == 0, "%s: %s", keys[_i].name, why);
        arena_clear(&arena);
    }
}
END_TEST

START_TEST(the_bounds_themselves_are_accepted_and_no_more) {
    const struct key *key = &keys[_i];
    if (key->kind != KEY_INTEGER && key->kind != KEY_LONG && key->kind != KEY_DURATION &&
        key->kind != KEY_SIZE) {
        return;
    }
    const char *unit = key->kind == KEY_DURATION ? "ns" : key->kind == KEY_SIZE ? "B" : "";
    const int64_t tried[] = {key->min, key->max, key->min - 1, key->max + 1};
    for (int i = 0; i < 4; i++) {
        char text[64], room[KEY_WHY_SIZE];
        snprintf(text, sizeof text, "%lld%s", (long long)tried[i], unit);
        struct key_value value = {.number = -7};
        const char *why = NULL;
        int r = key_read(key, text, true, NULL, &value, room, &why);
        ck_assert_msg(r == (i < 2 ? 0 : -EINVAL), "%s: %s", key->name, text);
        ck_assert_int_eq(value.number, i < 2 ? tried[i] : -7);
    }
}
END_TEST

START_TEST(a_typing_error_finds_the_key_that_was_meant) {
    static const struct {
        const char *typed;
        enum key_place place;
        const char *meant;
    } rows[] = {
        {"intervall", KEY_SITE, "interval"},
        {"intreval", KEY_DEFAULTS, "interval"},
        {"sampels", KEY_SITE, "samples"},
        {"sample", KEY_SITE, "samples"},
        {"time_out", KEY_SITE, "timeout"},
        {"timout", KEY_RESOLVER, "timeout"},
        {"concurency", KEY_SITE, "concurrency"},
        {"site", KEY_TOP, "sites"},
        {"ulr", KEY_SITE, "url"},
        {"dnstimeout", KEY_SITE, "dns_timeout"},
        {"body-limit", KEY_SITE, "body_limit"},
        {"workers", KEY_SITE, "workers"},
        {"Interval", KEY_SITE, "interval"},
        {"maxinflight", KEY_TOP, "max_in_flight"},
        {"statuses", KEY_EXPECT, "status"},
        {"nonsense", KEY_SITE, NULL},
        {"", KEY_SITE, NULL},
        {"x", KEY_SITE, NULL},
        {"intervalintervalintervalinterval", KEY_SITE, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct key *nearest = key_nearest(rows[i].typed, rows[i].place);
        if (rows[i].meant == NULL) {
            ck_assert_msg(nearest == NULL, "%s: %s", rows[i].typed, nearest->name);
        } else {
            ck_assert_msg(nearest != NULL, "%s", rows[i].typed);
            ck_assert_str_eq(nearest->name, rows[i].meant);
        }
    }
    /* of two rows of that name the one that may stand here */
    ck_assert_ptr_eq(key_nearest("timout", KEY_RESOLVER), key_find("timeout", KEY_RESOLVER));
    ck_assert_ptr_eq(key_nearest("timout", KEY_SITE), key_find("timeout", KEY_SITE));
}
END_TEST

static char *read_example(void) {
    FILE *file = fopen("config/tallyd.yaml", "r");
    ck_assert_ptr_nonnull(file);
    static char text[65536];
    size_t n = fread(text, 1, sizeof text - 1, file);
    ck_assert_uint_lt(n, sizeof text - 1);
    text[n] = '\0';
    fclose(file);
    return text;
}

START_TEST(the_shipped_example_shows_every_key) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s:", keys[_i].name);
    ck_assert_msg(strstr(read_example(), wanted) != NULL, "%s", keys[_i].name);
}
END_TEST

static void load(char *text) {
    struct config_messages messages = {0};
    struct config *config = NULL;
    static char dropped[65536];
    char *to = dropped;
    /* from memory there is no include */
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "include:", 8) != 0) {
            to += sprintf(to, "%s\n", line);
        }
    }
    int r = config_load_memory("tallyd.yaml", dropped, (size_t)(to - dropped), &messages, &config);
    config_messages_print(&messages, stderr);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(messages.n_warnings, 0);
    config_messages_clear(&messages);
    config_unref(config);
}

START_TEST(the_shipped_example_loads) {
    load(read_example());
}
END_TEST

START_TEST(the_shipped_example_loads_with_everything_switched_on) {
    char *text = read_example();
    for (char *line = text; line != NULL && *line != '\0';) {
        if (line[0] == '#' && !(line[1] == ' ' && line[2] != ' ') && line[1] != '\n') {
            memmove(line, line + 1, strlen(line));
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    ck_assert_ptr_nonnull(strstr(text, "\nresolver:"));
    load(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("keys");
    TCase *tests = tcase_create("keys");
    int n = (int)keys_n;
    tcase_add_loop_test(tests, every_row_is_whole, 0, n);
    tcase_add_loop_test(tests, no_two_rows_share_name_and_place, 0, n);
    tcase_add_loop_test(tests, a_row_is_found_at_its_places_only, 0, n);
    tcase_add_loop_test(tests, a_default_keeps_its_bounds, 0, n);
    tcase_add_loop_test(tests, the_bounds_themselves_are_accepted_and_no_more, 0, n);
    tcase_add_test(tests, a_typing_error_finds_the_key_that_was_meant);
    tcase_add_loop_test(tests, the_shipped_example_shows_every_key, 0, n);
    tcase_add_test(tests, the_shipped_example_loads);
    tcase_add_test(tests, the_shipped_example_loads_with_everything_switched_on);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
