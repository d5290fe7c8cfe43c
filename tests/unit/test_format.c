#include "output/format.h"

#include "output/file.h"

#include "chance.h"
#include "fake_config.h"
#include "make_record.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT     "5f3c0a9e5f3c0a9e5f3c0a9e5f3c0a9e"
#define MSEC(ms) ((nsec_t)((ms)*1000 + 0.5) * NSEC_PER_USEC)

static const struct label team[] = {{"team", "web"}, {"tier", "gr\xc3\xbcn, front"}};
static const struct site shop = {
    .name = "shop",
    .url_given = "https://shop.example.org/",
    .labels = team,
    .n_labels = 2,
};
static const struct site plain = {.name = "blog.example.org",
                                  .url_given = "http://[::1]:8080/?a=b"};

/* Everything that must never reach a terminal, in every place that text comes in by. */
#define HOSTILE                                                                                    \
    "\x1b]0;owned\x07\x1b[2J\r\nsaw 200: 99 times\x7f\xc2\x9b"                                     \
    "31m\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xef\xbb\xbf\xff\xc0\xaf\xed\xa0\x80 \"q\" \\ end"
static const struct label hostile_labels[] = {{"note", HOSTILE}};
static const struct site hostile = {
    .name = HOSTILE,
    .url_given = "https://evil.example/" HOSTILE,
    .labels = hostile_labels,
    .n_labels = 1,
};

static void add_address(struct report *report, size_t i, const char *text) {
    struct report_address *address = &report->addresses[i];
    strcpy(address->text, text);
    tally_init(&address->tally);
    address->p50 = NSEC_UNKNOWN;
}

static struct report_evidence *add_evidence(struct report *report, outcome_t outcome) {
    report->evidence =
        realloc(report->evidence, (report->n_evidence + 1) * sizeof *report->evidence);
    struct report_evidence *evidence = &report->evidence[report->n_evidence++];
    *evidence =
        (struct report_evidence){.outcome = outcome, .at = NSEC_UNKNOWN, .took = NSEC_UNKNOWN};
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        evidence->phases[i] = NSEC_UNKNOWN;
    }
    return evidence;
}

static void add_backend(struct report *report, const char *name, outcome_t outcome,
                        unsigned count) {
    struct report_backend *backend = &report->backends[report->n_backends++];
    snprintf(backend->name, sizeof backend->name, "%.60s", name);
    tally_init(&backend->tally);
    make_add(&backend->tally, outcome, count);
    backend->p50 = NSEC_UNKNOWN;
}

/* The example of the design notes. */
static struct report *degraded_report(void) {
    struct report *report = make_report(&shop, 9);
    report->planned = report->judged = 20;
    report->failed = 2;
    make_add(&report->tally, 200, 18);
    make_add(&report->tally, 503, 1);
    make_add(&report->tally, OUTCOME_CONNECT_TIMEOUT, 1);
    report->reasons[REASON_STATUS] = report->reasons[REASON_ERROR] = 1;
    report->late = MSEC(0.412);
    report->took = MSEC(812.102) + 300;
    report->latency = (struct report_latency){
        .n = 19,
        .min = MSEC(8.1),
        .mean = MSEC(12.4),
        .p50 = MSEC(11.9),
        .p90 = MSEC(20.2),
        .p99 = NSEC_UNKNOWN,
        .max = MSEC(40.7),
    };
    const double phases[] = {0.9, 1.1, 6.2, 3.0, 0.7};
    for (int i = 0; i < PHASE_COUNT; i++) {
        report->phases[i] = MSEC(phases[i]);
    }
    report->n_addresses = 2;
    report->addresses = calloc(2, sizeof *report->addresses);
    add_address(report, 0, "192.0.2.1");
    make_add(&report->addresses[0].tally, 200, 10);
    add_address(report, 1, "192.0.2.2");
    make_add(&report->addresses[1].tally, 200, 8);
    make_add(&report->addresses[1].tally, 503, 1);
    make_add(&report->addresses[1].tally, OUTCOME_CONNECT_TIMEOUT, 1);
    report->addresses[1].failed = 2;
    report->has_verdict = true;
    report->verdict = (struct verdict_result){
        .from = STATE_UP,
        .to = STATE_DEGRADED,
        .level = 0.84,
        .window_samples = 100,
        .window_failed = 7,
        .window_low = 0.03432,
        .window_high = 0.13749,
    };
    struct report_evidence *evidence = add_evidence(report, 503);
    strcpy(evidence->address, "192.0.2.2");
    evidence->at = MSEC(104.2);
    evidence->local_port = 40112;
    strcpy(evidence->words, "The requested URL returned error: 503");
    return report;
}

/* Nothing was sent, nothing is known; the extra first round. */
static struct report *empty_report(void) {
    struct report *report = make_report(&plain, 1);
    report->wall_began = INT64_C(1709251199) * NSEC_PER_SEC + 999999999; /* a leap day's end */
    report->first = true;
    report->planned = 5;
    report->skipped = 18446744;
    report->took = MSEC(25000);
    report->left_out_ipv6 = true;
    make_add(&report->tally, OUTCOME_NOT_SENT, 4);
    make_add(&report->tally, OUTCOME_ABORTED, 1);
    report->has_verdict = true;
    return report;
}

/* All that may be there, and hostile. */
static struct report *hostile_report(void) {
    struct report *report = make_report(&hostile, UINT64_C(9007199254740993));
    report->planned = report->judged = 200;
    report->failed = 200;
    report->reasons[REASON_STATUS] = 100;
    report->reasons[REASON_ERROR] = 100;
    make_add(&report->tally, 999, 50);
    make_add(&report->tally, 100, 50);
    make_add(&report->tally, OUTCOME_TRUNCATED, 50);
    make_add(&report->tally, OUTCOME_CONNECT_REFUSED, 50);
    report->late = 1;
    report->took = 499;
    report->latency = (struct report_latency){
        .n = 100,
        .min = 500,
        .mean = MSEC(0.001),
        .p50 = MSEC(1),
        .p90 = MSEC(59999.999),
        .p99 = MSEC(123456.789),
        .max = INT64_C(86399999999999),
    };
    report->phases[PHASE_FIRST_BYTE] = MSEC(0.05);
    report->left_out_ipv4 = report->left_out_ipv6 = true;
    report->has_verdict = true;
    report->verdict =
        (struct verdict_result){.from = STATE_DOWN, .to = STATE_DOWN, .level = 1, .window_high = 1};
    struct report_evidence *evidence = add_evidence(report, OUTCOME_TRUNCATED);
    evidence->reason = REASON_ERROR;
    snprintf(evidence->words, sizeof evidence->words, "%s", HOSTILE);
    snprintf(evidence->backend, sizeof evidence->backend, "%.60s", HOSTILE);
    evidence->curl = strdup(HOSTILE);
    evidence = add_evidence(report, 999);
    strcpy(evidence->address, "2001:db8::1");
    evidence->at = evidence->took = 0;
    report->backends = calloc(REPORT_BACKENDS_MOST, sizeof *report->backends);
    add_backend(report, HOSTILE, 999, 30);
    add_backend(report, "other", 999, 10);
    make_add(&report->other_backends, 999, 10);
    make_add(&report->other_backends, OUTCOME_TRUNCATED, 5);
    report->other_backends_p50 = NSEC_UNKNOWN;
    return report;
}

static const struct site kept = {
    .name = "kept",
    .url_given = "https://kept.example.org/",
    .connection = CONNECTION_REUSE,
};

/* Two addresses of two families, servers that name themselves, and everything told of a sample. */
static struct report *wide_report(void) {
    struct report *report = make_report(&kept, 3);
    report->planned = report->judged = 6;
    report->failed = 3;
    report->repeated = 1;
    make_add(&report->tally, 200, 4);
    make_add(&report->tally, 503, 1);
    make_add(&report->tally, OUTCOME_TLS_VERIFY, 1);
    report->reasons[REASON_STATUS] = report->reasons[REASON_ERROR] = report->reasons[REASON_BODY] =
        1;
    report->took = MSEC(31);
    report->n_addresses = 3;
    report->addresses = calloc(3, sizeof *report->addresses);
    add_address(report, 0, "192.0.2.1");
    make_add(&report->addresses[0].tally, 200, 3);
    report->addresses[0].p50 = MSEC(1.5);
    add_address(report, 1, "192.0.2.77"); /* had no turn */
    add_address(report, 2, "2001:db8::1");
    make_add(&report->addresses[2].tally, 200, 1);
    make_add(&report->addresses[2].tally, 503, 1);
    make_add(&report->addresses[2].tally, OUTCOME_TLS_VERIFY, 1);
    report->addresses[2].p50 = MSEC(9);
    report->addresses[2].failed = 2;
    report->addresses[0].failed = 1; /* for its body */
    report->appeared = calloc(2, sizeof *report->appeared);
    strcpy(report->appeared[report->n_appeared++], "192.0.2.77");
    strcpy(report->appeared[report->n_appeared++], "2001:db8::1");
    report->gone = calloc(1, sizeof *report->gone);
    strcpy(report->gone[report->n_gone++], "192.0.2.9");
    report->backends = calloc(REPORT_BACKENDS_MOST, sizeof *report->backends);
    add_backend(report, "b1", 200, 4);
    report->backends[0].p50 = MSEC(2);
    add_backend(report, "b 2]=%", 503, 1);
    report->backends[0].failed = report->backends[1].failed = 1;
    struct report_evidence *evidence = add_evidence(report, 503);
    evidence->reason = REASON_STATUS;
    strcpy(evidence->address, "2001:db8::1");
    strcpy(evidence->backend, "b 2]=%");
    evidence->at = MSEC(1);
    evidence->took = MSEC(9.25);
    evidence->phases[PHASE_CONNECT] = MSEC(0.25);
    evidence->phases[PHASE_FIRST_BYTE] = MSEC(8.5);
    evidence->local_port = 40113;
    strcpy(evidence->words, "expected a status of 200-399");
    evidence->curl = strdup("curl -q -sS -i --connect-to '::[2001:db8::1]:443' https://kept/");
    return report;
}

/* A round that is ours: nobody could have been reached. */
static struct report *disowned_report(void) {
    struct report *report = make_report(&shop, 10);
    report->planned = report->judged = report->failed = 4;
    report->reasons[REASON_ERROR] = 4;
    report->took = MSEC(400);
    make_add(&report->tally, OUTCOME_DNS_TIMEOUT, 4);
    struct report_evidence *evidence = add_evidence(report, OUTCOME_DNS_TIMEOUT);
    evidence->reason = REASON_ERROR;
    evidence->at = evidence->took = NSEC_UNKNOWN;
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        evidence->phases[i] = NSEC_UNKNOWN;
    }
    strcpy(evidence->words, "no answer from the DNS servers");
    report_disown(report, TROUBLE_NO_RESOLVER);
    report->has_verdict = true;
    report->verdict.from = report->verdict.to = STATE_UP;
    report->verdict.window_high = 1;
    return report;
}

enum { LOG_FORMATS = 3 }; /* the others are for a terminal */

/* Every kind of record, as a log of that format has them, in one string. */
static char *write_all(const struct format *format, bool with_places) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    struct format_place numbered = {.boot = BOOT, .seq = 17};
    const struct format_place *place = with_places ? &numbered : NULL;
    struct report *reports[] = {degraded_report(), empty_report(), hostile_report(), wide_report(),
                                disowned_report()};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++, numbered.seq++) {
        ck_assert_int_eq(format->report(reports[i], place, to), 0);
        report_free(reports[i]);
    }
    struct format_loss loss = {.wall_time = MAKE_TIME, .why = "a torn line"};
    if (format->has_places && with_places) {
        struct record *record =
            make_event(&shop, STATE_UP, STATE_DEGRADED, "2 of 20 failed \xe2\x80\xa8 in round 9");
        ck_assert_int_eq(format->event(&record->event, place, to), 0);
        numbered.seq++;
        record_free(record);
        struct trouble_change begins = {
            .trouble = TROUBLE_NO_RESOLVER, .begins = true, .after = true};
        record =
            record_new_trouble(&begins, MAKE_TIME, "no DNS server answers; first seen at shop");
        ck_assert_int_eq(format->trouble(&record->trouble, place, to), 0);
        numbered.seq++;
        record_free(record);
        ck_assert_int_eq(format->loss(&loss, place, to), 0);
        numbered.seq = UINT64_C(1234567890123) + 1;
        loss = (struct format_loss){.wall_time = -1,
                                    .from_seq = 21,
                                    .to_seq = UINT64_C(1234567890123),
                                    .count = UINT64_C(1234567890103),
                                    .why = "disk full"};
    }
    if (with_places) {
        ck_assert_int_eq(format->loss(&loss, place, to), 0);
    }
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_uint_eq(strlen(text), n); /* no NUL in it */
    return text;
}

static char *read_whole(const char *path) {
    FILE *from = fopen(path, "r");
    ck_assert_msg(from != NULL, "no %s", path);
    char *text = calloc(1, 1 << 16);
    size_t n = fread(text, 1, (1 << 16) - 1, from);
    ck_assert(n > 0 && feof(from));
    fclose(from);
    return text;
}

/* With TALLYD_GOLDEN_WRITE set the files are made anew, for `git diff` to judge. */
static void assert_golden(const char *path, const char *text) {
    if (getenv("TALLYD_GOLDEN_WRITE") != NULL) {
        FILE *to = fopen(path, "w");
        ck_assert_ptr_nonnull(to);
        fputs(text, to);
        fclose(to);
    }
    char *golden = read_whole(path);
    ck_assert_str_eq(text, golden);
    free(golden);
}

static void assert_all_safe(const char *text) {
    for (const char *at = text; *at != '\0';) {
        const char *end = strchr(at, '\n');
        ck_assert_ptr_nonnull(end);
        json_t *line = json_stringn(at, (size_t)(end - at)); /* NULL: not UTF-8 */
        ck_assert_ptr_nonnull(line);
        json_decref(line);
        for (; at < end; at++) {
            unsigned char byte = (unsigned char)*at, next = (unsigned char)at[1];
            ck_assert(byte >= 0x20 && byte != 0x7f && !(byte == 0xc2 && next < 0xa0));
        }
        at++;
    }
}

START_TEST(a_log_is_written_to_the_letter) {
    const struct format *format = format_at((size_t)_i);
    char path[64];
    snprintf(path, sizeof path, "tests/golden/log.%s", format->name);
    char *text = write_all(format, true);
    assert_all_safe(text);
    assert_golden(path, text);
    free(text);
    ck_assert_uint_eq(config_refs, 0);
}
END_TEST

START_TEST(the_journal_is_written_to_the_letter) {
    char *text = write_all(&format_journal, true);
    assert_all_safe(text);
    assert_golden("tests/golden/log.journal", text);
    free(text);
}
END_TEST

START_TEST(sample_is_written_to_the_letter) {
    const struct format *format = format_at((size_t)_i);
    char path[64];
    snprintf(path, sizeof path, "tests/golden/sample.%s", format->name);
    char *text = write_all(format, false);
    assert_all_safe(text);
    assert_golden(path, text);
    free(text);
}
END_TEST

/* Byte for byte what the design notes show, keys and digits; and rows for the addresses. */
START_TEST(the_examples_of_the_design_notes_come_out) {
    static const char json[] =
        "{\"v\":1,\"record\":\"report\",\"boot\":\"" BOOT "\",\"seq\":17,"
        "\"time\":\"2026-11-22T10:06:00.123Z\",\"site\":\"shop\","
        "\"url\":\"https://shop.example.org/\",\"labels\":{\"team\":\"web\","
        "\"tier\":\"gr\xc3\xbcn, front\"},\"round\":9,\"planned\":20,\"judged\":20,"
        "\"codes\":{\"200\":18,\"503\":1},\"errors\":{\"connect_timeout\":1},\"failed\":2,"
        "\"reasons\":{\"status\":1,\"error\":1},\"late_ms\":0.412,\"skipped\":0,"
        "\"took_ms\":812.102,\"latency_ms\":{\"min\":8.1,\"mean\":12.4,\"p50\":11.9,\"p90\":20.2,"
        "\"max\":40.7},\"phases_ms\":{\"dns\":0.9,\"connect\":1.1,\"tls\":6.2,\"first_byte\":3.0,"
        "\"transfer\":0.7},\"addresses\":{\"192.0.2.1\":{\"codes\":{\"200\":10},\"errors\":{}},"
        "\"192.0.2.2\":{\"codes\":{\"200\":8,\"503\":1},\"errors\":{\"connect_timeout\":1}}},"
        "\"state\":\"degraded\",\"level\":0.84,\"window\":{\"samples\":100,\"failed\":7,"
        "\"low\":0.034,\"high\":0.137},\"evidence\":[{\"outcome\":\"503\","
        "\"address\":\"192.0.2.2\",\"at_ms\":104.2,\"local_port\":40112,"
        "\"words\":\"The requested URL returned error: 503\"}]}\n";
    static const char line[] =
        "2026-11-22T10:06:00.123Z seq=17 site=shop state=degraded planned=20 failed=2 200=18 503=1 "
        "connect_timeout=1 p50=11.9 max=40.7 took=812.1 late=0.4 skipped=0 "
        "addr[192.0.2.1]=200:10 addr[192.0.2.2]=200:8,503:1,connect_timeout:1 "
        "url=https://shop.example.org/\n";
    static const char text[] =
        "report for: https://shop.example.org/\n"
        "saw 200: 18 times\nsaw 503: 1 times\nsaw connect_timeout: 1 times\n"
        "at 192.0.2.1 saw 200: 10 times\nat 192.0.2.2 saw 200: 8 times\n"
        "at 192.0.2.2 saw 503: 1 times\nat 192.0.2.2 saw connect_timeout: 1 times\n";
    const char *const expected[] = {text, line, json};
    struct format_place place = {.boot = BOOT, .seq = 17};
    struct record *record = record_new_report(degraded_report());
    for (size_t i = 0; i < 3; i++) {
        char *made;
        size_t n;
        ck_assert_int_eq(format_make_line(format_at(i), record, NULL, &place, &made, &n), 0);
        ck_assert_str_eq(made, expected[i]);
        ck_assert_uint_eq(n, strlen(made));
        free(made);
    }
    record_free(record);
}
END_TEST

static char *write_full(struct report *report) {
    struct record record = {.kind = RECORD_REPORT, .report = report};
    char *text;
    size_t n;
    ck_assert_int_eq(format_make_line(&format_full, &record, NULL, NULL, &text, &n), 0);
    report_free(report);
    return text;
}

/* A row of `name` in the text from `at` on; its words. */
static const char *find_row(const char *at, const char *name) {
    char begin[80];
    snprintf(begin, sizeof begin, "\n  %s ", name);
    const char *row = strstr(at, begin);
    ck_assert_msg(row != NULL, "no row %s in %s", name, at);
    return row + strlen(begin);
}

START_TEST(a_matrix_of_many_rows_adds_those_up_that_have_no_news) {
    enum { ADDRESSES = 60 };
    struct report *report = make_report(&plain, 1);
    report->addresses = calloc(ADDRESSES, sizeof *report->addresses);
    report->n_addresses = ADDRESSES;
    for (size_t i = 0; i < ADDRESSES; i++) {
        char text[INET6_ADDRSTRLEN];
        snprintf(text, sizeof text, "2001:db8:1234:5678:9abc:def0:1234:%zu", i + 1000);
        add_address(report, i, text);
        make_add(&report->addresses[i].tally, i == 17 ? 503 : 200, 2);
        make_add(&report->tally, i == 17 ? 503 : 200, 2);
    }
    make_add(&report->tally, OUTCOME_NOT_SENT, 3);
    report->addresses[17].failed = report->failed = 2;
    char *text = write_full(report);
    unsigned failed, more, first, second, third;
    ck_assert_int_eq(sscanf(find_row(text, "2001:db8:1234:5678:9abc:def0:1234:1017"), "%u - . %u .",
                            &failed, &second),
                     2);
    ck_assert_uint_eq(failed, 2);
    ck_assert_uint_eq(second, 2);
    ck_assert_int_eq(sscanf(find_row(text, "(59"), "more) . - %u . .", &more), 1);
    ck_assert_uint_eq(more, 118);
    ck_assert_int_eq(sscanf(find_row(text, "(no address)"), " . - . . %u", &third), 1);
    ck_assert_uint_eq(third, 3);
    ck_assert_int_eq(
        sscanf(find_row(text, "all"), "%u - %u %u %u", &failed, &first, &second, &third), 4);
    ck_assert(failed == 2 && first == 118 && second == 2 && third == 3);
    free(text);
}
END_TEST

static void assert_80_columns(const char *text) {
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, "\n"), columns = 0;
        for (size_t i = 0; i < n; i++) {
            columns += ((unsigned char)at[i] & 0xc0) != 0x80;
        }
        bool free_width = strncmp(at, "report for:", 11) == 0 || strncmp(at, "    curl ", 9) == 0;
        ck_assert_msg(free_width || columns <= 80, "%zu columns: %.*s", columns, (int)n, at);
        ck_assert_msg(n == 0 || at[n - 1] != ' ', "ends in a blank: %.*s", (int)n, at);
        at += n + 1;
    }
}

START_TEST(whatever_came_back_is_told_in_80_columns) {
    struct chance chance = chance_new(__func__);
    for (int run = 0; run < 300; run++) {
        struct report *report = make_report(&plain, 1);
        size_t n = 1 + chance_below(&chance, 50);
        report->addresses = calloc(n, sizeof *report->addresses);
        report->n_addresses = n;
        report->latency = (struct report_latency){
            .n = 1, .p50 = (nsec_t)chance_below(&chance, INT64_C(86400) * NSEC_PER_SEC)};
        for (size_t i = 0; i < n; i++) {
            char text[INET6_ADDRSTRLEN];
            snprintf(text, sizeof text, chance_below(&chance, 2) ? "192.0.2.%zu" : "2001:db8::%zu",
                     i);
            add_address(report, i, text);
            unsigned kinds = (unsigned)chance_below(&chance, 9);
            for (unsigned k = 0; k < kinds; k++) {
                outcome_t outcome =
                    chance_below(&chance, 2)
                        ? (outcome_t)(1 + chance_below(&chance, OUTCOME_CLASSES - 1))
                        : (outcome_t)(100 + chance_below(&chance, 900));
                unsigned count = 1 + (unsigned)chance_below(&chance, 99999);
                make_add(&report->addresses[i].tally, outcome, count);
                make_add(&report->tally, outcome, count);
            }
        }
        for (unsigned i = 0; i < 5; i++) {
            struct report_evidence *evidence =
                add_evidence(report, (outcome_t)(1 + chance_below(&chance, OUTCOME_CLASSES - 1)));
            evidence->at = (nsec_t)chance_below(&chance, INT64_C(9000) * NSEC_PER_SEC);
            evidence->took = evidence->phases[PHASE_TLS] = evidence->at;
            for (size_t k = 0; k < sizeof evidence->words - 1; k++) {
                evidence->words[k] = chance_below(&chance, 20) == 0 ? ' ' : 'x';
            }
        }
        char *text = write_full(report);
        assert_80_columns(text);
        free(text);
    }
}
END_TEST

START_TEST(every_json_line_parses_and_keeps_its_numbers) {
    char *text = write_all(&format_json, true);
    int lines = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_ptr_nonnull(object);
        ck_assert_int_eq(json_integer_value(json_object_get(object, "v")), 1);
        if (lines == 2) {
            ck_assert_int_eq(json_integer_value(json_object_get(object, "round")),
                             INT64_C(9007199254740993));
        }
        json_decref(object);
    }
    ck_assert_int_eq(lines, 9);
    free(text);
}
END_TEST

START_TEST(milliseconds_print_with_microsecond_digits_for_every_length) {
    struct report *report = make_report(&plain, 1);
    for (nsec_t usec = 1; usec < INT64_C(86400000000); usec += usec / 7 + 1) {
        report->took = usec * NSEC_PER_USEC;
        char *line, expected[64];
        size_t n;
        struct record record = {.kind = RECORD_REPORT, .report = report};
        ck_assert_int_eq(format_make_line(&format_json, &record, NULL, NULL, &line, &n), 0);
        int length = snprintf(expected, sizeof expected, "\"took_ms\":%lld.%03lld",
                              (long long)usec / 1000, (long long)usec % 1000);
        while (expected[length - 1] == '0' && expected[length - 2] != '.') {
            expected[--length] = '\0';
        }
        const char *found = strstr(line, expected);
        ck_assert_msg(found != NULL, "%s is not in %s", expected, line);
        ck_assert(strchr(",}", found[length]) != NULL);
        free(line);
    }
    report_free(report);
}
END_TEST

static void add_all_outcomes(struct tally *tally) {
    for (outcome_t outcome = 1; outcome <= OUTCOME_STATUS_MAX; outcome++) {
        if (outcome < OUTCOME_CLASSES || outcome_is_status(outcome)) {
            make_add(tally, outcome, 10000);
        }
    }
}

/* Of a host with as many addresses as there may be, behind which are servers that name themselves. */
static struct report *longest_report(void) {
    enum { ADDRESSES = 256 };
    struct report *report = make_report(&shop, 9);
    report->addresses = calloc(ADDRESSES, sizeof *report->addresses);
    report->n_addresses = ADDRESSES;
    report->backends = calloc(REPORT_BACKENDS_MOST, sizeof *report->backends);
    report->n_backends = REPORT_BACKENDS_MOST;
    report->appeared = calloc(ADDRESSES, sizeof *report->appeared);
    report->gone = calloc(ADDRESSES, sizeof *report->gone);
    report->n_appeared = report->n_gone = ADDRESSES;
    add_all_outcomes(&report->tally);
    add_all_outcomes(&report->other_backends);
    for (size_t i = 0; i < ADDRESSES; i++) {
        char text[INET6_ADDRSTRLEN];
        snprintf(text, sizeof text, "2001:db8:1111:2222:3333:4444:5555:%zx", 0x1000 + i);
        add_address(report, i, text);
        add_all_outcomes(&report->addresses[i].tally);
        strcpy(report->appeared[i], text);
        strcpy(report->gone[i], text);
    }
    for (size_t i = 0; i < REPORT_BACKENDS_MOST; i++) {
        struct report_backend *backend = &report->backends[i];
        memset(backend->name, '"', sizeof backend->name - 1);
        add_all_outcomes(&backend->tally);
    }
    for (int i = 0; i < 16; i++) { /* the lines of 16 KiB that are the most in all */
        struct report_evidence *evidence = add_evidence(report, 503);
        evidence->curl = malloc((16 << 10) + 1);
        memset(evidence->curl, '"', 16 << 10);
        evidence->curl[16 << 10] = '\0';
    }
    return report;
}

START_TEST(the_longest_line_is_one_that_a_log_has_room_for) {
    const struct format *const formats[] = {&format_json,
                                            &format_line}; /* text has a line for each */
    struct format_place place = {.boot = BOOT, .seq = 17};
    struct record *record = record_new_report(longest_report());
    for (size_t i = 0; i < 2; i++) {
        char *line;
        size_t n;
        ck_assert_int_eq(format_make_line(formats[i], record, NULL, &place, &line, &n), 0);
        ck_assert_uint_gt(n, 2 << 20); /* else this tells nothing */
        ck_assert_uint_lt(n,
                          FILE_LINE_MOST - (256 << 10)); /* a long URL, labels, what may yet come */
        free(line);
    }
    record_free(record);
}
END_TEST

START_TEST(a_line_resembles_its_format_however_it_is_cut_and_no_other) {
    for (size_t i = 0; i < LOG_FORMATS; i++) {
        for (int places = 0; places <= 1; places++) {
            char *text = write_all(format_at(i), places != 0);
            for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
                for (size_t n = 0; n <= strlen(line); n++) {
                    ck_assert(format_at(i)->resembles(line, n));
                    for (size_t j = 0; n > 0 && format_at(j) != NULL; j++) {
                        ck_assert(j == i || !format_at(j)->resembles(line, n));
                    }
                }
            }
            free(text);
        }
    }
}
END_TEST

START_TEST(other_files_do_not_resemble_a_format) {
    static const char *const lines[] = {
        "#!/bin/sh",
        "root:x:0:0:root:/root:/bin/bash",
        "2026-11-22 10:06:00 INFO hello",
        "\n",
        "{}",
        "{\"v\":2,",
        "2026-11-22T10:06:00.123Z INFO",
        "2026-11-22T10:06:00.123Z see",
        "{\n",
        "20\n",
        "2026-11-22T10:06:00.123Z sitf=",
        "{\"v\":1,\"recorded\":1",
        "saw\n",
        "report for\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        for (size_t j = 0; format_at(j) != NULL; j++) {
            ck_assert_msg(!format_at(j)->resembles(lines[i], strlen(lines[i])), "%s", lines[i]);
        }
    }
}
END_TEST

START_TEST(formats_are_found_by_name) {
    ck_assert_ptr_eq(format_find("text"), &format_text);
    ck_assert_ptr_eq(format_find("line"), &format_line);
    ck_assert_ptr_eq(format_find("json"), &format_json);
    ck_assert_ptr_eq(format_find("full"), &format_full);
    ck_assert_ptr_null(format_find("journal"));
    ck_assert_ptr_null(format_find("JSON"));
    ck_assert_ptr_null(format_find(""));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("format");
    TCase *tcase = tcase_create("format");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_log_is_written_to_the_letter, 0, LOG_FORMATS);
    tcase_add_test(tcase, the_journal_is_written_to_the_letter);
    tcase_add_loop_test(tcase, sample_is_written_to_the_letter, 0, 4);
    tcase_add_test(tcase, the_examples_of_the_design_notes_come_out);
    tcase_add_test(tcase, a_matrix_of_many_rows_adds_those_up_that_have_no_news);
    tcase_add_test(tcase, whatever_came_back_is_told_in_80_columns);
    tcase_add_test(tcase, every_json_line_parses_and_keeps_its_numbers);
    tcase_add_test(tcase, milliseconds_print_with_microsecond_digits_for_every_length);
    tcase_add_test(tcase, the_longest_line_is_one_that_a_log_has_room_for);
    tcase_add_test(tcase, a_line_resembles_its_format_however_it_is_cut_and_no_other);
    tcase_add_test(tcase, other_files_do_not_resemble_a_format);
    tcase_add_test(tcase, formats_are_found_by_name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
