/* HTTP and HTTPS by libcurl: one easy handle, one connection, one request, one answer a hop.
 *
 * This file is a hop's life, from start to its one end. What is asked is request.c's, what comes
 * back answer.c's, and what it means classify.c's; what a sample makes of its hops is follow.c's.
 *
 * Time: our own stamps. connect ends where libcurl makes the SSL_CTX (https) or asks leave to send
 * the request (http); tls ends at that same leave; the first byte is the first header line of a
 * final answer. The time limit is our own timer as well, so that
 * there is one place where a sample that takes too long ends. When the loop was away for more than a
 * quarter of the limit (a SIGSTOP, a starved CPU), it was not there to hear the answer: that is our
 * failure, not the site's.
 *
 * An answer can be endless in ways that no callback shows (a chunk extension, TLS messages): the kernel's
 * count of received bytes is looked at after each read, and more than any answer needs ends the sample.
 *
 * On a kept connection there is neither a connect nor a tls phase, and the kernel's counts begin
 * where the request does. When it turns out to be dead, libcurl asks once more by itself, on
 * another: each time it asks leave to send, so that we can count. */
#include "probe/answer.h"
#include "probe/classify.h"
#include "probe/coding.h"
#include "probe/hop.h"
#include "probe/identity.h"
#include "probe/keep.h"
#include "probe/lane.h"
#include "probe/request.h"
#include "probe/route.h"
#include "probe/trust.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WIRE_FACTOR = 8,             /* a body in chunks of one byte each takes six times its size */
    WIRE_BYTES_MORE = 256 << 10, /* handshakes with long chains, tickets, chunk extensions */
};
enum { SECONDS_PER_DAY = 86400 };
/* Linux, include/net/tcp_states.h */
enum { KERNEL_CLOSE = 7, KERNEL_CLOSE_WAIT = 8, KERNEL_LAST_ACK = 9 };

struct hop {
    struct probe_lane *lane;
    struct hop_request request;
    CURL *easy;
    struct request asked;
    struct answer answer;
    struct hop *next, *previous; /* of those in flight in the lane */
    struct event timer;
    bool keeps; /* it may use a kept connection, and keeps its own */
    int socket;

    nsec_t connecting;        /* since when: the hop's begin, or a repetition's */
    nsec_t connected, ready;  /* NSEC_UNKNOWN: not reached */
    nsec_t certificate_left;  /* NSEC_UNKNOWN: not known */
    bool reused;              /* `connected` and `ready` are when the connection was chosen */
    unsigned asked_times;     /* requests that libcurl began to send */
    uint64_t received_before; /* by the kernel, on a kept connection, before the request */
    uint64_t received_bytes;  /* by the kernel since then, TLS and all */
    const SSL_CTX *ssl_ctx;   /* libcurl's, for comparison only */
    unsigned codings;         /* of the body, by the heads so far */
    bool received_data;       /* TLS: a record of application data came */
    int socket_error;         /* errno of socket(), which libcurl does not pass on, or of the first
                                 read or write that failed under TLS; 0: not known */
    int stale_error;          /* libcurl's errno of an attempt that it repeated */
    outcome_t forced;         /* OUTCOME_NONE: as classified */
    const char *forced_words; /* why, where a callback of libcurl's did it; or NULL */
    char error[CURL_ERROR_SIZE];
};

/* libcurl calls a 100 KiB header line OUT_OF_MEMORY too; only its allocator knows the difference.
 */
static _Thread_local bool memory_failed;

static void *noted(void *memory, size_t bytes) {
    if (memory == NULL && bytes != 0) {
        memory_failed = true;
    }
    return memory;
}

static void *noting_malloc(size_t bytes) {
    return noted(malloc(bytes), bytes);
}

static void *noting_calloc(size_t n, size_t bytes) {
    return noted(calloc(n, bytes), n * bytes);
}

static void *noting_realloc(void *memory, size_t bytes) {
    return noted(realloc(memory, bytes), bytes);
}

static char *noting_strdup(const char *text) {
    return noted(strdup(text), 1);
}

int probe_global_init(void) {
    if (curl_global_init_mem(CURL_GLOBAL_ALL, noting_malloc, free, noting_realloc, noting_strdup,
                             noting_calloc) != CURLE_OK) {
        return -ENOMEM;
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    return 0;
}

void probe_global_clear(void) {
    ares_library_cleanup();
    curl_global_cleanup();
}

static void run_free(struct hop *run) {
    if (run == NULL) {
        return;
    }
    if (event_initialized(&run->timer)) {
        event_del(&run->timer);
    }
    curl_easy_cleanup(run->easy);
    request_clear(&run->asked);
    answer_clear(&run->answer);
    trust_free(run->request.trust);
    identity_free(run->request.identity);
    free(run);
}

/* ---- what libcurl tells us on the way ---- */

/* The kept connection was dead, and libcurl begins again. It never clears its errno. */
static void forget_attempt(struct hop *run) {
    long error = 0;
    curl_easy_getinfo(run->easy, CURLINFO_OS_ERRNO, &error);
    run->stale_error = (int)error;
    run->socket_error = 0;
    run->socket = -1;
    run->error[0] = '\0';
    run->connecting = clock_now();
    run->connected = run->ready = NSEC_UNKNOWN;
    run->reused = run->received_data = false;
    run->received_before = run->received_bytes = 0;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
    struct hop *run = arg;
    (void)purpose;
    if (run->asked_times > 0) {
        forget_attempt(run);
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        run->socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    run->socket = fd;
    return fd;
}

/* By the kernel, ever, on the sample's connection. */
static uint64_t received_ever(const struct hop *run) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (run->socket >= 0 && getsockopt(run->socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
        /* the peer's FIN counts as one. After a reset nobody knows whether there was a FIN before,
         * but only where there was one does libcurl come to an end that asks for this count */
        bool ended = info.tcpi_state == KERNEL_CLOSE || info.tcpi_state == KERNEL_CLOSE_WAIT ||
                     info.tcpi_state == KERNEL_LAST_ACK;
        return info.tcpi_bytes_received - (ended && info.tcpi_bytes_received > 0 ? 1 : 0);
    }
    return 0;
}

static void count_received(struct hop *run) {
    uint64_t ever = received_ever(run);
    if (ever > run->received_before) {
        run->received_bytes = ever - run->received_before;
    }
}

/* A libcurl that shuts down TLS in the background may use a socket, and close it, after its sample
 * has ended: so the next two have the lane as argument, and look whose it is. */

/* The last moment to ask the kernel. */
static int on_close_socket(void *arg, curl_socket_t fd) {
    for (struct hop *run = *lane_runs(arg); run != NULL; run = run->next) {
        if (run->socket == fd) {
            if (run->answer.first_byte == NSEC_UNKNOWN && !run->request.site->url.tls) {
                count_received(run);
            }
            run->socket = -1;
            break;
        }
    }
    struct kept *kept = lane_kept(arg);
    if (kept != NULL) {
        kept_drop_link(kept, fd);
    }
    return close(fd);
}

static void on_tls_record(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl,
                          void *arg) {
    (void)version;
    /* TLS 1.3 tells every record's true type apart from its header, which says "data" of them all
     */
    int telling = SSL_version(ssl) == TLS1_3_VERSION ? SSL3_RT_INNER_CONTENT_TYPE : SSL3_RT_HEADER;
    bool data =
        type == telling && n > 0 && *(const unsigned char *)bytes == SSL3_RT_APPLICATION_DATA;
    if (sent ? type != SSL3_RT_HEADER : !data) {
        return;
    }
    const SSL_CTX *ssl_ctx = SSL_get_SSL_CTX(ssl);
    struct hop *run = *lane_runs(arg);
    while (run != NULL && run->ssl_ctx != ssl_ctx) {
        run = run->next;
    }
    if (run == NULL) {
        return;
    }
    if (!sent) {
        run->received_data = true;
    } else if (run->socket_error == 0) {
        /* before libcurl writes its goodbye into a connection that failed, which says EPIPE */
        long error = 0;
        curl_easy_getinfo(run->easy, CURLINFO_OS_ERRNO, &error);
        run->socket_error = error != run->stale_error ? (int)error : 0;
    }
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg) {
    struct hop *run = arg;
    (void)easy;
    run->connected = clock_now();
    if (run->request.trust != NULL) {
        trust_apply(run->request.trust, ssl_ctx);
    }
    if (run->request.identity != NULL && !identity_apply(run->request.identity, ssl_ctx)) {
        return CURLE_SSL_CERTPROBLEM;
    }
    if (run->request.site->tls.min_version < TLS_VERSION_1_2) {
        /* Debian's level 2 rules out the hashes that these versions sign with */
        SSL_CTX_set_security_level(ssl_ctx, 0);
    }
    SSL_CTX_set_msg_callback(ssl_ctx, on_tls_record);
    SSL_CTX_set_msg_callback_arg(ssl_ctx, run->lane);
    run->ssl_ctx = ssl_ctx;
    return CURLE_OK;
}

/* Of the chain that the server sent, the certificate that ends first. */
static nsec_t certificate_left(const struct hop *run) {
    struct curl_tlssessioninfo *tls = NULL;
    if (curl_easy_getinfo(run->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == NULL ||
        tls->internals == NULL) {
        return NSEC_UNKNOWN;
    }
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->internals);
    nsec_t left = NSEC_UNKNOWN;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int days, seconds;
        if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(sk_X509_value(chain, i))) !=
            1) {
            continue;
        }
        nsec_t of_this =
            days < 0 || seconds < 0 ? 0 : ((nsec_t)days * SECONDS_PER_DAY + seconds) * NSEC_PER_SEC;
        left = left == NSEC_UNKNOWN || of_this < left ? of_this : left;
    }
    return left;
}

/* A kept connection was chosen (no socket was opened), or one to be kept is there. */
static void know_link(struct hop *run, int local_port) {
    struct kept *kept = lane_kept(run->lane);
    if (!run->keeps) {
        return;
    }
    if (run->socket >= 0 && !run->reused) {
        struct kept_link link = {
            .fd = run->socket,
            .local_port = (uint16_t)local_port,
            .remote = *run->request.address,
            .ssl_ctx = run->ssl_ctx,
        };
        kept_add_link(kept, &link);
        return;
    }
    const struct kept_link *link = kept_find_link(kept, (uint16_t)local_port, run->request.address);
    run->reused = true;
    run->socket = link != NULL ? link->fd : -1; /* all are known, but for a lack of memory */
    run->ssl_ctx = link != NULL ? link->ssl_ctx : NULL;
    run->connected = NSEC_UNKNOWN;
    run->received_before = received_ever(run);
    run->received_bytes = 0;
}

/* libcurl has a connection, and is about to send the request. */
static int on_ready(void *arg, char *remote, char *local, int remote_port, int local_port) {
    struct hop *run = arg;
    (void)remote;
    (void)local;
    (void)remote_port;
    if (run->asked_times++ > 0 && run->reused) { /* again on a kept connection: none was opened */
        forget_attempt(run);
    }
    know_link(run, local_port);
    run->ready = clock_now();
    if (run->connected == NSEC_UNKNOWN) {
        run->connected = run->ready;
    }
    if (run->request.site->expect.certificate > 0 && run->request.site->url.tls) {
        run->certificate_left = certificate_left(run);
    }
    return CURL_PREREQFUNC_OK;
}

/* More than one coding on a body multiply: what is a little on the wire and nothing in the end can
 * be any amount of work in between. */
static size_t on_header(char *line, size_t size, size_t n, void *arg) {
    struct hop *run = arg;
    run->codings += coding_count(line, size * n, run->request.site->request.compressed);
    if (run->codings > 1) {
        run->forced = OUTCOME_PROTOCOL;
        run->forced_words = "a body coded more than once";
        return 0;
    }
    return answer_on_header(line, size, n, &run->answer);
}

/* ---- the end ---- */

static enum progress progress_of(const struct hop *run) {
    if (run->connected == NSEC_UNKNOWN) {
        return PROGRESS_CONNECT;
    }
    if (run->ready == NSEC_UNKNOWN) {
        return PROGRESS_TLS;
    }
    if (run->answer.first_byte != NSEC_UNKNOWN) {
        return PROGRESS_ANSWER;
    }
    /* part of a first line, which no callback shows; after interim answers only the plain count
     * tells */
    bool some = run->request.site->url.tls ? run->received_data && run->answer.head_bytes == 0
                                           : run->received_bytes > run->answer.head_bytes;
    return some ? PROGRESS_ANSWER : PROGRESS_REQUEST;
}

static bool is_same_address(const struct address *address, const char *text) {
    unsigned char bytes[sizeof address->bytes];
    size_t n = address->family == AF_INET ? 4 : 16;
    return inet_pton(address->family, text, bytes) == 1 && memcmp(bytes, address->bytes, n) == 0;
}

static int error_of(const struct hop *run, CURLcode code) {
    if (run->socket_error != 0) {
        return run->socket_error;
    }
    long error = 0;
    curl_easy_getinfo(run->easy, CURLINFO_OS_ERRNO, &error);
    if (error == run->stale_error && code == CURLE_GOT_NOTHING) {
        return 0; /* an end without an error; that of the attempt before had one */
    }
    /* no local port left, and no local address of that family, are one errno */
    if (error == EADDRNOTAVAIL && !route_exists(run->request.address)) {
        return ENETUNREACH;
    }
    return (int)error;
}

static outcome_t outcome_of(struct hop *run, CURLcode code, enum progress progress) {
    char *remote = NULL;
    curl_easy_getinfo(run->easy, CURLINFO_PRIMARY_IP, &remote);
    if (remote != NULL && *remote != '\0' && !is_same_address(run->request.address, remote)) {
        log_internal("%s: asked for %s, got a connection to %s", run->request.site->name,
                     run->request.address->text, remote);
        return OUTCOME_LOCAL_RESOURCE;
    }
    struct classify_input input = {
        .code = (int)code,
        .progress = progress,
        .error = error_of(run, code),
        .tls = run->request.site->url.tls,
        .proxied = run->request.site->request.proxy != NULL,
        .head_complete = run->answer.head == HEAD_DONE,
        .head_too_large = run->answer.head_too_large,
        .body_stopped = run->answer.body_stopped,
        .memory_failed = memory_failed || run->answer.memory_failed,
    };
    curl_easy_getinfo(run->easy, CURLINFO_RESPONSE_CODE, &input.status);
    return classify(&input);
}

static nsec_t between(nsec_t from, nsec_t to) {
    return from == NSEC_UNKNOWN || to == NSEC_UNKNOWN ? NSEC_UNKNOWN : to - from;
}

/* libcurl's own words, where they say what happened. */
static const char *words_of(const struct hop *run, CURLcode code, outcome_t outcome) {
    if (outcome == OUTCOME_TOO_LARGE) {
        return "more than 64 KiB of head";
    }
    if (code == CURLE_OK) {
        return outcome == OUTCOME_TRUNCATED ? "closed in the middle of the head"
                                            : "an answer that nobody asked for, or not HTTP";
    }
    return run->error[0] != '\0' ? run->error : curl_easy_strerror(code);
}

/* Every hop ends here. */
static void finish(struct hop *run, CURLcode code, const char *words) {
    nsec_t now = clock_now();
    enum progress progress = progress_of(run); /* before libcurl reads what else has come */
    event_del(&run->timer);
    lane_remove(run->lane, run->easy); /* closes its socket, if that is still open */
    *(run->previous != NULL ? &run->previous->next : lane_runs(run->lane)) = run->next;
    if (run->next != NULL) {
        run->next->previous = run->previous;
    }

    struct hop_result result = {
        .sample_began = run->request.began,
        .ended = now,
        .certificate_left = run->certificate_left,
    };
    result.outcome = run->forced != OUTCOME_NONE ? run->forced : outcome_of(run, code, progress);
    memory_failed = false;
    long port = 0;
    curl_easy_getinfo(run->easy, CURLINFO_LOCAL_PORT, &port);
    result.local_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
    result.phases[PHASE_DNS] = NSEC_UNKNOWN;
    result.repeated = (uint16_t)(run->asked_times > 1 ? run->asked_times - 1 : 0);
    result.phases[PHASE_CONNECT] =
        run->reused ? NSEC_UNKNOWN : between(run->connecting, run->connected);
    result.phases[PHASE_TLS] = run->request.site->url.tls && !run->reused
                                   ? between(run->connected, run->ready)
                                   : NSEC_UNKNOWN;
    result.phases[PHASE_FIRST_BYTE] = between(run->ready, run->answer.first_byte);
    result.phases[PHASE_TRANSFER] =
        run->answer.head == HEAD_DONE ? between(run->answer.first_byte, now) : NSEC_UNKNOWN;
    if (!outcome_is_status(result.outcome)) {
        if (words == NULL) {
            words =
                run->forced_words != NULL ? run->forced_words : words_of(run, code, result.outcome);
        }
        text_escape(words, strlen(words), result.words, sizeof result.words);
    }
    struct answer answer = run->answer;
    run->answer = (struct answer){0};
    result.answer = &answer;
    hop_on_end *on_end = run->request.on_end;
    void *arg = run->request.arg;
    run_free(run);
    on_end(&result, arg);
    answer_clear(&answer);
}

static void on_done(CURL *easy, CURLcode code) {
    struct hop *run = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &run);
    finish(run, code, NULL);
}

static const char *waiting_for(enum progress progress, bool proxied) {
    switch (progress) {
    case PROGRESS_CONNECT:
        return proxied ? "no connection through the proxy" : "no TCP connection";
    case PROGRESS_TLS:
        return "the TLS handshake was not done";
    case PROGRESS_REQUEST:
        return "no byte of the answer";
    case PROGRESS_ANSWER:
        return "the answer was not complete";
    }
    return "";
}

/* It took too long: the site's fault, unless we were not there to listen. `lag` is how late our own timer
 * was. */
static void expire(struct hop *run, const char *of, nsec_t lag) {
    char words[PROBE_WORDS_BYTES];
    nsec_t now = clock_now();
    nsec_t absent = lane_absent(run->lane, now) - run->request.absent_before;
    if (absent < lag) {
        absent = lag;
    }
    if (absent > run->request.site->timeout / 4 && absent > 10 * NSEC_PER_MSEC) {
        run->forced = OUTCOME_LOCAL_RESOURCE;
        snprintf(words, sizeof words, "our own loop was away for %.1f ms",
                 (double)absent / NSEC_PER_MSEC);
    } else {
        count_received(run);
        snprintf(words, sizeof words, "%s after %.1f ms (%s)",
                 waiting_for(progress_of(run), run->request.site->request.proxy != NULL),
                 (double)(now - run->request.began) / NSEC_PER_MSEC, of);
    }
    finish(run, CURLE_OPERATION_TIMEDOUT, words);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg) {
    struct hop *run = arg;
    (void)fd;
    (void)what;
    nsec_t lag = clock_now() - run->request.began - run->request.site->timeout;
    struct timeval left = loop_timeval(-lag);
    /* libevent counts from when its turn began, which was before the sample did */
    if (lag < 0 && event_add(&run->timer, &left) == 0) {
        return;
    }
    expire(run, "timeout", lag);
}

void hop_end(struct hop *run, outcome_t forced) {
    run->forced = forced;
    if (forced != OUTCOME_NONE) {
        finish(run, CURLE_ABORTED_BY_CALLBACK, "ended by tallyd");
    } else {
        expire(run, "the round's deadline", 0);
    }
}

static void on_read(struct probe_lane *lane, int fd) {
    struct hop *run = *lane_runs(lane);
    while (run != NULL && run->socket != fd) {
        run = run->next;
    }
    if (run == NULL) {
        return; /* ended by what was read */
    }
    count_received(run);
    uint64_t most = ANSWER_HEAD_BYTES_MOST + WIRE_BYTES_MORE +
                    WIRE_FACTOR * (uint64_t)run->request.site->body_limit_bytes;
    if (run->received_bytes > most) {
        enum progress progress = progress_of(run);
        run->forced = progress == PROGRESS_CONNECT ? OUTCOME_PROXY /* it alone can speak by now */
                      : progress == PROGRESS_TLS   ? OUTCOME_TLS_HANDSHAKE
                                                   : OUTCOME_PROTOCOL;
        finish(run, CURLE_ABORTED_BY_CALLBACK, "more bytes than any answer needs");
    }
}

/* ---- the beginning ---- */

static bool configure(struct hop *run) {
    CURL *easy = run->easy;
    const struct site *site = run->request.site;
    return request_apply(&run->asked, easy, site, run->request.address, run->keeps) &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, run) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, run->lane) == CURLE_OK &&
           (!site->url.tls ||
            (curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, run) == CURLE_OK)) &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, run) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, run) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, &run->answer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, run->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, run) == CURLE_OK;
}

int hop_start(struct probe_lane *lane, const struct hop_request *request, struct hop **ret_hop) {
    assert(!request->site->url.tls || !request->site->tls.verify || request->trust != NULL);
    struct hop *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return -ENOMEM;
    }
    run->lane = lane;
    run->request = *request;
    run->request.trust = trust_ref(request->trust);
    run->request.identity = identity_ref(request->identity);
    run->keeps = request->may_keep && lane_kept(lane) != NULL &&
                 kept_fits(lane_kept(lane), request->trust, request->identity);
    run->socket = -1;
    run->certificate_left = NSEC_UNKNOWN;
    run->connected = run->ready = NSEC_UNKNOWN;
    event_assign(&run->timer, lane_base(lane), -1, 0, on_timeout, run);
    run->easy = curl_easy_init();
    int r = -ENOMEM;
    answer_init(&run->answer, run->easy, request->site);
    if (run->easy == NULL || !configure(run)) {
        goto fail;
    }
    run->connecting = clock_now();
    if (request->began == NSEC_UNKNOWN) {
        run->request.began = run->connecting;
    }
    struct timeval timeout =
        loop_timeval(run->request.began + request->site->timeout - run->connecting);
    if (event_add(&run->timer, &timeout) != 0) {
        goto fail;
    }
    r = lane_add(lane, run->easy);
    if (r != 0) {
        goto fail;
    }
    run->next = *lane_runs(lane);
    if (run->next != NULL) {
        run->next->previous = run;
    }
    *lane_runs(lane) = run;
    *ret_hop = run;
    return 0;

fail:
    run_free(run);
    return r;
}

int hop_engine_new(struct event_base *base, struct probe_engine **ret_engine) {
    return lane_engine_new(base, on_done, on_read, ret_engine);
}
