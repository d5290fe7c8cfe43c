/* What the rule of verdict.h will do with a site: how soon it finds a bad backend, and how often it calls
 * a site degraded that only fails by chance. Exact, without drawing lots. Pure: no clock, no I/O. */
#pragma once

#include "base/clock.h"
#include "config/config.h"

/* Rounds until so many of all cases are degraded or down, counted from the first round that can show
 * it. INFINITY: it will never be, as good as; NAN: the keys make a bucket that is too fine to work it
 * out in a moment. */
struct forecast_found {
    double median, most; /* 50 and 95 % */
};

/* Of a site with these settings that is up with an empty bucket, and of whose samples that share fails:
 * 0 < failing < 1. 0 or -ENOMEM. */
int forecast_find(unsigned samples, const struct health_config *health, double failing,
                  struct forecast_found *ret_found);
/* The same; NAN as above. */
int forecast_alarms(unsigned samples, nsec_t interval, const struct health_config *health,
                    double failing, double *ret_a_year);
