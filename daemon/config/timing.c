/* Sample k starts no earlier than k * spread / N after its round, and not before one of the
 * `concurrency` before it has ended. If all of them hang, sample k follows on sample k - c, and so
 * it starts at the later of
 *
 *     k * spread / N                                (its own turn)
 *     (k mod c) * spread / N + (k div c) * timeout  (its chain's first, and every wait since)
 *
 * as what lies between these two is linear in the number of waits. It grows with k and falls with
 * c, so that both questions below are a binary search. */
#include "config/timing.h"

static nsec_t lesser(nsec_t a, nsec_t b) {
    return a < b ? a : b;
}

static nsec_t greater(nsec_t a, nsec_t b) {
    return a > b ? a : b;
}

/* k * spread / samples without overflow: spread is at most 31 days, k at most 10,000 */
static nsec_t turn(const struct site *site, unsigned k) {
    return site->spread / site->samples * k + site->spread % site->samples * k / site->samples;
}

nsec_t timing_need(const struct site *site) {
    unsigned waves = (site->samples + site->concurrency - 1) / site->concurrency;
    return site->dns_timeout + greater(site->spread + site->timeout, waves * site->timeout);
}

void timing_settle(struct site *site, bool dns_timeout_given) {
    nsec_t bound = site->deadline_given ? lesser(site->deadline, site->interval) : site->interval;
    if (!site->timeout_given) {
        site->timeout = lesser(site->timeout, bound);
    }
    if (!dns_timeout_given) {
        site->dns_timeout = lesser(site->dns_timeout, bound);
    }
    if (!site->spread_given) {
        site->spread = site->interval / 4;
        if (site->deadline_given && site->spread + site->timeout > bound) {
            site->spread = lesser(site->spread, bound / 4);
        }
    }
    if (!site->deadline_given) {
        site->deadline = lesser(timing_need(site), site->interval);
    }
}

static nsec_t start(const struct site *site, unsigned concurrency, unsigned k) {
    return greater(turn(site, k), turn(site, k % concurrency) + k / concurrency * site->timeout);
}

unsigned timing_unsent(const struct site *site, unsigned concurrency) {
    unsigned sent = 0, not_sent = site->samples; /* all before `sent` start; none from `not_sent` */
    while (sent < not_sent) {
        unsigned k = sent + (not_sent - sent) / 2;
        if (start(site, concurrency, k) < site->deadline) {
            sent = k + 1;
        } else {
            not_sent = k;
        }
    }
    return site->samples - sent;
}

unsigned timing_enough(const struct site *site) {
    if (timing_unsent(site, site->samples) > 0) {
        return 0;
    }
    unsigned least = 1, enough = site->samples;
    while (least < enough) {
        unsigned middle = least + (enough - least) / 2;
        if (timing_unsent(site, middle) > 0) {
            least = middle + 1;
        } else {
            enough = middle;
        }
    }
    return enough;
}
