/* What the rule of verdict.h will do with a site: how soon it finds a bad backend, and how often it calls
 * a site degraded that only fails by chance. Exact, without drawing lots. Pure: no clock, no I/O. */
#pragma once

#include "base/clock.h"
#include "config/config.h"

#define FORECAST_BACKENDS 5
#define FORECAST_CHANCES  2

extern const unsigned forecast_backends[FORECAST_BACKENDS]; /* of which one is bad */
extern const double forecast_chances[FORECAST_CHANCES];     /* that a sample fails by chance */

/* Rounds until so many of all cases are degraded or down, counted from the first round that can show
 * it. INFINITY: it will never be, as good as; NAN: the keys make a bucket that is too fine to work it
 * out in a moment. */
struct forecast_found {
    double median, most; /* 50 and 95 % */
};

struct forecast {
    struct forecast_found found[FORECAST_BACKENDS];
    double alarms_a_year[FORECAST_CHANCES]; /* NAN: as above */
};

/* Of a site with these settings that is up with an empty bucket. 0 or -ENOMEM. */
int forecast_init(struct forecast *forecast, unsigned samples, nsec_t interval,
                  const struct health_config *health);

/* The same for one share of failing samples: 0 < failing < 1. 0 or -ENOMEM. */
int forecast_find(unsigned samples, const struct health_config *health, double failing,
                  struct forecast_found *ret_found);
int forecast_alarms(unsigned samples, nsec_t interval, const struct health_config *health,
                    double failing, double *ret_a_year);
