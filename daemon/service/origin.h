/* A small web server on loopback for `tallyd demo`, in a thread of its own, with a path for each
 * way in which a site can be well or ill. */
#pragma once

#include <stdint.h>

struct origin;

int origin_start(struct origin **ret_origin); /* 0 or -errno */
void origin_stop(struct origin *origin);      /* NULL does nothing */

/* On it: /ok always 200; /one-in-twenty 503 every twentieth time, with the name of one of four servers in
 * X-Served-By; /slow 200 after 150 ms. */
uint16_t origin_port(const struct origin *origin);
uint16_t origin_refused_port(const struct origin *origin); /* nobody listens, and nobody else can */
uint16_t origin_early_port(const struct origin *origin);   /* closes in the middle of its answer */
