/* Nothing of libcurl's convenience is left on that could hide a failure or join two samples: no
 * session resumption, no multiplexing, no redirect, no name lookup (the address comes from the
 * round), no proxy, exception from it, or netrc from the environment, no CA bundle but trust.c's;
 * and no reuse, unless the site asks for it.
 *
 * The address is given by CURLOPT_CONNECT_TO, so that SNI, Host and verification stay the URL's;
 * through a proxy it is the proxy's own (CONNECT_TO there would name the target of the tunnel, and
 * force one).
 *
 * What the site asks is asked to the letter. libcurl adds Host, User-Agent, Accept, and the length
 * of a body, but no Content-Type of its own invention and no "Expect: 100-continue", which waits a
 * second for a server that does not know it. Authorization is a header of ours like others:
 * libcurl's own machinery would keep copies of the secret, and repeat requests.
 *
 * `tls.server_name`: SNI and verification are those of the host in libcurl's URL, so the name
 * stands there, and the URL's own host in the Host header. */
#include "probe/request.h"

#include "config/asked.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BUFFER_BYTES = 4 << 10, /* libcurl reads up to 100 of them in a turn */
    IDLE_SECONDS_MOST = 300,
};

/* ---- connection ---- */

static bool set_text(CURL *easy, CURLoption option, const char *text) {
    return curl_easy_setopt(easy, option, text) == CURLE_OK;
}

static bool set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

/* "[::1]" or "name": as it stands in a URL. */
static bool in_brackets(const char *host) {
    return strchr(host, ':') != NULL;
}

static bool add_connect_to(struct request *request, const char *host, uint16_t port) {
    char *line;
    if (asprintf(&line, in_brackets(host) ? "::[%s]:%u" : "::%s:%u", host, port) < 0) {
        return false;
    }
    request->connect_to = curl_slist_append(NULL, line);
    free(line);
    return request->connect_to != NULL;
}

static bool apply_proxy(struct request *request, CURL *easy, const struct site *site,
                        const struct address *address) {
    char proxy[INET6_ADDRSTRLEN + 32];
    snprintf(proxy, sizeof proxy, address->family == AF_INET6 ? "http://[%s]:%u" : "http://%s:%u",
             address->text, probe_port(site));
    /* the name in the URL is not the one that the tunnel shall lead to */
    if (asked_is_renamed(site) && !add_connect_to(request, site->url.host, site->url.port)) {
        return false;
    }
    return set_text(easy, CURLOPT_PROXY, proxy) &&
           set_long(easy, CURLOPT_HTTPPROXYTUNNEL, site->url.tls) &&
           set_long(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1) &&
           set_long(easy, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);
}

/* Another host in place of the URL's; NULL: out of memory. */
static char *url_with_host(const char *url, const char *host) {
    char *text = NULL, *changed = NULL;
    CURLU *u = curl_url();
    if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_HOST, host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &changed, 0) == CURLUE_OK) {
        text = strdup(changed);
    }
    curl_free(changed);
    curl_url_cleanup(u);
    return text;
}

static bool apply_url(CURL *easy, const struct site *site) {
    if (!asked_is_renamed(site)) {
        return set_text(easy, CURLOPT_URL, site->url.text);
    }
    char *url = url_with_host(site->url.text, site->tls.server_name);
    bool applied = url != NULL && set_text(easy, CURLOPT_URL, url);
    free(url);
    return applied;
}

static bool apply_connection(struct request *request, CURL *easy, const struct site *site,
                             const struct address *address, bool keep) {
    bool direct = site->request.proxy == NULL;
    if (direct ? !add_connect_to(request, address->text, probe_port(site)) ||
                     !set_text(easy, CURLOPT_PROXY, "")
               : !apply_proxy(request, easy, site, address)) {
        return false;
    }
    /* libcurl's own limit is there only in case that our timer should fail to be armed */
    long limit_ms = (long)(site->timeout / NSEC_PER_MSEC) + 60000;
    return apply_url(easy, site) &&
           (request->connect_to == NULL ||
            curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->connect_to) == CURLE_OK) &&
           set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
           set_text(easy, CURLOPT_NOPROXY, "") && set_long(easy, CURLOPT_NOSIGNAL, 1) &&
           set_long(easy, CURLOPT_QUICK_EXIT, 1) && set_long(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0) &&
           set_long(easy, CURLOPT_FRESH_CONNECT, !keep) &&
           set_long(easy, CURLOPT_FORBID_REUSE, !keep) &&
           set_long(easy, CURLOPT_MAXAGE_CONN, IDLE_SECONDS_MOST) &&
           set_long(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES) &&
           set_long(easy, CURLOPT_TIMEOUT_MS, limit_ms) &&
           set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, limit_ms);
}

static long version_of(enum tls_version version) {
    switch (version) {
    case TLS_VERSION_1_0:
        return CURL_SSLVERSION_TLSv1_0;
    case TLS_VERSION_1_1:
        return CURL_SSLVERSION_TLSv1_1;
    case TLS_VERSION_1_2:
        return CURL_SSLVERSION_TLSv1_2;
    case TLS_VERSION_1_3:
        return CURL_SSLVERSION_TLSv1_3;
    }
    return CURL_SSLVERSION_DEFAULT;
}

static bool apply_tls(CURL *easy, const struct site *site) {
    return !site->url.tls ||
           (set_text(easy, CURLOPT_CAINFO, NULL) && set_text(easy, CURLOPT_CAPATH, NULL) &&
            set_long(easy, CURLOPT_CA_CACHE_TIMEOUT, 0) &&
            set_long(easy, CURLOPT_SSL_SESSIONID_CACHE, 0) &&
            set_long(easy, CURLOPT_SSLVERSION, version_of(site->tls.min_version)) &&
            set_long(easy, CURLOPT_SSL_VERIFYPEER, site->tls.verify ? 1 : 0) &&
            set_long(easy, CURLOPT_SSL_VERIFYHOST, site->tls.verify ? 2 : 0));
}

/* ---- headers ---- */

static bool add_line(struct request *request, const char *line) {
    struct curl_slist *longer = curl_slist_append(request->headers, line);
    if (longer != NULL) {
        request->headers = longer;
    }
    return longer != NULL;
}

/* "Name: value", "Name;" for an empty one. The copy made on the way may hold a secret. */
static bool add_header(struct request *request, const char *name, const char *scheme,
                       const char *value) {
    size_t size = strlen(name) + strlen(scheme) + strlen(value) + 3;
    char *line = malloc(size);
    if (line == NULL) {
        return false;
    }
    if (*scheme == '\0' && *value == '\0') {
        snprintf(line, size, "%s;", name);
    } else {
        snprintf(line, size, "%s: %s%s", name, scheme, value);
    }
    bool added = add_line(request, line);
    explicit_bzero(line, size);
    free(line);
    return added;
}

static bool add_basic(struct request *request, const char *user, const struct secret *password) {
    size_t plain_size = strlen(user) + 1 + password->n + 1;
    size_t coded_size = 4 * ((plain_size + 2) / 3) + 1;
    char *plain = malloc(plain_size), *coded = malloc(coded_size);
    bool added = false;
    if (plain != NULL && coded != NULL) {
        int n = snprintf(plain, plain_size, "%s:%s", user, password->bytes);
        EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)plain, n);
        added = add_header(request, "Authorization", "Basic ", coded);
        explicit_bzero(plain, plain_size);
        explicit_bzero(coded, coded_size);
    }
    free(plain);
    free(coded);
    return added;
}

/* The URL's own host, where libcurl does not know it. */
static bool add_host(struct request *request, const struct url *url) {
    char port[8] = "";
    if (url->port != (url->tls ? 443 : 80)) {
        snprintf(port, sizeof port, ":%u", url->port);
    }
    char *host;
    if (asprintf(&host, in_brackets(url->host) ? "[%s]%s" : "%s%s", url->host, port) < 0) {
        return false;
    }
    bool added = add_header(request, "Host", "", host);
    free(host);
    return added;
}

static bool add_headers(struct request *request, const struct site *site, bool sends_body) {
    const struct request_config *config = &site->request;
    for (size_t i = 0; i < config->n_headers; i++) {
        const struct header *header = &config->headers[i];
        if (!add_header(request, header->name, "",
                        header->value != NULL ? header->value : header->secret->bytes)) {
            return false;
        }
    }
    if ((config->basic_user != NULL &&
         !add_basic(request, config->basic_user, config->basic_password)) ||
        (config->bearer != NULL &&
         !add_header(request, "Authorization", "Bearer ", config->bearer->bytes)) ||
        (asked_is_renamed(site) && !asked_has_header(config, "Host") &&
         !add_host(request, &site->url))) {
        return false;
    }
    return !sends_body ||
           (add_line(request, "Expect:") &&
            (asked_has_header(config, "Content-Type") || add_line(request, "Content-Type:")));
}

/* ---- the message ---- */

static bool apply_method(CURL *easy, const struct request_config *config, bool sends_body) {
    const char *method = asked_method(config);
    if (strcmp(method, "HEAD") == 0) {
        return set_long(easy, CURLOPT_NOBODY, 1); /* and waits for none */
    }
    if (sends_body) {
        const char *body = config->body != NULL ? config->body : "";
        if (!set_long(easy, CURLOPT_POST, 1) ||
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)config->body_bytes) !=
                CURLE_OK ||
            !set_text(easy, CURLOPT_POSTFIELDS, body)) {
            return false;
        }
    }
    return strcmp(method, sends_body ? "POST" : "GET") == 0 ||
           set_text(easy, CURLOPT_CUSTOMREQUEST, method);
}

static bool apply_message(struct request *request, CURL *easy, const struct site *site) {
    const struct request_config *config = &site->request;
    bool sends_body = asked_sends_body(config);
    return set_long(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
           set_text(easy, CURLOPT_USERAGENT, site->user_agent) &&
           (!config->compressed || set_text(easy, CURLOPT_ACCEPT_ENCODING, "")) &&
           apply_method(easy, config, sends_body) && add_headers(request, site, sends_body) &&
           (request->headers == NULL ||
            curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers) == CURLE_OK);
}

bool request_apply(struct request *request, CURL *easy, const struct site *site,
                   const struct address *address, bool keep) {
    return apply_connection(request, easy, site, address, keep) && apply_tls(easy, site) &&
           apply_message(request, easy, site);
}

void request_clear(struct request *request) {
    curl_slist_free_all(request->connect_to);
    for (struct curl_slist *line = request->headers; line != NULL; line = line->next) {
        explicit_bzero(line->data, strlen(line->data));
    }
    curl_slist_free_all(request->headers);
    *request = (struct request){0};
}
