#include "config/config.h"

#include "memory.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- helpers ---- */

static char *print_messages(const struct config_messages *messages) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(to);
    config_messages_print(messages, to);
    fclose(to);
    return text;
}

/* What loading says, which is the caller's to free; the configuration too, if it is wanted. */
static char *load(const char *name, const char *bytes, size_t n, struct config **ret_config) {
    struct config_messages messages = {0};
    struct config *config = NULL;
    int r = config_load_memory(name, bytes, n, &messages, &config);
    ck_assert_msg(r == 0 || r == -EINVAL, "%d", r);
    ck_assert_msg((r == 0) == (config != NULL), "a configuration or an error");
    ck_assert_msg((r == 0) == (messages.n_errors == 0), "an error or none");
    char *text = print_messages(&messages);
    config_messages_clear(&messages);
    if (ret_config != NULL) {
        *ret_config = config;
    } else {
        config_unref(config);
    }
    return text;
}

static struct config *load_good(const char *text) {
    struct config *config;
    char *messages = load("FILE", text, strlen(text), &config);
    ck_assert_msg(config != NULL, "%s", messages);
    ck_assert_str_eq(messages, "");
    free(messages);
    return config;
}

static void assert_says(const char *bytes, size_t n, const char *expected) {
    char *messages = load("FILE", bytes, n, NULL);
    ck_assert_str_eq(messages, expected);
    free(messages);
}

static char directory[] = "/tmp/tallyd-test-XXXXXX";

static void make_directory(void) {
    strcpy(directory, "/tmp/tallyd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

/* What loading a file says, with the directory's name taken out. */
static char *load_file(const char *name, struct config **ret_config) {
    struct config_messages messages = {0};
    struct config *config = NULL;
    int r = config_load(path_of(name), &messages, &config);
    ck_assert_msg((r == 0) == (messages.n_errors == 0), "%d", r);
    char *text = print_messages(&messages);
    config_messages_clear(&messages);
    for (char *at; (at = strstr(text, directory)) != NULL;) {
        memmove(at, at + strlen(directory), strlen(at + strlen(directory)) + 1);
    }
    if (ret_config != NULL) {
        *ret_config = config;
    } else {
        config_unref(config);
    }
    return text;
}

static void assert_file_says(const char *name, const char *expected) {
    char *text = load_file(name, NULL);
    ck_assert_str_eq(text, expected);
    free(text);
}

static char *read_whole(const char *path, size_t *ret_n) {
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    static char text[1 << 20];
    *ret_n = fread(text, 1, sizeof text - 1, file);
    text[*ret_n] = '\0';
    fclose(file);
    return text;
}

/* ---- messages ---- */

static glob_t goldens; /* tests/unit/golden/config: NAME.yaml, and in NAME.txt what it gives */

START_TEST(every_message_is_as_it_was_agreed) {
    size_t n;
    const char *yaml = goldens.gl_pathv[_i];
    char *bytes = read_whole(yaml, &n);
    char *text = load("FILE", bytes, n, NULL);
    char path[256];
    snprintf(path, sizeof path, "%.*s.txt", (int)strlen(yaml) - 5, yaml);
    char *expected = read_whole(path, &n);
    ck_assert_msg(strcmp(text, expected) == 0, "%s gives\n%s", yaml, text);
    free(text);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused_where_they_stand) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        {"", 0,
         "FILE:1:1: error: there is nothing in this file\n"
         "    was it cut off? It wants sites at least: sites: [ https://example.org/ ]\n"},
        {"sites:\n\t- https://a/\n", 21,
         "FILE:2:1: error: found character that cannot start any token\n"
         "     - https://a/\n"
         "    ^\n"
         "    there is a tab in this line; YAML wants spaces\n"},
        {"sites:\n  - https://a/", 21,
         "FILE:2:15: warning: no newline at the end of the file; is it whole?\n"
         "      - https://a/\n"
         "                  ^\n"
         "    if its end is missing, put it there; if not, end the last line\n"},
        {"\xff\xfes\0i\0", 6,
         "FILE:1:1: error: there is UTF-16; the file must be UTF-8\n"
         "    \\xff\\xfes\\x00i\\x00\n"
         "    ^\n"},
        {"s: [ a ]\n# caf\xe9\n", 16,
         "FILE:2:6: error: there is an invisible control character, or a byte that is not UTF-8\n"
         "    # caf\\xe9\n"
         "         ^\n"},
        {"# \xc3\xa4\n\ta\0b\n", 10,
         "FILE:2:3: error: there is a NUL byte\n"
         "     a\\x00b\n"
         "      ^\n"},
        {"# x\t\xe2\x80\xae\n", 8,
         "FILE:1:5: error: there is an invisible control character, or a byte that is not UTF-8\n"
         "    # x \\xe2\\x80\\xae\n"
         "        ^\n"},
        {"# a\rb\n", 6,
         "FILE:1:4: error: there is a control character\n"
         "    # a\\x0db\n"
         "       ^\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_says(rows[i].bytes, rows[i].n, rows[i].says);
    }
}
END_TEST

START_TEST(a_byte_order_mark_and_crlf_change_nothing) {
    static const char text[] = "\xef\xbb\xbfsites:\r\n  - name: x\r\n    url: https://a/\r\n";
    struct config *config = load_good(text);
    ck_assert_str_eq(config->sites[0].name, "x");
    ck_assert_str_eq(config->sites[0].url_given, "https://a/");
    config_unref(config);
    static const char wrong[] = "\xef\xbb\xbfsite:\r\n  - https://a/\r\n";
    assert_says(wrong, strlen(wrong),
                "FILE:1:1: error: unknown key \"site\"\n"
                "    \\xef\\xbb\\xbfsite:\n"
                "    ^\n"
                "    did you mean \"sites\"?\n");
}
END_TEST

START_TEST(too_many_errors_are_counted) {
    char *text = malloc(200000);
    ck_assert_ptr_nonnull(text);
    size_t n = (size_t)sprintf(text, "sites:\n");
    for (int i = 0; i < 1234; i++) {
        n += (size_t)sprintf(text + n, "  - ftp://host-%d/\n", i);
    }
    struct config_messages messages = {0};
    struct config *config = NULL;
    ck_assert_int_eq(config_load_memory("FILE", text, n, &messages, &config), -EINVAL);
    ck_assert_uint_eq(messages.n_errors, 1001);
    ck_assert_str_eq(messages.errors[1000], "234 more errors\n");
    ck_assert_ptr_nonnull(strstr(messages.errors[999], "FILE:1001:5: error: "));
    config_messages_clear(&messages);
    free(text);
}
END_TEST

START_TEST(a_secret_is_in_no_message) {
    static const char *const texts[] = {
        "sites: [ https://user:s3cret@a/ ]\n",
        "sites: [ \"https:\\/\\/user:s3cret@a/\" ]\n",
        "sites: [ \"https:\\x2f/user:s3cret@a/\" ]\n",
        "sites:\n  - \"https://user:s3cret\\\n    @a/\"\n",
        "sites: [ https://user:s3cret/@a/ ]\n",
        "sites: [ https://user:s3cret@a/, ftp://user:s3cret@b/ ]\n",
        "sites: [ { name: https://user:s3cret@a/, url: nonsense } ]\n",
        "sites: [ { https://user:s3cret@a/: x } ]\n",
        "https://user:s3cret@a/: [\n",
        "sites: [ { url: https://a/, labels: { https://user:s3cret@a/: x } } ]\n",
        "sites: [ { url: https://a/, interval: https://user:s3cret@a/ } ]\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *text = load("FILE", texts[i], strlen(texts[i]), NULL);
        ck_assert_msg(strstr(text, "s3cret") == NULL, "%s", text);
        ck_assert_msg(strstr(text, "error: ") != NULL, "%s", texts[i]);
        free(text);
    }
}
END_TEST

/* ---- values ---- */

START_TEST(the_defaults_are_those_of_the_manual) {
    struct config *config = load_good("sites: [ https://EXAMPLE.org/x#y ]\n");
    ck_assert_uint_eq(config->n_sites, 1);
    const struct site *site = &config->sites[0];
    ck_assert_str_eq(site->name, "https://EXAMPLE.org/x#y");
    ck_assert_str_eq(site->url_given, "https://EXAMPLE.org/x#y");
    ck_assert_str_eq(site->url.text, "https://example.org/x");
    ck_assert(site->enabled);
    ck_assert_int_eq(site->interval, 60 * NSEC_PER_SEC);
    ck_assert_int_eq(site->timeout, 5 * NSEC_PER_SEC);
    ck_assert_int_eq(site->dns_timeout, 5 * NSEC_PER_SEC);
    ck_assert_int_eq(site->spread, 15 * NSEC_PER_SEC);
    ck_assert_int_eq(site->deadline, 25 * NSEC_PER_SEC);
    ck_assert(!site->timeout_given && !site->spread_given && !site->deadline_given);
    ck_assert_uint_eq(site->samples, 20);
    ck_assert_uint_eq(site->concurrency, 5);
    ck_assert_int_eq(site->addresses, ADDRESSES_ROTATE);
    ck_assert_int_eq(site->family, FAMILY_ANY);
    ck_assert_uint_eq(site->body_limit_bytes, 16384);
    ck_assert_str_eq(site->user_agent, "tallyd/" TALLYD_VERSION);
    ck_assert(!status_set_has(site->expect.status, 199));
    ck_assert(status_set_has(site->expect.status, 200));
    ck_assert(status_set_has(site->expect.status, 399));
    ck_assert(!status_set_has(site->expect.status, 400));
    ck_assert_uint_eq(site->n_labels, 0);
    ck_assert_uint_eq(config->n_sinks, 1);
    ck_assert_int_eq(config->sinks[0].kind, SINK_STDOUT);
    ck_assert_str_eq(config->sinks[0].format, "line");
    ck_assert_int_eq(config->sinks[0].only, SINK_ONLY_ALL);
    ck_assert_uint_eq(config->n_resolver_servers, 0);
    ck_assert_int_eq(config->resolver_timeout, 1500 * NSEC_PER_MSEC);
    ck_assert_uint_eq(config->resolver_tries, 2);
    ck_assert_uint_eq(config->max_in_flight, 500);
    ck_assert_uint_eq(config->workers, 1);
    ck_assert_int_eq(config->max_removed, -1);
    ck_assert_ptr_null(config->ca_file);
    config_unref(config);
}
END_TEST

START_TEST(every_key_reaches_its_field) {
    struct config *config =
        load_good("sites:\n"
                  "  - url: https://a/\n"
                  "    name: \"no\"\n"
                  "    enabled: off\n"
                  "    interval: 2m\n"
                  "    samples: \"7\"\n"
                  "    concurrency: 3\n"
                  "    timeout: 1.5s\n"
                  "    dns_timeout: 2s\n"
                  "    deadline: 40s\n"
                  "    spread: 0s\n"
                  "    addresses: first\n"
                  "    family: ipv6\n"
                  "    body_limit: 1MB\n"
                  "    user_agent: x/010\n"
                  "    labels: { team: web, _9: \"\", n: 010 }\n"
                  "    expect: { status: [200, 4xx] }\n"
                  "  - https://b/\n"
                  "defaults: { interval: 30s, expect: { status: 204 } }\n"
                  "reports:\n"
                  "  - { to: file, path: /x/../y, format: json, only: changes }\n"
                  "  - { to: stdout, format: text, only: failed }\n"
                  "resolver: { servers: [ 192.0.2.1 ], timeout: 2s, tries: 3 }\n"
                  "max_in_flight: 9\n"
                  "workers: 2\n"
                  "canary: https://b/\n"
                  "max_removed: 0\n");
    const struct site *site = config_find(config, "no");
    ck_assert_ptr_eq(site, &config->sites[0]);
    ck_assert(!site->enabled);
    ck_assert_int_eq(site->interval, 120 * NSEC_PER_SEC);
    ck_assert_uint_eq(site->samples, 7);
    ck_assert_uint_eq(site->concurrency, 3);
    ck_assert_int_eq(site->timeout, 1500 * NSEC_PER_MSEC);
    ck_assert_int_eq(site->dns_timeout, 2 * NSEC_PER_SEC);
    ck_assert_int_eq(site->deadline, 40 * NSEC_PER_SEC);
    ck_assert_int_eq(site->spread, 0);
    ck_assert(site->timeout_given && site->spread_given && site->deadline_given);
    ck_assert_int_eq(site->addresses, ADDRESSES_FIRST);
    ck_assert_int_eq(site->family, FAMILY_IPV6);
    ck_assert_uint_eq(site->body_limit_bytes, 1000000);
    ck_assert_str_eq(site->user_agent, "x/010");
    ck_assert_uint_eq(site->n_labels, 3);
    ck_assert_str_eq(site->labels[0].name, "team");
    ck_assert_str_eq(site->labels[0].value, "web");
    ck_assert_str_eq(site->labels[1].value, "");
    ck_assert_str_eq(site->labels[2].value, "010");
    ck_assert(status_set_has(site->expect.status, 200) && status_set_has(site->expect.status, 499));
    ck_assert(!status_set_has(site->expect.status, 204));
    ck_assert_uint_eq(site->ring, 0);

    site = &config->sites[1]; /* the defaults apply wherever they stand */
    ck_assert_int_eq(site->interval, 30 * NSEC_PER_SEC);
    ck_assert(status_set_has(site->expect.status, 204));
    ck_assert(!status_set_has(site->expect.status, 200));
    ck_assert_uint_eq(site->ring, 1);
    ck_assert_uint_eq(config->n_rings, 2);
    ck_assert_int_eq(config->ring_intervals[1], 30 * NSEC_PER_SEC);

    ck_assert_uint_eq(config->n_sinks, 2);
    ck_assert_int_eq(config->sinks[0].kind, SINK_FILE);
    ck_assert_str_eq(config->sinks[0].path, "/x/../y");
    ck_assert_str_eq(config->sinks[0].format, "json");
    ck_assert_int_eq(config->sinks[0].only, SINK_ONLY_CHANGES);
    ck_assert_ptr_null(config->sinks[1].path);
    ck_assert_int_eq(config->sinks[1].only, SINK_ONLY_FAILED);
    ck_assert_uint_eq(config->n_resolver_servers, 1);
    ck_assert_str_eq(config->resolver_servers[0], "192.0.2.1");
    ck_assert_int_eq(config->resolver_timeout, 2 * NSEC_PER_SEC);
    ck_assert_uint_eq(config->resolver_tries, 3);
    ck_assert_uint_eq(config->max_in_flight, 9);
    ck_assert_uint_eq(config->workers, 2);
    ck_assert_int_eq(config->max_removed, 0);
    ck_assert_str_eq(config->canary, "https://b/");
    config_unref(config);
}
END_TEST

START_TEST(names_are_data) {
    struct config *config = load_good("sites:\n"
                                      "  - { url: https://a/, name: ../../etc/passwd }\n"
                                      "  - { url: https://b/, name: / }\n"
                                      "  - { url: https://c/, name: \"%s %n\" }\n"
                                      "  - { url: https://d/, name: \"\xc3\xa4 \xe6\x97\xa5\" }\n");
    ck_assert_ptr_nonnull(config_find(config, "../../etc/passwd"));
    ck_assert_ptr_nonnull(config_find(config, "/"));
    ck_assert_ptr_nonnull(config_find(config, "%s %n"));
    ck_assert_ptr_nonnull(config_find(config, "\xc3\xa4 \xe6\x97\xa5"));
    ck_assert_ptr_null(config_find(config, "https://a/"));
    ck_assert_ptr_null(config_find(config, ""));
    config_unref(config);
}
END_TEST

START_TEST(rings_are_numbered_as_they_appear) {
    struct config *config = load_good("sites:\n"
                                      "  - { url: https://a/, interval: 90s }\n"
                                      "  - https://b/\n"
                                      "  - { url: https://c/, interval: 1.5m, enabled: no }\n"
                                      "  - { url: https://d/, interval: 30s }\n");
    static const unsigned rings[] = {0, 1, 0, 2};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(config->sites[i].ring, rings[i]);
        ck_assert_int_eq(config->ring_intervals[rings[i]], config->sites[i].interval);
    }
    ck_assert_uint_eq(config->n_rings, 3);
    config_unref(config);
}
END_TEST

/* ---- limits ---- */

static nsec_t cpu_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec * NSEC_PER_SEC + usage.ru_utime.tv_usec * 1000;
}

/* `count` times `piece`, after `before`. */
static char *repeat(const char *before, const char *piece, size_t count, size_t *ret_n) {
    size_t n = strlen(before), piece_n = strlen(piece);
    char *text = malloc(n + piece_n * count + 1);
    ck_assert_ptr_nonnull(text);
    strcpy(text, before);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + n, piece, piece_n);
        n += piece_n;
    }
    *ret_n = n;
    return text;
}

START_TEST(bombs_are_refused_before_they_cost_anything) {
    static const struct {
        const char *before, *piece;
        size_t count;
        const char *says;
    } rows[] = {
        {"", "[", 200000, "nested deeper than 32"},
        {"", "{a: ", 50000, "nested deeper than 32"},
        {"nonsense: ", "[", 200000, "nested deeper than 32"},
        {"", "- ", 100000, "nested deeper than 32"},
        {"", "? ", 100000, "nested deeper than 32"},
        {"", "[{", 100000, "nested deeper than 32"},
        {"nonsense: !x ", "[", 200000, "nested deeper than 32"},
        {"sites: [ \"", "a", 1000000, "unexpected end of stream"},
        {"\"", "k", 1000000, "unexpected end of stream"},
        {"", "k", 1000000, "a text is longer than 16384 bytes"},
        {"a: &a [ x ]\nb: [ ", "*a, ", 100000, "unknown key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n;
        char *bomb = repeat(rows[i].before, rows[i].piece, rows[i].count, &n);
        nsec_t before = cpu_now();
        char *text = load("FILE", bomb, n, NULL);
        fprintf(stderr, "# bomb %zu: %.1f ms\n", i, (double)(cpu_now() - before) / 1e6);
        ck_assert_msg(strstr(text, rows[i].says) != NULL, "%zu: %.300s", i, text);
        ck_assert_uint_lt(strlen(text), 4000);
        free(text);
        free(bomb);
    }
}
END_TEST

START_TEST(a_text_has_a_limit) {
    size_t n;
    char *text = repeat("sites: [ { url: https://a/, name: \"", "a", 256, &n);
    text = realloc(text, n + 8);
    ck_assert_ptr_nonnull(text);
    strcpy(text + n, "\" } ]\n");
    char *says = load("FILE", text, strlen(text), NULL);
    ck_assert_ptr_nonnull(strstr(says, "\" is longer than 255 bytes\n"));
    free(says);
    free(text);
}
END_TEST

START_TEST(labels_are_bounded) {
    char text[8192] = "sites: [ { url: https://a/, labels: {";
    size_t n = strlen(text);
    for (int i = 0; i < 64; i++) {
        n += (size_t)sprintf(text + n, " l%d: v,", i);
    }
    strcpy(text + n, " } } ]\n");
    struct config *config = load_good(text);
    ck_assert_uint_eq(config->sites[0].n_labels, 64);
    config_unref(config);
    strcpy(text + n, " more: v } } ]\n");
    char *says = load("FILE", text, strlen(text), NULL);
    ck_assert_ptr_nonnull(strstr(says, "labels has more than 64 entries"));
    free(says);
}
END_TEST

START_TEST(a_file_cut_anywhere_loads_or_says_why) {
    static const char *const paths[] = {"config/tallyd.yaml", "tests/unit/golden/config/sinks.yaml",
                                        "tests/unit/golden/config/asked.yaml"};
    for (int file = 0; file < 3; file++) {
        size_t n;
        char *rich = read_whole(paths[file], &n);
        for (size_t cut = 0; cut <= n; cut++) {
            char *exact = malloc(cut + 1); /* so that a sanitizer sees what reads beyond */
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, rich, cut);
            char *says = load("FILE", exact, cut, NULL);
            bool whole_lines = cut > 0 && rich[cut - 1] == '\n';
            ck_assert_msg(whole_lines || *says != '\0', "silence at %zu", cut);
            free(says);
            free(exact);
        }
    }
}
END_TEST

START_TEST(a_hundred_thousand_sites_load) {
    enum { N = 100000 };
    char *text = malloc(N * 160);
    ck_assert_ptr_nonnull(text);
    size_t n = (size_t)sprintf(text, "sites:\n");
    for (int i = 0; i < N; i++) {
        n += (size_t)sprintf(text + n,
                             "  - name: site-%d\n    url: https://host%d.example.org/health\n"
                             "    interval: %ds\n    labels: { team: t%d }\n",
                             i, i, 30 + i % 60, i % 10);
    }
    nsec_t before = clock_now();
    struct config *config;
    char *says = load("FILE", text, n, &config);
    fprintf(stderr, "# %d sites: %.0f ms\n", N, (double)(clock_now() - before) / 1e6);
    ck_assert_str_eq(says, "");
    ck_assert_uint_eq(config->n_sites, N);
    ck_assert_uint_eq(config->n_rings, 60);
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "site-%d", i);
        ck_assert_ptr_eq(config_find(config, name), &config->sites[i]);
    }
    ck_assert_ptr_null(config_find(config, "site-100000"));
    config_unref(config);
    free(says);
    free(text);
}
END_TEST

/* Asked of the library, which no compiler can see through from here: an optimiser that knows
 * malloc() drops a counter set for a call of it alone. */
static bool allocations_can_fail(void) {
    static const char text[] = "sites: [ https://a/ ]\n";
    struct config_messages messages = {0};
    struct config *config = NULL;
    memory_left = 0;
    int r = config_load_memory("FILE", text, strlen(text), &messages, &config);
    memory_left = SIZE_MAX;
    config_messages_clear(&messages);
    config_unref(config);
    return r == -ENOMEM;
}

/* Every allocation fails once, of ours and the libraries'. */
START_TEST(lack_of_memory_is_an_error_and_no_leak) {
    static const char *const paths[] = {"config/tallyd.yaml",
                                        "tests/unit/golden/config/sinks.yaml",
                                        "tests/unit/golden/config/labels.yaml",
                                        "tests/unit/golden/config/one_name_twice.yaml",
                                        "tests/unit/golden/config/statuses.yaml",
                                        "tests/unit/golden/config/asked.yaml",
                                        "tests/unit/golden/config/expectations.yaml",
                                        "tests/unit/golden/config/requests.yaml",
                                        "tests/unit/golden/config/secrets.yaml",
                                        "tests/unit/golden/config/commands.yaml"};
    size_t n;
    const char *bytes = read_whole(paths[_i], &n);
    bool failed = true;
    unsigned out_of_memory = 0;
    for (size_t k = 0; failed; k++) {
        struct config_messages messages = {0};
        struct config *config = NULL;
        memory_left = k;
        int r = config_load_memory("FILE", bytes, n, &messages, &config);
        failed = memory_left == SIZE_MAX;
        memory_left = SIZE_MAX;
        ck_assert_msg(r == 0 || r == -EINVAL || r == -ENOMEM, "%d", r);
        ck_assert_int_eq(r == 0, config != NULL);
        ck_assert_msg(r != -EINVAL || messages.n_errors > 0, "no error at allocation %zu", k);
        ck_assert_msg(r != 0 || messages.n_errors == 0, "errors at allocation %zu", k);
        out_of_memory += r == -ENOMEM;
        config_messages_clear(&messages);
        config_unref(config);
    }
    ck_assert_uint_gt(out_of_memory, 20);
}
END_TEST

/* ---- files ---- */

START_TEST(what_is_no_file_is_refused_and_never_blocks) {
    assert_file_says("missing.yaml",
                     "/missing.yaml: error: cannot be opened: No such file or directory\n");
    ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
    assert_file_says("d", "/d: error: is a directory\n");
    ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
    assert_file_says("fifo", "/fifo: error: is not a regular file\n");
    ck_assert_int_eq(symlink("/dev/zero", path_of("zero")), 0);
    assert_file_says("zero", "/zero: error: is not a regular file\n");
    int fd = open(path_of("huge"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, (off_t)1 << 30), 0); /* a hole */
    close(fd);
    assert_file_says("huge", "/huge: error: is too large; all files together may have 64 MiB\n");
    if (geteuid() != 0) {
        write_file("secret.yaml", "sites: [ https://a/ ]\n");
        ck_assert_int_eq(chmod(path_of("secret.yaml"), 0), 0);
        assert_file_says("secret.yaml", "/secret.yaml: error: cannot be opened: Permission denied; "
                                        "the user that tallyd runs as must be able to read it\n");
    }
}
END_TEST

START_TEST(includes_follow_in_the_order_of_the_list) {
    ck_assert_int_eq(mkdir(path_of("sites.d"), 0700), 0);
    write_file("main.yaml", "include: [ extra.yaml, sites.d/*.yaml, none.d/*.yaml ]\n"
                            "defaults: { samples: 3 }\n"
                            "sites: [ https://first/ ]\n");
    write_file("extra.yaml", "sites: [ https://second/ ]\n");
    write_file("sites.d/b.yaml",
               "sites: [ https://fourth/, { url: https://fifth/, samples: 4 } ]\n");
    write_file("sites.d/a.yaml", "sites: [ https://third/ ]\n");
    write_file("sites.d/c.txt", "nonsense\n");
    struct config *config;
    char *says = load_file("main.yaml", &config);
    ck_assert_str_eq(says, "");
    free(says);
    static const char *const names[] = {"https://first/", "https://second/", "https://third/",
                                        "https://fourth/", "https://fifth/"};
    ck_assert_uint_eq(config->n_sites, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_str_eq(config->sites[i].name, names[i]);
        ck_assert_uint_eq(config->sites[i].samples, i < 4 ? 3 : 4);
    }
    config_unref(config);
}
END_TEST

START_TEST(a_command_is_a_path_or_a_list_of_words) {
    write_file("tell.sh", "#!/bin/sh\n");
    write_file("main.yaml", "sites: [ https://a/ ]\n"
                            "on_change:\n"
                            "  - { command: /bin/sh }\n"
                            "  - command: [/bin/sh, '', a b, '$HOME']\n"
                            "    when: [up, down]\n"
                            "    timeout: 1m\n"
                            "    tries: 1\n"
                            "  - command: tell.sh\n");
    struct config *config;
    char *says = load_file("main.yaml", &config);
    ck_assert_str_eq(says, "/main.yaml:8:14: warning: command: \"/tell.sh\" cannot be run: "
                           "Permission denied\n"
                           "      - command: tell.sh\n"
                           "                 ^\n"
                           "    it is below this file's directory unless absolute, and no PATH is "
                           "searched\n");
    free(says);
    ck_assert_uint_eq(config->n_on_change, 3);
    const struct on_change_config *entry = &config->on_change[0];
    ck_assert_str_eq(entry->command[0], "/bin/sh");
    ck_assert_ptr_null(entry->command[1]);
    ck_assert_uint_eq(entry->when, 1 << ON_CHANGE_DOWN | 1 << ON_CHANGE_DEGRADED |
                                       1 << ON_CHANGE_UP | 1 << ON_CHANGE_PAUSED);
    ck_assert_int_eq(entry->timeout, 10 * NSEC_PER_SEC);
    ck_assert_uint_eq(entry->tries, 4);
    entry = &config->on_change[1];
    static const char *const words[] = {"/bin/sh", "", "a b", "$HOME"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ck_assert_str_eq(entry->command[i], words[i]);
    }
    ck_assert_ptr_null(entry->command[4]);
    ck_assert_uint_eq(entry->when, 1 << ON_CHANGE_DOWN | 1 << ON_CHANGE_UP);
    ck_assert_int_eq(entry->timeout, 60 * NSEC_PER_SEC);
    ck_assert_uint_eq(entry->tries, 1);
    ck_assert_str_eq(config->on_change[2].command[0], path_of("tell.sh"));
    config_unref(config);

    ck_assert_int_eq(chmod(path_of("tell.sh"), 0700), 0);
    write_file("main.yaml", "sites: [ https://a/ ]\non_change: { command: tell.sh }\n");
    says = load_file("main.yaml", &config);
    ck_assert_str_eq(says, "");
    free(says);
    ck_assert_uint_eq(config->n_on_change, 1);
    config_unref(config);
}
END_TEST

START_TEST(what_is_wrong_with_an_include_is_said_where_it_stands) {
    write_file("main.yaml", "include: [ none.yaml, main.yaml, a.yaml, a.yaml, empty.yaml ]\n"
                            "sites: [ https://a/ ]\n");
    write_file("a.yaml", "defaults: { samples: 3 }\n"
                         "include: b.yaml\n"
                         "sites: [ https://a/ ]\n");
    write_file("empty.yaml", "# nothing\n");
    assert_file_says(
        "main.yaml",
        "/main.yaml:1:12: error: \"/none.yaml\" cannot be opened: No such file or directory\n"
        "    include: [ none.yaml, main.yaml, a.yaml, a.yaml, empty.yaml ]\n"
        "               ^\n"
        "/main.yaml:1:23: error: \"/main.yaml\" is read already, as /main.yaml\n"
        "    include: [ none.yaml, main.yaml, a.yaml, a.yaml, empty.yaml ]\n"
        "                          ^\n"
        "    include it once\n"
        "/main.yaml:1:42: error: \"/a.yaml\" is read already, as /a.yaml\n"
        "    include: [ none.yaml, main.yaml, a.yaml, a.yaml, empty.yaml ]\n"
        "                                             ^\n"
        "    include it once\n"
        "/a.yaml:1:1: error: unknown key \"defaults\"\n"
        "    defaults: { samples: 3 }\n"
        "    ^\n"
        "    an included file may hold sites only\n"
        "/a.yaml:2:1: error: unknown key \"include\"\n"
        "    include: b.yaml\n"
        "    ^\n"
        "    an included file may hold sites only\n"
        "/a.yaml:3:10: error: the name \"https://a/\" is taken in /main.yaml:2\n"
        "    sites: [ https://a/ ]\n"
        "             ^\n"
        "    give this site a name of its own\n"
        "/empty.yaml:1:1: warning: there is nothing in this file\n"
        "    # nothing\n"
        "    ^\n"
        "    was it cut off? If not, take it out of include\n");
}
END_TEST

START_TEST(a_directory_with_pattern_characters_means_itself) {
    ck_assert_int_eq(mkdir(path_of("a[b]*"), 0700), 0);
    ck_assert_int_eq(mkdir(path_of("abx"), 0700), 0);
    write_file("a[b]*/main.yaml", "include: s*.yaml\nsites: [ https://a/ ]\n");
    write_file("a[b]*/s.yaml", "sites: [ https://right/ ]\n");
    write_file("abx/s.yaml", "sites: [ https://wrong/ ]\n");
    struct config *config;
    char *says = load_file("a[b]*/main.yaml", &config);
    ck_assert_str_eq(says, "");
    free(says);
    ck_assert_uint_eq(config->n_sites, 2);
    ck_assert_str_eq(config->sites[1].name, "https://right/");
    config_unref(config);
}
END_TEST

START_TEST(a_path_is_below_the_directory_of_the_file) {
    write_file("main.yaml", "reports: [ { to: file, path: logs/x.log } ]\nsites: [ https://a/ ]\n");
    struct config *config;
    char *says = load_file("main.yaml", &config);
    ck_assert_str_eq(says, "");
    free(says);
    ck_assert_str_eq(config->sinks[0].path, path_of("logs/x.log"));
    config_unref(config);
}
END_TEST

START_TEST(two_ways_to_one_log_file_are_one) {
    write_file("log", "");
    ck_assert_int_eq(symlink(directory, path_of("way")), 0);
    ck_assert_int_eq(link(path_of("log"), path_of("other")), 0);
    write_file("main.yaml", "reports:\n"
                            "  - { to: file, path: log }\n"
                            "  - { to: file, path: way/log }\n"
                            "  - { to: file, path: other }\n"
                            "  - { to: file, path: way/new }\n"
                            "  - { to: file, path: ./new }\n"
                            "sites: [ https://a/ ]\n");
    assert_file_says("main.yaml",
                     "/main.yaml:3:23: error: the file of this path is that of line 2\n"
                     "      - { to: file, path: way/log }\n"
                     "                          ^\n"
                     "    a log has one format and one filter: take one entry away\n"
                     "/main.yaml:4:23: error: the file of this path is that of line 2\n"
                     "      - { to: file, path: other }\n"
                     "                          ^\n"
                     "    a log has one format and one filter: take one entry away\n"
                     "/main.yaml:6:23: error: the file of this path is that of line 5\n"
                     "      - { to: file, path: ./new }\n"
                     "                          ^\n"
                     "    a log has one format and one filter: take one entry away\n");
}
END_TEST

START_TEST(a_state_file_takes_the_place_of_no_other_file) {
    write_file("more.yaml", "sites: [ https://b/ ]\n");
    ck_assert_int_eq(mkdir(path_of("states"), 0700), 0);
    ck_assert_int_eq(link(path_of("more.yaml"), path_of("other")), 0);
    static const char own[] = "give it a file of its own";
    static const struct {
        const char *state, *says, *hint;
    } rows[] = {
        {"main.yaml", "is a file of the configuration", own},
        {"states/../more.yaml", "is a file of the configuration", own},
        {"other", "is a file of the configuration", own},
        {"states", "names a directory", "name a file in it"},
        {"log", "with .new is the file of the reports of line 2", own},
        {"states/../old", "with .lock is the file of the reports of line 3", own},
        {"states/log", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512], expected[512] = "";
        snprintf(text, sizeof text,
                 "state_file: %s\nreports: [ { to: file, path: log.new },\n"
                 "  { to: file, path: old.lock } ]\n"
                 "include: more.yaml\nsites: [ https://a/ ]\n",
                 rows[i].state);
        write_file("main.yaml", text);
        if (rows[i].says != NULL) {
            snprintf(expected, sizeof expected,
                     "/main.yaml:1:13: error: state_file %s\n"
                     "    state_file: %s\n                ^\n    %s\n",
                     rows[i].says, rows[i].state, rows[i].hint);
        }
        assert_file_says("main.yaml", expected);
    }
}
END_TEST

/* A writer that makes the file longer and shorter all the time, in place. */
static void *rewrite(void *arg) {
    const char *path = arg;
    static const char text[] = "sites: [ https://a/, https://b/ ]\n";
    for (int i = 0; i < 3000; i++) {
        int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        for (size_t at = 0; at < sizeof text - 1; at++) {
            ssize_t n = write(fd, text + at, 1);
            (void)n;
        }
        close(fd);
    }
    return NULL;
}

START_TEST(a_file_that_is_being_written_is_never_taken_for_another) {
    write_file("main.yaml", "sites: [ https://a/, https://b/ ]\n");
    char path[128];
    strcpy(path, path_of("main.yaml"));
    pthread_t writer;
    ck_assert_int_eq(pthread_create(&writer, NULL, rewrite, path), 0);
    for (int i = 0; i < 1000; i++) {
        struct config_messages messages = {0};
        struct config *config = NULL;
        int r = config_load(path, &messages, &config);
        ck_assert_msg(r == 0 || messages.n_errors > 0, "%d", r);
        if (r == 0 && messages.n_warnings == 0) {
            ck_assert_uint_eq(config->n_sites, 2);
        }
        config_messages_clear(&messages);
        config_unref(config);
    }
    pthread_join(writer, NULL);
}
END_TEST

/* ---- URLs of the command line ---- */

START_TEST(urls_make_one_ring_in_their_order) {
    const char *const urls[] = {"https://b/", "https://a/", "https://b/", "https://b/"};
    const char *const origins[] = {"argument 1", "argument 2", "argument 3", "argument 4"};
    struct config_urls given = {.urls = urls, .origins = origins, .n_urls = 4, .format = "json"};
    struct config_messages messages;
    struct config *config;
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), 0);
    ck_assert_uint_eq(messages.n_errors + messages.n_warnings, 0);
    static const char *const names[] = {"https://b/", "https://a/", "https://b/ (2)",
                                        "https://b/ (3)"};
    for (size_t i = 0; i < 4; i++) {
        const struct site *site = &config->sites[i];
        ck_assert_str_eq(site->name, names[i]);
        ck_assert_str_eq(site->url_given, urls[i]);
        ck_assert_ptr_eq(config_find(config, names[i]), site);
        ck_assert_uint_eq(site->ring, 0);
        ck_assert_int_eq(site->spread, 0);
        ck_assert_uint_eq(site->samples, 20);
        ck_assert_uint_eq(site->concurrency, 5);
        ck_assert_int_eq(site->deadline, 25 * NSEC_PER_SEC);
        ck_assert_int_ge(site->interval, site->deadline);
        ck_assert(site->enabled);
    }
    ck_assert_uint_eq(config->n_rings, 1);
    ck_assert_uint_eq(config->max_in_flight, 500);
    ck_assert_uint_eq(config->n_sinks, 1);
    ck_assert_int_eq(config->sinks[0].kind, SINK_STDOUT);
    ck_assert_str_eq(config->sinks[0].format, "json");
    config_unref(config);
}
END_TEST

START_TEST(the_command_line_sets_what_it_says) {
    const char *const urls[] = {"http://127.0.0.1:1/"};
    const char *const origins[] = {"argument 1"};
    struct config_urls given = {
        .urls = urls,
        .origins = origins,
        .n_urls = 1,
        .samples = 7,
        .concurrency = 2,
        .max_in_flight = 3,
        .timeout = NSEC_PER_SEC,
        .ca_file = "/x.pem",
    };
    struct config_messages messages;
    struct config *config;
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), 0);
    ck_assert_uint_eq(config->sites[0].samples, 7);
    ck_assert_uint_eq(config->sites[0].concurrency, 2);
    ck_assert_int_eq(config->sites[0].timeout, NSEC_PER_SEC);
    ck_assert_int_eq(config->sites[0].deadline, 9 * NSEC_PER_SEC); /* 5 + 4 x 1 */
    ck_assert_uint_eq(config->max_in_flight, 3);
    ck_assert_str_eq(config->ca_file, "/x.pem");
    ck_assert_str_eq(config->sinks[0].format, "text");
    config_unref(config);
}
END_TEST

START_TEST(a_bad_url_is_shown_with_where_it_came_from) {
    const char *const urls[] = {"example.org", "https://good/", "https://u:s3cret@h/",
                                "https://h/\x1b[31m\nx"};
    const char *const origins[] = {"argument 1", "argument 2", "sites.txt:7", "sites.txt:8"};
    struct config_urls given = {
        .urls = urls, .origins = origins, .n_urls = 4, .samples = 10001, .concurrency = 1001};
    struct config_messages messages;
    struct config *config = NULL;
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
    ck_assert_ptr_null(config);
    char *text = print_messages(&messages);
    ck_assert_str_eq(text,
                     "command line: error: samples: 10001 is not from 1 to 10000\n"
                     "command line: error: concurrency: 1001 is not from 1 to 1000\n"
                     "argument 1: error: the URL has no scheme; write https://… or http://…\n"
                     "    example.org\n"
                     "    ^\n"
                     "sites.txt:7: error: the URL carries a user or password\n"
                     "    https://***@h/\n"
                     "    ^\n"
                     "sites.txt:8: error: the URL holds a control character, or is not UTF-8\n"
                     "    https://h/\\x1b[31m\n"
                     "    ^\n");
    free(text);
    config_messages_clear(&messages);
    given = (struct config_urls){
        .urls = urls + 1, .origins = origins, .n_urls = 1, .timeout = 100 * 86400 * NSEC_PER_SEC};
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
    ck_assert_str_eq(messages.errors[0],
                     "command line: error: timeout: 100d is not from 1ms to 1d\n");
    config_messages_clear(&messages);
    given.n_urls = 0;
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
    config_messages_clear(&messages);
}
END_TEST

/* ---- life ---- */

static void *share(void *arg) {
    struct config *config = arg;
    for (int i = 0; i < 20000; i++) {
        struct config *mine = config_ref(config);
        ck_assert_ptr_nonnull(config_find(mine, "https://a/"));
        config_unref(mine);
    }
    config_unref(config);
    return NULL;
}

START_TEST(the_last_of_many_threads_frees_it) {
    struct config *config = load_good("sites: [ https://a/ ]\n");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, share, config_ref(config)), 0);
    }
    config_unref(config);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}
END_TEST

START_TEST(nothing_has_no_references) {
    config_unref(NULL);
    struct config_messages messages = {0};
    config_messages_clear(&messages);
}
END_TEST

START_TEST(health_is_merged_key_by_key_and_a_lower_degraded_at_lowers_what_a_round_adds) {
    struct config *config =
        load_good("defaults: { health: { forgive: 80, down_at: 99.5% } }\n"
                  "sites:\n"
                  "  - http://a/\n"
                  "  - { url: http://b/, health: { degraded_at: 1.5, down_rounds: 4 } }\n");
    const struct health_config *a = &config->sites[0].health, *b = &config->sites[1].health;
    ck_assert_uint_eq(a->forgive, 80);
    ck_assert_uint_eq(a->degraded_at, 4000);
    ck_assert_uint_eq(a->round_max, 2500);
    ck_assert_uint_eq(a->down_at, 995);
    ck_assert_uint_eq(a->down_rounds, 0);
    ck_assert_uint_eq(b->forgive, 80);
    ck_assert_uint_eq(b->degraded_at, 1500);
    ck_assert_uint_eq(b->round_max, 1500);
    ck_assert_uint_eq(b->down_rounds, 4);
    ck_assert(!config_same_health(a, b));
    ck_assert(config_same_health(a, a));
    config_unref(config);
}
END_TEST

int main(void) {
    if (glob("tests/unit/golden/config/*.yaml", 0, NULL, &goldens) != 0) {
        fputs("run it in the project's root\n", stderr);
        return 1;
    }
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 300); /* valgrind */
    tcase_add_loop_test(tests, every_message_is_as_it_was_agreed, 0, (int)goldens.gl_pathc);
    tcase_add_test(tests, bytes_that_are_no_text_are_refused_where_they_stand);
    tcase_add_test(tests, a_byte_order_mark_and_crlf_change_nothing);
    tcase_add_test(tests, too_many_errors_are_counted);
    tcase_add_test(tests, a_secret_is_in_no_message);
    tcase_add_test(tests, the_defaults_are_those_of_the_manual);
    tcase_add_test(tests, every_key_reaches_its_field);
    tcase_add_test(tests,
                   health_is_merged_key_by_key_and_a_lower_degraded_at_lowers_what_a_round_adds);
    tcase_add_test(tests, names_are_data);
    tcase_add_test(tests, rings_are_numbered_as_they_appear);
    tcase_add_test(tests, bombs_are_refused_before_they_cost_anything);
    tcase_add_test(tests, a_text_has_a_limit);
    tcase_add_test(tests, labels_are_bounded);
    tcase_add_test(tests, a_file_cut_anywhere_loads_or_says_why);
    tcase_add_test(tests, a_hundred_thousand_sites_load);
    tcase_add_test(tests, urls_make_one_ring_in_their_order);
    tcase_add_test(tests, the_command_line_sets_what_it_says);
    tcase_add_test(tests, a_bad_url_is_shown_with_where_it_came_from);
    tcase_add_test(tests, the_last_of_many_threads_frees_it);
    tcase_add_test(tests, nothing_has_no_references);
    suite_add_tcase(suite, tests);
    if (memory_can_fail() || allocations_can_fail()) {
        TCase *memory = tcase_create("memory");
        tcase_set_timeout(memory, 300);
        tcase_add_loop_test(memory, lack_of_memory_is_an_error_and_no_leak, 0, 10);
        suite_add_tcase(suite, memory);
    }
    TCase *files = tcase_create("files");
    tcase_set_timeout(files, 300);
    tcase_add_checked_fixture(files, make_directory, remove_directory);
    tcase_add_test(files, what_is_no_file_is_refused_and_never_blocks);
    tcase_add_test(files, includes_follow_in_the_order_of_the_list);
    tcase_add_test(files, a_command_is_a_path_or_a_list_of_words);
    tcase_add_test(files, what_is_wrong_with_an_include_is_said_where_it_stands);
    tcase_add_test(files, a_directory_with_pattern_characters_means_itself);
    tcase_add_test(files, a_path_is_below_the_directory_of_the_file);
    tcase_add_test(files, two_ways_to_one_log_file_are_one);
    tcase_add_test(files, a_state_file_takes_the_place_of_no_other_file);
    tcase_add_test(files, a_file_that_is_being_written_is_never_taken_for_another);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    globfree(&goldens);
    return failures > 0 ? 1 : 0;
}
