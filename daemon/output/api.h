/* What a board knows, as JSON, for programs: fields that a report has are named and meant as in the
 * report's record; what is not known is absent. */
#pragma once

#include "report/board.h"

#include <stdbool.h>
#include <stdio.h>

/* All sites, in the order of the configuration:
 *
 *   {"v":1,"time":"…","sites":[{"site":"shop","url":"…","labels":{…},"state":"degraded","since":"…",
 *    "level":0.84,"window":{…},"certificate_ends":"…","round":9,"began":"…","planned":20,"judged":20,
 *    "codes":{…},"errors":{…},"failed":2,"reasons":{…},"latency_ms":{…}}]}
 *
 * From "round" on it is the last round's, and absent before there was one. */
struct api_sites;
/* The sites of this moment, as they are when they are written. NULL: out of memory. */
struct api_sites *api_sites_new(const struct board *board, nsec_t wall_now);
void api_sites_free(struct api_sites *sites);
bool api_sites_write(struct api_sites *sites, FILE *to); /* the next piece; whether there is more */

/* One site: {"v":1,"time":"…","site":{…},"rounds":[…],"last":{…}}, "site" as above, "rounds" the last ones
 * in short, the newest first: {"round":9,"began":"…","planned":20,"judged":20,"failed":2,"state":"up",
 * "outcomes":{"200":18,"503":2},"others":1}, and "last" the whole record of the last round. The caller's
 * to free. NULL: out of memory. */
char *api_site(const struct board_site *site, nsec_t wall_now);
