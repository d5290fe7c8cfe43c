#include "config/config.h"

#include "memory.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/tallyd-test-XXXXXX";

static const char *path_of(const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t n, mode_t mode) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void write_file(const char *name, const char *text) {
    write_bytes(name, text, strlen(text), 0600);
}

static void begin(void) {
    strcpy(directory, "/tmp/tallyd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    write_file("a", "s3cret\n");
    write_file("b", "s3cret");
    write_file("c", "0ther\n");
}

static void end(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* What a file says when it is loaded, without the directory's name; freed by the caller. */
static char *load(const char *text, struct config **ret_config) {
    struct config_messages messages = {0};
    char *says = NULL;
    size_t n = 0;
    *ret_config = NULL;
    write_file("x", text);
    int r = config_load(path_of("x"), &messages, ret_config);
    ck_assert_msg(r == 0 || r == -EINVAL, "%d", r);
    ck_assert((r == 0) == (messages.n_errors == 0));
    FILE *to = open_memstream(&says, &n);
    ck_assert_ptr_nonnull(to);
    config_messages_print(&messages, to);
    fclose(to);
    config_messages_clear(&messages);
    for (char *at; (at = strstr(says, directory)) != NULL;) {
        memmove(at, at + strlen(directory), strlen(at + strlen(directory)) + 1);
    }
    return says;
}

static struct config *load_good(const char *text) {
    struct config *config;
    char *says = load(text, &config);
    ck_assert_msg(config != NULL && *says == '\0', "%s%s", text, says);
    free(says);
    return config;
}

/* Loading it gives an error, and `word` is in what is said. */
static void assert_refused(const char *text, const char *word) {
    struct config *config;
    char *says = load(text, &config);
    ck_assert_msg(config == NULL, "accepted: %s", text);
    ck_assert_msg(strstr(says, word) != NULL, "%s%s", text, says);
    free(says);
}

/* ---- fields ---- */

START_TEST(every_key_reaches_its_field) {
    struct config *config =
        load_good("sites:\n"
                  "  - url: https://a/\n"
                  "    request:\n"
                  "      method: PURGE\n"
                  "      headers:\n"
                  "        Host: b\n"
                  "        X-Empty: \"\"\n"
                  "        X-Secret: { file: a }\n"
                  "      body: |\n"
                  "        one\ttab\n"
                  "        two\n"
                  "      basic: { user: u, password: { file: b } }\n"
                  "      proxy: http://P:3128\n"
                  "      compressed: yes\n"
                  "    tls: { ca: ca.pem, cert: a, key: a, server_name: nn,\n"
                  "           min_version: 1.3, verify: yes }\n"
                  "    connection: reuse\n"
                  "    addresses: each\n"
                  "    redirects: { follow: 20, to: same-site }\n"
                  "    backend: { header: X-Served-By }\n"
                  "    expect:\n"
                  "      headers: { A: x, B: { present: yes }, C: { present: no },\n"
                  "                 D: { contains: yy }, E: { matches: ^z$ },\n"
                  "                 F: { not_matches: z }, G: { equals: \"\" } }\n"
                  "      body_not_matches: nn\n"
                  "      body_matches: [ m1, m2 ]\n"
                  "      body_contains: [ c1, c2 ]\n"
                  "      latency: 1.5s\n"
                  "      certificate: 14d\n"
                  "  - { url: https://b/, request: { bearer: { file: c }, body_file: c },\n"
                  "      backend: { cookie: S }, connect_to: \"[2001:DB8::1]:80\" }\n");
    const struct site *site = &config->sites[0];
    const struct request_config *request = &site->request;
    ck_assert_str_eq(request->method, "PURGE");
    ck_assert_uint_eq(request->n_headers, 3);
    ck_assert_str_eq(request->headers[0].name, "Host");
    ck_assert_str_eq(request->headers[0].value, "b");
    ck_assert_str_eq(request->headers[1].value, "");
    ck_assert_ptr_null(request->headers[2].value);
    ck_assert_str_eq(request->headers[2].secret->bytes, "s3cret");
    ck_assert_uint_eq(request->body_bytes, 12);
    ck_assert_int_eq(memcmp(request->body, "one\ttab\ntwo\n", 12), 0);
    ck_assert_ptr_null(request->body_path);
    ck_assert_str_eq(request->basic_user, "u");
    ck_assert_str_eq(request->basic_password->bytes, "s3cret");
    ck_assert_str_eq(request->basic_password->path, path_of("b"));
    ck_assert_ptr_null(request->bearer);
    ck_assert_str_eq(request->proxy->host, "p");
    ck_assert_uint_eq(request->proxy->port, 3128);
    ck_assert(request->compressed);
    ck_assert_str_eq(site->tls.ca, path_of("ca.pem"));
    ck_assert_str_eq(site->tls.cert, path_of("a"));
    ck_assert_str_eq(site->tls.server_name, "nn");
    ck_assert_int_eq(site->tls.min_version, TLS_VERSION_1_3);
    ck_assert(site->tls.verify);
    ck_assert_int_eq(site->connection, CONNECTION_REUSE);
    ck_assert_int_eq(site->addresses, ADDRESSES_EACH);
    ck_assert_uint_eq(site->redirects.follow, 20);
    ck_assert_int_eq(site->redirects.to, REDIRECT_SAME_SITE);
    ck_assert_str_eq(site->backend.header, "X-Served-By");
    ck_assert_ptr_null(site->backend.cookie);
    ck_assert_ptr_null(site->connect_host);
    ck_assert_uint_eq(site->connect_port, 0);
    const struct expect_config *expect = &site->expect;
    static const struct rule headers[] = {
        {RULE_EQUALS, "A", "x", NULL},    {RULE_PRESENT, "B", NULL, NULL},
        {RULE_ABSENT, "C", NULL, NULL},   {RULE_CONTAINS, "D", "yy", NULL},
        {RULE_MATCHES, "E", "^z$", NULL}, {RULE_NOT_MATCHES, "F", "z", NULL},
        {RULE_EQUALS, "G", "", NULL}};
    static const struct rule body[] = {{RULE_CONTAINS, NULL, "c1", NULL},
                                       {RULE_CONTAINS, NULL, "c2", NULL},
                                       {RULE_MATCHES, NULL, "m1", NULL},
                                       {RULE_MATCHES, NULL, "m2", NULL},
                                       {RULE_NOT_MATCHES, NULL, "nn", NULL}};
    ck_assert_uint_eq(expect->n_headers, 7);
    ck_assert_uint_eq(expect->n_body, 5);
    for (size_t i = 0; i < 12; i++) {
        const struct rule *wanted = i < 7 ? &headers[i] : &body[i - 7];
        const struct rule *rule = i < 7 ? &expect->headers[i] : &expect->body[i - 7];
        ck_assert_int_eq(rule->kind, wanted->kind);
        ck_assert_pstr_eq(rule->header, wanted->header);
        ck_assert_pstr_eq(rule->text, wanted->text);
        ck_assert((rule->pattern != NULL) ==
                  (rule->kind == RULE_MATCHES || rule->kind == RULE_NOT_MATCHES));
    }
    ck_assert_int_eq(expect->latency, 1500 * NSEC_PER_MSEC);
    ck_assert_int_eq(expect->certificate, 14 * 86400 * NSEC_PER_SEC);

    site = &config->sites[1];
    ck_assert_str_eq(site->request.bearer->bytes, "0ther");
    ck_assert_uint_eq(site->request.body_bytes, 6);
    ck_assert_int_eq(memcmp(site->request.body, "0ther\n", 6), 0);
    ck_assert_str_eq(site->request.body_path, path_of("c"));
    ck_assert_str_eq(site->backend.cookie, "S");
    ck_assert_str_eq(site->connect_host, "2001:db8::1");
    ck_assert_uint_eq(site->connect_port, 80);
    config_unref(config);
}
END_TEST

START_TEST(what_is_not_said_is_the_default) {
    struct config *config = load_good("sites: [ https://a/ ]\n");
    const struct site *site = &config->sites[0];
    const struct request_config nothing_asked = {0};
    ck_assert_int_eq(memcmp(&site->request, &nothing_asked, sizeof nothing_asked), 0);
    ck_assert_ptr_null(site->tls.ca);
    ck_assert_ptr_null(site->tls.cert);
    ck_assert_ptr_null(site->tls.server_name);
    ck_assert_int_eq(site->tls.min_version, TLS_VERSION_1_2);
    ck_assert(site->tls.verify);
    ck_assert_int_eq(site->connection, CONNECTION_FRESH);
    ck_assert_uint_eq(site->redirects.follow, 0);
    ck_assert_int_eq(site->redirects.to, REDIRECT_SAME_ORIGIN);
    ck_assert(site->backend.header == NULL && site->backend.cookie == NULL);
    ck_assert_uint_eq(site->expect.n_headers + site->expect.n_body, 0);
    ck_assert_int_eq(site->expect.latency, 0);
    ck_assert_int_eq(site->expect.certificate, 0);
    config_unref(config);
}
END_TEST

START_TEST(sections_merge_key_by_key_and_maps_of_headers_as_a_whole) {
    struct config *config =
        load_good("defaults:\n"
                  "  request: { method: PUT, headers: { A: x, B: z }, body: text }\n"
                  "  tls: { min_version: 1.3, server_name: nn }\n"
                  "  redirects: { follow: 3, to: any }\n"
                  "  expect: { status: 204, headers: { C: z }, body_contains: c, latency: 1s }\n"
                  "sites:\n"
                  "  - url: https://a/\n"
                  "    request: { headers: { D: w }, body_file: c }\n"
                  "    tls: { server_name: m }\n"
                  "    redirects: { follow: 1 }\n"
                  "    expect: { body_matches: m, body_contains: [], latency: 0s }\n"
                  "  - { url: https://b/, request: { headers: {} }, expect: { headers: {} } }\n"
                  "  - https://c/\n");
    const struct site *site = &config->sites[0];
    ck_assert_str_eq(site->request.method, "PUT");
    ck_assert_uint_eq(site->request.n_headers, 1);
    ck_assert_str_eq(site->request.headers[0].name, "D");
    ck_assert_str_eq(site->request.body_path, path_of("c"));
    ck_assert_int_eq(site->tls.min_version, TLS_VERSION_1_3);
    ck_assert_str_eq(site->tls.server_name, "m");
    ck_assert_uint_eq(site->redirects.follow, 1);
    ck_assert_int_eq(site->redirects.to, REDIRECT_ANY);
    ck_assert(status_set_has(site->expect.status, 204));
    ck_assert(!status_set_has(site->expect.status, 200));
    ck_assert_uint_eq(site->expect.n_headers, 1);
    ck_assert_uint_eq(site->expect.n_body, 1);
    ck_assert_str_eq(site->expect.body[0].text, "m");
    ck_assert_int_eq(site->expect.latency, 0);
    ck_assert_uint_eq(config->sites[1].request.n_headers, 0);
    ck_assert_uint_eq(config->sites[1].expect.n_headers, 0);
    ck_assert_uint_eq(config->sites[2].request.n_headers, 2);
    ck_assert_uint_eq(config->sites[2].request.body_bytes, 4);
    ck_assert_uint_eq(config->sites[2].expect.n_body, 1);
    config_unref(config);
}
END_TEST

START_TEST(what_a_site_says_replaces_what_excludes_it) {
    static const char basic[] = "defaults: { request: { basic: { user: u, password: { file: a } } "
                                "}, backend: { header: H } }\n"
                                "sites:\n"
                                "  - { url: https://a/, request: { bearer: { file: c } } }\n"
                                "  - { url: https://b/, request: { basic: { user: v } } }\n"
                                "  - { url: https://c/, backend: { cookie: C } }\n";
    struct config *config = load_good(basic);
    ck_assert_ptr_null(config->sites[0].request.basic_user);
    ck_assert_ptr_null(config->sites[0].request.basic_password);
    ck_assert_str_eq(config->sites[0].request.bearer->bytes, "0ther");
    ck_assert_str_eq(config->sites[1].request.basic_user, "v");
    ck_assert_str_eq(config->sites[1].request.basic_password->bytes, "s3cret");
    ck_assert_str_eq(config->sites[1].backend.header, "H");
    ck_assert_ptr_null(config->sites[2].backend.header);
    ck_assert_str_eq(config->sites[2].backend.cookie, "C");
    config_unref(config);
    config = load_good("defaults: { request: { bearer: { file: a }, body_file: a } }\n"
                       "sites:\n"
                       "  - { url: https://a/, request: { basic: { user: u, password: { file: c } "
                       "}, body: x } }\n");
    ck_assert_ptr_null(config->sites[0].request.bearer);
    ck_assert_str_eq(config->sites[0].request.basic_password->bytes, "0ther");
    ck_assert_ptr_null(config->sites[0].request.body_path);
    ck_assert_uint_eq(config->sites[0].request.body_bytes, 1);
    config_unref(config);
}
END_TEST

START_TEST(the_body_is_read_further_where_it_is_looked_at) {
    struct config *config =
        load_good("sites:\n"
                  "  - https://a/\n"
                  "  - { url: https://b/, expect: { body_contains: x } }\n"
                  "  - { url: https://c/, expect: { body_contains: x }, body_limit: 1kB }\n"
                  "  - { url: https://d/, expect: { headers: { X: z } } }\n");
    ck_assert_uint_eq(config->sites[0].body_limit_bytes, 16 * 1024);
    ck_assert_uint_eq(config->sites[1].body_limit_bytes, 1024 * 1024);
    ck_assert_uint_eq(config->sites[2].body_limit_bytes, 1000);
    ck_assert_uint_eq(config->sites[3].body_limit_bytes, 16 * 1024);
    config_unref(config);
    config =
        load_good("defaults: { body_limit: 2kB, expect: { body_matches: x } }\n"
                  "sites: [ https://a/, { url: https://b/, expect: { body_matches: [] } } ]\n");
    ck_assert_uint_eq(config->sites[0].body_limit_bytes, 2000);
    ck_assert_uint_eq(config->sites[1].body_limit_bytes, 2000);
    config_unref(config);
}
END_TEST

START_TEST(statuses_are_those_named_less_those_negated) {
    static const struct {
        const char *status;
        unsigned in[4], out[4];
    } rows[] = {
        {"not 5xx", {100, 200, 499, 999}, {500, 599, 503, 550}},
        {"[not 5xx, not 304]", {200, 303, 305, 600}, {304, 500, 599, 599}},
        {"[2xx, not 204]", {200, 203, 205, 299}, {204, 300, 199, 404}},
        {"[not 204, 2xx]", {200, 203, 205, 299}, {204, 300, 199, 404}},
        {"[2xx, 404, not 200-203]", {204, 299, 404, 404}, {200, 203, 403, 500}},
        {"not 100-998", {999, 999, 999, 999}, {100, 998, 200, 503}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites: [ { url: https://a/, expect: { status: %s } } ]\n",
                 rows[i].status);
        struct config *config = load_good(text);
        const struct status_set *set = config->sites[0].expect.status;
        for (int k = 0; k < 4; k++) {
            ck_assert_msg(status_set_has(set, rows[i].in[k]), "%s %u", text, rows[i].in[k]);
            ck_assert_msg(!status_set_has(set, rows[i].out[k]), "%s %u", text, rows[i].out[k]);
        }
        ck_assert(!status_set_has(set, 99) && !status_set_has(set, 1000));
        config_unref(config);
    }
    assert_refused("sites: [ { url: https://a/, expect: { status: not 100-999 } } ]\n",
                   "leaves no status");
    assert_refused("sites: [ { url: https://a/, expect: { status: [204, not 2xx] } } ]\n",
                   "leaves no status");
    assert_refused("sites: [ { url: https://a/, expect: { status: \"not  304\" } } ]\n",
                   "is not a status");
}
END_TEST

START_TEST(connect_to_is_a_host_and_a_port_or_one_of_them) {
    static const struct {
        const char *text, *host;
        unsigned port;
    } rows[] = {
        {"b", "b", 0},
        {"B.Example:81", "b.example", 81},
        {"\":8443\"", NULL, 8443},
        {"192.0.2.7", "192.0.2.7", 0},
        {"\"[::1]\"", "::1", 0},
        {"\"[::1]:1\"", "::1", 1},
        {"\"b:65535\"", "b", 65535},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites: [ { url: https://a/, connect_to: %s } ]\n",
                 rows[i].text);
        struct config *config = load_good(text);
        ck_assert_pstr_eq(config->sites[0].connect_host, rows[i].host);
        ck_assert_uint_eq(config->sites[0].connect_port, rows[i].port);
        config_unref(config);
    }
    static const char *const refused[] = {
        "b:",        ":",   "::1",     "b:0",      "b:65536", "b:x", "b/x",   "[::1", "[::1]x",
        "[::1%1]:5", "u@b", "b:80:80", "http://b", "1.2.3",   "b?",  "[]:80", "a b",  "b\\:80"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites: [ { url: https://a/, connect_to: '%s' } ]\n",
                 refused[i]);
        assert_refused(text, "x:1:41: error: connect_to: \"");
    }
}
END_TEST

START_TEST(a_proxy_is_http_and_nobody_logs_in_to_it) {
    static const char *const refused[] = {"https://p:3128",  "socks5://p:1080",  "p:3128",
                                          "http://p:3128/x", "http://p:3128/?x", "http://",
                                          "http://p:0"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites: [ { url: https://a/, request: { proxy: '%s' } } ]\n",
                 refused[i]);
        assert_refused(text, "error: proxy: \"");
    }
    struct config *config;
    char *says =
        load("sites:\n  - { url: https://a/, request: { proxy: http://u:s3cret@p } }\n", &config);
    ck_assert_ptr_null(config);
    ck_assert_ptr_nonnull(strstr(says, "not supported for a proxy"));
    ck_assert_ptr_null(strstr(says, "s3cret"));
    free(says);
}
END_TEST

/* ---- hostile ---- */

START_TEST(a_request_s_headers_cannot_break_it) {
    static const struct {
        const char *header, *word;
    } rows[] = {
        {"\"X\\r\\nY\": z", "a text holds a line break"},
        {"\"X Y\": z", "is not a name of letters"},
        {"\"X:\": z", "is not a name of letters"},
        {"\"\": z", "is not a name of letters"},
        {"\xc3\xa4: z", "is not a name of letters"},
        {"X: \"a\\r\\nY: b\"", "a text holds a line break"},
        {"X: \"a\\0b\"", "a text holds a line break or another control"},
        {"X: no", "is not text to YAML"},
        {"X:", "X has no value"},
        {"X: [ a ]", "X is a list"},
        {"X: a, x: b", "\"x\" is given twice"},
        {"content-length: 5", "is set by tallyd itself"},
        {"Transfer-Encoding: chunked", "is set by tallyd itself"},
        {"connection: close", "see the key connection"},
        {"Proxy-Authorization: x", "belongs to a proxy"},
        {"Expect: 100-continue", "is set by tallyd itself"},
        {"user-agent: x", "has a key of its own: user_agent"},
        {"authorization: Basic eDp5", "is written here, in plain text"},
        {"X: { file: a, credential: b }", "exclude each other"},
        {"X: {}", "X wants {file: PATH} or {credential: NAME}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "sites:\n  - url: https://a/\n    request: { headers: { %s } }\n", rows[i].header);
        assert_refused(text, rows[i].word);
    }
}
END_TEST

static char *many(const char *before, const char *format, int n, const char *after) {
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(to);
    fputs(before, to);
    for (int i = 0; i < n; i++) {
        fprintf(to, "%s%d%s", format, i, ": x\n");
    }
    fputs(after, to);
    fclose(to);
    return text;
}

START_TEST(maps_of_headers_have_a_limit) {
    static const char *const befores[] = {
        "sites:\n  - url: https://a/\n    request:\n      headers:\n",
        "sites:\n  - url: https://a/\n    expect:\n      headers:\n"};
    for (int i = 0; i < 2; i++) {
        char *text = many(befores[i], "        X-", 100, "");
        config_unref(load_good(text));
        free(text);
        text = many(befores[i], "        X-", 1000, "");
        assert_refused(text, "headers has more than 100 entries");
        free(text);
    }
    char list[4096] = "sites: [ { url: https://a/, expect: { body_contains: [ ";
    for (int i = 0; i < 101; i++) {
        sprintf(list + strlen(list), "t%d, ", i);
    }
    strcat(list, "] } } ]\n");
    assert_refused(list, "body_contains has 101 entries; at most 100 are possible");
}
END_TEST

START_TEST(a_pattern_that_does_not_compile_is_shown_where_it_breaks) {
    static const struct {
        const char *value, *says;
    } rows[] = {
        /* the value begins in column 18 */
        {"a(b", "x:4:21: error: body_matches: no regular expression: missing closing parenthesis "
                "(after 3 bytes)\n"
                "       body_matches: a(b\n"
                "                        ^\n"},
        {"'a(b'", "x:4:22: error: "},
        {"\"a(b\"", "x:4:22: error: "},
        {"\xc3\xa4\xc3\xa4*+*?", "x:4:22: error: "}, /* in characters */
        {"\"a\\x28b\"", "x:4:18: error: "},          /* YAML's escapes hide the place */
        {"'it''s (b'", "x:4:18: error: "},
        {"'[b'", "x:4:21: error: "},
        {"'\\'", "x:4:20: error: "},
        {"[ a, 'b', 'a(b' ]", "x:4:32: error: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites:\n- url: https://a/\n  expect:\n   body_matches: %s\n",
                 rows[i].value);
        assert_refused(text, rows[i].says);
    }
    assert_refused("sites:\n- url: https://a/\n  expect:\n   headers: { X: { matches: a(b } }\n",
                   "x:4:32: error: matches: no regular expression");
}
END_TEST

START_TEST(nothing_nests_deeper_than_it_may) {
    assert_refused("sites: [ { url: https://a/, request: { basic: { password: { file: { file: a } "
                   "} } } } ]\n",
                   "file is a map; it wants a single value");
    assert_refused("sites: [ { url: https://a/, expect: { headers: { X: { matches: [ a ] } } } } "
                   "]\n",
                   "matches is a list; it wants a single value");
    char text[4096] = "sites: [ { url: https://a/, request: { headers: { X: ";
    for (int i = 0; i < 1000; i++) {
        strcat(text, "{a: ");
    }
    assert_refused(text, "nested deeper than 32");
}
END_TEST

START_TEST(a_body_is_any_bytes_of_a_bounded_file) {
    enum { MOST = 1024 * 1024 };
    char *bytes = calloc(1, MOST + 1);
    ck_assert_ptr_nonnull(bytes);
    write_bytes("body", bytes, MOST, 0644);
    struct config *config =
        load_good("sites: [ { url: https://a/, request: { body_file: body } } ]\n");
    ck_assert_uint_eq(config->sites[0].request.body_bytes, MOST);
    ck_assert_int_eq(memcmp(config->sites[0].request.body, bytes, MOST), 0);
    config_unref(config);
    write_bytes("body", bytes, 0, 0644);
    config = load_good("sites: [ { url: https://a/, request: { body_file: body } } ]\n");
    ck_assert_ptr_nonnull(config->sites[0].request.body); /* empty is not none */
    ck_assert_uint_eq(config->sites[0].request.body_bytes, 0);
    config_unref(config);
    write_bytes("body", bytes, MOST + 1, 0644);
    assert_refused("sites: [ { url: https://a/, request: { body_file: body } } ]\n",
                   "body_file: \"/body\" is larger than 1 MiB");
    ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
    assert_refused("sites: [ { url: https://a/, request: { body_file: fifo } } ]\n",
                   "is not a regular file");
    assert_refused("sites: [ { url: https://a/, request: { body_file: . } } ]\n", "is a directory");
    assert_refused("sites: [ { url: https://a/, request: { body_file: none } } ]\n",
                   "body_file: \"/none\" cannot be opened: No such file");
    /* 65 of them are too much together */
    write_bytes("body", bytes, MOST, 0644);
    char text[8192] = "sites:\n";
    for (int i = 0; i < 65; i++) {
        sprintf(text + strlen(text), "  - { url: https://a%d/, request: { body_file: body } }\n",
                i);
    }
    assert_refused(text, "x:66:");
    free(bytes);
}
END_TEST

START_TEST(a_body_in_the_file_has_lines_and_no_other_controls) {
    static const char *const refused[] = {"\"a\\rb\"", "\"a\\0b\"", "\"a\\x1bb\"", "\"\\u202e\""};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites: [ { url: https://a/, request: { body: %s } } ]\n",
                 refused[i]);
        assert_refused(text, "a text holds a control character other than line breaks and tabs");
    }
    /* and no other key may */
    assert_refused("sites: [ { url: https://a/, request: { method: \"A\\nB\" } } ]\n",
                   "a text holds a line break or another control character");
    assert_refused("sites: [ { url: https://a/, request: { body: \"\" } } ]\n", "is empty");
    assert_refused("sites: [ { url: https://a/, request: { body: yes } } ]\n",
                   "is not text to YAML");
}
END_TEST

/* ---- secrets ---- */

START_TEST(a_secret_in_plain_text_is_refused_and_not_shown) {
    static const char *const texts[] = {
        "request: { bearer: s3cret }",
        "request: { bearer: \"s3cret\" }",
        "request: { bearer: [ s3cret ] }",
        "request: { bearer: [ x, s3cret ], compressed: maybe }",
        "request: { bearer:\n      s3cret }",
        "request: { bearer: >\n      s3cret }",
        "request: { basic: { user: u, password: s3cret } }",
        "request: { basic: { usr: u, password: s3cret } }",
        "request: { compressed: maybe, basic: { password: s3cret } }",
        "request: { basic: { password: s3cret, user: \"a:b\" } }",
        "request: { basic: { pasword: s3cret } }",
        "request: { basic: { pw: s3cret } }",
        "request: { basic: { \"password\" : s3cret }, x: y }",
        "request: { basic: u:s3cret }",
        "request: { token: s3cret }",
        "request: { bearr: s3cret }",
        "request: { headers: { Authorization: Bearer s3cret } }",
        "request: { headers: { authorization: [ s3cret ] } }",
        "request: { headers: { Proxy-Authorization: s3cret } }",
        "request: { bearer: { value: s3cret } }",
        "request: { bearer: { fil: s3cret } }",
        "request: { bearer: s3cret, bearer: s3cret }",
        "request: { bearer: { file: a }, basic: { password: s3cret } }",
        "password: s3cret",
        "bearer: s3cret",
        "samples: many, request: { bearer: s3cret }",
        "request: { bearer: s3cret",
        "request: { bearer: s3cret ] }",
        "request: { bearer: &x s3cret }",
        "request: { bearer: !x s3cret }",
        "request: { bearer: \"s3cret\\n\" }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites:\n  - { url: https://a/, %s }\n", texts[i]);
        struct config *config;
        char *says = load(text, &config);
        ck_assert_msg(config == NULL, "accepted: %s", text);
        ck_assert_msg(strstr(says, "s3cret") == NULL, "%s%s", text, says);
        ck_assert_msg(strstr(says, "error: ") != NULL, "%s", says);
        free(says);
    }
}
END_TEST

START_TEST(a_secret_that_everybody_can_read_is_refused) {
    write_bytes("open", "s3cret", 6, 0644);
    static const char *const texts[] = {"request: { bearer: { file: open } }",
                                        "request: { headers: { X: { file: open } } }",
                                        "tls: { cert: a, key: open }"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "sites: [ { url: https://a/, %s } ]\n", texts[i]);
        assert_refused(text, "\"/open\" is open to everybody (mode 0644)");
        assert_refused(text, "chmod o= the file");
        snprintf(text, sizeof text, "defaults: { %s }\nsites: [ https://a/, https://b/ ]\n",
                 texts[i]);
        struct config *config;
        char *says = load(text, &config);
        ck_assert_ptr_null(config);
        ck_assert_ptr_nonnull(strstr(says, "error: "));
        ck_assert_ptr_null(strstr(strstr(says, "error: ") + 1, "error: ")); /* once */
        free(says);
    }
}
END_TEST

START_TEST(a_credential_needs_systemd) {
    static const char text[] =
        "sites: [ { url: https://a/, request: { bearer: { credential: a } } } ]\n";
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_refused(text, "x:1:62: error: bearer: the credential \"a\" cannot be found: "
                         "CREDENTIALS_DIRECTORY is not set");
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
    struct config *config = load_good(text);
    ck_assert_str_eq(config->sites[0].request.bearer->bytes, "s3cret");
    config_unref(config);
    assert_refused("sites: [ { url: https://a/, request: { bearer: { credential: ../a } } } ]\n",
                   "is not the name of a credential");
    assert_refused("sites: [ { url: https://a/, request: { bearer: { credential: .. } } } ]\n",
                   "is not the name of a credential");
}
END_TEST

START_TEST(files_of_tls_stand_where_secrets_do_or_at_a_path) {
    write_bytes("ca.pem", "x\n", 2, 0644);
    write_file("client-key", "x\n");
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
    struct config *config =
        load_good("sites: [ { url: https://a/, tls: { ca: ca.pem, cert: { file: client-key },"
                  " key: { credential: client-key } } } ]\n");
    char path[256];
    snprintf(path, sizeof path, "%s/client-key", directory);
    ck_assert_str_eq(config->sites[0].tls.key, path);
    ck_assert_str_eq(config->sites[0].tls.cert, path);
    ck_assert_str_eq(strrchr(config->sites[0].tls.ca, '/'), "/ca.pem");
    config_unref(config);
    assert_refused("sites: [ { url: https://a/, tls: { ca: { credential: none } } } ]\n",
                   "/none\" does not exist\n");
    assert_refused("sites: [ { url: https://a/, tls: { ca: { credential: none } } } ]\n",
                   "the unit wants LoadCredential=NAME:FILE for it, and then a restart");
    assert_refused("sites: [ { url: https://a/, tls: { ca: {} } } ]\n",
                   "ca wants {file: PATH} or {credential: NAME}");
    assert_refused("sites: [ { url: https://a/, tls: { ca: { file: a, credential: b } } } ]\n",
                   "exclude each other");
    assert_refused("sites: [ { url: https://a/, tls: { ca: [ a ] } } ]\n",
                   "ca is a list; it wants a path, {file: PATH} or {credential: NAME}");
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_refused("sites: [ { url: https://a/, tls: { ca: { credential: a } } } ]\n",
                   "error: ca: the credential \"a\" cannot be found: "
                   "CREDENTIALS_DIRECTORY is not set");
}
END_TEST

/* ---- together ---- */

START_TEST(what_cannot_be_together_is_said_where_it_stands) {
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"sites: [ { url: https://a/, request: { basic: { user: u } } } ]\n",
         "x:1:55: error: basic has a user and no password"},
        {"sites: [ { url: https://a/, request: { basic: { password: { file: a } } } } ]\n",
         "error: basic has a password and no user"},
        {"defaults: { request: { basic: { user: u } } }\nsites: [ https://a/, https://b/ ]\n",
         "x:1:39: error: basic has a user and no password"},
        {"sites: [ { url: https://a/, tls: { cert: a } } ]\n",
         "x:1:42: error: a client's cert without a key"},
        {"sites: [ { url: https://a/, tls: { key: a } } ]\n",
         "error: a client's key without a cert"},
        {"sites: [ { url: https://a/, tls: { cert: a, key: none } } ]\n",
         "error: key: \"/none\" cannot be looked at: No such file"},
        {"defaults: { request: { headers: { Authorization: { file: a } } } }\n"
         "sites: [ { url: https://a/, request: { bearer: { file: a } } } ]\n",
         "x:2:48: error: a header Authorization and basic or bearer exclude each other"},
        {"defaults: { request: { proxy: http://p } }\n"
         "sites: [ { url: https://a/, connect_to: b } ]\n",
         "x:2:41: error: connect_to and a proxy exclude each other"},
        {"sites: [ { url: https://a/, request: { body: x, body_file: a } } ]\n",
         "error: body_file and body exclude each other; body stands in line 1"},
        {"sites: [ { url: http://a/, expect: { certificate: 1d } } ]\n",
         "x:1:51: error: certificate: an http site has none"},
        {"sites: [ { url: https://a/, expect: { headers: { X: {} } } } ]\n",
         "error: X wants one of present, equals, contains, matches, not_matches"},
        {"sites: [ { url: https://a/, expect: { headers: { X: { equals: a, contains: b } } } } ]\n",
         "error: contains and equals exclude each other"},
        {"sites: [ { url: https://a/, request: { method: get } } ]\n",
         "error: method: \"get\" is not in upper case"},
        {"sites: [ { url: https://a/, request: { method: CONNECT } } ]\n",
         "error: method: \"CONNECT\" is a method that is not supported"},
        {"sites: [ { url: https://a/, request: { method: HEAD }, expect: { body_matches: a } } ]\n",
         "x:1:48: error: an answer to HEAD has no body that could be as expected"},
        {"sites: [ { url: https://a/, redirects: { follow: 21 } } ]\n",
         "error: follow: \"21\" is more than the most, 20"},
        {"sites: [ { url: https://a/, redirects: 3 } ]\n",
         "error: redirects is a single value; it wants a map of keys"},
        {"sites: [ { url: https://a/, tls: { min_version: 1.4 } } ]\n",
         "error: min_version: \"1.4\" is not one of 1.0, 1.1, 1.2, 1.3"},
        {"sites: [ { url: https://a/, tls: { insecure: yes } } ]\n",
         "known in tls: ca cert key server_name min_version verify"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_refused(rows[i].text, rows[i].says);
    }
}
END_TEST

START_TEST(what_is_odd_is_a_warning) {
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"sites: [ { url: https://a/, tls: { verify: no } } ]\n",
         "/x:1:44: warning: the certificate of site \"https://a/\" is NOT verified: anybody between "
         "can answer for it\n"
         "    sites: [ { url: https://a/, tls: { verify: no } } ]\n"
         "                                               ^\n"},
        {"defaults: { tls: { verify: no } }\n"
         "sites: [ https://a/, https://b/, http://c/, { url: https://d/, enabled: no } ]\n",
         "/x:1:28: warning: the certificates of 2 sites are NOT verified: anybody between can "
         "answer for them\n"
         "    defaults: { tls: { verify: no } }\n"
         "                               ^\n"},
        {"sites: [ { url: https://a/, timeout: 2s, expect: { latency: 2s } } ]\n",
         "/x:1:61: warning: the latency expected is not below the timeout, which ends a sample "
         "first\n"
         "    sites: [ { url: https://a/, timeout: 2s, expect: { latency: 2s } } ]\n"
         "                                                                ^\n"
         "    lower latency, or raise timeout\n"},
        {"defaults: { expect: { certificate: 7d } }\nsites: [ http://a/ ]\n", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *config;
        char *says = load(rows[i].text, &config);
        ck_assert_ptr_nonnull(config);
        ck_assert_str_eq(says, rows[i].says);
        free(says);
        config_unref(config);
    }
}
END_TEST

/* ---- two sites ---- */

START_TEST(a_question_is_the_same_or_not) {
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"", "", true},
        {"samples: 5", "timeout: 2s, body_limit: 1kB, labels: { a: b }", true},
        {"", "connection: reuse, addresses: each, backend: { header: X }", true},
        {"", "expect: { status: 200-399, latency: 0s }", true},
        {"expect: { status: 200-399 }", "expect: { status: [2xx, 3xx] }", true},
        {"request: { bearer: { file: a } }", "request: { bearer: { file: b } }", true},
        {"request: { bearer: { file: a } }", "request: { bearer: { file: c } }", false},
        {"request: { bearer: { file: a } }", "", false},
        {"request: { headers: { X: { file: a } } }", "request: { headers: { X: { file: b } } }",
         true},
        {"request: { headers: { X: { file: a } } }", "request: { headers: { X: { file: c } } }",
         false},
        {"request: { headers: { X: { file: a } } }", "request: { headers: { X: s3cret } }", false},
        {"request: { headers: { X: z } }", "request: { headers: { Y: z } }", false},
        {"request: { headers: { X: z } }", "request: { headers: { X: w } }", false},
        {"request: { headers: { X: z } }", "", false},
        {"request: { body: s3cret }", "request: { body_file: b }", true},
        {"request: { body: s3cret }", "request: { body_file: c }", false},
        {"", "request: { body: x }", false},
        {"", "request: { method: HEAD }", false},
        {"", "request: { proxy: http://p }", false},
        {"request: { proxy: http://p }", "request: { proxy: http://q }", false},
        {"", "request: { compressed: yes }", false},
        {"request: { basic: { user: u, password: { file: a } } }",
         "request: { basic: { user: u, password: { file: b } } }", true},
        {"request: { basic: { user: u, password: { file: a } } }",
         "request: { basic: { user: v, password: { file: a } } }", false},
        {"request: { basic: { user: u, password: { file: a } } }",
         "request: { basic: { user: u, password: { file: c } } }", false},
        {"", "user_agent: x", false},
        {"", "tls: { ca: a }", false},
        {"tls: { cert: a, key: a }", "tls: { cert: b, key: a }", false},
        {"tls: { cert: a, key: a }", "tls: { cert: a, key: b }", false},
        {"", "tls: { server_name: x }", false},
        {"", "tls: { min_version: 1.3 }", false},
        {"", "tls: { verify: no }", false},
        {"", "redirects: { follow: 1 }", false},
        {"", "redirects: { to: any }", false},
        {"", "connect_to: b", false},
        {"connect_to: \":80\"", "connect_to: \":81\"", false},
        {"", "expect: { status: 200 }", false},
        {"", "expect: { latency: 1s }", false},
        {"", "expect: { certificate: 1d }", false},
        {"", "expect: { headers: { X: z } }", false},
        {"expect: { headers: { X: z } }", "expect: { headers: { X: { equals: z } } }", true},
        {"expect: { headers: { X: z } }", "expect: { headers: { X: { contains: z } } }", false},
        {"expect: { body_contains: z }", "expect: { body_matches: z }", false},
        {"expect: { body_contains: [z] }", "expect: { body_contains: z }", true},
        {"expect: { body_contains: z }", "expect: { body_contains: w }", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "sites:\n  - { url: https://a/, name: a, %s }\n"
                 "  - { url: https://a/, name: b, %s }\n",
                 rows[i].a, rows[i].b);
        struct config *config;
        char *says = load(text, &config);
        ck_assert_msg(config != NULL, "%s", says);
        const struct site *a = &config->sites[0], *b = &config->sites[1];
        ck_assert_msg(config_same_question(a, b) == rows[i].same, "%s", text);
        ck_assert_msg(config_same_question(b, a) == rows[i].same, "%s", text);
        ck_assert(config_same_question(a, a));
        ck_assert_msg((config_fingerprint(a) == config_fingerprint(b)) == rows[i].same, "%s", text);
        free(says);
        config_unref(config);
    }
}
END_TEST

/* Whoever has the fingerprint and guesses must not find out that a guess is right: many fit. */
START_TEST(a_fingerprint_does_not_tell_a_secret) {
    enum { GUESSES = 1 << 18 };
    struct config *config = load_good("sites:\n"
                                      "  - url: https://a/\n"
                                      "    request: { bearer: { file: a } }\n"
                                      "  - { url: https://b/, request: { body: s3cret } }\n");
    for (size_t i = 0; i < 2; i++) {
        struct site site = config->sites[i];
        uint64_t fingerprint = config_fingerprint(&site);
        unsigned fit = 0;
        for (unsigned guess = 0; guess < GUESSES; guess++) {
            char text[16];
            struct secret secret = {.bytes = text};
            secret.n = (size_t)snprintf(text, sizeof text, "%u", guess);
            if (site.request.bearer != NULL) {
                site.request.bearer = &secret;
            } else {
                site.request.body = text;
                site.request.body_bytes = secret.n;
            }
            fit += config_fingerprint(&site) == fingerprint;
        }
        ck_assert_msg(fit > 0 && fit < 20, "%u", fit); /* 4 are to be expected */
    }
    config_unref(config);
}
END_TEST

/* A state file of one version is read by the next: the default User-Agent, which names the version,
 * is no part of it. Another value here means that an upgrade forgets every state. */
START_TEST(a_fingerprint_is_the_same_in_every_version) {
    struct config *config = load_good("sites: [ https://a/, { url: https://a/, name: b,\n"
                                      "                       user_agent: tallyd/0 } ]\n");
    ck_assert_str_eq(config->sites[0].user_agent, "tallyd/" TALLYD_VERSION);
    ck_assert_uint_eq(config_fingerprint(&config->sites[0]), UINT64_C(0x43ae0e9efe491f26));
    ck_assert_uint_ne(config_fingerprint(&config->sites[1]), UINT64_C(0x43ae0e9efe491f26));
    config_unref(config);
}
END_TEST

/* ---- memory ---- */

/* Every allocation fails once, of ours and the libraries'; with it go secrets, patterns and URLs
 * that are not the arena's own. */
START_TEST(lack_of_memory_is_an_error_and_no_leak) {
    static const char *const texts[] = {
        "defaults: { request: { headers: { X: y1, Z: { file: a } }, body_file: c } }\n"
        "sites:\n"
        "  - url: https://a/\n"
        "    request: { basic: { user: u, password: { file: a } }, proxy: http://p, method: PUT }\n"
        "    tls: { cert: a, key: b, ca: c }\n"
        "    expect: { headers: { A: b, C: { matches: d }, E: { present: no } },\n"
        "              body_contains: [ f, g ], body_matches: h, status: [ 2xx, not 204 ] }\n"
        "    backend: { header: X }\n"
        "  - { url: https://b/, connect_to: \"b:1\", request: { body: x, bearer: { file: c } } }\n",
        "sites:\n"
        "  - { url: https://a/, request: { bearer: s3cret, proxy: http://u:p@p, body_file: no1 } }\n"
        "  - { url: https://b/, expect: { body_matches: \"a(\", headers: { X: {} } } }\n"
        "  - { url: https://c/, connect_to: \"b:\", request: { basic: { user: u } } }\n"
        "  - { url: https://d/, tls: { verify: no, key: no1 }, request: { bearer: { file: no1 } } "
        "}\n",
    };
    write_file("x", texts[_i]);
    char path[128];
    strcpy(path, path_of("x"));
    bool failed = true;
    unsigned out_of_memory = 0;
    for (size_t k = 0; failed; k++) {
        struct config_messages messages = {0};
        struct config *config = NULL;
        memory_left = k;
        int r = config_load(path, &messages, &config);
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

int main(void) {
    Suite *suite = suite_create("question");
    TCase *tests = tcase_create("question");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, every_key_reaches_its_field);
    tcase_add_test(tests, what_is_not_said_is_the_default);
    tcase_add_test(tests, sections_merge_key_by_key_and_maps_of_headers_as_a_whole);
    tcase_add_test(tests, what_a_site_says_replaces_what_excludes_it);
    tcase_add_test(tests, the_body_is_read_further_where_it_is_looked_at);
    tcase_add_test(tests, statuses_are_those_named_less_those_negated);
    tcase_add_test(tests, connect_to_is_a_host_and_a_port_or_one_of_them);
    tcase_add_test(tests, a_proxy_is_http_and_nobody_logs_in_to_it);
    tcase_add_test(tests, a_request_s_headers_cannot_break_it);
    tcase_add_test(tests, maps_of_headers_have_a_limit);
    tcase_add_test(tests, a_pattern_that_does_not_compile_is_shown_where_it_breaks);
    tcase_add_test(tests, nothing_nests_deeper_than_it_may);
    tcase_add_test(tests, a_body_is_any_bytes_of_a_bounded_file);
    tcase_add_test(tests, a_body_in_the_file_has_lines_and_no_other_controls);
    tcase_add_test(tests, a_secret_in_plain_text_is_refused_and_not_shown);
    tcase_add_test(tests, a_secret_that_everybody_can_read_is_refused);
    tcase_add_test(tests, a_credential_needs_systemd);
    tcase_add_test(tests, files_of_tls_stand_where_secrets_do_or_at_a_path);
    tcase_add_test(tests, what_cannot_be_together_is_said_where_it_stands);
    tcase_add_test(tests, what_is_odd_is_a_warning);
    tcase_add_test(tests, a_question_is_the_same_or_not);
    tcase_add_test(tests, a_fingerprint_does_not_tell_a_secret);
    tcase_add_test(tests, a_fingerprint_is_the_same_in_every_version);
    suite_add_tcase(suite, tests);
    if (memory_can_fail()) {
        TCase *memory = tcase_create("memory");
        tcase_set_timeout(memory, 300);
        tcase_add_checked_fixture(memory, begin, end);
        tcase_add_loop_test(memory, lack_of_memory_is_an_error_and_no_leak, 0, 2);
        suite_add_tcase(suite, memory);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
