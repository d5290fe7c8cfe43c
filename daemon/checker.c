/* The page has two parts: the plan, which the configuration alone tells, and the forecast, which needs
 * the rule of the verdict. That depends on few settings, so that sites which have the same ones are
 * worked out once, and named together. */
#include "checker.h"

#include "engine.h"

#include "base/log.h"
#include "config/plan.h"
#include "config/value.h"
#include "report/forecast.h"
#include "service/signals.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { EXIT_OK = 0, EXIT_CONFIG = 2 };
enum {
    SITES_MOST = 20,     /* rows of the plan */
    KINDS_MOST = 20,     /* and of the forecast */
    ROUNDS_MOST = 99999, /* that are worth a number */
    BACKENDS = 5,
    CHANCES = 2,
};
static const unsigned backends[BACKENDS] = {2, 5, 10, 20, 100}; /* of which one is bad */
static const double chances[CHANCES] = {0.001, 0.005};          /* that a sample fails by chance */

static const char assumptions[] =
    "Rounds are told as half of all cases and 95 % of them need, from the first one on in which the\n"
    "backend is bad, of a site that was well; \"-\" is more than 99,999, and \"?\" would take long to\n"
    "work out. Every sample is taken to reach a backend by chance. A balancer in strict turn gives\n"
    "each its share, round for round: both numbers are then near the first, and a bad one is found\n"
    "only if more than one sample in `forgive` + 1 reaches it. A false alarm is the state degraded or\n"
    "down of a site whose samples fail by chance, one by one.\n";

/* Sites of which the same is to be expected. */
struct kind {
    const struct site *first;
    size_t sites;
};

/* The kinds in the order of their first sites; *ret_rest is how many sites are of none. */
static size_t find_kinds(const struct config *config, struct kind kinds[static KINDS_MOST],
                         size_t *ret_rest) {
    size_t n = 0, rest = 0;
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if (!site->enabled) {
            continue;
        }
        size_t k = 0;
        while (k < n && (kinds[k].first->samples != site->samples ||
                         kinds[k].first->interval != site->interval ||
                         !config_same_health(&kinds[k].first->health, &site->health))) {
            k++;
        }
        if (k == KINDS_MOST) {
            rest++;
            continue;
        }
        if (k == n) {
            kinds[n++] = (struct kind){.first = site};
        }
        kinds[k].sites++;
    }
    *ret_rest = rest;
    return n;
}

static void print_rounds(const struct forecast_found *found, FILE *to) {
    char text[32] = "-";
    if (isnan(found->median) || isnan(found->most)) {
        snprintf(text, sizeof text, "?");
    } else if (found->median <= ROUNDS_MOST && found->most <= ROUNDS_MOST) {
        snprintf(text, sizeof text, "%.0f/%.0f", found->median, found->most);
    } else if (found->median <= ROUNDS_MOST) {
        snprintf(text, sizeof text, "%.0f/-", found->median);
    }
    fprintf(to, " %11s", text);
}

static void print_alarms(double a_year, FILE *to) {
    char text[32] = "?";
    if (a_year < 0.0001) {
        snprintf(text, sizeof text, "<0.0001");
    } else if (!isnan(a_year)) {
        snprintf(text, sizeof text, a_year < 9.95 ? "%.2g" : "%.0f", a_year);
    }
    fprintf(to, " %9s", text);
}

/* Adds to `alarms`, each a year. 0 or -ENOMEM. */
static int print_kind(const struct kind *kind, double alarms[static CHANCES], FILE *to) {
    const struct site *site = kind->first;
    char interval[VALUE_TEXT_SIZE];
    value_print_duration(site->interval, interval);
    fprintf(to, "%7u %8s", site->samples, interval);
    for (size_t i = 0; i < BACKENDS; i++) {
        struct forecast_found found;
        int r = forecast_find(site->samples, &site->health, 1.0 / backends[i], &found);
        if (r < 0) {
            return r;
        }
        print_rounds(&found, to);
    }
    for (size_t i = 0; i < CHANCES; i++) {
        double a_year;
        int r = forecast_alarms(site->samples, site->interval, &site->health, chances[i], &a_year);
        if (r < 0) {
            return r;
        }
        print_alarms(a_year, to);
        alarms[i] += a_year * (double)kind->sites;
    }
    fprintf(to, "  %s", site->name);
    if (kind->sites > 1) {
        fprintf(to, " and %zu more", kind->sites - 1);
    }
    fputc('\n', to);
    return 0;
}

static void print_head(FILE *to) {
    fprintf(to, "\n%16s %*s %19s\n%7s %8s", "", 12 * BACKENDS - 1,
            "degraded after so many rounds, where 1 backend is bad of", "false alarms/year",
            "samples", "interval");
    for (size_t i = 0; i < BACKENDS; i++) {
        fprintf(to, " %11u", backends[i]);
    }
    for (size_t i = 0; i < CHANCES; i++) {
        char percent[32];
        snprintf(percent, sizeof percent, "at %g %%", chances[i] * 100);
        fprintf(to, " %9s", percent);
    }
    fputs("  site\n", to);
}

/* 0 or -ENOMEM. */
static int print_forecast(const struct config *config, FILE *to) {
    struct kind kinds[KINDS_MOST];
    size_t rest, n = find_kinds(config, kinds, &rest);
    double alarms[CHANCES] = {0};
    if (n == 0) {
        return 0;
    }
    print_head(to);
    for (size_t i = 0; i < n; i++) {
        int r = print_kind(&kinds[i], alarms, to);
        if (r < 0) {
            return r;
        }
    }
    if (rest > 0) {
        fprintf(to, "… and %zu more sites, with settings of yet other kinds\n", rest);
    } else if (n > 1 || kinds[0].sites > 1) {
        fprintf(to, "%-*s", 16 + 12 * BACKENDS, "total");
        for (size_t k = 0; k < CHANCES; k++) {
            print_alarms(alarms[k], to);
        }
        fputc('\n', to);
    }
    fputc('\n', to);
    fputs(assumptions, to);
    return 0;
}

static uint64_t fd_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

/* NULL: messages say why. */
static struct config *load(const char *path, bool with_secrets) {
    signals_release();
    struct config *config = NULL;
    struct config_messages messages = {0};
    int r = with_secrets ? config_load(path, &messages, &config)
                         : config_load_without_secrets(path, &messages, &config);
    config_messages_print(&messages, stderr);
    config_messages_clear(&messages);
    return r == 0 ? config : NULL;
}

int checker_run(const char *path) {
    struct config *config = load(path, true);
    struct engine_trust trust;
    int status = EXIT_CONFIG;
    if (config == NULL) {
        return status;
    }
    if (engine_trust_load(config, 1, &trust) != 0) {
        log_error("out of memory");
    } else {
        if (engine_trust_judge(&trust, NULL)) {
            plan_print_obstacles(config, stderr);
            plan_print(config, SITES_MOST, fd_limit(), stdout);
            status = EXIT_OK;
            if (print_forecast(config, stdout) < 0) {
                log_error("out of memory");
                status = EXIT_CONFIG;
            }
        }
        engine_trust_clear(&trust);
    }
    config_unref(config);
    return status;
}

int checker_names(const char *path) {
    struct config *config = load(path, false);
    if (config == NULL) {
        return EXIT_CONFIG;
    }
    for (size_t i = 0; i < config->n_sites; i++) {
        puts(config->sites[i].name);
    }
    config_unref(config);
    return EXIT_OK;
}
