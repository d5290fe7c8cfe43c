/* Tells the service manager how the daemon is: started, reading a configuration, stopping, alive, and
 * in a line for `systemctl status` how the sites are. Where there is none it does nothing. All calls
 * on the control loop. */
#pragma once

#include "engine.h"
#include "watch.h"

struct herald;

/* `watched` is asked for the sites whenever the line is made. Feeds the watchdog, if there is one, as
 * long as all loops of the engine turn. Engine and reloads must outlive it. 0 or -ENOMEM. */
int herald_new(struct engine *engine, const struct vitals_reloads *reloads,
               const struct watch_list *(*watched)(void *arg), void *arg,
               struct herald **ret_herald);
void herald_free(struct herald *herald); /* NULL does nothing */

void herald_ready(struct herald *herald); /* also when a reload is over, whatever came of it */
void herald_reloading(struct herald *herald);
void herald_stopping(struct herald *herald);
