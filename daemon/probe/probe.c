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
