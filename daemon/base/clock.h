/* Time as the program reads it. Everything that is measured or scheduled uses the monotonic clock;
 * the wall clock only dates records. Pure code takes its time as an argument and never calls this.
 */
#pragma once

#include <stdint.h>

typedef int64_t nsec_t; /* nanoseconds; monotonic unless the name begins with wall_ */

#define NSEC_PER_SEC  INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_USEC INT64_C(1000)
#define NSEC_UNKNOWN  INT64_C(-1) /* a duration that was not measured */

nsec_t clock_now(void);      /* CLOCK_MONOTONIC */
nsec_t clock_wall_now(void); /* CLOCK_REALTIME, since the epoch */
nsec_t clock_boot_now(void); /* CLOCK_BOOTTIME: since the machine's start, suspended or not */
