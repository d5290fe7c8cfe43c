/* c-ares on libevent: a channel holds the servers, the limits and the sockets of its queries. Internal
 * to probe/; resolver.c decides what is asked, and when a channel has had its time. */
#pragma once

#include "base/clock.h"

#include <ares.h>
#include <event2/event.h>
#include <stdbool.h>

struct channel;

struct channel_settings {
    const char *servers; /* as c-ares wants them; NULL: the system's, as they are now */
    int try_ms;
    int tries;
    nsec_t *heard; /* set whenever a server says anything; outlives the channel */
};

/* Nothing of the settings is kept. 0 or -errno. */
int channel_new(struct event_base *base, const struct channel_settings *settings,
                struct channel **ret_channel);
/* Queries under way end now, their callbacks called. NULL does nothing. */
void channel_free(struct channel *channel);

/* Asks for the addresses of one family. `on_end` is called exactly once, perhaps from inside this call;
 * it says channel_ended() first. */
void channel_ask(struct channel *channel, const char *host, int family,
                 ares_addrinfo_callback on_end, void *arg);
/* One query has ended with that status. True: it failed for want of our own descriptors or memory. */
bool channel_ended(struct channel *channel, int status);
/* Asks for what any server that lives answers at once, if only by refusing: the root's name servers. What
 * comes of it is seen in `heard` alone. */
void channel_prove(struct channel *channel);
bool channel_is_idle(const struct channel *channel); /* no query is under way */
