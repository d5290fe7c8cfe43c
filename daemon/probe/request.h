/* What is asked: a site's settings as options of a libcurl handle. Internal to probe/. */
#pragma once

#include "probe/probe.h"

#include <curl/curl.h>
#include <stdbool.h>

/* What a handle points to and libcurl does not copy. All zeros is an empty one. */
struct request {
    struct curl_slist *connect_to;
    struct curl_slist *headers; /* secrets among them: wiped when freed */
};

/* Everything about the request and its connection but the callbacks. `keep`: a kept connection may
 * be used, and this one kept. False: out of memory. The request must outlive the handle's use. */
bool request_apply(struct request *request, CURL *easy, const struct site *site,
                   const struct address *address, bool keep);
void request_clear(struct request *request);
