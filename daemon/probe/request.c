/* Nothing of libcurl's convenience is left on that could hide a failure or join two samples: no
 * reuse, no session resumption, no multiplexing, no redirect, no name lookup (the address comes
 * from the round, by CURLOPT_CONNECT_TO), no proxy or netrc from the environment, no CA bundle but
 * trust.c's. */
#include "probe/request.h"

#include <stdio.h>
#include <sys/socket.h>

enum { BUFFER_BYTES = 4 << 10 }; /* libcurl reads up to 100 of them in a turn */

static bool apply_connection(struct request *request, CURL *easy, const struct site *site,
                             const struct address *address) {
    char connect_to[INET6_ADDRSTRLEN + 16];
    snprintf(connect_to, sizeof connect_to, address->family == AF_INET6 ? "::[%s]:%u" : "::%s:%u",
             address->text, site->url.port);
    request->connect_to = curl_slist_append(NULL, connect_to);
    /* libcurl's own limit is there only in case that our timer should fail to be armed */
    long limit_ms = (long)(site->timeout / NSEC_PER_MSEC) + 60000;
    return request->connect_to != NULL &&
           curl_easy_setopt(easy, CURLOPT_URL, site->url.text) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->connect_to) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, limit_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, limit_ms) == CURLE_OK;
}

static bool apply_tls(CURL *easy, const struct site *site) {
    return !site->url.tls || (curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
                              curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
                              curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK &&
                              curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK);
}

static bool apply_message(CURL *easy, const struct site *site) {
    return curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, site->user_agent) == CURLE_OK;
}

bool request_apply(struct request *request, CURL *easy, const struct site *site,
                   const struct address *address) {
    return apply_connection(request, easy, site, address) && apply_tls(easy, site) &&
           apply_message(easy, site);
}

void request_clear(struct request *request) {
    curl_slist_free_all(request->connect_to);
    request->connect_to = NULL;
}
