#include "base/clock.h"

#include <time.h>

static nsec_t read_clock(clockid_t id) {
    struct timespec now;
    /* cannot fail: all of them exist on every Linux and the pointer is valid */
    (void)clock_gettime(id, &now);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

nsec_t clock_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

nsec_t clock_wall_now(void) {
    return read_clock(CLOCK_REALTIME);
}

nsec_t clock_boot_now(void) {
    return read_clock(CLOCK_BOOTTIME);
}
