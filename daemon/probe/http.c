/* HTTP and HTTPS by libcurl: one easy handle, one connection, one request, one answer a hop.
 *
 * This file is a hop's life, from start to its one end. What is asked is request.c's, what comes
 * back answer.c's, and what it means classify.c's; what a sample makes of its hops is follow.c's.
 *
 * Time: our own stamps. connect ends where libcurl makes the SSL_CTX (https) or asks leave to send
 * the request (http); tls ends at that same leave; the first byte is the first header line of a
 * final answer. The time limit is our own timer as well, so that there is one place where a sample
 * that takes too long ends. When the loop was away for more than a quarter of the limit (a SIGSTOP,
 * a starved CPU) and for that asked late, or was not there to hear the answer, that is our failure,
 * not the site's.
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
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WINDOW_BYTES = 64 << 10,     /* so much a server may always send before we take any of it */
    WIRE_FACTOR = 8,             /* a body in chunks of one byte each takes six times its size */
    WIRE_BYTES_MORE = 256 << 10, /* handshakes with long chains, tickets, chunk extensions */
    PROXY_BYTES_MOST = 64 << 10, /* of its answer to CONNECT */
};

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

    nsec_t connecting;            /* since when: the hop's begin, or a repetition's */
    nsec_t connected, ready;      /* NSEC_UNKNOWN: not reached */
    nsec_t wall_certificate_ends; /* NSEC_UNKNOWN: not known */
    bool reused;                  /* `connected` and `ready` are when the connection was chosen */
    unsigned asked_times;         /* requests that libcurl began to send */
    uint64_t received_before;     /* by the kernel, on a kept connection, before the request */
    uint64_t received_bytes;      /* by the kernel since then, TLS and all */
    nsec_t absent_asked;          /* the lane's count when we last said something to the server */
    const SSL_CTX *ssl_ctx;       /* libcurl's, for comparison only */
    unsigned codings;             /* of the body, by the heads so far */
    unsigned proxy_bytes;         /* of the answer to CONNECT, and a few more */
    bool received_data;           /* TLS: a record of application data came */
    bool overdue;                 /* the time was over while libcurl still unpacked */
    int socket_error;         /* errno of socket(), which libcurl does not pass on, or of the first
                                 read or write that failed under TLS; 0: not known */
    int stale_error;          /* libcurl's errno of an attempt that it repeated */
    int late_error;           /* what the kernel had to say of the socket when it was closed */
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

static void hop_free(struct hop *hop) {
    if (hop == NULL) {
        return;
    }
    if (event_initialized(&hop->timer)) {
        event_del(&hop->timer);
    }
    curl_easy_cleanup(hop->easy);
    request_clear(&hop->asked);
    answer_clear(&hop->answer);
    trust_free(hop->request.trust);
    identity_free(hop->request.identity);
    free(hop);
}

/* ---- what libcurl tells us on the way ---- */

/* The kept connection was dead, and libcurl begins again. It never clears its errno. */
static void forget_attempt(struct hop *hop) {
    long error = 0;
    curl_easy_getinfo(hop->easy, CURLINFO_OS_ERRNO, &error);
    hop->stale_error = (int)error;
    hop->socket_error = hop->late_error = 0;
    hop->socket = -1;
    hop->error[0] = '\0';
    hop->connecting = clock_now();
    hop->connected = hop->ready = NSEC_UNKNOWN;
    hop->reused = hop->received_data = false;
    hop->received_before = hop->received_bytes = 0;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
    struct hop *hop = arg;
    (void)purpose;
    if (hop->asked_times > 0) {
        forget_attempt(hop);
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        hop->socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    hop->socket = fd;
    hop->absent_asked = lane_absent(hop->lane, clock_now());
    return fd;
}

/* By the kernel, ever, on the sample's connection. */
static uint64_t received_ever(const struct hop *hop) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (hop->socket >= 0 && getsockopt(hop->socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
        /* the peer's FIN counts as one. After a reset nobody knows whether there was a FIN before,
         * but only where there was one does libcurl come to an end that asks for this count */
        bool ended = info.tcpi_state == KERNEL_CLOSE || info.tcpi_state == KERNEL_CLOSE_WAIT ||
                     info.tcpi_state == KERNEL_LAST_ACK;
        return info.tcpi_bytes_received - (ended && info.tcpi_bytes_received > 0 ? 1 : 0);
    }
    return 0;
}

static void count_received(struct hop *hop) {
    uint64_t ever = received_ever(hop);
    if (ever > hop->received_before) {
        hop->received_bytes = ever - hop->received_before;
    }
}

/* The kernel may tell of an error (poll: POLLERR) a moment before it says which: libcurl's SO_ERROR
 * is 0 then, and the errno gets lost (Linux 6.18, an ICMP message that comes while connect() returns;
 * one connection in some thousands). TCP_INFO takes the socket's lock, so whatever the kernel is in
 * the middle of is over afterwards. */
static int ask_error(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    int error = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return 0;
    }
    size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : 0;
}

/* A libcurl that shuts down TLS in the background may use a socket, and close it, after its sample
 * has ended: so the next two have the lane as argument, and look whose it is. */

/* The last moment to ask the kernel. */
static int on_close_socket(void *arg, curl_socket_t fd) {
    for (struct hop *hop = *lane_hops(arg); hop != NULL; hop = hop->next) {
        if (hop->socket == fd) {
            if (hop->answer.first_byte == NSEC_UNKNOWN) {
                if (!hop->request.site->url.tls) {
                    count_received(hop);
                }
                hop->late_error = ask_error(fd);
            }
            hop->socket = -1;
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
    struct hop *hop = *lane_hops(arg);
    while (hop != NULL && hop->ssl_ctx != ssl_ctx) {
        hop = hop->next;
    }
    if (hop == NULL) {
        return;
    }
    if (!sent) {
        hop->received_data = true;
        return;
    }
    hop->absent_asked = lane_absent(hop->lane, clock_now());
    if (hop->socket_error == 0) {
        /* before libcurl writes its goodbye into a connection that failed, which says EPIPE */
        long error = 0;
        curl_easy_getinfo(hop->easy, CURLINFO_OS_ERRNO, &error);
        hop->socket_error = error != hop->stale_error ? (int)error : 0;
    }
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg) {
    struct hop *hop = arg;
    (void)easy;
    hop->connected = clock_now();
    if (hop->request.trust != NULL) {
        trust_apply(hop->request.trust, ssl_ctx);
    }
    if (hop->request.identity != NULL && !identity_apply(hop->request.identity, ssl_ctx)) {
        return CURLE_SSL_CERTPROBLEM;
    }
    if (hop->request.site->tls.min_version < TLS_VERSION_1_2) {
        /* Debian's level 2 rules out the hashes that these versions sign with */
        SSL_CTX_set_security_level(ssl_ctx, 0);
    }
    SSL_CTX_set_msg_callback(ssl_ctx, on_tls_record);
    SSL_CTX_set_msg_callback_arg(ssl_ctx, hop->lane);
    hop->ssl_ctx = ssl_ctx;
    return CURLE_OK;
}

/* The answer to CONNECT is read byte by byte and in one go, as long as there is any, and where it is a
 * 407 without a bound: an endless one would hold up the loop. This is called for every byte. */
static int on_progress(void *arg, curl_off_t to_receive, curl_off_t received, curl_off_t to_send,
                       curl_off_t sent) {
    struct hop *hop = arg;
    (void)to_receive;
    (void)received;
    (void)to_send;
    (void)sent;
    if (hop->connected != NSEC_UNKNOWN || ++hop->proxy_bytes <= PROXY_BYTES_MOST) {
        return 0;
    }
    hop->forced = OUTCOME_PROXY;
    hop->forced_words = "more than 64 KiB from the proxy in the place of a tunnel";
    return 1; /* ends it */
}

static nsec_t wall_time_of(const ASN1_TIME *time) {
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return NSEC_UNKNOWN;
    }
    time_t seconds = timegm(&parts);
    /* "for ever" is the year 9999 (RFC 5280 4.1.2.5), and nsec_t ends before */
    return seconds < 0                          ? 0
           : seconds > INT64_MAX / NSEC_PER_SEC ? INT64_MAX
                                                : seconds * NSEC_PER_SEC;
}

/* Of the chain that the server sent, the certificate that ends first. */
static nsec_t wall_certificate_ends(const struct hop *hop) {
    struct curl_tlssessioninfo *tls = NULL;
    if (curl_easy_getinfo(hop->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == NULL ||
        tls->internals == NULL) {
        return NSEC_UNKNOWN;
    }
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->internals);
    nsec_t first = NSEC_UNKNOWN;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        nsec_t ends = wall_time_of(X509_get0_notAfter(sk_X509_value(chain, i)));
        if (ends != NSEC_UNKNOWN && (first == NSEC_UNKNOWN || ends < first)) {
            first = ends;
        }
    }
    return first;
}

/* A kept connection was chosen (no socket was opened), or one to be kept is there. */
static void know_link(struct hop *hop, int local_port) {
    struct kept *kept = lane_kept(hop->lane);
    if (!hop->keeps) {
        return;
    }
    if (hop->socket >= 0 && !hop->reused) {
        struct kept_link link = {
            .fd = hop->socket,
            .local_port = (uint16_t)local_port,
            .remote = *hop->request.address,
            .ssl_ctx = hop->ssl_ctx,
        };
        kept_add_link(kept, &link);
        return;
    }
    const struct kept_link *link = kept_find_link(kept, (uint16_t)local_port, hop->request.address);
    hop->reused = true;
    hop->socket = link != NULL ? link->fd : -1; /* all are known, but for a lack of memory */
    hop->ssl_ctx = link != NULL ? link->ssl_ctx : NULL;
    hop->connected = NSEC_UNKNOWN;
    hop->received_before = received_ever(hop);
    hop->received_bytes = 0;
}

/* libcurl has a connection, and is about to send the request. */
static int on_ready(void *arg, char *remote, char *local, int remote_port, int local_port) {
    struct hop *hop = arg;
    (void)remote;
    (void)local;
    (void)remote_port;
    if (hop->asked_times++ > 0 && hop->reused) { /* again on a kept connection: none was opened */
        forget_attempt(hop);
    }
    know_link(hop, local_port);
    hop->ready = clock_now();
    hop->absent_asked = lane_absent(hop->lane, hop->ready);
    if (hop->connected == NSEC_UNKNOWN) {
        hop->connected = hop->ready;
    }
    if (hop->request.site->url.tls) {
        hop->wall_certificate_ends = wall_certificate_ends(hop);
    }
    return CURL_PREREQFUNC_OK;
}

/* More than one coding on a body multiply: what is a little on the wire and nothing in the end can
 * be any amount of work in between. */
static size_t on_header(char *line, size_t size, size_t n, void *arg) {
    struct hop *hop = arg;
    hop->codings += coding_count(line, size * n, hop->request.site->request.compressed);
    if (hop->codings > 1) {
        hop->forced = OUTCOME_PROTOCOL;
        hop->forced_words = "a body coded more than once";
        return 0;
    }
    return answer_on_header(line, size, n, &hop->answer);
}

/* A little on the wire may be gigabytes in the end, which libcurl unpacks in one go: our timer has no
 * turn meanwhile. */
static size_t on_body(char *bytes, size_t size, size_t n, void *arg) {
    struct hop *hop = arg;
    hop->overdue = clock_now() - hop->request.began > hop->request.site->timeout;
    return hop->overdue ? 0 : answer_on_body(bytes, size, n, &hop->answer);
}

/* ---- the end ---- */

static enum progress progress_of(const struct hop *hop) {
    if (hop->connected == NSEC_UNKNOWN) {
        return PROGRESS_CONNECT;
    }
    if (hop->ready == NSEC_UNKNOWN) {
        return PROGRESS_TLS;
    }
    if (hop->answer.first_byte != NSEC_UNKNOWN) {
        return PROGRESS_ANSWER;
    }
    /* part of a first line, which no callback shows; after interim answers only the plain count
     * tells */
    bool some = hop->request.site->url.tls ? hop->received_data && hop->answer.head_bytes == 0
                                           : hop->received_bytes > hop->answer.head_bytes;
    return some ? PROGRESS_ANSWER : PROGRESS_REQUEST;
}

static bool is_same_address(const struct address *address, const char *text) {
    unsigned char bytes[sizeof address->bytes];
    size_t n = address->family == AF_INET ? 4 : 16;
    return inet_pton(address->family, text, bytes) == 1 && memcmp(bytes, address->bytes, n) == 0;
}

static int error_of(const struct hop *hop, CURLcode code) {
    if (hop->socket_error != 0) {
        return hop->socket_error;
    }
    long error = 0;
    curl_easy_getinfo(hop->easy, CURLINFO_OS_ERRNO, &error);
    if (error == hop->stale_error && code == CURLE_GOT_NOTHING) {
        return 0; /* an end without an error; that of the attempt before had one */
    }
    if ((error == 0 || error == hop->stale_error) && code == CURLE_COULDNT_CONNECT &&
        hop->late_error != 0) {
        return hop->late_error;
    }
    /* no local port left, and no local address of that family, are one errno */
    if (error == EADDRNOTAVAIL && !route_exists(hop->request.address)) {
        return ENETUNREACH;
    }
    return (int)error;
}

static outcome_t outcome_of(struct hop *hop, CURLcode code, enum progress progress) {
    char *remote = NULL;
    curl_easy_getinfo(hop->easy, CURLINFO_PRIMARY_IP, &remote);
    if (remote != NULL && *remote != '\0' && !is_same_address(hop->request.address, remote)) {
        log_internal("%s: asked for %s, got a connection to %s", hop->request.site->name,
                     hop->request.address->text, remote);
        return OUTCOME_LOCAL_RESOURCE;
    }
    struct classify_input input = {
        .code = (int)code,
        .progress = progress,
        .error = error_of(hop, code),
        .tls = hop->request.site->url.tls,
        .proxied = hop->request.site->request.proxy != NULL,
        .head_complete = hop->answer.head == HEAD_DONE,
        .head_too_large = hop->answer.head_too_large,
        .body_stopped = hop->answer.body_stopped,
        .memory_failed = memory_failed || hop->answer.memory_failed,
    };
    curl_easy_getinfo(hop->easy, CURLINFO_RESPONSE_CODE, &input.status);
    return classify(&input);
}

/* Of what ended as our own failure: it was not that we were late. */
static bool is_exhausted(const struct hop *hop, CURLcode code) {
    if (code == CURLE_OPERATION_TIMEDOUT && lane_is_deaf(hop->lane)) {
        return true;
    }
    return hop->forced == OUTCOME_NONE &&
           (memory_failed || hop->answer.memory_failed || code == CURLE_OUT_OF_MEMORY ||
            code == CURLE_COULDNT_CONNECT);
}

static nsec_t between(nsec_t from, nsec_t to) {
    return from == NSEC_UNKNOWN || to == NSEC_UNKNOWN ? NSEC_UNKNOWN : to - from;
}

/* libcurl's own words, where they say what happened. */
static const char *words_of(struct hop *hop, CURLcode code, outcome_t outcome) {
    int error = code == CURLE_COULDNT_CONNECT ? error_of(hop, code) : 0;
    char *vague = error != 0 ? strstr(hop->error, curl_easy_strerror(code)) : NULL;
    if (vague != NULL) { /* it says that it could not, not why */
        snprintf(vague, sizeof hop->error - (size_t)(vague - hop->error), "%s", strerror(error));
    }
    if (outcome == OUTCOME_TOO_LARGE) {
        return "more than 64 KiB of head";
    }
    if (code == CURLE_OK) {
        return outcome == OUTCOME_TRUNCATED ? "closed in the middle of the head"
                                            : "an answer that nobody asked for, or not HTTP";
    }
    return hop->error[0] != '\0' ? hop->error : curl_easy_strerror(code);
}

/* Every hop ends here. */
static void finish(struct hop *hop, CURLcode code, const char *words) {
    nsec_t now = clock_now();
    enum progress progress = progress_of(hop); /* before libcurl reads what else has come */
    event_del(&hop->timer);
    lane_remove(hop->lane, hop->easy); /* closes its socket, if that is still open */
    *(hop->previous != NULL ? &hop->previous->next : lane_hops(hop->lane)) = hop->next;
    if (hop->next != NULL) {
        hop->next->previous = hop->previous;
    }

    struct hop_result result = {
        .sample_began = hop->request.began,
        .ended = now,
        .wall_certificate_ends = hop->wall_certificate_ends,
    };
    result.outcome = hop->forced != OUTCOME_NONE ? hop->forced : outcome_of(hop, code, progress);
    result.exhausted = result.outcome == OUTCOME_LOCAL_RESOURCE && is_exhausted(hop, code);
    memory_failed = false;
    long port = 0;
    curl_easy_getinfo(hop->easy, CURLINFO_LOCAL_PORT, &port);
    result.local_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
    result.phases[PHASE_DNS] = NSEC_UNKNOWN;
    result.repeated = (uint16_t)(hop->asked_times > 1 ? hop->asked_times - 1 : 0);
    result.phases[PHASE_CONNECT] =
        hop->reused ? NSEC_UNKNOWN : between(hop->connecting, hop->connected);
    result.phases[PHASE_TLS] = hop->request.site->url.tls && !hop->reused
                                   ? between(hop->connected, hop->ready)
                                   : NSEC_UNKNOWN;
    result.phases[PHASE_FIRST_BYTE] = between(hop->ready, hop->answer.first_byte);
    result.phases[PHASE_TRANSFER] =
        hop->answer.head == HEAD_DONE ? between(hop->answer.first_byte, now) : NSEC_UNKNOWN;
    if (!outcome_is_status(result.outcome)) {
        if (words == NULL) {
            words =
                hop->forced_words != NULL ? hop->forced_words : words_of(hop, code, result.outcome);
        }
        text_escape(words, strlen(words), result.words, sizeof result.words);
    }
    struct answer answer = hop->answer;
    hop->answer = (struct answer){0};
    result.answer = &answer;
    hop_on_end *on_end = hop->request.on_end;
    void *arg = hop->request.arg;
    hop_free(hop);
    on_end(&result, arg);
    answer_clear(&answer);
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

/* Whether something has come that the loop has had no turn to see. */
static bool has_unseen(const struct hop *hop) {
    short what = hop->connected == NSEC_UNKNOWN ? POLLOUT : POLLIN;
    struct pollfd come = {.fd = hop->socket, .events = what};
    return hop->socket < 0 || poll(&come, 1, 0) != 0;
}

/* For how long, of the sample's time, it was us who were not there. All that has come was seen, and
 * the server did not wait for us to take more: then only what kept us from asking is ours. */
static nsec_t absence_of(struct hop *hop, nsec_t now) {
    bool waited = hop->received_bytes > WINDOW_BYTES || has_unseen(hop);
    return (waited ? lane_absent(hop->lane, now) : hop->absent_asked) - hop->request.absent_before;
}

#define KERNEL_TICK (10 * NSEC_PER_MSEC) /* the coarsest that kernels are built with */

/* For how long something that came before has waited for the loop, by the kernel's clock; 0: nothing has.
 * A loop with too much to do turns all the time, and is not absent, but has not heard all. An end alone
 * does not count: nobody knows since when it waits, and an answer that ends unbegun is the site's. */
static nsec_t unheard_for(const struct hop *hop, nsec_t had) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    bool connecting = hop->connected == NSEC_UNKNOWN; /* with a proxy: to the site, through it */
    int bytes = 0;
    if (hop->socket < 0 ||
        (connecting && (hop->reused || hop->request.site->request.proxy != NULL)) ||
        !has_unseen(hop) ||
        (!connecting && (ioctl(hop->socket, FIONREAD, &bytes) != 0 || bytes == 0)) ||
        getsockopt(hop->socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return 0;
    }
    nsec_t since =
        NSEC_PER_MSEC * (connecting ? info.tcpi_last_ack_recv : info.tcpi_last_data_recv);
    /* more: it came before the sample, or never */
    return since <= had + KERNEL_TICK ? since : 0;
}

/* It took too long: the site's fault, unless we were not there to listen. `lag` is how late our own
 * timer was: who knows what came meanwhile. */
static void expire(struct hop *hop, const char *of, nsec_t lag) {
    char words[PROBE_WORDS_BYTES];
    nsec_t now = clock_now();
    count_received(hop);
    nsec_t absent = absence_of(hop, now);
    if (absent < lag) {
        absent = lag;
    }
    nsec_t had = now - hop->request.began; /* less than the timeout where a deadline ends it */
    if (had > hop->request.site->timeout) {
        had = hop->request.site->timeout;
    }
    nsec_t unheard = unheard_for(hop, had);
    if (lane_is_deaf(hop->lane)) {
        hop->forced = OUTCOME_LOCAL_RESOURCE;
        snprintf(words, sizeof words, "there was no memory to watch its connection");
    } else if (absent > had / 4 && absent > 10 * NSEC_PER_MSEC) {
        hop->forced = OUTCOME_LOCAL_RESOURCE;
        snprintf(words, sizeof words, "our own loop was away for %.1f ms",
                 (double)absent / NSEC_PER_MSEC);
    } else if (unheard > had / 4 && unheard > KERNEL_TICK && unheard > lag) {
        hop->forced = OUTCOME_LOCAL_RESOURCE;
        snprintf(words, sizeof words, "our own loop had no turn for what came %.1f ms before",
                 (double)unheard / NSEC_PER_MSEC);
    } else {
        snprintf(words, sizeof words, "%s after %.1f ms (%s)",
                 waiting_for(progress_of(hop), hop->request.site->request.proxy != NULL),
                 (double)(now - hop->request.began) / NSEC_PER_MSEC, of);
    }
    finish(hop, CURLE_OPERATION_TIMEDOUT, words);
}

static void on_done(CURL *easy, CURLcode code) {
    struct hop *hop = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &hop);
    if (hop->overdue) {
        expire(hop, "timeout", clock_now() - hop->request.began - hop->request.site->timeout);
    } else {
        finish(hop, code, NULL);
    }
}

static void on_timeout(evutil_socket_t fd, short what, void *arg) {
    struct hop *hop = arg;
    (void)fd;
    (void)what;
    nsec_t lag = clock_now() - hop->request.began - hop->request.site->timeout;
    struct timeval left = loop_timeval(-lag);
    /* libevent counts from when its turn began, which was before the sample did */
    if (lag < 0 && event_add(&hop->timer, &left) == 0) {
        return;
    }
    expire(hop, "timeout", lag);
}

void hop_end(struct hop *hop, outcome_t forced) {
    hop->forced = forced;
    if (forced != OUTCOME_NONE) {
        finish(hop, CURLE_ABORTED_BY_CALLBACK, "ended by tallyd");
    } else {
        expire(hop, "the round's deadline", 0);
    }
}

static void on_read(struct probe_lane *lane, int fd) {
    struct hop *hop = *lane_hops(lane);
    while (hop != NULL && hop->socket != fd) {
        hop = hop->next;
    }
    if (hop == NULL) {
        return; /* ended by what was read */
    }
    count_received(hop);
    uint64_t most = ANSWER_HEAD_BYTES_MOST + WIRE_BYTES_MORE +
                    WIRE_FACTOR * (uint64_t)hop->request.site->body_limit_bytes;
    if (hop->received_bytes > most) {
        enum progress progress = progress_of(hop);
        hop->forced = progress == PROGRESS_CONNECT ? OUTCOME_PROXY /* it alone can speak by now */
                      : progress == PROGRESS_TLS   ? OUTCOME_TLS_HANDSHAKE
                                                   : OUTCOME_PROTOCOL;
        finish(hop, CURLE_ABORTED_BY_CALLBACK, "more bytes than any answer needs");
    }
}

/* ---- the beginning ---- */

static bool configure(struct hop *hop) {
    CURL *easy = hop->easy;
    const struct site *site = hop->request.site;
    return request_apply(&hop->asked, easy, site, hop->request.address, hop->keeps) &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, hop) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, hop->lane) == CURLE_OK &&
           (!site->url.tls ||
            (curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, hop) == CURLE_OK)) &&
           (!site->url.tls || site->request.proxy == NULL ||
            (curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_XFERINFODATA, hop) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) == CURLE_OK)) &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, hop) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, hop) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, hop) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, hop->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, hop) == CURLE_OK;
}

int hop_start(struct probe_lane *lane, const struct hop_request *request, struct hop **ret_hop) {
    assert(!request->site->url.tls || !request->site->tls.verify || request->trust != NULL);
    struct hop *hop = calloc(1, sizeof *hop);
    if (hop == NULL) {
        return -ENOMEM;
    }
    hop->lane = lane;
    hop->request = *request;
    hop->request.trust = trust_ref(request->trust);
    hop->request.identity = identity_ref(request->identity);
    hop->keeps = request->may_keep && lane_kept(lane) != NULL &&
                 kept_fits(lane_kept(lane), request->trust, request->identity);
    hop->socket = -1;
    hop->wall_certificate_ends = NSEC_UNKNOWN;
    hop->connected = hop->ready = NSEC_UNKNOWN;
    event_assign(&hop->timer, lane_base(lane), -1, 0, on_timeout, hop);
    hop->easy = curl_easy_init();
    int r = -ENOMEM;
    answer_init(&hop->answer, hop->easy, request->site);
    if (hop->easy == NULL || !configure(hop)) {
        goto fail;
    }
    hop->connecting = clock_now();
    if (request->began == NSEC_UNKNOWN) {
        hop->request.began = hop->connecting;
    }
    struct timeval timeout =
        loop_timeval(hop->request.began + request->site->timeout - hop->connecting);
    if (event_add(&hop->timer, &timeout) != 0) {
        goto fail;
    }
    r = lane_add(lane, hop->easy);
    if (r != 0) {
        goto fail;
    }
    hop->next = *lane_hops(lane);
    if (hop->next != NULL) {
        hop->next->previous = hop;
    }
    *lane_hops(lane) = hop;
    *ret_hop = hop;
    return 0;

fail:
    memory_failed = false; /* it is told already, and of no other sample */
    hop_free(hop);
    return r;
}

int hop_engine_new(struct event_base *base, struct probe_engine **ret_engine) {
    return lane_engine_new(base, on_done, on_read, ret_engine);
}
