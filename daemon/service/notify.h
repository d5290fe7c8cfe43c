/* What systemd is told of the process, where it wants to know (Type=notify). Never waits for it, and
 * nothing depends on it. All calls on the control loop. */
#pragma once

#include "base/clock.h"

struct event_base;
struct notify;

/* Where nobody wants to know (no NOTIFY_SOCKET) it does nothing, now and later. 0 or -ENOMEM. */
int notify_new(struct event_base *base, struct notify **ret_notify);
void notify_free(struct notify *notify); /* what could not be sent yet is not */

/* `status`, one line, stands in `systemctl status` from then on; NULL: as it was. */
void notify_ready(struct notify *notify, const char *status); /* started, or a reload is over */
void notify_reloading(struct notify *notify);                 /* until notify_ready() */
/* The stop may take so long from now; systemd grants it, also where TimeoutStopSec= is less. */
void notify_stopping(struct notify *notify, nsec_t at_most);
void notify_status(struct notify *notify, const char *status);

/* Feeds the watchdog. */
void notify_alive(struct notify *notify);
/* How often it wants that at the least (WatchdogSec=), or 0: there is none. */
nsec_t notify_watchdog(const struct notify *notify);
