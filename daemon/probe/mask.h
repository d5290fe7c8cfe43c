/* What a server sends back of the secrets that it was sent. Pure. Internal to probe/. */
#pragma once

#include "config/config.h"

/* Puts *** in the place of each secret of the request, and of the beginning of one that was cut, in a
 * text that text_escape() wrote. */
void mask_secrets(const struct request_config *request, char *text);
