/* Samples by the real libcurl against small servers in threads of this process: what must hold of
 * one lane (one multi handle) whatever was sampled on it before. The classes that sockets can bring
 * about are swept in tests/system. */
#include "certificates.h"

#include "probe/lane.h"
#include "probe/probe.h"
#include "probe/trust.h"

#include "base/loop.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
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

static struct trust *trust_in(const struct issued *ca) {
    char *bytes = NULL, why[200];
    size_t n = 0;
    FILE *file = open_memstream(&bytes, &n);
    PEM_write_X509(file, ca->certificate);
    fclose(file);
    struct trust *trust = NULL;
    ck_assert_int_eq(trust_parse("ca.pem", bytes, n, &trust, why, sizeof why), 0);
    free(bytes);
    return trust;
}

/* ---- a server ---- */

struct server {
    int listener;
    uint16_t port;
    SSL_CTX *tls; /* NULL: plain */
    const char *answer;
    size_t answer_bytes;
    bool stay;     /* keeps the connection open and silent after the answer */
    unsigned most; /* requests that it answers on a connection; 0: one, and closes */
    unsigned read; /* requests that it reads on a connection, if more: the last has no answer */
    atomic_uint connections, requests;
    pthread_t thread;
    pthread_t many[64]; /* with `most`: a thread for each connection */
};

struct client {
    struct server *server;
    int fd;
};

static ssize_t receive(int fd, SSL *ssl, char *bytes, size_t size) {
    return ssl != NULL ? SSL_read(ssl, bytes, (int)size) : recv(fd, bytes, size, 0);
}

/* Requests come in one piece. */
static void serve_many(struct server *server, int fd, SSL *ssl) {
    char request[4096];
    for (unsigned i = 0; i < server->most || i < server->read; i++) {
        if (receive(fd, ssl, request, sizeof request) <= 0) {
            return;
        }
        atomic_fetch_add(&server->requests, 1);
        if (i >= server->most) {
            return;
        }
        if (ssl != NULL) {
            SSL_write(ssl, server->answer, (int)server->answer_bytes);
        } else {
            send(fd, server->answer, server->answer_bytes, MSG_NOSIGNAL);
        }
    }
}

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
    if (server->most > 0) {
        serve_many(server, fd, ssl);
        SSL_free(ssl);
        return;
    }
    ssize_t n = receive(fd, ssl, request, sizeof request);
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

static void *serve_one(void *arg) {
    struct client client = *(struct client *)arg;
    free(arg);
    serve(client.server, client.fd);
    close(client.fd);
    return NULL;
}

static void *serve_all(void *arg) {
    struct server *server = arg;
    int fd;
    unsigned n = 0;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        struct client *client = malloc(sizeof *client);
        *client = (struct client){server, fd};
        if (server->most > 0) {
            pthread_create(&server->many[n++], NULL, serve_one, client);
        } else {
            serve_one(client);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(server->many[i], NULL);
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

static SSL_CTX *server_tls(const struct issued *leaf) {
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
    struct issued ca_a = issued_new("A", NULL), ca_b = issued_new("B", NULL);
    struct issued leaf_a = issued_new("leaf", &ca_a), leaf_b = issued_new("leaf", &ca_b);
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
    issued_clear(&leaf_a);
    issued_clear(&leaf_b);
    issued_clear(&ca_a);
    issued_clear(&ca_b);
}
END_TEST

START_TEST(a_store_that_is_replaced_serves_what_has_begun) {
    struct issued ca = issued_new("A", NULL), leaf = issued_new("leaf", &ca);
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
    issued_clear(&leaf);
    issued_clear(&ca);
}
END_TEST

START_TEST(a_certificate_for_another_name_is_refused) {
    struct issued ca = issued_new("A", NULL), leaf = issued_new("leaf", &ca);
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
    issued_clear(&leaf);
    issued_clear(&ca);
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
    site.timeout = 2 * NSEC_PER_SEC; /* a loop that is late by a quarter is our failure */
    for (size_t n = 0; n < sizeof small_answer - 1; n += sizeof small_answer / 2) {
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

/* What Linux does in a moment that no test can bring about at will: poll() tells of an error of which
 * SO_ERROR knows nothing yet. */
static bool error_comes_late;

int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    static int (*next)(int, int, int, void *, socklen_t *);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "getsockopt");
    }
    if (error_comes_late && level == SOL_SOCKET && name == SO_ERROR) {
        error_comes_late = false;
        memset(value, 0, *size);
        return 0;
    }
    return next(fd, level, name, value, size);
}

START_TEST(an_error_that_the_kernel_names_late_is_asked_for_again) {
    struct server server = {.answer = small_answer};
    server_start(&server);
    server_stop(&server); /* its port is closed */
    ask(&server, "/");
    error_comes_late = true;
    ck_assert_uint_eq(sample(NULL), OUTCOME_CONNECT_REFUSED);
    ck_assert(!error_comes_late); /* libcurl did ask */
}
END_TEST

/* As where there is no memory for it. */
static bool no_socket_is_watched;
/* Sockets that are to be heard of for this are not, as where others have all the turns. */
static short unheard;

int event_add(struct event *event, const struct timeval *timeout) {
    static int (*next)(struct event *, const struct timeval *);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "event_add");
    }
    if (no_socket_is_watched && (event_get_events(event) & (EV_READ | EV_WRITE)) != 0) {
        return -1;
    }
    if ((event_get_events(event) & unheard) != 0) {
        return 0;
    }
    return next(event, timeout);
}

START_TEST(what_may_come_unheard_is_not_the_site_s_silence) {
    struct server server = {.answer = small_answer, .stay = true}; /* says nothing */
    server_start(&server);
    ask(&server, "/");
    site.timeout = NSEC_PER_SEC;
    no_socket_is_watched = true;
    ck_assert_uint_eq(sample(NULL), OUTCOME_LOCAL_RESOURCE);
    ck_assert_str_eq(seen.words, "there was no memory to watch its connection");
    ck_assert(seen.exhausted);
    no_socket_is_watched = false;
    server.stay = false;
    server_says(&server, small_answer);
    site.timeout = 5 * NSEC_PER_SEC;
    probe_http.lane_close(lane);
    ck_assert_int_eq(probe_http.lane_open(engine, &site, &lane), 0); /* the same, from the pool */
    ck_assert_uint_eq(sample(NULL), 200);
    server_stop(&server);
}
END_TEST

START_TEST(what_came_and_had_no_turn_is_no_timeout_of_the_site_s) {
    struct server server = {.answer = small_answer, .stay = true};
    server_start(&server);
    ask(&server, "/");
    site.timeout = 150 * NSEC_PER_MSEC; /* at 200 ms libcurl looks by itself */
    unheard = EV_WRITE;                 /* that there is a connection */
    ck_assert_uint_eq(sample(NULL), OUTCOME_LOCAL_RESOURCE);
    ck_assert_ptr_nonnull(strstr(seen.words, "our own loop "));
    server.answer_bytes = sizeof small_answer - 1;
    unheard = EV_READ; /* that there is an answer */
    ck_assert_uint_eq(sample(NULL), OUTCOME_LOCAL_RESOURCE);
    ck_assert_ptr_nonnull(strstr(seen.words, "our own loop "));
    server.answer_bytes = 0; /* the site was silent, and closes while nobody listens */
    server.stay = false;
    sample(NULL);
    ck_assert_msg(strstr(seen.words, "had no turn") == NULL, "%s", seen.words);
    unheard = 0;
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

/* ---- connections that are kept ---- */

static void reopen(void) {
    probe_http.lane_close(lane);
    ck_assert_int_eq(probe_http.lane_open(engine, &site, &lane), 0);
}

static void keep(void) {
    site.connection = CONNECTION_REUSE;
    site.concurrency = 1;
    reopen();
}

static void end_of(struct server *server, struct trust *trust) {
    probe_http.lane_close(lane);
    keep_clear(&engine->keep); /* else the server would wait for what comes on them */
    ck_assert_int_eq(probe_http.lane_open(engine, &site, &lane), 0);
    trust_free(trust);
    server_stop(server);
}

START_TEST(a_kept_connection_has_no_phases_of_its_own_and_its_own_counts) {
    struct issued ca = issued_new("A", NULL), leaf = issued_new("leaf", &ca);
    for (int tls = 0; tls < 2; tls++) {
        struct server server = {.tls = tls ? server_tls(&leaf) : NULL, .most = 1000};
        struct trust *trust = tls ? trust_in(&ca) : NULL;
        server_says(&server, small_answer);
        server_start(&server);
        ask(&server, "/");
        keep();
        ck_assert_uint_eq(sample(trust), 200);
        uint16_t port = seen.local_port;
        ck_assert_int_ge(seen.phases[PHASE_CONNECT], 0);
        for (int i = 0; i < 100; i++) {
            if (i % 10 == 0) {
                reopen(); /* as from round to round */
            }
            ck_assert_uint_eq(sample(trust), 200);
            ck_assert_uint_eq(seen.local_port, port);
            ck_assert_int_eq(seen.phases[PHASE_CONNECT], NSEC_UNKNOWN);
            ck_assert_int_eq(seen.phases[PHASE_TLS], NSEC_UNKNOWN);
            ck_assert_int_ge(seen.phases[PHASE_FIRST_BYTE], 0);
            ck_assert_uint_eq(seen.repeated, 0);
        }
        ck_assert_uint_eq(atomic_load(&server.connections), 1);
        ck_assert_uint_eq(atomic_load(&server.requests), 101);
        end_of(&server, trust);
    }
    issued_clear(&leaf);
    issued_clear(&ca);
}
END_TEST

START_TEST(what_libcurl_asks_again_by_itself_is_counted) {
    struct issued ca = issued_new("A", NULL), leaf = issued_new("leaf", &ca);
    for (int tls = 0; tls < 2; tls++) {
        struct server server = {.tls = tls ? server_tls(&leaf) : NULL, .most = 3, .read = 4};
        struct trust *trust = tls ? trust_in(&ca) : NULL;
        server_says(&server, small_answer);
        server_start(&server);
        ask(&server, "/");
        keep();
        unsigned repeated = 0;
        for (unsigned i = 1; i <= 30; i++) {
            ck_assert_uint_eq(sample(trust), 200);
            repeated += seen.repeated;
            ck_assert_uint_eq(atomic_load(&server.requests), i + repeated);
            if (seen.repeated > 0) { /* it ended on a connection of its own after all */
                ck_assert_int_ge(seen.phases[PHASE_CONNECT], 0);
                ck_assert_int_le(seen.phases[PHASE_CONNECT], seen.took);
            }
        }
        ck_assert_uint_eq(repeated, 9);
        end_of(&server, trust);
    }
    issued_clear(&leaf);
    issued_clear(&ca);
}
END_TEST

START_TEST(silence_on_a_kept_connection_is_told_from_half_an_answer) {
    /* the kernel's count begins anew with each request */
    struct server server = {.most = 1, .read = 2};
    site.timeout = 3 * NSEC_PER_SEC; /* a loop that is late by a quarter is our failure */
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    keep();
    ck_assert_uint_eq(sample(NULL), 200);
    server.most = 2;
    server.answer_bytes = 0; /* nothing, where there were 42 bytes before */
    server.read = 3;
    ck_assert_uint_eq(sample(NULL), OUTCOME_FIRST_BYTE_TIMEOUT);
    end_of(&server, NULL);
}
END_TEST

START_TEST(another_store_is_another_connection) {
    struct issued ca = issued_new("A", NULL), other = issued_new("B", NULL),
                  leaf = issued_new("leaf", &ca);
    struct server server = {.tls = server_tls(&leaf), .most = 1000};
    struct trust *trust = trust_in(&ca), *without = trust_in(&other);
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    keep();
    ck_assert_uint_eq(sample(trust), 200);
    ck_assert_uint_eq(sample(without), OUTCOME_TLS_VERIFY);
    reopen();
    ck_assert_uint_eq(sample(without), OUTCOME_TLS_VERIFY);
    ck_assert_uint_eq(atomic_load(&server.requests), 1);
    trust_free(without);
    end_of(&server, trust);
    issued_clear(&leaf);
    issued_clear(&other);
    issued_clear(&ca);
}
END_TEST

START_TEST(what_nobody_uses_is_closed_in_time) {
    struct server server = {.most = 1000};
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    keep();
    ck_assert_uint_eq(sample(NULL), 200);
    engine->keep.idle_most = 100 * NSEC_PER_MSEC;
    probe_http.lane_close(lane);
    ck_assert_uint_gt(engine->keep.parked_fds, 0);
    nsec_t since = clock_now();
    while (engine->keep.parked_fds > 0) {
        event_base_loop(loop_base(loop), EVLOOP_ONCE);
    }
    ck_assert_int_ge(clock_now() - since, engine->keep.idle_most - 10 * NSEC_PER_MSEC);
    ck_assert_int_lt(clock_now() - since, 5 * NSEC_PER_SEC);
    ck_assert_int_eq(probe_http.lane_open(engine, &site, &lane), 0);
    end_of(&server, NULL);
}
END_TEST

START_TEST(no_more_descriptors_are_kept_than_may_be) {
    struct server server = {.most = 1000};
    server_says(&server, small_answer);
    server_start(&server);
    ask(&server, "/");
    engine->keep.most_fds = 10; /* three sites with a connection each */
    char names[8][8];
    site.connection = CONNECTION_REUSE;
    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof names[i], "s%d", i);
        site.name = names[i];
        reopen();
        ck_assert_uint_eq(sample(NULL), 200);
    }
    reopen(); /* the last one's own, which is leased */
    ck_assert_uint_le(engine->keep.parked_fds, 10);
    unsigned parked = 0;
    for (const struct kept *kept = engine->keep.first; kept != NULL; kept = kept->next) {
        parked += kept->parked;
        ck_assert(!kept->parked || kept->name[1] >= '5'); /* those parked last */
    }
    ck_assert_uint_eq(parked, 2);
    end_of(&server, NULL);
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
        const char *text = bundles[i].text;
        ck_assert_int_lt(trust_parse("ca.pem", text, strlen(text), &trust, why, sizeof why), 0);
        ck_assert_msg(strstr(why, bundles[i].why) != NULL, "%s", why);
    }
    ck_assert_ptr_null(trust);
    struct source *source = NULL;
    ck_assert_int_lt(trust_read("/nonexistent/ca.pem", &source, why, sizeof why), 0);
    ck_assert(strstr(why, "/nonexistent/ca.pem") != NULL);
    ck_assert_int_lt(trust_read("/dev/zero", &source, why, sizeof why), 0);
    ck_assert_ptr_null(source);
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
    tcase_add_test(tests, an_error_that_the_kernel_names_late_is_asked_for_again);
    tcase_add_test(tests, what_may_come_unheard_is_not_the_site_s_silence);
    tcase_add_test(tests, what_came_and_had_no_turn_is_no_timeout_of_the_site_s);
    tcase_add_test(tests, samples_in_flight_can_be_ended);
    tcase_add_test(tests, a_large_body_is_ended_on_purpose_and_keeps_its_status);
    tcase_add_test(tests, a_large_head_is_too_large);
    tcase_add_test(tests, nothing_stays_open);
    tcase_add_test(tests, a_kept_connection_has_no_phases_of_its_own_and_its_own_counts);
    tcase_add_test(tests, what_libcurl_asks_again_by_itself_is_counted);
    tcase_add_test(tests, silence_on_a_kept_connection_is_told_from_half_an_answer);
    tcase_add_test(tests, another_store_is_another_connection);
    tcase_add_test(tests, what_nobody_uses_is_closed_in_time);
    tcase_add_test(tests, no_more_descriptors_are_kept_than_may_be);
    tcase_add_test(tests, a_damaged_bundle_is_refused_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
