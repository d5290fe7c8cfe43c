#include "probe/classify.h"

#include <check.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One row of the table a line: what libcurl says, how far it was, errno, https; and the class. */
static const struct {
    int code;
    enum progress progress;
    int error;
    bool tls;
    outcome_t outcome;
} cases[] = {
    {CURLE_OPERATION_TIMEDOUT, PROGRESS_CONNECT, 0, false, OUTCOME_CONNECT_TIMEOUT},
    {CURLE_OPERATION_TIMEDOUT, PROGRESS_TLS, 0, true, OUTCOME_TLS_TIMEOUT},
    {CURLE_OPERATION_TIMEDOUT, PROGRESS_REQUEST, 0, false, OUTCOME_FIRST_BYTE_TIMEOUT},
    {CURLE_OPERATION_TIMEDOUT, PROGRESS_ANSWER, 0, true, OUTCOME_TRANSFER_TIMEOUT},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ECONNREFUSED, false, OUTCOME_CONNECT_REFUSED},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ENETUNREACH, false, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EHOSTUNREACH, true, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ENETDOWN, false, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EHOSTDOWN, false, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EACCES, false, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EPERM, false, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EAFNOSUPPORT, false, OUTCOME_CONNECT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ETIMEDOUT, false, OUTCOME_CONNECT_TIMEOUT},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ECONNRESET, false, OUTCOME_RESET},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ECONNRESET, true, OUTCOME_TLS_HANDSHAKE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EPIPE, false, OUTCOME_EMPTY_REPLY},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EPIPE, true, OUTCOME_TLS_HANDSHAKE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EMFILE, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ENFILE, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ENOMEM, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, ENOBUFS, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EAGAIN, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EADDRNOTAVAIL, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EADDRINUSE, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, 0, false, OUTCOME_CONNECT_FAILURE},
    {CURLE_COULDNT_CONNECT, PROGRESS_CONNECT, EINVAL, false, OUTCOME_CONNECT_FAILURE},
    {CURLE_SSL_CONNECT_ERROR, PROGRESS_TLS, 0, true, OUTCOME_TLS_HANDSHAKE},
    {CURLE_SSL_CONNECT_ERROR, PROGRESS_TLS, ECONNRESET, true, OUTCOME_TLS_HANDSHAKE},
    {CURLE_PEER_FAILED_VERIFICATION, PROGRESS_TLS, 0, true, OUTCOME_TLS_VERIFY},
    {CURLE_SSL_ISSUER_ERROR, PROGRESS_TLS, 0, true, OUTCOME_TLS_VERIFY},
    {CURLE_SSL_INVALIDCERTSTATUS, PROGRESS_TLS, 0, true, OUTCOME_TLS_VERIFY},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, PROGRESS_TLS, 0, true, OUTCOME_TLS_VERIFY},
    {CURLE_SSL_CACERT_BADFILE, PROGRESS_TLS, 0, true, OUTCOME_LOCAL_RESOURCE},
    {CURLE_GOT_NOTHING, PROGRESS_REQUEST, 0, false, OUTCOME_EMPTY_REPLY},
    {CURLE_GOT_NOTHING, PROGRESS_ANSWER, 0, false, OUTCOME_TRUNCATED},
    {CURLE_GOT_NOTHING, PROGRESS_REQUEST, ECONNRESET, false, OUTCOME_RESET},
    {CURLE_PARTIAL_FILE, PROGRESS_ANSWER, 0, false, OUTCOME_TRUNCATED},
    {CURLE_PARTIAL_FILE, PROGRESS_ANSWER, ECONNRESET, false, OUTCOME_RESET},
    {CURLE_RECV_ERROR, PROGRESS_REQUEST, ECONNRESET, false, OUTCOME_RESET},
    {CURLE_RECV_ERROR, PROGRESS_ANSWER, ECONNRESET, true, OUTCOME_RESET},
    {CURLE_RECV_ERROR, PROGRESS_ANSWER, EPIPE, false, OUTCOME_RESET},
    {CURLE_RECV_ERROR, PROGRESS_REQUEST, 0, true, OUTCOME_TLS_HANDSHAKE},
    {CURLE_RECV_ERROR, PROGRESS_REQUEST, 0, false, OUTCOME_PROTOCOL},
    {CURLE_RECV_ERROR, PROGRESS_ANSWER, 0, false, OUTCOME_PROTOCOL},
    {CURLE_RECV_ERROR, PROGRESS_ANSWER, 0, true, OUTCOME_PROTOCOL},
    {CURLE_RECV_ERROR, PROGRESS_REQUEST, ETIMEDOUT, false, OUTCOME_FIRST_BYTE_TIMEOUT},
    {CURLE_RECV_ERROR, PROGRESS_ANSWER, ETIMEDOUT, false, OUTCOME_TRANSFER_TIMEOUT},
    {CURLE_RECV_ERROR, PROGRESS_ANSWER, EIO, false, OUTCOME_TRUNCATED},
    {CURLE_RECV_ERROR, PROGRESS_REQUEST, EIO, false, OUTCOME_EMPTY_REPLY},
    {CURLE_SEND_ERROR, PROGRESS_REQUEST, EPIPE, false, OUTCOME_EMPTY_REPLY},
    {CURLE_SEND_ERROR, PROGRESS_ANSWER, EPIPE, false, OUTCOME_RESET},
    {CURLE_SEND_ERROR, PROGRESS_REQUEST, ECONNRESET, false, OUTCOME_RESET},
    {CURLE_SEND_ERROR, PROGRESS_REQUEST, ETIMEDOUT, false, OUTCOME_FIRST_BYTE_TIMEOUT},
    {CURLE_SEND_ERROR, PROGRESS_REQUEST, 0, true, OUTCOME_TLS_HANDSHAKE},
    {CURLE_SEND_ERROR, PROGRESS_REQUEST, 0, false, OUTCOME_RESET},
    {CURLE_OUT_OF_MEMORY, PROGRESS_REQUEST, 0, false, OUTCOME_TOO_LARGE},
    {CURLE_OUT_OF_MEMORY, PROGRESS_ANSWER, 0, false, OUTCOME_TOO_LARGE},
    {CURLE_OUT_OF_MEMORY, PROGRESS_CONNECT, 0, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_UNSUPPORTED_PROTOCOL, PROGRESS_REQUEST, 0, false, OUTCOME_PROTOCOL},
    {CURLE_WEIRD_SERVER_REPLY, PROGRESS_ANSWER, 0, false, OUTCOME_PROTOCOL},
    {CURLE_BAD_FUNCTION_ARGUMENT, PROGRESS_ANSWER, 0, false, OUTCOME_PROTOCOL},
    {CURLE_BAD_CONTENT_ENCODING, PROGRESS_ANSWER, 0, false, OUTCOME_PROTOCOL},
    {CURLE_HTTP2, PROGRESS_ANSWER, 0, true, OUTCOME_PROTOCOL},
    {CURLE_HTTP2_STREAM, PROGRESS_ANSWER, 0, true, OUTCOME_PROTOCOL},
    {CURLE_TOO_MANY_REDIRECTS, PROGRESS_ANSWER, 0, false, OUTCOME_REDIRECT},
    {CURLE_COULDNT_RESOLVE_PROXY, PROGRESS_CONNECT, 0, false, OUTCOME_PROXY},
    {CURLE_PROXY, PROGRESS_CONNECT, 0, false, OUTCOME_PROXY},
    {CURLE_WRITE_ERROR, PROGRESS_ANSWER, 0, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_COULDNT_RESOLVE_HOST, PROGRESS_CONNECT, 0, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_URL_MALFORMAT, PROGRESS_CONNECT, 0, false, OUTCOME_LOCAL_RESOURCE},
    {CURLE_FAILED_INIT, PROGRESS_CONNECT, 0, false, OUTCOME_LOCAL_RESOURCE},
    /* another protocol's */
    {CURLE_FTP_WEIRD_PASV_REPLY, PROGRESS_ANSWER, 0, false, OUTCOME_PROTOCOL},
    {CURLE_FTP_WEIRD_PASV_REPLY, PROGRESS_CONNECT, 0, false, OUTCOME_CONNECT_FAILURE},
};

START_TEST(code_progress_and_errno_decide) {
    struct classify_input input = {
        .code = cases[_i].code,
        .progress = cases[_i].progress,
        .error = cases[_i].error,
        .tls = cases[_i].tls,
        /* neither may matter once libcurl said that it failed */
        .status = 200,
        .head_complete = true,
    };
    ck_assert_msg(classify(&input) == cases[_i].outcome,
                  "code %d, progress %d, errno %d, tls %d: %s", input.code, input.progress,
                  input.error, input.tls, outcome_class_name(classify(&input)));
}
END_TEST

START_TEST(a_status_needs_ok_and_a_complete_head) {
    struct classify_input input = {
        .progress = PROGRESS_ANSWER, .status = 200, .head_complete = true};
    ck_assert_uint_eq(classify(&input), 200);
    input.head_complete = false;
    ck_assert_uint_eq(classify(&input), OUTCOME_TRUNCATED);
    input.status = 101;
    ck_assert_uint_eq(classify(&input), OUTCOME_PROTOCOL);
    input.status = 0;
    ck_assert_uint_eq(classify(&input), OUTCOME_TRUNCATED);
}
END_TEST

START_TEST(what_follows_a_101_that_nobody_asked_for_is_no_http) {
    struct classify_input input = {
        .code = CURLE_GOT_NOTHING, .progress = PROGRESS_REQUEST, .status = 101};
    ck_assert_uint_eq(classify(&input), OUTCOME_PROTOCOL);
    input.status = 103; /* more may follow, but nothing came */
    ck_assert_uint_eq(classify(&input), OUTCOME_EMPTY_REPLY);
    input.status = 101;
    input.code = CURLE_OPERATION_TIMEDOUT;
    ck_assert_uint_eq(classify(&input), OUTCOME_FIRST_BYTE_TIMEOUT);
}
END_TEST

START_TEST(every_code_counts_as_sent_but_interim_ones) {
    for (long status = -1; status < 1200; status++) {
        struct classify_input input = {
            .progress = PROGRESS_ANSWER, .status = status, .head_complete = true};
        outcome_t expected =
            status >= 200 && status <= 999 ? (outcome_t)status : (outcome_t)OUTCOME_PROTOCOL;
        ck_assert_uint_eq(classify(&input), expected);
    }
}
END_TEST

START_TEST(a_body_that_we_ended_keeps_its_status) {
    struct classify_input input = {.code = CURLE_WRITE_ERROR,
                                   .progress = PROGRESS_ANSWER,
                                   .status = 503,
                                   .head_complete = true,
                                   .body_stopped = true};
    ck_assert_uint_eq(classify(&input), 503);
    input.body_stopped = false;
    ck_assert_uint_eq(classify(&input), OUTCOME_LOCAL_RESOURCE);
}
END_TEST

START_TEST(a_head_that_we_ended_is_too_large) {
    struct classify_input input = {.code = CURLE_WRITE_ERROR,
                                   .progress = PROGRESS_ANSWER,
                                   .status = 200,
                                   .head_complete = true, /* trailers */
                                   .head_too_large = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_TOO_LARGE);
}
END_TEST

START_TEST(without_memory_the_site_is_not_blamed) {
    struct classify_input input = {.code = CURLE_OUT_OF_MEMORY,
                                   .progress = PROGRESS_ANSWER,
                                   .status = 200,
                                   .memory_failed = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_LOCAL_RESOURCE);
    input.code = CURLE_OK; /* libcurl did without */
    input.head_complete = true;
    ck_assert_uint_eq(classify(&input), 200);
}
END_TEST

START_TEST(what_keeps_a_sample_from_its_proxy_is_the_proxys) {
    static const struct {
        int code, error;
    } ends[] = {
        {CURLE_COULDNT_CONNECT, ECONNREFUSED},
        {CURLE_COULDNT_CONNECT, ENETUNREACH},
        {CURLE_OPERATION_TIMEDOUT, 0},
        {CURLE_RECV_ERROR, 0},
        {CURLE_RECV_ERROR, ECONNRESET},
        {CURLE_GOT_NOTHING, 0},
        {CURLE_COULDNT_RESOLVE_PROXY, 0},
        {CURLE_WEIRD_SERVER_REPLY, 0},
        {CURLE_PROXY, 0},
        {CURL_LAST, 0},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct classify_input input = {
            .code = ends[i].code, .error = ends[i].error, .proxied = true, .tls = true};
        ck_assert_msg(classify(&input) == OUTCOME_PROXY, "%d: %u", input.code, classify(&input));
    }
}
END_TEST

START_TEST(a_proxy_is_not_to_blame_for_us_nor_for_what_comes_after_it) {
    struct classify_input input = {
        .code = CURLE_COULDNT_CONNECT, .error = EMFILE, .proxied = true, .tls = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_LOCAL_RESOURCE);
    input = (struct classify_input){.code = CURLE_OUT_OF_MEMORY, .proxied = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_LOCAL_RESOURCE);
    input = (struct classify_input){.code = CURLE_PEER_FAILED_VERIFICATION,
                                    .progress = PROGRESS_TLS,
                                    .proxied = true,
                                    .tls = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_TLS_VERIFY);
    input = (struct classify_input){
        .code = CURLE_OPERATION_TIMEDOUT, .progress = PROGRESS_REQUEST, .proxied = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_FIRST_BYTE_TIMEOUT);
    input = (struct classify_input){
        .code = CURLE_GOT_NOTHING, .progress = PROGRESS_REQUEST, .proxied = true};
    ck_assert_uint_eq(classify(&input), OUTCOME_EMPTY_REPLY);
}
END_TEST

/* Codes of other protocols, of things that are switched off, and those that libcurl does not use
 * any more: they have no row. */
static bool is_foreign(int code) {
    static const int foreign[] = {
        CURLE_FTP_WEIRD_SERVER_REPLY,
        CURLE_FTP_ACCEPT_FAILED,
        CURLE_FTP_WEIRD_PASS_REPLY,
        CURLE_FTP_ACCEPT_TIMEOUT,
        CURLE_FTP_WEIRD_PASV_REPLY,
        CURLE_FTP_WEIRD_227_FORMAT,
        CURLE_FTP_CANT_GET_HOST,
        CURLE_FTP_COULDNT_SET_TYPE,
        CURLE_FTP_COULDNT_RETR_FILE,
        CURLE_QUOTE_ERROR,
        CURLE_FTP_PORT_FAILED,
        CURLE_FTP_COULDNT_USE_REST,
        CURLE_LDAP_CANNOT_BIND,
        CURLE_LDAP_SEARCH_FAILED,
        CURLE_TELNET_OPTION_SYNTAX,
        CURLE_TFTP_NOTFOUND,
        CURLE_TFTP_PERM,
        CURLE_REMOTE_DISK_FULL,
        CURLE_TFTP_ILLEGAL,
        CURLE_TFTP_UNKNOWNID,
        CURLE_REMOTE_FILE_EXISTS,
        CURLE_TFTP_NOSUCHUSER,
        CURLE_CONV_FAILED,
        CURLE_CONV_REQD,
        CURLE_SSH,
        CURLE_FTP_PRET_FAILED,
        CURLE_RTSP_CSEQ_ERROR,
        CURLE_RTSP_SESSION_ERROR,
        CURLE_FTP_BAD_FILE_LIST,
        CURLE_LDAP_INVALID_URL,
    };
    const char *words = curl_easy_strerror((CURLcode)code);
    if (strcmp(words, "Unknown error") == 0) {
        return true; /* a gap in the numbers */
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (foreign[i] == code) {
            return true;
        }
    }
    return false;
}

/* Whether it means something else than a code that libcurl does not have. */
static bool is_known(int code) {
    for (int progress = PROGRESS_CONNECT; progress <= PROGRESS_ANSWER; progress++) {
        struct classify_input input = {.code = code, .progress = (enum progress)progress};
        struct classify_input none = {.code = CURL_LAST, .progress = (enum progress)progress};
        if (classify(&input) != classify(&none)) {
            return true;
        }
    }
    return false;
}

START_TEST(every_code_of_this_libcurl_has_a_row) {
    unsigned known = 0;
    for (int code = 1; code < CURL_LAST; code++) {
        ck_assert_msg(is_known(code) || is_foreign(code), "%d: %s", code,
                      curl_easy_strerror((CURLcode)code));
        known += is_known(code);
    }
    ck_assert_uint_gt(known, 50);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("classify");
    TCase *tests = tcase_create("classify");
    tcase_add_loop_test(tests, code_progress_and_errno_decide, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, a_status_needs_ok_and_a_complete_head);
    tcase_add_test(tests, what_follows_a_101_that_nobody_asked_for_is_no_http);
    tcase_add_test(tests, every_code_counts_as_sent_but_interim_ones);
    tcase_add_test(tests, a_body_that_we_ended_keeps_its_status);
    tcase_add_test(tests, a_head_that_we_ended_is_too_large);
    tcase_add_test(tests, without_memory_the_site_is_not_blamed);
    tcase_add_test(tests, what_keeps_a_sample_from_its_proxy_is_the_proxys);
    tcase_add_test(tests, a_proxy_is_not_to_blame_for_us_nor_for_what_comes_after_it);
    tcase_add_test(tests, every_code_of_this_libcurl_has_a_row);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
