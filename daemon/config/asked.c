#include "config/asked.h"

#include <string.h>
#include <strings.h>

const char *asked_method(const struct request_config *request) {
    return request->method != NULL ? request->method : request->body != NULL ? "POST" : "GET";
}

/* Their meaning is in their body. */
static bool wants_body(const char *method) {
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

bool asked_sends_body(const struct request_config *request) {
    const char *method = asked_method(request);
    return strcmp(method, "HEAD") != 0 && (request->body != NULL || wants_body(method));
}

bool asked_has_header(const struct request_config *request, const char *name) {
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool asked_is_renamed(const struct site *site) {
    return site->url.tls && site->tls.server_name != NULL;
}
