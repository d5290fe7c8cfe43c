#include "service/web.h"

#include "base/loop.h"
#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BIG_PIECES = 300, PIECE_BYTES = 10000, PATIENCE_MS = 20000, IDLE = 100 };

static struct loop *loop;
static struct web *web;
static char listen_[128];
static uint16_t port;
static char seen_path[256], seen_query[256];
static atomic_int bodies; /* that were not freed yet */

/* ---- what is served ---- */

static bool write_big(void *body, FILE *to) {
    unsigned *left = body;
    for (unsigned i = 0; i < PIECE_BYTES; i++) {
        fputc('x', to);
    }
    return --*left > 0;
}

static void free_big(void *body) {
    free(body);
    bodies--;
}

static void on_request(const struct web_request *request, struct web_answer *answer, void *arg) {
    (void)arg;
    snprintf(seen_path, sizeof seen_path, "%s", request->path);
    snprintf(seen_query, sizeof seen_query, "%s", request->query);
    if (strcmp(request->path, "/small") == 0) {
        web_answer_text(answer, 200, "text/plain", strdup("hello\n"));
    } else if (strcmp(request->path, "/page") == 0) {
        web_answer_text(answer, 200, "text/html", strdup("<p>"));
        answer->policy = "default-src 'self'";
    } else if (strcmp(request->path, "/big") == 0) {
        unsigned *left = malloc(sizeof *left);
        *left = BIG_PIECES;
        bodies++;
        *answer = (struct web_answer){
            .status = 200,
            .type = "text/plain",
            .body_write = write_big,
            .body_free = free_big,
            .body = left,
        };
    }
}

/* ---- the server ---- */

static struct web_socket *open_somewhere(void) {
    struct web_socket *socket_ = NULL;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    for (unsigned tries = 0; tries < 10 && socket_ == NULL;
         tries++) { /* others look for ports too */
        char *why = NULL;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &size), 0);
        close(fd);
        port = ntohs(any.sin_port);
        any.sin_port = 0;
        snprintf(listen_, sizeof listen_, "127.0.0.1:%u", port);
        (void)web_socket_open(listen_, &socket_, &why);
        free(why);
    }
    ck_assert_ptr_nonnull(socket_);
    return socket_;
}

static void start(struct web_socket *socket_) {
    ck_assert_int_eq(loop_new("web", NULL, &loop), 0);
    ck_assert_int_eq(web_new(loop_base(loop), on_request, NULL, &web), 0);
    ck_assert_int_eq(web_listen(web, socket_), 0);
    ck_assert_int_eq(loop_start(loop), 0);
}

static void stop(void) {
    loop_stop(loop);
    loop_join(loop);
    web_free(web);
    loop_free(loop);
}

static void setup(void) {
    signal(SIGPIPE, SIG_IGN);
    start(open_somewhere());
}

static void teardown(void) {
    stop();
    ck_assert_int_eq(bodies, 0);
}

/* ---- a client ---- */

static int connect_tcp(void) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void send_bytes(int fd, const char *bytes, size_t n) {
    while (n > 0) { /* an end that comes meanwhile is seen by reading */
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0) {
            return;
        }
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* All that comes until the other side closes; the caller's. */
static char *read_all(int fd, size_t *ret_n) {
    char *all = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&all, &n);
    char bytes[65536];
    for (;;) {
        struct pollfd come = {.fd = fd, .events = POLLIN};
        ck_assert_msg(poll(&come, 1, PATIENCE_MS) == 1, "still open after %zu bytes", n);
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0) {
            break;
        }
        fwrite(bytes, 1, (size_t)got, to);
    }
    fclose(to);
    close(fd);
    if (ret_n != NULL) {
        *ret_n = n;
    }
    return all;
}

static char *ask_bytes(const char *bytes, size_t n) {
    int fd = connect_tcp();
    send_bytes(fd, bytes, n);
    return read_all(fd, NULL);
}

/* "METHOD TARGET" with the right Host, and more lines. */
static char *ask(const char *what, const char *more) {
    char request[512];
    int n = snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", what,
                     port, more);
    return ask_bytes(request, (size_t)n);
}

static unsigned status_of(const char *answer) {
    unsigned status = 0;
    sscanf(answer, "HTTP/%*d.%*d %u", &status);
    return status;
}

static void answers(char *answer, unsigned status) {
    ck_assert_msg(status_of(answer) == status, "not %u: %s", status, answer);
    free(answer);
}

START_TEST(an_answer_has_its_text_and_heads_that_keep_it_harmless) {
    char *answer = ask("GET /small?a=%20b", "");
    static const char *const heads[] = {
        "\r\nContent-Type: text/plain\r\n",
        "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nCache-Control: no-store\r\n",
        "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n",
        "\r\nConnection: close\r\n",
    };
    ck_assert_uint_eq(status_of(answer), 200);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        ck_assert_msg(strstr(answer, heads[i]) != NULL, "no %s in %s", heads[i], answer);
    }
    ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\n6\r\nhello\n\r\n0\r\n\r\n"));
    free(answer);
    ck_assert_str_eq(seen_path, "/small");
    ck_assert_str_eq(seen_query, "a=%20b");
}
END_TEST

START_TEST(a_page_may_have_a_policy_of_its_own) {
    char *answer = ask("GET /page", "");
    ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Security-Policy: default-src 'self'\r\n"));
    free(answer);
}
END_TEST

START_TEST(an_old_client_gets_the_same_without_chunks) {
    char *answer = ask_bytes("GET /small HTTP/1.0\r\n\r\n", 23);
    ck_assert_uint_eq(status_of(answer), 200);
    ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\nhello\n"));
    free(answer);
}
END_TEST

START_TEST(head_has_no_body) {
    static const char *const paths[] = {"HEAD /small", "HEAD /big"};
    for (size_t i = 0; i < 2; i++) {
        char *answer = ask(paths[i], "");
        ck_assert_uint_eq(status_of(answer), 200);
        ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
        free(answer);
    }
    ck_assert_int_eq(bodies, 0);
}
END_TEST

START_TEST(a_path_that_nobody_knows_is_404) {
    answers(ask("GET /nowhere", ""), 404);
    answers(ask("GET /..%2f..%2Fetc/passwd", ""), 404);
    ck_assert_str_eq(seen_path, "/../../etc/passwd");
}
END_TEST

START_TEST(other_methods_are_refused) {
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PURGE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char what[32];
        snprintf(what, sizeof what, "%s /small", methods[i]);
        char *answer = ask(what, "");
        ck_assert_ptr_nonnull(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
        answers(answer, 405);
    }
    static const char *const posts[] = {
        "POST /small HTTP/1.0\r\nContent-Length: 100000\r\n\r\n",
        "POST /small HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        answers(ask_bytes(posts[i], strlen(posts[i])), 413);
    }
}
END_TEST

START_TEST(a_name_that_was_lead_here_is_refused) {
    static const struct {
        const char *host;
        unsigned status;
    } rows[] = {
        {"localhost:%u", 200},      {"127.0.0.1:%u", 200},
        {"[::1]:%u", 200},          {"127.9.9.9:%u", 200},
        {"evil.test:%u", 421},      {"127.0.0.1.evil.test:%u", 421},
        {"localhost.test:%u", 421}, {"127.0.0.1", 421},
        {"127.0.0.1:1%u", 421},     {"", 421},
        {"192.0.2.1:%u", 421},      {"[::2]:%u", 421},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char host[64], request[256];
        snprintf(host, sizeof host, "%s", rows[i].host);
        char *number = strstr(host, "%u");
        if (number != NULL) {
            snprintf(number, sizeof host - (size_t)(number - host), "%u", port);
        }
        int n = snprintf(request, sizeof request, "GET /small HTTP/1.1\r\nHost: %s\r\n\r\n", host);
        char *answer = ask_bytes(request, (size_t)n);
        ck_assert_msg(status_of(answer) == rows[i].status, "%s: %s", host, answer);
        free(answer);
    }
    answers(ask("GET http://evil.test/small", ""), 421);
}
END_TEST

START_TEST(what_is_not_http_is_answered_400_or_not_at_all) {
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
#define BYTES(text) {text, sizeof text - 1}
        BYTES("GET /small\r\n\r\n"),
        BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        BYTES("GET /sm\0all HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        BYTES("GET /small HTTP/1.0\r\nno colon\r\n\r\n"),
        BYTES("GET /sm%00all HTTP/1.0\r\n\r\n"),
        BYTES("GET * HTTP/1.0\r\n\r\n"),
        BYTES("GET small HTTP/1.0\r\n\r\n"),
        BYTES("\r\n\r\n\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *answer = ask_bytes(rows[i].bytes, rows[i].n);
        ck_assert_msg(*answer == '\0' || status_of(answer) == 400, "%zu: %s", i, answer);
        free(answer);
    }
    answers(ask("GET /small", ""), 200);
}
END_TEST

START_TEST(a_head_without_end_is_cut_at_its_limit) {
    enum { MANY = 1 << 20 };
    char *flood = malloc(MANY);
    memset(flood, 'a', MANY);
    memcpy(flood, "GET /", 5);
    char *answer = ask_bytes(flood, MANY); /* a line that does not end */
    ck_assert(*answer == '\0' || status_of(answer) == 400);
    free(answer);
    int at = sprintf(flood, "GET /small HTTP/1.0\r\n");
    while (at < MANY - 16) {
        at += sprintf(flood + at, "x: y\r\n");
    }
    answer = ask_bytes(flood, (size_t)at);
    ck_assert(*answer == '\0' || status_of(answer) == 400);
    free(answer);
    free(flood);
}
END_TEST

START_TEST(one_request_is_answered_on_a_connection_whatever_follows_it) {
    enum { REQUESTS = 5000 };
    char one[] = "HEAD /small HTTP/1.1\r\n\r\n", *all = malloc(REQUESTS * sizeof one);
    size_t n = 0;
    for (unsigned i = 0; i < REQUESTS; i++) {
        memcpy(all + n, one, sizeof one - 1);
        n += sizeof one - 1;
    }
    char *answer = ask_bytes(all, n);
    char *second = strstr(answer + 1, "HTTP/1.1 ");
    ck_assert_ptr_null(*answer == '\0' ? NULL : second);
    free(answer);
    free(all);
}
END_TEST

START_TEST(a_big_answer_comes_whole_in_pieces) {
    size_t n;
    int fd = connect_tcp();
    send_bytes(fd, "GET /big HTTP/1.0\r\n\r\n", 21);
    char *answer = read_all(fd, &n);
    const char *body = strstr(answer, "\r\n\r\n");
    ck_assert_uint_eq(strlen(body + 4), BIG_PIECES * PIECE_BYTES);
    free(answer);
}
END_TEST

START_TEST(a_client_that_goes_in_the_middle_leaves_nothing) {
    for (unsigned i = 0; i < 20; i++) {
        int fd = connect_tcp();
        char bytes[1000];
        send_bytes(fd, "GET /big HTTP/1.1\r\n\r\n", 21);
        ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
        close(fd);
    }
    answers(ask("GET /small", ""), 200);
} /* teardown() looks at what is left */
END_TEST

START_TEST(those_that_ask_nothing_give_way) {
    int idle[2 * IDLE];
    for (unsigned i = 0; i < 2 * IDLE; i++) {
        idle[i] = connect_tcp();
        answers(ask("GET /small", ""), 200);
    }
    free(read_all(idle[0], NULL)); /* long before its time is over: or the test would be */
    struct pollfd last = {.fd = idle[2 * IDLE - 1], .events = POLLIN};
    ck_assert_int_eq(poll(&last, 1, 0), 0);
    for (unsigned i = 1; i < 2 * IDLE; i++) {
        close(idle[i]);
    }
}
END_TEST

START_TEST(a_flood_of_connections_is_survived) {
    for (unsigned i = 0; i < 3000; i++) {
        close(connect_tcp());
    }
    answers(ask("GET /small", ""), 200);
}
END_TEST

/* ---- sockets ---- */

static void refused(const char *listen, int error, const char *words) {
    struct web_socket *socket_ = NULL;
    char *why = NULL;
    ck_assert_int_eq(web_socket_open(listen, &socket_, &why), -error);
    ck_assert_ptr_null(socket_);
    ck_assert_msg(why != NULL && strstr(why, words) != NULL, "%s", why);
    ck_assert_ptr_nonnull(strstr(why, listen));
    free(why);
}

START_TEST(who_comes_while_descriptors_are_short_is_served_later) {
    struct rlimit before, short_of;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), said[2];
    ck_assert_int_eq(pipe(said), 0);
    int stderr_ = dup(STDERR_FILENO);
    dup2(said[1], STDERR_FILENO);
    short_of = before;
    short_of.rlim_cur = (rlim_t)stderr_ + 1; /* the last one; there is no gap below */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &short_of), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    char words[256];
    ssize_t n = read(said[0], words, sizeof words - 1); /* until it cannot be accepted */
    dup2(stderr_, STDERR_FILENO);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_gt(n, 0);
    words[n] = '\0';
    ck_assert_msg(strstr(words, "cannot be accepted: Too many open files") != NULL, "%s", words);
    const char request[] = "GET /small HTTP/1.0\r\n\r\n";
    send_bytes(fd, request, sizeof request - 1);
    char *all = read_all(fd, NULL);
    ck_assert_msg(strstr(all, "hello\n") != NULL, "%s", all);
    free(all);
    close(said[0]);
    close(said[1]);
    close(stderr_);
}
END_TEST

START_TEST(an_address_in_use_is_refused_with_words) {
    refused(listen_, EADDRINUSE, "Address already in use");
    refused("192.0.2.1:80", EINVAL, "no loopback address");
}
END_TEST

static int connect_local(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

START_TEST(a_unix_socket_serves_its_group_and_leaves_nothing_behind) {
    const char *path = scratch("socket");
    char where[160];
    snprintf(where, sizeof where, "unix:%s", path);
    struct web_socket *socket_ = NULL;
    char *why;
    ck_assert_int_eq(web_socket_open(where, &socket_, &why), 0);
    struct stat made;
    ck_assert_int_eq(lstat(path, &made), 0);
    ck_assert_uint_eq(made.st_mode & 07777, 0660);
    refused(where, EADDRINUSE, "in use");
    start(socket_);
    int fd = connect_local(path);
    send_bytes(fd, "GET /small HTTP/1.1\r\nHost: any.test\r\n\r\n", 40);
    answers(read_all(fd, NULL), 200);
    stop();
    ck_assert_int_eq(lstat(path, &made), -1);
}
END_TEST

START_TEST(a_socket_that_nobody_listens_on_is_replaced_and_nothing_else) {
    const char *path = scratch("socket");
    char where[160];
    snprintf(where, sizeof where, "unix:%s", path);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(dead, (struct sockaddr *)&at, sizeof at), 0);
    close(dead);
    struct web_socket *socket_ = NULL;
    char *why;
    ck_assert_int_eq(web_socket_open(where, &socket_, &why), 0);
    unlink(path); /* somebody else's by now */
    fclose(fopen(path, "w"));
    web_socket_free(socket_);
    ck_assert_int_eq(access(path, F_OK), 0);
    refused(where, EEXIST, "is no socket");
    ck_assert_int_eq(access(path, F_OK), 0);
    unlink(path);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("web");
    TCase *tests = tcase_create("web");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_answer_has_its_text_and_heads_that_keep_it_harmless);
    tcase_add_test(tests, a_page_may_have_a_policy_of_its_own);
    tcase_add_test(tests, an_old_client_gets_the_same_without_chunks);
    tcase_add_test(tests, head_has_no_body);
    tcase_add_test(tests, a_path_that_nobody_knows_is_404);
    tcase_add_test(tests, other_methods_are_refused);
    tcase_add_test(tests, a_name_that_was_lead_here_is_refused);
    tcase_add_test(tests, what_is_not_http_is_answered_400_or_not_at_all);
    tcase_add_test(tests, a_head_without_end_is_cut_at_its_limit);
    tcase_add_test(tests, one_request_is_answered_on_a_connection_whatever_follows_it);
    tcase_add_test(tests, a_big_answer_comes_whole_in_pieces);
    tcase_add_test(tests, a_client_that_goes_in_the_middle_leaves_nothing);
    tcase_add_test(tests, those_that_ask_nothing_give_way);
    tcase_add_test(tests, a_flood_of_connections_is_survived);
    tcase_add_test(tests, who_comes_while_descriptors_are_short_is_served_later);
    tcase_add_test(tests, an_address_in_use_is_refused_with_words);
    suite_add_tcase(suite, tests);
    TCase *sockets = tcase_create("sockets");
    tcase_add_test(sockets, a_unix_socket_serves_its_group_and_leaves_nothing_behind);
    tcase_add_test(sockets, a_socket_that_nobody_listens_on_is_replaced_and_nothing_else);
    suite_add_tcase(suite, sockets);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures ? 1 : 0;
}
