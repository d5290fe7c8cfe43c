/* The status loop: a thread of its own that knows how sites and daemon are, and tells whoever asks over
 * HTTP. All calls are made on the control loop; none waits. */
#pragma once

#include "engine.h"

#include "report/board.h"
#include "report/vitals.h"
#include "service/web.h"

struct status;

/* Starts the loop; `socket` is taken over, also on failure. The engine, which is asked from that loop
 * whether its loops turn, must outlive it. 0 or -errno. */
int status_new(const struct engine *engine, struct web_socket *socket, struct status **ret_status);
void status_free(struct status *status); /* ends the loop; NULL does nothing */

/* A configuration in force; `states`, one a site, is taken over (heap). -ENOMEM: the loop goes on with
 * the old one. */
int status_configure(struct status *status, struct config *config, struct board_state *states);
/* Listens on that socket, which is taken over, from now on instead. */
void status_listen(struct status *status, struct web_socket *socket);
/* A closed round, judged, and how its site is now. The report is only referenced, and must not change
 * any more. Out of memory is said. */
void status_add(struct status *status, struct report *report, const struct board_state *state);
/* How the daemon is, to be told every so often. What it can find out by itself (the process, and whether
 * the loops turn) it adds. */
void status_vitals(struct status *status, const struct vitals *vitals);
#define STATUS_VITALS_EVERY NSEC_PER_SEC
