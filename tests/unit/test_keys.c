#include "config/keys.h"

#include "config/page.h"

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const enum key_place places[] = {
    KEY_TOP,       KEY_INCLUDED, KEY_DEFAULTS, KEY_SITE,      KEY_RESOLVER,     KEY_REPORT,
    KEY_EXPECT,    KEY_REQUEST,  KEY_BASIC,    KEY_TLS,       KEY_REDIRECTS,    KEY_BACKEND,
    KEY_IN_SECRET, KEY_IN_RULE,  KEY_HEALTH,   KEY_ON_CHANGE, KEY_STATUS_SERVER};
enum { PLACES = sizeof places / sizeof places[0] };

START_TEST(every_row_is_whole) {
    const struct key *key = &keys[_i];
    ck_assert_ptr_nonnull(key->name);
    ck_assert_uint_ne(key->places, 0);
    ck_assert_ptr_nonnull(key->help);
    ck_assert_ptr_nonnull(key->example);
    ck_assert_msg(key->help[strlen(key->help) - 1] == '.', "%s: a sentence", key->name);
    ck_assert_msg(isupper((unsigned char)key->help[0]) || islower((unsigned char)key->help[0]),
                  "%s", key->name);
    ck_assert_int_le(key->min, key->max);
    ck_assert_msg(!(key->fallback != NULL && key->computed != NULL), "%s: two defaults", key->name);
    ck_assert_int_eq(key->kind == KEY_WORD || key->kind == KEY_NAME || key->kind == KEY_WORDS,
                     key->words != NULL);
    ck_assert_int_eq(key->kind == KEY_SECTION || key->kind == KEY_ENTRIES ||
                         key->kind == KEY_SECRET || key->kind == KEY_FILE ||
                         key->kind == KEY_HEADERS || key->kind == KEY_HEADER_RULES,
                     key->inside != 0);
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
    bool parts = key->kind == KEY_DECIMAL || key->kind == KEY_PERCENT;
    if (key->kind != KEY_INTEGER && key->kind != KEY_LONG && key->kind != KEY_DURATION &&
        key->kind != KEY_SIZE && !parts) {
        return;
    }
    const char *unit = key->kind == KEY_DURATION ? "ns" : key->kind == KEY_SIZE ? "B" : "";
    const int64_t tried[] = {key->min, key->max, key->min - 1, key->max + 1};
    for (int i = 0; i < 4; i++) {
        char text[64], room[KEY_WHY_SIZE];
        if (parts) {
            key_print_number(key, tried[i], text);
        } else {
            snprintf(text, sizeof text, "%lld%s", (long long)tried[i], unit);
        }
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
        {"body_file", KEY_REQUEST, "body_file"},
        {"header", KEY_REQUEST, "headers"},
        {"Headers", KEY_EXPECT, "headers"},
        {"passwort", KEY_BASIC, "password"},
        {"username", KEY_BASIC, NULL},
        {"insecure", KEY_TLS, NULL},
        {"folow", KEY_REDIRECTS, "follow"},
        {"not_match", KEY_IN_RULE, "not_matches"},
        {"path", KEY_IN_SECRET, "path"},
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

static char directory[] = "/tmp/tallyd-test-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* Where the example finds what it names. */
static void make_directory(void) {
    char path[128];
    strcpy(directory, "/tmp/tallyd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/secrets", directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    static const char *const names[] = {
        "secrets/shop-key", "secrets/token", "shop-password", "token",     "ca.pem",
        "client.pem",       "client.key",    "login.json",    "client-key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_file(names[i], "x\n");
    }
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
}

static void remove_directory(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static struct config *load(const char *text) {
    struct config_messages messages = {0};
    struct config *config = NULL;
    char path[128];
    write_file("tallyd.yaml", text);
    snprintf(path, sizeof path, "%s/tallyd.yaml", directory);
    int r = config_load(path, &messages, &config);
    config_messages_print(&messages, stderr);
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(messages.n_warnings, 0);
    config_messages_clear(&messages);
    return config;
}

START_TEST(the_shipped_example_loads) {
    struct config *config = load(read_example());
    ck_assert_uint_eq(config->n_sites, 1);
    config_unref(config);
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
    struct config *config = load(text);
    ck_assert_uint_eq(config->n_sites, 3);
    const struct site *shop = config_find(config, "shop");
    ck_assert_str_eq(shop->request.basic_password->bytes, "x");
    ck_assert_uint_eq(shop->expect.n_headers, 5);
    ck_assert_uint_eq(shop->expect.n_body, 4);
    ck_assert_uint_eq(config->n_on_change, 1);
    ck_assert_str_eq(config->on_change[0].command[0], "/bin/sh");
    config_unref(config);
}
END_TEST

START_TEST(the_page_of_keys_is_that_of_the_rows) {
    char *wanted = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&wanted, &n);
    ck_assert_ptr_nonnull(to);
    page_print_markdown(to);
    fclose(to);
    static char page[65536];
    FILE *file = fopen("config/keys.md", "r");
    ck_assert_ptr_nonnull(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    ck_assert_msg(strcmp(page, wanted) == 0, "it would be: print_pages --keys > config/keys.md");
    free(wanted);
}
END_TEST

START_TEST(every_key_is_on_the_pages_once) {
    char *page = NULL;
    size_t n = 0, rows = 0, items = 0;
    FILE *to = open_memstream(&page, &n);
    ck_assert_ptr_nonnull(to);
    page_print_markdown(to);
    page_print_mdoc(to);
    fclose(to);
    for (const char *line = page; *line != '\0'; line += strcspn(line, "\n") + 1) {
        rows += strncmp(line, "| ", 2) == 0 && strncmp(line, "| key | value |", 15) != 0 &&
                strncmp(line, "| ---", 5) != 0;
        items += strncmp(line, ".It ", 4) == 0;
    }
    ck_assert_uint_eq(rows, keys_n);
    ck_assert_uint_eq(items, keys_n);
    free(page);
}
END_TEST

/* A configuration around `key: example`, with no more in it than the key needs. */
static void surround(const struct key *key, enum key_place place, char *ret_text, size_t size) {
    char setting[512];
    snprintf(setting, sizeof setting, "%s: %s", key->name, key->example);
    const char *name = key->name, *form = NULL;
    switch (place) {
    case KEY_TOP:
        form = strcmp(name, "sites") == 0 ? "%s\n"
                                          : "%s\nsites: [ { name: shop, url: https://a/ } ]\n";
        break;
    case KEY_INCLUDED:
        form = "%s\n";
        break;
    case KEY_DEFAULTS:
        form = "defaults: { %s }\nsites: [ https://a/ ]\n";
        break;
    case KEY_SITE:
        form = strcmp(name, "url") == 0 ? "sites: [ { %s } ]\n"
                                        : "sites: [ { url: https://a/, %s } ]\n";
        break;
    case KEY_REQUEST:
        form = "sites: [ { url: https://a/, request: { %s } } ]\n";
        break;
    case KEY_BASIC:
        form =
            strcmp(name, "user") == 0
                ? "sites: [ { url: https://a/, request: { basic: { password: { file: token }, %s "
                  "} } } ]\n"
                : "sites: [ { url: https://a/, request: { basic: { user: x, %s } } } ]\n";
        break;
    case KEY_IN_SECRET:
        form = "sites: [ { url: https://a/, request: { bearer: { %s } } } ]\n";
        break;
    case KEY_TLS:
        form = strcmp(name, "cert") == 0
                   ? "sites: [ { url: https://a/, tls: { key: client.key, %s } } ]\n"
               : strcmp(name, "key") == 0
                   ? "sites: [ { url: https://a/, tls: { cert: client.pem, %s } } ]\n"
                   : "sites: [ { url: https://a/, tls: { %s } } ]\n";
        break;
    case KEY_REDIRECTS:
        form = "sites: [ { url: https://a/, redirects: { %s } } ]\n";
        break;
    case KEY_BACKEND:
        form = "sites: [ { url: https://a/, backend: { %s } } ]\n";
        break;
    case KEY_EXPECT:
        form = "sites: [ { url: https://a/, expect: { %s } } ]\n";
        break;
    case KEY_HEALTH:
        form = "sites: [ { url: https://a/, health: { %s } } ]\n";
        break;
    case KEY_IN_RULE:
        form = "sites: [ { url: https://a/, expect: { headers: { Server: { %s } } } } ]\n";
        break;
    case KEY_REPORT:
        form = strcmp(name, "to") == 0 ? "reports: [ { %s } ]\nsites: [ https://a/ ]\n"
               : strcmp(name, "path") == 0
                   ? "reports: [ { to: file, %s } ]\nsites: [ https://a/ ]\n"
                   : "reports: [ { to: stdout, %s } ]\nsites: [ https://a/ "
                     "]\n";
        break;
    case KEY_ON_CHANGE:
        form = strcmp(name, "command") == 0
                   ? "on_change: { %s }\nsites: [ https://a/ ]\n"
                   : "on_change: [ { command: /bin/sh, %s } ]\nsites: [ https://a/ ]\n";
        break;
    case KEY_STATUS_SERVER:
        form = "status: { %s }\nsites: [ https://a/ ]\n";
        break;
    case KEY_RESOLVER:
        form = "resolver: { %s }\nsites: [ https://a/ ]\n";
        break;
    case KEY_ALL_OF_SITE:
        break;
    }
    ck_assert_ptr_nonnull(form);
    const char *at = strstr(form, "%s");
    snprintf(ret_text, size, "%.*s%s%s", (int)(at - form), form, setting, at + 2);
}

START_TEST(every_example_loads_at_every_place) {
    const struct key *key = &keys[_i];
    for (size_t p = 0; p < PLACES; p++) {
        if ((key->places & places[p]) == 0) {
            continue;
        }
        char text[1024];
        surround(key, places[p], text, sizeof text);
        char *secret = strstr(text, "/etc/tallyd/"); /* the test's own directory */
        if (secret != NULL) {
            memmove(secret, secret + 12, strlen(secret + 12) + 1);
        }
        struct config_messages messages = {0};
        struct config *config = NULL;
        char path[128];
        write_file("tallyd.yaml", text);
        snprintf(path, sizeof path, "%s/tallyd.yaml", directory);
        int r = config_load(path, &messages, &config);
        ck_assert_msg(r == 0, "%s%s", text, messages.n_errors > 0 ? messages.errors[0] : "");
        config_messages_clear(&messages);
        config_unref(config);
    }
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
    suite_add_tcase(suite, tests);
    TCase *example = tcase_create("example");
    tcase_add_checked_fixture(example, make_directory, remove_directory);
    tcase_add_test(example, the_shipped_example_loads);
    tcase_add_test(example, the_shipped_example_loads_with_everything_switched_on);
    tcase_add_test(example, the_page_of_keys_is_that_of_the_rows);
    tcase_add_test(example, every_key_is_on_the_pages_once);
    tcase_add_loop_test(example, every_example_loads_at_every_place, 0, n);
    suite_add_tcase(suite, example);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
