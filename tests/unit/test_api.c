#include "output/api.h"

#include "make_board.h"

static char *list(void) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    struct api_sites *sites = api_sites_new(board, BOARD_TIME);
    ck_assert_ptr_nonnull(sites);
    while (api_sites_write(sites, to)) {
    }
    api_sites_free(sites);
    fclose(to);
    return text;
}

#define SHOP                                                                                       \
    "{\"site\":\"shop\",\"url\":\"https://shop.test/\",\"labels\":{\"team\":\"web\"},"             \
    "\"state\":\"degraded\",\"since\":\"2026-11-22T10:05:00.123Z\",\"level\":0.84,"                \
    "\"window\":{\"samples\":100,\"failed\":7,\"low\":0.034,\"high\":0.137},"                      \
    "\"certificate_ends\":\"2026-11-22T10:06:30.123Z\",\"round\":9,"                               \
    "\"began\":\"2026-11-22T10:06:00.123Z\",\"planned\":20,\"judged\":20,"                         \
    "\"codes\":{\"200\":18,\"503\":1},\"errors\":{\"connect_refused\":1},\"failed\":2,"            \
    "\"reasons\":{\"status\":1,\"error\":1},"                                                      \
    "\"latency_ms\":{\"min\":8.0,\"mean\":12.0,\"p50\":11.0,\"p90\":20.0,\"max\":40.0}}"

START_TEST(the_list_is_as_it_was_agreed) {
    board_load("[ { name: shop, url: https://shop.test/, labels: { team: web } },"
               " { name: \"a\\\"b\", url: http://a.test/, enabled: no } ]");
    board_play("shop", 9);
    char *text = list();
    ck_assert_str_eq(text, "{\"v\":1,\"time\":\"2026-11-22T10:06:00.123Z\",\"sites\":[" SHOP
                           ",{\"site\":\"a\\\"b\",\"url\":\"http://a.test/\",\"state\":\"paused\","
                           "\"level\":0.0}]}\n");
    free(text);
}
END_TEST

START_TEST(many_sites_are_one_list) {
    char sites[2000] = "[";
    for (unsigned i = 0; i < 60; i++) {
        char site[32];
        snprintf(site, sizeof site, "http://s%u.test/,", i);
        strcat(sites, site);
    }
    strcat(sites, "]");
    board_load(sites);
    char *text = list();
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "\"site\":")) != NULL; at++) {
        n++;
    }
    ck_assert_uint_eq(n, 60);
    ck_assert_ptr_nonnull(strstr(text, "},{\"site\":\"http://s40.test/\""));
    ck_assert_str_eq(strstr(text, "]}"), "]}\n");
    free(text);
}
END_TEST

START_TEST(a_site_has_its_last_rounds_and_the_record_of_the_last) {
    board_load("[ { name: shop, url: https://shop.test/, labels: { team: web } } ]");
    board_play("shop", 8);
    board_play("shop", 9);
    char *text = api_site(board_find(board, "shop"), BOARD_TIME);
    ck_assert_ptr_nonnull(text);
    static const char begins[] =
        "{\"v\":1,\"time\":\"2026-11-22T10:06:00.123Z\",\"site\":" SHOP
        ",\"rounds\":[{\"round\":9,\"began\":\"2026-11-22T10:06:00.123Z\",\"planned\":20,"
        "\"judged\":20,\"failed\":2,\"state\":\"degraded\","
        "\"outcomes\":{\"200\":18,\"connect_refused\":1,\"503\":1}},{\"round\":8,";
    ck_assert_msg(strncmp(text, begins, sizeof begins - 1) == 0, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "],\"last\":{\"v\":1,\"record\":\"report\","));
    free(text);
}
END_TEST

START_TEST(a_site_without_a_round_says_what_is_known) {
    board_load("[ { name: shop, url: https://shop.test/ } ]");
    char *text = api_site(board_find(board, "shop"), BOARD_TIME);
    ck_assert_str_eq(text, "{\"v\":1,\"time\":\"2026-11-22T10:06:00.123Z\",\"site\":{\"site\":"
                           "\"shop\",\"url\":\"https://shop.test/\",\"state\":\"unknown\","
                           "\"level\":0.0},\"rounds\":[]}");
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api");
    TCase *tests = tcase_create("api");
    tcase_add_checked_fixture(tests, NULL, board_end);
    tcase_add_test(tests, the_list_is_as_it_was_agreed);
    tcase_add_test(tests, many_sites_are_one_list);
    tcase_add_test(tests, a_site_has_its_last_rounds_and_the_record_of_the_last);
    tcase_add_test(tests, a_site_without_a_round_says_what_is_known);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
