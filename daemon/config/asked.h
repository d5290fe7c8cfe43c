/* What a request comes to, where its settings leave something open: decided once, for who sends it
 * and for who says how to send it again. Pure. */
#pragma once

#include "config/config.h"

const char *asked_method(const struct request_config *request); /* never NULL */
/* Whether there is a body, if only an empty one that says so ("Content-Length: 0"). */
bool asked_sends_body(const struct request_config *request);
bool asked_has_header(const struct request_config *request, const char *name); /* configured */
/* Whether the name to verify is not that of the URL. */
bool asked_is_renamed(const struct site *site);
