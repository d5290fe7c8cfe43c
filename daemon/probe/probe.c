#include "probe/probe.h"

#include <assert.h>

static const char *const phase_names[] = {
    "dns", "connect", "tls", "first_byte", "transfer",
};
static_assert(sizeof phase_names / sizeof phase_names[0] == PHASE_COUNT, "a name per phase");

const char *phase_name(enum phase phase) {
    assert((unsigned)phase < PHASE_COUNT);
    return phase_names[phase];
}

const char *probe_host(const struct site *site) {
    return site->request.proxy != NULL  ? site->request.proxy->host
           : site->connect_host != NULL ? site->connect_host
                                        : site->url.host;
}

uint16_t probe_port(const struct site *site) {
    return site->request.proxy != NULL ? site->request.proxy->port
           : site->connect_port != 0   ? site->connect_port
                                       : site->url.port;
}
