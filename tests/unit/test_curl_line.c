/* The line is given to sh, with a curl in its PATH that notes its arguments and what comes by stdin. */
#include "report/curl_line.h"

#include "base/text.h"

#include "chance.h"
#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MOST = 64, BYTES_MOST = 64 << 10 };

static const char fake_curl[] =
    "#!/bin/sh\n"
    "for argument in \"$@\"; do printf '%s\\0' \"$argument\"; done > \"$FAKE_CURL/arguments\"\n"
    "cat > \"$FAKE_CURL/stdin\"\n";

static struct config config;
static struct site site;
static char directory[96];

static struct {
    char bytes[BYTES_MOST];
    const char *arguments[ARGUMENTS_MOST];
    size_t n;
    char body[BYTES_MOST];
    size_t body_bytes;
} seen;

static void setup(void) {
    const char *path = scratch("curl"), *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    scratch_write(path, fake_curl, strlen(fake_curl));
    ck_assert_int_eq(chmod(path, 0700), 0);
    ck_assert_int_eq(setenv("FAKE_CURL", directory, 1), 0);
    char *search;
    ck_assert_int_gt(asprintf(&search, "%s:%s", directory, getenv("PATH")), 0);
    ck_assert_int_eq(setenv("PATH", search, 1), 0);
    free(search);
    config = (struct config){0};
    site = (struct site){
        .url = {.text = "http://shop.test/", .host = "shop.test", .port = 80},
        .user_agent = "tallyd/test",
        .timeout = 5 * NSEC_PER_SEC,
        .tls = {.min_version = TLS_VERSION_1_2, .verify = true},
    };
}

static size_t read_file(const char *name, char ret_bytes[BYTES_MOST]) {
    size_t n;
    char *bytes = scratch_read(scratch(name), &n);
    ck_assert_uint_lt(n, BYTES_MOST);
    memcpy(ret_bytes, bytes, n);
    free(bytes);
    unlink(scratch(name)); /* so that a curl that was not called is seen */
    return n;
}

static void run(const char *line) {
    ck_assert_msg(text_is_safe(line, strlen(line)), "%s", line);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (freopen("/dev/null", "r", stdin) == NULL) {
            _exit(126);
        }
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", line);
    size_t n = read_file("arguments", seen.bytes);
    seen.n = 0;
    for (size_t at = 0; at < n; at += strlen(seen.bytes + at) + 1) {
        seen.arguments[seen.n++] = seen.bytes + at;
    }
    seen.body_bytes = read_file("stdin", seen.body);
}

static void paste(const char *address) {
    char *line;
    ck_assert_int_eq(curl_line(&config, &site, address, SIZE_MAX, &line), 0);
    run(line);
    free(line);
}

/* Whether these arguments stand there, one after the other; the list ends with NULL. */
static bool has(const char *first, ...) {
    for (size_t i = 0; i < seen.n; i++) {
        size_t at = i;
        va_list more;
        va_start(more, first);
        const char *text = first;
        while (text != NULL && at < seen.n && strcmp(seen.arguments[at], text) == 0) {
            text = va_arg(more, const char *);
            at++;
        }
        va_end(more);
        if (text == NULL) {
            return true;
        }
    }
    return false;
}

static const char *last(void) {
    return seen.arguments[seen.n - 1];
}

START_TEST(a_plain_site_is_a_plain_line) {
    char *line;
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", SIZE_MAX, &line), 0);
    ck_assert_str_eq(line, "curl -q -sS -i --http1.1 --proto '=http,https' --max-time 5 "
                           "--noproxy '*' --connect-to ::192.0.2.1:80 --user-agent tallyd/test "
                           "http://shop.test/");
    free(line);
    site.user_agent = "=curl"; /* which zsh would look up as a command */
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", SIZE_MAX, &line), 0);
    ck_assert_ptr_nonnull(strstr(line, " --user-agent '=curl' "));
    free(line);
    site.url.literal = true;
    site.url.text = "http://192.0.2.1/";
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", SIZE_MAX, &line), 0);
    ck_assert_ptr_null(strstr(line, "--connect-to"));
    free(line);
}
END_TEST

START_TEST(it_goes_to_the_very_address_and_port) {
    paste("2001:db8::1");
    ck_assert(has("--connect-to", "::[2001:db8::1]:80", NULL));
    site.connect_port = 8443;
    paste("192.0.2.1");
    ck_assert(has("--connect-to", "::192.0.2.1:8443", NULL));
    site.connect_port = 0;
    site.url.literal = true;
    site.connect_host = "elsewhere.test";
    paste("192.0.2.7");
    ck_assert(has("--connect-to", "::192.0.2.7:80", NULL));
}
END_TEST

START_TEST(a_proxy_is_asked_at_its_own_address) {
    struct url proxy = {.text = "http://proxy.test:3128/", .host = "proxy.test", .port = 3128};
    site.request.proxy = &proxy;
    paste("192.0.2.9");
    ck_assert(has("--noproxy", "", "--suppress-connect-headers", "--proxy", "http://192.0.2.9:3128",
                  NULL));
    ck_assert(!has("--connect-to", NULL));
    paste("::1");
    ck_assert(has("--proxy", "http://[::1]:3128", NULL));
    site.url =
        (struct url){.text = "https://shop.test/", .host = "shop.test", .port = 443, .tls = true};
    site.tls.server_name = "other.test";
    paste("192.0.2.9");
    ck_assert(has("--connect-to", "::shop.test:443", NULL));
    ck_assert_str_eq(last(), "https://other.test:443/");
}
END_TEST

START_TEST(a_time_limit_is_never_none) {
    static const struct {
        nsec_t timeout;
        const char *text;
    } rows[] = {
        {5 * NSEC_PER_SEC, "5"},       {10 * NSEC_PER_SEC, "10"}, {250 * NSEC_PER_MSEC, "0.25"},
        {1500 * NSEC_PER_MSEC, "1.5"}, {NSEC_PER_MSEC, "0.001"},  {1100 * NSEC_PER_USEC, "0.002"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        site.timeout = rows[i].timeout;
        paste("192.0.2.1");
        ck_assert(has("--max-time", rows[i].text, NULL));
    }
}
END_TEST

START_TEST(tls_is_checked_as_the_sample_checked_it) {
    paste("192.0.2.1");
    ck_assert(!has("--tlsv1.2", NULL));
    site.url =
        (struct url){.text = "https://shop.test/a", .host = "shop.test", .port = 443, .tls = true};
    paste("192.0.2.1");
    ck_assert(has("--tlsv1.2", NULL) && !has("--cacert", NULL) && !has("--insecure", NULL));
    ck_assert(!has("--ciphers", NULL));
    site.tls.min_version = TLS_VERSION_1_1;
    paste("192.0.2.1");
    ck_assert(has("--tlsv1.1", "--ciphers", "DEFAULT@SECLEVEL=0", NULL));
    config.ca_file = "/etc/a ca.pem";
    paste("192.0.2.1");
    ck_assert(has("--cacert", "/etc/a ca.pem", "--capath", "/dev/null", NULL));
    site.tls.ca = "/etc/own.pem";
    site.tls.cert = "/etc/c:\\lient.pem";
    site.tls.key = "/etc/client.key";
    site.tls.min_version = TLS_VERSION_1_3;
    paste("192.0.2.1");
    ck_assert(has("--tlsv1.3", "--cacert", "/etc/own.pem", NULL));
    ck_assert(has("--cert", "/etc/c\\:\\\\lient.pem", "--key", "/etc/client.key", NULL));
    site.tls.verify = false;
    paste("192.0.2.1");
    ck_assert(has("--insecure", NULL) && !has("--cacert", NULL));
}
END_TEST

START_TEST(another_server_name_is_the_urls_and_the_header_says_whom_it_is_for) {
    site.url = (struct url){
        .text = "https://192.0.2.1:8443/a?b", .port = 8443, .tls = true, .literal = true};
    site.tls.server_name = "shop.test";
    paste("192.0.2.1");
    ck_assert_str_eq(last(), "https://shop.test:8443/a?b");
    ck_assert(has("-H", "Host: 192.0.2.1:8443", NULL));
    ck_assert(has("--connect-to", "::192.0.2.1:8443", NULL));
    struct header host = {.name = "host", .value = "other.test"};
    site.request.headers = &host;
    site.request.n_headers = 1;
    paste("192.0.2.1");
    ck_assert(has("-H", "host: other.test", NULL));
    ck_assert(!has("-H", "Host: 192.0.2.1:8443", NULL));
}
END_TEST

START_TEST(method_headers_and_compression_are_asked_for) {
    struct header headers[] = {{.name = "X-A", .value = "it's \"quoted\" $HOME `id` \\n"},
                               {.name = "X-Empty", .value = ""}};
    site.request = (struct request_config){
        .method = "PURGE", .headers = headers, .n_headers = 2, .compressed = true};
    paste("192.0.2.1");
    ck_assert(has("--request", "PURGE", "--compressed", NULL));
    ck_assert(has("-H", "X-A: it's \"quoted\" $HOME `id` \\n", "-H", "X-Empty;", NULL));
    site.request.method = "HEAD";
    paste("192.0.2.1");
    ck_assert(has("--head", NULL) && !has("--request", NULL));
    site.request.body = "left out";
    site.request.body_bytes = 8;
    paste("192.0.2.1");
    ck_assert(!has("--data-raw", NULL));
}
END_TEST

START_TEST(a_body_brings_nothing_along_that_was_not_asked_for) {
    site.request = (struct request_config){.body = "a=1", .body_bytes = 3};
    paste("192.0.2.1");
    ck_assert(has("-H", "Expect:", "-H", "Content-Type:", "--data-raw", "a=1", NULL));
    ck_assert(!has("--request", NULL));
    struct header type = {.name = "content-type", .value = "text/plain"};
    site.request = (struct request_config){.method = "PUT", .headers = &type, .n_headers = 1};
    paste("192.0.2.1");
    ck_assert(has("--request", "PUT", "-H", "content-type: text/plain", "-H",
                  "Expect:", "--data-raw", "", NULL));
    ck_assert(!has("Content-Type:", NULL));
    site.request = (struct request_config){.method = "GET", .body = "q", .body_bytes = 1};
    paste("192.0.2.1");
    ck_assert(has("--request", "GET", NULL) && has("--data-raw", "q", NULL));
}
END_TEST

START_TEST(a_secret_is_read_where_it_stands_and_not_shown) {
    char *line;
    const char *path = scratch("it's a $(secret)");
    scratch_write(path, "s3cr3t \"$x` '\n", 14);
    struct secret secret = {.bytes = "s3cr3t \"$x` '", .n = 13, .path = path};
    struct header header = {.name = "X-`id`$", .secret = &secret};
    site.request = (struct request_config){
        .headers = &header, .n_headers = 1, .basic_user = "o'neil", .basic_password = &secret};
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", SIZE_MAX, &line), 0);
    ck_assert_ptr_null(strstr(line, "s3cr3t"));
    run(line);
    free(line);
    ck_assert(has("-H", "X-`id`$: s3cr3t \"$x` '", NULL));
    ck_assert(has("--user", "o'neil:s3cr3t \"$x` '", NULL));
    site.request = (struct request_config){.bearer = &secret};
    paste("192.0.2.1");
    ck_assert(has("--oauth2-bearer", "s3cr3t \"$x` '", NULL));
}
END_TEST

START_TEST(a_body_arrives_byte_for_byte) {
    static const struct {
        const char *bytes;
        size_t n;
    } bodies[] = {
        {"", 0},
        {"a=1&b=2", 7},
        {"@/etc/passwd", 12},
        {"it's", 4},
        {"line\nline\n", 10},
        {"\n", 1},
        {"-n %s \\ \\n %\t'", 14},
        {"\0\0x\0", 4},
        {"-\n", 2},
        {"gr\xc3\xbcn", 5},
        {"\xff\xfe", 2},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        site.request.body = bodies[i].bytes;
        site.request.body_bytes = bodies[i].n;
        paste("192.0.2.1");
        if (has("--data-binary", "@-", NULL)) {
            ck_assert_uint_eq(seen.body_bytes, bodies[i].n);
            ck_assert_mem_eq(seen.body, bodies[i].bytes, bodies[i].n);
        } else {
            ck_assert(has("--data-raw", bodies[i].bytes, NULL));
        }
    }
    site.request.body_path = "/etc/a body";
    paste("192.0.2.1");
    ck_assert(has("--data-binary", "@/etc/a body", NULL));
}
END_TEST

START_TEST(brackets_in_a_url_are_no_pattern) {
    site.url.text = "http://shop.test/a[1-3]{b}?c&d;e";
    paste("192.0.2.1");
    ck_assert(has("--globoff", NULL));
    ck_assert_str_eq(last(), "http://shop.test/a[1-3]{b}?c&d;e");
}
END_TEST

/* Bytes that an argument can have, the worse ones more often. */
static void random_text(struct chance *chance, char *ret_text, size_t size) {
    static const char bad[] = "'\"\\$`!\n\t\x1b\x7f\x80\xe2\x80\xae\xff %*?[]{}()<>|&;#~=-@:";
    size_t n = chance_below(chance, size - 1);
    for (size_t i = 0; i < n; i++) {
        ret_text[i] = chance_below(chance, 2) == 0 ? bad[chance_below(chance, sizeof bad - 1)]
                                                   : (char)(1 + chance_below(chance, 255));
    }
    ret_text[n] = '\0';
    if (n > 0 && ret_text[n - 1] == '\n') {
        ret_text[n - 1] = '.';
    }
}

START_TEST(whatever_bytes_a_value_has_they_arrive) {
    struct chance chance = chance_new(__func__);
    char value[40], path[40], expected[64], body[40];
    struct header header = {.name = "X-A", .value = value};
    for (int i = 0; i < 100; i++) {
        random_text(&chance, value, sizeof value);
        random_text(&chance, path, sizeof path);
        random_text(&chance, body, sizeof body);
        site.request = (struct request_config){
            .headers = &header, .n_headers = 1, .body = body, .body_bytes = strlen(body)};
        site.user_agent = path;
        paste("192.0.2.1");
        snprintf(expected, sizeof expected, *value == '\0' ? "X-A;" : "X-A: %s", value);
        ck_assert(has("-H", expected, NULL));
        ck_assert(has("--user-agent", path, NULL));
        ck_assert(has("--data-raw", body, NULL) || (seen.body_bytes == strlen(body) &&
                                                    memcmp(seen.body, body, seen.body_bytes) == 0));
    }
}
END_TEST

START_TEST(what_no_argument_can_carry_has_no_line) {
    char *line = NULL;
    site.user_agent = "ends in a line end\n";
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", SIZE_MAX, &line), -EINVAL);
    ck_assert_ptr_null(line);
}
END_TEST

START_TEST(a_line_has_a_bound) {
    char *line;
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", 100, &line), -E2BIG);
    char *body = malloc(CURL_LINE_BYTES_MOST);
    memset(body, 'x', CURL_LINE_BYTES_MOST);
    site.request.body = body;
    site.request.body_bytes = CURL_LINE_BYTES_MOST;
    ck_assert_int_eq(curl_line(&config, &site, "192.0.2.1", SIZE_MAX, &line), -E2BIG);
    free(body);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("curl_line");
    TCase *tests = tcase_create("curl_line");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_plain_site_is_a_plain_line);
    tcase_add_test(tests, it_goes_to_the_very_address_and_port);
    tcase_add_test(tests, a_proxy_is_asked_at_its_own_address);
    tcase_add_test(tests, a_time_limit_is_never_none);
    tcase_add_test(tests, tls_is_checked_as_the_sample_checked_it);
    tcase_add_test(tests, another_server_name_is_the_urls_and_the_header_says_whom_it_is_for);
    tcase_add_test(tests, method_headers_and_compression_are_asked_for);
    tcase_add_test(tests, a_body_brings_nothing_along_that_was_not_asked_for);
    tcase_add_test(tests, a_secret_is_read_where_it_stands_and_not_shown);
    tcase_add_test(tests, a_body_arrives_byte_for_byte);
    tcase_add_test(tests, brackets_in_a_url_are_no_pattern);
    tcase_add_test(tests, whatever_bytes_a_value_has_they_arrive);
    tcase_add_test(tests, what_no_argument_can_carry_has_no_line);
    tcase_add_test(tests, a_line_has_a_bound);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures > 0 ? 1 : 0;
}
