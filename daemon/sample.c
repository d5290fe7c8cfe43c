/* Sites begin in the order given, as many at once as max_in_flight has room for at their full
 * concurrency: a round that has begun thus never waits for another's samples, and its deadline is
 * its own. Reports leave in the same order. */
#include "sample.h"

#include "engine.h"
#include "sample_options.h"

#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "service/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_MET = 0, EXIT_UNMET = 1, EXIT_USAGE = 2, EXIT_FAILED = 3 };

static const nsec_t progress_interval = 200 * NSEC_PER_MSEC;

struct sampling {
    struct engine *engine;
    struct config *config;
    struct signals *signals;
    struct event *timer;
    nsec_t started;
    size_t begun, closed; /* sites */
    size_t at_once;       /* sites that may run together */
    size_t unmet, unjudged;
    size_t untold; /* of those unmet, whose outcomes do not tell why */
    bool stopping, stopped_by_signal, broken;
};

/* ---- rounds ---- */

static void begin_more(struct sampling *sampling) {
    while (!sampling->stopping && sampling->begun < sampling->config->n_sites &&
           engine_running(sampling->engine) < sampling->at_once) {
        struct engine_begin begin = {
            .config = sampling->config,
            .site = &sampling->config->sites[sampling->begun],
            .number = 1,
            .due = clock_now(),
        };
        if (engine_begin(sampling->engine, &begin) != 0) {
            log_error("%s: out of memory: not sampled", begin.site->name);
            sampling->unjudged++;
            sampling->closed++;
        }
        sampling->begun++;
    }
    if (!sampling->stopping && sampling->closed == sampling->config->n_sites) {
        engine_finish(sampling->engine);
    }
}

static bool on_closed(struct round *round, struct report *report, void *arg) {
    struct sampling *sampling = arg;
    (void)round;
    sampling->closed++;
    if (report == NULL || report->judged == 0) {
        sampling->unjudged++;
    } else if (report->failed > 0) {
        sampling->unmet++;
        sampling->untold += !report_outcomes_tell(report);
    }
    begin_more(sampling);
    return false;
}

/* ---- progress ---- */

static void draw_progress(struct sampling *sampling) {
    uint64_t done = engine_samples(sampling->engine);
    uint64_t all = engine_added(sampling->engine);
    for (size_t i = 0; i < sampling->config->n_sites; i++) {
        all += sampling->config->sites[i].samples;
    }
    double seconds = (double)(clock_now() - sampling->started) / NSEC_PER_SEC;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char line[160];
    int n = snprintf(line, sizeof line, "%zu/%zu sites, %" PRIu64 "/%" PRIu64 " samples, %.0f/s",
                     sampling->closed, sampling->config->n_sites, done, all, rate);
    if (rate > 0 && done < all && n > 0 && (size_t)n < sizeof line) {
        snprintf(line + n, sizeof line - (size_t)n, ", about %.0f s left",
                 (double)(all - done) / rate);
    }
    engine_progress(sampling->engine, line);
}

static void on_progress(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    draw_progress(arg);
}

/* ---- signals and failures ---- */

static void on_stop(void *arg) {
    struct sampling *sampling = arg;
    bool again = sampling->stopped_by_signal;
    sampling->stopped_by_signal = true;
    sampling->stopping = true;
    engine_stop(sampling->engine, again);
}

static void on_broken(int error, void *arg) {
    struct sampling *sampling = arg;
    log_error("stdout cannot be written: %s", strerror(error));
    sampling->broken = true;
    sampling->stopping = true;
    engine_stop(sampling->engine, true); /* nobody reads what else might come */
}

/* ---- the command ---- */

static int start(struct sampling *sampling, struct engine_trust *trust, bool progress) {
    struct engine_options options = {
        .config = sampling->config,
        .trust = trust,
        .progress = progress,
        .on_closed = on_closed,
        .on_broken = on_broken,
        .arg = sampling,
    };
    char *why = NULL;
    int r = engine_new(&options, &sampling->engine, &why);
    if (r != 0) {
        log_error("%s", why != NULL ? why : strerror(-r));
        free(why);
        return r;
    }
    struct event_base *base = loop_base(engine_loop(sampling->engine));
    struct signals_handlers handlers = {.on_stop = on_stop, .arg = sampling};
    r = signals_start(base, &handlers, &sampling->signals);
    if (r == 0 && progress) {
        struct timeval interval = loop_timeval(progress_interval);
        sampling->timer = event_new(base, -1, EV_PERSIST, on_progress, sampling);
        if (sampling->timer == NULL || event_add(sampling->timer, &interval) != 0) {
            r = -ENOMEM;
        }
    }
    if (r != 0) {
        log_error("%s", strerror(-r));
    }
    return r;
}

static int status_of(const struct sampling *sampling) {
    uint64_t unwritten = engine_unwritten(sampling->engine);
    if (unwritten > 0 && !sampling->broken) {
        log_error("%" PRIu64 " reports could not be written", unwritten);
    }
    if (sampling->untold > 0 && strcmp(sampling->config->sinks[0].format, "text") == 0) {
        log_notice("%zu site%s failed for what no outcome tells; -v says what", sampling->untold,
                   sampling->untold == 1 ? "" : "s");
    }
    size_t left = sampling->config->n_sites - sampling->begun;
    if (left > 0 && !sampling->broken) {
        log_error("stopped: %zu of %zu sites were not sampled", left, sampling->config->n_sites);
    }
    if (unwritten > 0 || sampling->broken || left > 0 || sampling->unjudged > 0 ||
        sampling->stopped_by_signal) {
        return EXIT_FAILED;
    }
    return sampling->unmet > 0 ? EXIT_UNMET : EXIT_MET;
}

/* How many samples of a site are in flight at the most. With `addresses: each` that is known only
 * after its lookup; for a name with more than these, samples may have to wait for another site's. */
static unsigned places_of(const struct site *site) {
    enum { ADDRESSES_LIKELY = 8 };
    bool each = site->addresses == ADDRESSES_EACH && !site->url.literal;
    return each ? site->concurrency * ADDRESSES_LIKELY : site->concurrency;
}

/* How many sites may run together: max_in_flight is shared, and so are descriptors. */
static size_t sites_at_once(const struct config *config) {
    enum { RESERVE = 64, PER_SAMPLE = 3 }; /* its socket, and at the worst a lane of its own */
    unsigned concurrency = 1;
    for (size_t i = 0; i < config->n_sites; i++) {
        unsigned places = places_of(&config->sites[i]);
        concurrency = places > concurrency ? places : concurrency;
    }
    uint64_t samples = config->max_in_flight;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < RESERVE + PER_SAMPLE * samples) {
        samples = limit.rlim_cur > RESERVE ? (limit.rlim_cur - RESERVE) / PER_SAMPLE : 0;
        if (samples < concurrency) {
            log_warning("the limit of %" PRIu64 " open files is low: samples may end as "
                        "local_resource; raise it with ulimit -n",
                        (uint64_t)limit.rlim_cur);
        }
    }
    return samples > concurrency ? samples / concurrency : 1;
}

static int sample(struct config *config, struct engine_trust *trust) {
    struct sampling sampling = {.config = config, .started = clock_now()};
    sampling.at_once = sites_at_once(config);
    int status = EXIT_FAILED;
    if (start(&sampling, trust, isatty(STDERR_FILENO) == 1) == 0) {
        begin_more(&sampling);
        loop_run(engine_loop(sampling.engine));
        status = status_of(&sampling);
        if (engine_is_stuck(sampling.engine)) {
            _exit(EXIT_FAILED);
        }
    }
    signals_stop(sampling.signals);
    if (sampling.timer != NULL) {
        event_free(sampling.timer);
    }
    engine_free(sampling.engine);
    return status;
}

static int sample_with_trust(struct config *config) {
    struct engine_trust trust;
    if (engine_trust_load(config, config->workers, &trust) != 0) {
        log_error("out of memory");
        return EXIT_FAILED;
    }
    if (!engine_trust_judge(&trust, NULL)) {
        engine_trust_clear(&trust);
        return EXIT_USAGE;
    }
    return sample(config, &trust);
}

/* The sites of a configuration, for one round. */
static int load_sites(const struct sample_options *options, struct config_messages *messages,
                      struct config **ret_config) {
    struct config *whole = NULL;
    const char *unknown, *nearest;
    int r = config_load(options->config_path, messages, &whole);
    if (r < 0) {
        config_messages_print(messages, stderr);
        return r;
    }
    /* warnings of a whole file are for `check` to tell */
    r = config_once(whole, options->sites, options->n_sites, &options->settings, ret_config,
                    &unknown, &nearest);
    if (r == -ENOENT) {
        log_error(nearest != NULL ? "%s has no site \"%s\"; is it \"%s\"?"
                                  : "%s has no site \"%s\"",
                  options->config_path, unknown, nearest);
    } else if (r < 0) {
        log_error("%s", strerror(-r));
    }
    config_unref(whole);
    return r;
}

int sample_main(int argc, char **argv) {
    struct sample_options options;
    struct config *config = NULL;
    struct config_messages messages = {0};
    int status;
    signals_release(); /* a list of URLs may come from whom we wait for in vain, and nothing has begun */
    bool parsed = sample_options_parse(argc, argv, &options, &status);
    signals_hold();
    if (parsed) {
        status = EXIT_USAGE;
        int r = options.n_sites > 0 ? load_sites(&options, &messages, &config)
                                    : config_from_urls(&options.settings, &messages, &config);
        if (options.n_sites == 0) {
            config_messages_print(&messages, stderr);
        }
        if (r == 0) {
            status = sample_with_trust(config);
        }
    }
    config_messages_clear(&messages);
    config_unref(config);
    sample_options_clear(&options);
    return status;
}
