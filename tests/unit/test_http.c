/* Samples by the real libcurl against small servers in threads of this process: what must hold of
 * one lane (one multi handle) whatever was sampled on it before. The classes that sockets can bring
 * about are swept in tests/system. */
#include "probe/probe.h"
#include "probe/trust.h"

#include "base/loop.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- certificates ---- */

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

static struct identity identity_new(const char *name, const struct identity *issuer) {
    struct identity made = {X509_new(), EVP_EC_gen("P-256")};
    X509 *certificate = made.certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate,
                         X509_get_subject_name(issuer != NULL ? issuer->certificate : certificate));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(
        NULL, NULL, issuer == NULL ? NID_basic_constraints : NID_subject_alt_name,
        issuer == NULL ? "critical,CA:TRUE" : "DNS:site.test");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256());
    return made;
}

static void identity_clear(struct identity *identity) {
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

static struct trust *trust_in(const struct identity *ca) {
    char path[] = "/tmp/test_http.XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    PEM_write_X509(file, ca->certificate);
    fclose(file);
    struct trust *trust = NULL;
    char why[200];
    ck_assert_int_eq(trust_load(path, &trust, why, sizeof why), 0);
    ck_assert_uint_eq(trust_count(trust), 1);
    unlink(path);
    return trust;
}

/* ---- a server ---- */

struct server {
    int listener;
    uint16_t port;
    SSL_CTX *tls; /* NULL: plain */
    const char *answer;
    size_t answer_bytes;
    bool stay; /* keeps the connection open and silent after the answer */
    atomic_uint connections, requests;
    pthread_t thread;
};

static void serve(struct server *server, int fd) {
    char request[4096];
    SSL *ssl = NULL;
    atomic_fetch_add(&server->connections, 1);
    if (server->tls != NULL) {
        ssl = SSL_new(server->tls);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) != 1) {
            SSL_free(ssl);
            return;
        }
    }
    ssize_t n =
        ssl != NULL ? SSL_read(ssl, request, sizeof request) : recv(fd, request, sizeof request, 0);
    if (n > 0) {
        atomic_fetch_add(&server->requests, 1);
        if (ssl != NULL) {
            SSL_write(ssl, server->answer, (int)server->answer_bytes);
            SSL_shutdown(ssl);
        } else if (server->answer_bytes > 0) {
            send(fd, server->answer, server->answer_bytes, MSG_NOSIGNAL);
        }
        if (server->stay) {
            n = recv(fd, request, sizeof request, 0); /* until the client goes */
        }
    }
    SSL_free(ssl);
}

static void *serve_all(void *arg) {
    struct server *server = arg;
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        serve(server, fd);
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *server) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(listen(server->listener, 64), 0);
    getsockname(server->listener, (struct sockaddr *)&at, &size);
    server->port = ntohs(at.sin_port);
    pthread_create(&server->thread, NULL, serve_all, server);
}

static void server_stop(struct server *server) {
    shutdown(server->listener, SHUT_RDWR); /* accept() returns */
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->tls);
}

static void server_says(struct server *server, const char *answer) {
    server->answer = answer;
    server->answer_bytes = strlen(answer);
}

static SSL_CTX *server_tls(const struct identity *leaf) {
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(tls, leaf->certificate);
    SSL_CTX_use_PrivateKey(tls, leaf->key);
    return tls;
}

/* ---- a sample ---- */

static const char small_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static struct loop *loop;
static struct probe_engine *engine;
static struct probe_lane *lane;
static const struct status_set any_status = {.bits = {~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL,
                                                      ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL,
                                                      ~0ULL, ~0ULL, ~0ULL}};
static struct site site;
static char url[64];
static const struct address loopback = {
    .family = AF_INET, .bytes = {127, 0, 0, 1}, .text = "127.0.0.1"};

static void setup(void) {
    ck_assert_int_eq(probe_global_init(), 0);
    ck_assert_int_eq(loop_new("test", NULL, &loop), 0);
    ck_assert_int_eq(probe_http.engine_new(loop_base(loop), &engine), 0);
    site = (struct site){.name = "site",
                         .timeout = 5 * NSEC_PER_SEC,
                         .body_limit_bytes = 16 << 10,
                         .user_agent = "test",
                         .expect.status = &any_status,
                         .samples = 1,
                         .concurrency = 4,
                         .tls = {.min_version = TLS_VERSION_1_2, .verify = true},
                         .url = {.text = url, .host = (char *)"site.test"}};
    ck_assert_int_eq(probe_http.lane_open(engine, &site, &lane), 0);
}

static void teardown(void) {
    probe_http.lane_close(lane);
    probe_http.engine_free(engine);
    loop_free(loop);
    probe_global_clear();
}

static void ask(const struct server *server, const char *path) {
    site.url.port = server->port;
    site.url.tls = server->tls != NULL;
    snprintf(url, sizeof url, "%s://site.test:%u%s", site.url.tls ? "https" : "http", server->port,
             path);
}

static struct probe_result seen;
static unsigned ended;

static void on_end(const struct probe_result *result, void *arg) {
    unsigned *to_come = arg;
    seen = *result;
    ended++;
    if (--*to_come == 0) {
        event_base_loopbreak(loop_base(loop));
    }
}

static struct probe_run *start(struct trust *trust, unsigned *to_come) {
    struct probe_request request = {
        .site = &site, .address = &loopback, .trust = trust, .on_end = on_end, .arg = to_come};
    struct probe_run *run;
    ck_assert_int_eq(probe_http.start(lane, &request, &run), 0);
    return run;
}

static outcome_t sample(struct trust *trust) {
    unsigned to_come = 1;
    start(trust, &to_come);
    event_base_loop(loop_base(loop), EVLOOP_NO_EXIT_ON_EMPTY);
    ck_assert_uint_eq(to_come, 0);
    return seen.outcome;
}

static unsigned open_descriptors(void) {
    unsigned n = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL) {
        n++;
    }
    closedir(directory);
    return n;
}

/* ---- tests ---- */

START_TEST(a_store_is_used_for_its_own_samples_alone) {
    struct identity ca_a = identity_new("A", NULL), ca_b = identity_new("B", NULL);
    struct identity leaf_a = identity_new("leaf", &ca_a), leaf_b = identity_new("leaf", &ca_b);
    struct server server_a = {.tls = server_tls(&leaf_a)}, server_b = {.tls = server_tls(&leaf_b)};
    server_says(&server_a, small_answer);
    server_says(&server_b, small_answer);
    server_start(&server_a);
    server_start(&server_b);
    struct trust *trust_a = trust_in(&ca_a), *trust_b = trust_in(&ca_b);

    /* in turn on one multi handle, which libcurl 7.88.1 would let remember the first store */
    for (int i = 0; i < 5; i++) {
        ask(&server_a, "/");
        ck_assert_uint_eq(sample(trust_a), 200);
        ck_assert_uint_eq(sample(trust_b), OUTCOME_TLS_VERIFY);
        ask(&server_b, "/");
        ck_assert_uint_eq(sample(trust_a), OUTCOME_TLS_VERIFY);
        ck_assert(strstr(seen.words, "certificate") != NULL);
        ck_assert_uint_eq(sample(trust_b), 200);
    }
    /* a CA that was removed is not trusted by the very next sample */
    trust_free(trust_b);
    trust_b = trust_in(&ca_a);
    ck_assert_uint_eq(sample(trust_b), OUTCOME_TLS_VERIFY);
    ck_assert_uint_eq(atomic_load(&server_b.requests), 5);

    trust_free(trust_a);
    trust_free(trust_b);
    server_stop(&server_a);
    server_stop(&server_b);
    identity_clear(&leaf_a);
    identity_clear(&leaf_b);
    identity_clear(&ca_a);
    identity_clear(&ca_b);
}
END_TEST

START_TEST(a_store_that_is_replaced_serves_what_has_begun) {
    struct identity ca = identity_new("A", NULL), leaf = identity_new("leaf", &ca);
    struct server server = {.tls = server_tls(&leaf)};
    server_says(&server, small_answer);
    server_start(&server);
    struct trust *trust = trust_in(&ca);
    ask(&server, "/");
    unsigned to_come = 1;
    start(trust, &to_come);
    trust_free(trust); /* as a reload does, before the handshake */
    event_base_loop(loop_base(loop), EVLOOP_NO_EXIT_ON_EMPTY);
    ck_assert_uint_eq(seen.outcome, 200);
    server_stop(&server);
    identity_clear(&leaf);
    identity_clear(&ca);
}
END_TEST

START_TEST(a_certificate_for_another_name_is_refused) {
    struct identity ca = identity_new("A", NULL), leaf = identity_new("leaf", &ca);
    struct server server = {.tls = server_tls(&leaf)};
    server_says(&server, small_answer);
    server_start(&server);
    struct trust *trust = trust_in(&ca);
    ask(&server, "/");
    snprintf(url, sizeof url, "https://other.test:%u/", server.port);
    ck_assert_uint_eq(sample(trust), OUTCOME_TLS_VERIFY);
    ck_assert_uint_eq(atomic_load(&server.requests), 0);
    trust_free(trust);
    server_stop(&server);
    identity_clear(&leaf);
    identity_clear(&ca);
}
END_TEST

START_TEST(every_sample_has_a_connection_of_its_own) {
    struct server server = {0};
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    for (unsigned i = 1; i <= 50; i++) {
        ck_assert_uint_eq(sample(NULL), 200);
        ck_assert_uint_eq(atomic_load(&server.connections), i);
        ck_assert_uint_eq(atomic_load(&server.requests), i);
    }
    server_stop(&server);
}
END_TEST

START_TEST(phases_add_up_to_less_than_the_whole) {
    struct server server = {0};
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    ck_assert_uint_eq(sample(NULL), 200);
    nsec_t sum = 0;
    ck_assert_int_eq(seen.phases[PHASE_DNS], NSEC_UNKNOWN);
    ck_assert_int_eq(seen.phases[PHASE_TLS], NSEC_UNKNOWN); /* plain */
    for (unsigned i = PHASE_CONNECT; i < PHASE_COUNT; i++) {
        if (i != PHASE_TLS) {
            ck_assert_int_ge(seen.phases[i], 0);
            sum += seen.phases[i];
        }
    }
    ck_assert_int_eq(sum, seen.took);
    ck_assert_uint_ne(seen.local_port, 0);
    ck_assert_str_eq(seen.words, "");
    server_stop(&server);
}
END_TEST

START_TEST(no_prefix_of_an_answer_earns_its_status) {
    struct server server = {.answer = small_answer};
    server_start(&server);
    ask(&server, "/");
    for (size_t n = 0; n < sizeof small_answer - 1; n++) {
        server.answer_bytes = n; /* the server thread is in accept() between samples */
        outcome_t outcome = sample(NULL);
        ck_assert_msg(!outcome_is_status(outcome), "%zu bytes: %u", n, outcome);
        ck_assert_uint_ne(outcome, OUTCOME_LOCAL_RESOURCE);
    }
    server.answer_bytes = sizeof small_answer - 1;
    ck_assert_uint_eq(sample(NULL), 200);
    server_stop(&server);
}
END_TEST

START_TEST(silence_is_a_timeout_of_its_phase) {
    struct server server = {.answer = small_answer, .stay = true};
    server_start(&server);
    ask(&server, "/");
    site.timeout = 400 * NSEC_PER_MSEC; /* a loop that is late by a quarter is our failure */
    for (size_t n = 0; n < sizeof small_answer - 1; n += 6) {
        server.answer_bytes = n;
        outcome_t outcome = sample(NULL);
        ck_assert_msg(outcome == (n == 0 ? OUTCOME_FIRST_BYTE_TIMEOUT : OUTCOME_TRANSFER_TIMEOUT),
                      "%zu bytes: %s", n, outcome_class_name(outcome));
        ck_assert_int_ge(seen.took, site.timeout);
    }
    server_says(&server, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
    ck_assert_uint_eq(sample(NULL), OUTCOME_FIRST_BYTE_TIMEOUT);
    server_stop(&server);
}
END_TEST

START_TEST(samples_in_flight_can_be_ended) {
    struct server server = {.answer = small_answer, .stay = true};
    server_start(&server);
    ask(&server, "/");
    unsigned to_come = 1;
    ended = 0;
    struct probe_run *run = start(NULL, &to_come);
    probe_http.end(run, OUTCOME_ABORTED);
    ck_assert_uint_eq(ended, 1);
    ck_assert_uint_eq(seen.outcome, OUTCOME_ABORTED);
    to_come = 1;
    run = start(NULL, &to_come);
    probe_http.end(run, OUTCOME_NONE);
    ck_assert_uint_eq(seen.outcome, OUTCOME_CONNECT_TIMEOUT);
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    ck_assert_uint_eq(ended, 2);
    server_stop(&server);
}
END_TEST

START_TEST(a_large_body_is_ended_on_purpose_and_keeps_its_status) {
    static char answer[1 << 16];
    struct server server = {.answer = answer, .answer_bytes = sizeof answer, .stay = true};
    memset(answer, 'x', sizeof answer);
    memcpy(answer, "HTTP/1.1 404 Gone\r\n\r\n", 21); /* without a length, and never ending */
    server_start(&server);
    ask(&server, "/");
    ck_assert_uint_eq(sample(NULL), 404);
    server_stop(&server);
}
END_TEST

START_TEST(a_large_head_is_too_large) {
    static char answer[80 << 10];
    struct server server = {.answer = answer, .answer_bytes = sizeof answer, .stay = true};
    memcpy(answer, "HTTP/1.1 200 OK\r\n", 17);
    for (size_t i = 17; i + 16 <= sizeof answer; i += 16) {
        memcpy(answer + i, "X-Name: value.\r\n", 16);
    }
    server_start(&server);
    ask(&server, "/");
    ck_assert_uint_eq(sample(NULL), OUTCOME_TOO_LARGE);
    server_stop(&server);
}
END_TEST

START_TEST(nothing_stays_open) {
    struct server server = {0};
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    sample(NULL);
    unsigned before = open_descriptors();
    unsigned to_come = 20;
    for (unsigned i = 0; i < 20; i++) {
        start(NULL, &to_come);
    }
    event_base_loop(loop_base(loop), EVLOOP_NO_EXIT_ON_EMPTY);
    ck_assert_uint_eq(seen.outcome, 200);
    ck_assert_uint_le(open_descriptors(), before + 1); /* the server may be at its last close() */
    server_stop(&server);
}
END_TEST

START_TEST(a_damaged_bundle_is_refused_whole) {
    static const struct {
        const char *text;
        const char *why;
    } bundles[] = {
        {"", "holds no certificate"},
        {"# only a comment\n", "holds no certificate"},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
         "certificate 1 is damaged"},
        {"-----BEGIN CERTIFICATE-----\nMIIBCut", "certificate 1 is damaged"},
    };
    char why[200];
    struct trust *trust = NULL;
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++) {
        char path[] = "/tmp/test_http.XXXXXX";
        FILE *file = fdopen(mkstemp(path), "w");
        fputs(bundles[i].text, file);
        fclose(file);
        ck_assert_int_lt(trust_load(path, &trust, why, sizeof why), 0);
        ck_assert_msg(strstr(why, bundles[i].why) != NULL, "%s", why);
        unlink(path);
    }
    ck_assert_int_lt(trust_load("/nonexistent/ca.pem", &trust, why, sizeof why), 0);
    ck_assert(strstr(why, "/nonexistent/ca.pem") != NULL);
    ck_assert_int_lt(trust_load("/dev/zero", &trust, why, sizeof why), 0);
    ck_assert_ptr_null(trust);
}
END_TEST

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("http");
    TCase *tests = tcase_create("http");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_store_is_used_for_its_own_samples_alone);
    tcase_add_test(tests, a_store_that_is_replaced_serves_what_has_begun);
    tcase_add_test(tests, a_certificate_for_another_name_is_refused);
    tcase_add_test(tests, every_sample_has_a_connection_of_its_own);
    tcase_add_test(tests, phases_add_up_to_less_than_the_whole);
    tcase_add_test(tests, no_prefix_of_an_answer_earns_its_status);
    tcase_add_test(tests, silence_is_a_timeout_of_its_phase);
    tcase_add_test(tests, samples_in_flight_can_be_ended);
    tcase_add_test(tests, a_large_body_is_ended_on_purpose_and_keeps_its_status);
    tcase_add_test(tests, a_large_head_is_too_large);
    tcase_add_test(tests, nothing_stays_open);
    tcase_add_test(tests, a_damaged_bundle_is_refused_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
