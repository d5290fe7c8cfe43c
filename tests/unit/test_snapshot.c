#include "report/snapshot.h"

#include "base/hash.h"
#include "chance.h"
#include "memory.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOUR  (3600 * NSEC_PER_SEC)
#define BOOT  "63319af6-ebea-4377-add5-4c22ba4c71fc"
#define OTHER "00000000-ebea-4377-add5-4c22ba4c71fc"

static const char head[] =
    "{\"tallyd_state\":1,\"version\":\"0.1.0\",\"wall_ns\":1795934568338004032,\"boot_id\":\"" BOOT
    "\",\"since_boot_ns\":2216573940523}\n";
static const char shop[] =
    "{\"site\":\"shop\",\"question\":\"0123456789abcdef\",\"family\":\"ipv6\",\"interval_ns\":"
    "60000000000,\"ago_ns\":12000000000,\"round\":9,\"state\":\"degraded\","
    "\"wall_since_ns\":1795934000000000000,\"level\":150,"
    "\"bad_rounds\":0,\"recovered_rounds\":3,\"window\":[[0,20,1],[12,20,0],[59,40,40]],"
    "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"],\"left_out_ipv4\":true,\"left_out_ipv6\":false}"
    "\n";
static const char blog[] =
    "{\"site\":\"bl\\\"o\\u202eg \\u00e4\",\"question\":\"fedcba9876543210\",\"family\":\"any\","
    "\"interval_ns\":100000000,\"ago_ns\":0,\"round\":4611686018427387903,\"state\":\"unknown\","
    "\"wall_since_ns\":null,\"level\":0,\"bad_rounds\":0,\"recovered_rounds\":0,\"window\":[],\"addresses\":[],"
    "\"left_out_ipv4\":false,\"left_out_ipv6\":false}\n";

/* Those lines with the last one that belongs to them; in static storage. */
static const char *file_of(const char *first, const char *second, const char *third, unsigned n) {
    static char bytes[512 * 1024];
    int length = snprintf(bytes, sizeof bytes, "%s%s%s", first, second, third);
    ck_assert_int_lt(length, (int)sizeof bytes - 100);
    snprintf(bytes + length, sizeof bytes - (size_t)length,
             "{\"sites\":%u,\"sum\":\"%016" PRIx64 "\"}\n", n,
             hash_bytes(HASH_BEGIN, bytes, (size_t)length));
    return bytes;
}

static struct snapshot *decode(const char *bytes, size_t n) {
    struct snapshot *snapshot = NULL;
    char why[SNAPSHOT_WHY_SIZE] = "";
    int r = snapshot_decode(bytes, n, &snapshot, why);
    ck_assert_msg(r == 0 && *why == '\0', "%d: it %s", r, why);
    return snapshot;
}

static void assert_refused(const char *bytes, size_t n, const char *words) {
    struct snapshot *snapshot = NULL;
    char why[SNAPSHOT_WHY_SIZE] = "";
    ck_assert_msg(snapshot_decode(bytes, n, &snapshot, why) == -EINVAL, "accepted: %.*s", (int)n,
                  bytes);
    ck_assert_ptr_null(snapshot);
    ck_assert_msg(strstr(why, words) != NULL, "it %s: %.*s", why, (int)n, bytes);
}

/* ---- bytes ---- */

START_TEST(what_was_written_is_read) {
    struct snapshot *snapshot =
        decode(file_of(head, shop, blog, 2), strlen(file_of(head, shop, blog, 2)));
    ck_assert_int_eq(snapshot->taken.wall, INT64_C(1795934568338004032));
    ck_assert_int_eq(snapshot->taken.since_boot, INT64_C(2216573940523));
    ck_assert_str_eq(snapshot->taken.boot_id, BOOT);
    ck_assert_uint_eq(snapshot->n_sites, 2);
    const struct snapshot_site *site = &snapshot->sites[0];
    ck_assert_str_eq(site->name, "shop");
    ck_assert_uint_eq(site->question, UINT64_C(0x0123456789abcdef));
    ck_assert_int_eq(site->family, FAMILY_IPV6);
    ck_assert_int_eq(site->interval, 60 * NSEC_PER_SEC);
    ck_assert_int_eq(site->ago, 12 * NSEC_PER_SEC);
    ck_assert_uint_eq(site->round, 9);
    ck_assert_int_eq(site->verdict.state, STATE_DEGRADED);
    ck_assert_int_eq(site->wall_since, INT64_C(1795934000000000000));
    ck_assert_int_eq(site->verdict.level, 150);
    ck_assert_uint_eq(site->verdict.bad_rounds, 0);
    ck_assert_uint_eq(site->verdict.recovered_rounds, 3);
    ck_assert_uint_eq(site->verdict.n_cells, 3);
    ck_assert_uint_eq(site->verdict.cells[1].ago, 12);
    ck_assert_uint_eq(site->verdict.cells[1].judged, 20);
    ck_assert_uint_eq(site->verdict.cells[2].failed, 40);
    ck_assert_uint_eq(site->n_addresses, 2);
    ck_assert_str_eq(site->addresses[1], "2001:db8::1");
    ck_assert(site->left_out_ipv4 && !site->left_out_ipv6);
    ck_assert_str_eq(snapshot->sites[1].name, "bl\"o\xe2\x80\xaeg \xc3\xa4");
    ck_assert_uint_eq(snapshot->sites[1].round, INT64_MAX / 2);
    ck_assert_int_eq(snapshot->sites[1].wall_since, NSEC_UNKNOWN);
    snapshot_free(snapshot);
}
END_TEST

START_TEST(reading_and_writing_gives_the_same_bytes) {
    /* but for an escape of \u202e, which the encoder writes as it is */
    char plain[sizeof blog];
    strcpy(plain, blog);
    memcpy(strstr(plain, "\\u202e"), "xxxxxx", 6);
    memcpy(strstr(plain, "\\u00e4"), "yyyyyy", 6);
    const char *bytes = file_of(head, shop, plain, 2);
    struct snapshot *snapshot = decode(bytes, strlen(bytes));
    char *again;
    size_t n;
    ck_assert_int_eq(snapshot_encode(snapshot, &again, &n), 0);
    ck_assert_uint_eq(n, strlen(bytes));
    ck_assert_int_eq(memcmp(again, bytes, n), 0);
    free(again);
    snapshot_free(snapshot);
}
END_TEST

START_TEST(a_site_s_question_is_found_out_when_it_is_written) {
    struct config_messages messages;
    struct config *config = NULL;
    const char *text = "sites: [ https://a/ ]\n";
    ck_assert_int_eq(config_load_memory("x", text, strlen(text), &messages, &config), 0);
    config_messages_clear(&messages);
    struct snapshot *snapshot = snapshot_new();
    struct snapshot_site site = {.name = "a", .of = &config->sites[0], .question = 1};
    snapshot->sites = &site;
    snapshot->n_sites = 1;
    snapshot->config = config;
    char *bytes;
    size_t n;
    ck_assert_int_eq(snapshot_encode(snapshot, &bytes, &n), 0);
    struct snapshot *read = decode(bytes, n);
    ck_assert_uint_eq(read->sites[0].question, config_fingerprint(&config->sites[0]));
    snapshot_free(read);
    free(bytes);
    snapshot_free(snapshot);
}
END_TEST

START_TEST(no_part_of_a_file_is_taken_for_a_file) {
    const char *bytes = file_of(head, shop, blog, 2);
    size_t n = strlen(bytes);
    for (size_t cut = 0; cut < n; cut++) {
        assert_refused(bytes, cut, cut == 0 ? "is empty" : "");
        if (cut > 0) {
            assert_refused(bytes + cut, n - cut, "");
        }
    }
}
END_TEST

START_TEST(no_altered_byte_goes_unnoticed) {
    struct chance chance = chance_new("no_altered_byte_goes_unnoticed");
    const char *bytes = file_of(head, shop, blog, 2);
    size_t n = strlen(bytes);
    char *altered = malloc(n);
    for (size_t at = 0; at < n; at++) {
        for (unsigned i = 0; i < 4; i++) {
            memcpy(altered, bytes, n);
            altered[at] = (char)(altered[at] ^ (1 + (int)chance_below(&chance, 255)));
            struct snapshot *snapshot = NULL;
            char why[SNAPSHOT_WHY_SIZE];
            int r = snapshot_decode(altered, n, &snapshot, why);
            ck_assert_msg(r == -EINVAL, "%.*s", (int)n, altered);
        }
    }
    free(altered);
}
END_TEST

/* Whoever can make the sum right is no accident any more, and still cannot do harm. */
START_TEST(what_cannot_be_is_refused_by_its_line_and_key) {
    static const struct {
        const char *from, *to, *words;
    } rows[] = {
        {"\"tallyd_state\":1", "\"tallyd_state\":2",
         "has format 2, and this version knows 1 alone"},
        {"\"tallyd_state\":1", "\"tallyd\":1", "does not begin like a state file"},
        {"\"wall_ns\":1795934568338004032", "\"wall_ns\":-1", "\"wall_ns\" in its line 1"},
        {"\"wall_ns\":1795934568338004032", "\"wall_ns\":1e9", "\"wall_ns\" in its line 1"},
        {"\"wall_ns\":1795934568338004032", "\"wall_ns\":99999999999999999999", "line 1"},
        {"\"since_boot_ns\"", "\"x\"", "\"since_boot_ns\" in its line 1"},
        {BOOT, BOOT "0", "\"boot_id\" in its line 1"},
        {"\"site\":\"shop\"", "\"site\":\"\"", "\"site\" in its line 2"},
        {"\"site\":\"shop\"", "\"site\":1", "\"site\" in its line 2"},
        {"\"site\":\"shop\"", "\"site\":\"a\\u0000b\"", "no JSON object in its line 2"},
        {"\"site\":\"shop\"", "\"site\":\"\xff\"", "no JSON object in its line 2"},
        {"\"site\":\"shop\"", "\"site\":\"a\",\"site\":\"b\"", "no JSON object in its line 2"},
        {"0123456789abcdef", "0123456789abcdeg", "\"question\" in its line 2"},
        {"0123456789abcdef", "0123456789abcdef0", "\"question\" in its line 2"},
        {"\"ipv6\"", "\"ipv5\"", "\"family\" in its line 2"},
        {"\"ago_ns\":12000000000", "\"ago_ns\":-1", "\"ago_ns\" in its line 2"},
        {"\"ago_ns\":12000000000", "\"ago_ns\":9000000000000000000", "\"ago_ns\" in its line 2"},
        {"\"interval_ns\":60000000000", "\"interval_ns\":\"60\"", "\"interval_ns\" in its line 2"},
        {"\"round\":9", "\"round\":-9", "\"round\" in its line 2"},
        {"\"round\":9", "\"round\":4611686018427387904", "\"round\" in its line 2"},
        {"\"degraded\"", "\"asleep\"", "\"state\" in its line 2"},
        {"\"degraded\"", "null", "\"state\" in its line 2"},
        {"1795934000000000000", "-2", "\"wall_since_ns\" in its line 2"},
        {"\"wall_since_ns\":", "\"x\":", "\"wall_since_ns\" in its line 2"},
        {"\"level\":150", "\"level\":-1", "\"level\" in its line 2"},
        {"\"level\":150", "\"level\":1.5", "\"level\" in its line 2"},
        {"\"bad_rounds\":0", "\"bad_rounds\":4294967295", "\"bad_rounds\" in its line 2"},
        {"\"recovered_rounds\":3", "\"recovered_rounds\":true", "\"recovered_rounds\""},
        {"[0,20,1]", "[60,20,1]", "\"window\" in its line 2"},
        {"[0,20,1]", "[0,20,21]", "\"window\" in its line 2"},
        {"[0,20,1]", "[0,100000000,1]", "\"window\" in its line 2"},
        {"[0,20,1]", "[12,20,1]", "\"window\" in its line 2"},
        {"[0,20,1]", "[0,20]", "\"window\" in its line 2"},
        {"[0,20,1]", "0", "\"window\" in its line 2"},
        {"\"192.0.2.1\"", "\"192.0.2.256\"", "\"addresses\" in its line 2"},
        {"\"192.0.2.1\"", "\"3.0.2.1\"", "\"addresses\" in its line 2"},
        {"\"192.0.2.1\"", "\"2001:db8::1\"", "\"addresses\" in its line 2"},
        {"\"192.0.2.1\"", "7", "\"addresses\" in its line 2"},
        {"[\"192.0.2.1\",\"2001:db8::1\"]", "{}", "\"addresses\" in its line 2"},
        {"\"left_out_ipv4\":true", "\"left_out_ipv4\":1", "\"left_out_ipv4\" in its line 2"},
        {"{\"site\":\"shop\"", "{\"x\":[[[[[[[[[[[[[[[[", "no JSON object in its line 2"},
        {"\n{\"site\":\"shop\"", "\n[]\n{\"site\":\"shop\"", "no JSON object in its line 2"},
        {"\n{\"site\":\"shop\"", "\n\n{\"site\":\"shop\"", "no JSON object in its line 2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[4096], first[4096];
        snprintf(text, sizeof text, "%s%s", head, shop);
        const char *at = strstr(text, rows[i].from);
        ck_assert_ptr_nonnull(at);
        snprintf(first, sizeof first, "%.*s%s%s", (int)(at - text), text, rows[i].to,
                 at + strlen(rows[i].from));
        const char *bytes = file_of(first, "", "", 1);
        assert_refused(bytes, strlen(bytes), rows[i].words);
    }
}
END_TEST

START_TEST(a_number_of_sites_that_is_not_theirs_is_refused) {
    static const unsigned numbers[] = {0, 1, 3, 1000000000};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const char *bytes = file_of(head, shop, blog, numbers[i]);
        assert_refused(bytes, strlen(bytes), numbers[i] > 1000 ? "does not end" : "as many lines");
    }
}
END_TEST

START_TEST(keys_of_a_later_version_are_passed_over) {
    char line[1024];
    snprintf(line, sizeof line, "{\"later\":{\"a\":[1,2]},%s", shop + 1);
    const char *bytes = file_of(head, line, "", 1);
    struct snapshot *snapshot = decode(bytes, strlen(bytes));
    ck_assert_uint_eq(snapshot->sites[0].round, 9);
    snapshot_free(snapshot);
}
END_TEST

/* `n` times `entry`, of which %u is the number, between `before` and what follows it in a site's line;
 * in static storage. */
static const char *line_with(const char *before, const char *instead_of, const char *entry,
                             unsigned n) {
    static char line[300 * 1024];
    const char *at = strstr(shop, before) + strlen(before);
    size_t length = (size_t)snprintf(line, sizeof line, "%.*s", (int)(at - shop), shop);
    for (unsigned i = 0; i < n; i++) {
        char one[64];
        const char *mark = strstr(entry, "%u");
        if (mark == NULL) {
            snprintf(one, sizeof one, "%s", entry);
        } else {
            snprintf(one, sizeof one, "%.*s%03u%s", (int)(mark - entry), entry, i, mark + 2);
        }
        length += (size_t)snprintf(line + length, sizeof line - length, "%s%s",
                                   i > 0 && mark != NULL ? "," : "", one);
    }
    snprintf(line + length, sizeof line - length, "%s", at + strlen(instead_of));
    return line;
}

START_TEST(what_a_line_holds_is_bounded) {
    static const char two[] = "\"192.0.2.1\",\"2001:db8::1\"";
    const char *bytes =
        file_of(head, line_with("\"addresses\":[", two, "\"2001:db8::1%u\"", 256), "", 1);
    struct snapshot *snapshot = decode(bytes, strlen(bytes));
    ck_assert_uint_eq(snapshot->sites[0].n_addresses, SNAPSHOT_ADDRESSES_MOST);
    ck_assert_str_eq(snapshot->sites[0].addresses[255], "2001:db8::1255");
    snapshot_free(snapshot);
    bytes = file_of(head, line_with("\"addresses\":[", two, "\"2001:db8::1%u\"", 257), "", 1);
    assert_refused(bytes, strlen(bytes), "\"addresses\" in its line 2");
    bytes = file_of(head, line_with("\"site\":\"", "shop", "n", 255), "", 1);
    snapshot_free(decode(bytes, strlen(bytes)));
    bytes = file_of(head, line_with("\"site\":\"", "shop", "n", 256), "", 1);
    assert_refused(bytes, strlen(bytes), "\"site\" in its line 2");
    bytes = file_of(head, line_with("\"site\":\"", "shop", "n", 70000), "", 1);
    assert_refused(bytes, strlen(bytes), "has a line 2 that is longer");
    bytes = file_of(head, line_with("\"window\":", "", "[", 60000), "", 1); /* deep */
    assert_refused(bytes, strlen(bytes), "no JSON object in its line 2");
}
END_TEST

START_TEST(lack_of_memory_while_reading_is_an_error_and_no_leak) {
    const char *bytes = file_of(head, shop, shop, 2);
    bool failed = true;
    for (size_t k = 0; failed; k++) {
        struct snapshot *snapshot = NULL;
        char why[SNAPSHOT_WHY_SIZE];
        memory_left = k;
        int r = snapshot_decode(bytes, strlen(bytes), &snapshot, why);
        failed = memory_left == SIZE_MAX;
        memory_left = SIZE_MAX;
        /* for want of memory jansson may see an invalid token, or lose a digit (lex_save()) */
        ck_assert_msg(r == 0 || (failed && (r == -ENOMEM || r == -EINVAL)), "%zu: %d", k, r);
        snapshot_free(snapshot);
    }
}
END_TEST

START_TEST(lack_of_memory_while_writing_is_an_error_and_no_leak) {
    const char *bytes = file_of(head, shop, shop, 2);
    struct snapshot *snapshot = decode(bytes, strlen(bytes));
    bool failed = true;
    for (size_t k = 0; failed; k++) {
        char *again = NULL;
        size_t n = 0;
        memory_left = k;
        int r = snapshot_encode(snapshot, &again, &n);
        failed = memory_left == SIZE_MAX;
        memory_left = SIZE_MAX;
        ck_assert_msg(r == (failed ? -ENOMEM : 0), "%zu: %d", k, r);
        ck_assert(r < 0 || (n == strlen(bytes) && memcmp(again, bytes, n) == 0));
        free(again);
    }
    snapshot_free(snapshot);
}
END_TEST

/* ---- age ---- */

START_TEST(age_is_told_by_the_machine_s_boot_or_else_by_the_wall_clock) {
    static const struct {
        struct snapshot_moment now;
        bool known;
        nsec_t age;
    } rows[] = {
        {{50 * HOUR + 7, BOOT, 10 * HOUR + 7}, true, 7},
        /* in one boot the wall clock may be moved as it likes */
        {{5 * HOUR, BOOT, 10 * HOUR + 7}, true, 7},
        {{500000 * HOUR, BOOT, 10 * HOUR + 7}, true, 7},
        {{50 * HOUR, BOOT, 30 * HOUR}, true, 20 * HOUR},
        /* in another it is all there is */
        {{51 * HOUR, OTHER, 0}, true, HOUR},
        {{51 * HOUR, "", 90 * HOUR}, true, HOUR},
        {{500000 * HOUR, OTHER, 0}, true, (500000 - 50) * HOUR},
        {{50 * HOUR - 1, OTHER, 0}, true, 0},
        {{50 * HOUR - 5 * NSEC_PER_SEC, OTHER, 0}, true, 0},
        {{50 * HOUR - 6 * NSEC_PER_SEC, OTHER, 0}, false, 0},
        {{0, OTHER, 0}, false, 0},
        {{49 * HOUR, "", 0}, false, 0},
        /* an id that comes again with less time is no use */
        {{49 * HOUR, BOOT, 9 * HOUR}, false, 0},
        {{51 * HOUR, BOOT, 9 * HOUR}, true, HOUR},
    };
    struct snapshot_moment taken = {50 * HOUR, BOOT, 10 * HOUR};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nsec_t age = -7;
        bool known = snapshot_age(&taken, &rows[i].now, &age);
        ck_assert_msg(known == rows[i].known, "row %zu", i);
        ck_assert_int_eq(age, known ? rows[i].age : -7);
    }
    taken.boot_id[0] = '\0';
    nsec_t age;
    struct snapshot_moment now = {52 * HOUR, "", 10 * HOUR + 7};
    ck_assert(snapshot_age(&taken, &now, &age));
    ck_assert_int_eq(age, 2 * HOUR);
}
END_TEST

START_TEST(ten_minutes_or_two_intervals_are_not_too_old) {
    ck_assert_int_eq(snapshot_age_most(NSEC_PER_SEC), 600 * NSEC_PER_SEC);
    ck_assert_int_eq(snapshot_age_most(300 * NSEC_PER_SEC), 600 * NSEC_PER_SEC);
    ck_assert_int_eq(snapshot_age_most(HOUR), 2 * HOUR);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("snapshot");
    TCase *bytes = tcase_create("bytes");
    tcase_add_test(bytes, what_was_written_is_read);
    tcase_add_test(bytes, reading_and_writing_gives_the_same_bytes);
    tcase_add_test(bytes, a_site_s_question_is_found_out_when_it_is_written);
    tcase_add_test(bytes, no_part_of_a_file_is_taken_for_a_file);
    tcase_add_test(bytes, no_altered_byte_goes_unnoticed);
    tcase_add_test(bytes, what_cannot_be_is_refused_by_its_line_and_key);
    tcase_add_test(bytes, a_number_of_sites_that_is_not_theirs_is_refused);
    tcase_add_test(bytes, keys_of_a_later_version_are_passed_over);
    tcase_add_test(bytes, what_a_line_holds_is_bounded);
    if (memory_can_fail()) {
        tcase_add_test(bytes, lack_of_memory_while_reading_is_an_error_and_no_leak);
        tcase_add_test(bytes, lack_of_memory_while_writing_is_an_error_and_no_leak);
    }
    suite_add_tcase(suite, bytes);
    TCase *age = tcase_create("age");
    tcase_add_test(age, age_is_told_by_the_machine_s_boot_or_else_by_the_wall_clock);
    tcase_add_test(age, ten_minutes_or_two_intervals_are_not_too_old);
    suite_add_tcase(suite, age);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
