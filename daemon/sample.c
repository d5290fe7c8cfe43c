/* Sites begin in the order given, as many at once as max_in_flight has room for at their full
 * concurrency: a round that has begun thus never waits for another's samples, and its deadline is
 * its own. Reports leave in the same order. */
#include "sample.h"

#include "engine.h"
#include "urls.h"

#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "output/format.h"
#include "service/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
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
    bool stopping, stopped_by_signal, broken;
};

void sample_usage(void) {
    fputs("usage: tallyd sample [OPTION]... URL...\n"
          "\n"
          "Sends every URL a round of independent requests, all URLs in parallel, and\n"
          "prints one report for each, in the order given.\n"
          "\n"
          "  -n, --samples N        requests for each URL (20); also --num-times\n"
          "  -j, --concurrency N    of them in flight at a time (5)\n"
          "  -f, --file FILE        URLs from FILE, one a line; lines that begin with #\n"
          "                         are comments; - is stdin\n"
          "      --format FORMAT    text (default), line or json\n"
          "      --timeout TIME     for one request, from connect to the last byte (5s);\n"
          "                         a bare number is seconds\n"
          "      --max-in-flight N  requests in flight over all URLs (500)\n"
          "      --cacert FILE      trust the CAs of this PEM file, not the system's\n"
          "  -h, --help             this text\n"
          "\n"
          "A status from 200 to 399 meets the expectation; redirects are not followed.\n"
          "An error has a name: connect_refused, tls_verify, first_byte_timeout, …\n"
          "Requests that could not be made for want of our own resources (not_sent,\n"
          "local_resource, aborted) say nothing of the site.\n"
          "\n"
          "exit status: 0 every site met its expectation; 1 some did not; 2 wrong usage\n"
          "or a bad URL; 3 a site could not be judged, the output failed, or a signal cut\n"
          "it short.\n"
          "\n"
          "examples:\n"
          "  tallyd sample https://example.org/\n"
          "  tallyd sample -n 100 -j 10 --format line https://example.org/\n"
          "  tallyd sample --format json -f urls.txt | jq .codes\n",
          stdout);
}

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

static void on_closed(const struct round *round, struct report *report, void *arg) {
    struct sampling *sampling = arg;
    (void)round;
    sampling->closed++;
    if (report == NULL || report->judged == 0) {
        sampling->unjudged++;
    } else if (report->failed > 0) {
        sampling->unmet++;
    }
    begin_more(sampling);
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

/* How many sites may run together: max_in_flight is shared, and so are descriptors. */
static size_t sites_at_once(const struct config *config) {
    enum { RESERVE = 64, PER_SAMPLE = 3 }; /* its socket, and at the worst a lane of its own */
    unsigned concurrency = config->sites[0].concurrency; /* of all sites alike */
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

static bool parse_count(const char *option, const char *text, unsigned most, unsigned *ret_count) {
    char *end;
    errno = 0;
    unsigned long count = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || count < 1 || count > most) {
        log_error("%s: '%s' is not a whole number from 1 to %u", option, text, most);
        return false;
    }
    *ret_count = (unsigned)count;
    return true;
}

enum {
    OPTION_FORMAT = 256,
    OPTION_TIMEOUT,
    OPTION_MAX_IN_FLIGHT,
    OPTION_CACERT,
};

static const struct option long_options[] = {
    {"samples", required_argument, NULL, 'n'},
    {"num-times", required_argument, NULL, 'n'},
    {"concurrency", required_argument, NULL, 'j'},
    {"file", required_argument, NULL, 'f'},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"max-in-flight", required_argument, NULL, OPTION_MAX_IN_FLIGHT},
    {"cacert", required_argument, NULL, OPTION_CACERT},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool parse_format(const char *text, struct config_urls *settings) {
    const struct format *format = format_find(text);
    if (format == NULL) {
        log_error("--format: '%s' is not text, line or json", text);
        return false;
    }
    settings->format = format->name;
    return true;
}

static bool parse_timeout(const char *text, struct config_urls *settings) {
    if (config_parse_duration(text, true, &settings->timeout) != 0 || settings->timeout <= 0) {
        log_error("--timeout: '%s' is not a time: write 5, 5s or 250ms", text);
        return false;
    }
    return true;
}

/* False: `*ret_status` is the exit status. URLs keep the order in which they and files are named.
 */
static bool parse(int argc, char **argv, struct config_urls *settings, struct urls *urls,
                  int *ret_status) {
    *ret_status = EXIT_USAGE;
    int c;
    while ((c = getopt_long(argc, argv, "-n:j:f:vh", long_options, NULL)) != -1) {
        bool ok = true;
        switch (c) {
        case 1:
            ok = urls_add_argument(urls, optarg) == 0;
            break;
        case 'n':
            ok = parse_count("--samples", optarg, 10000, &settings->samples);
            break;
        case 'j':
            ok = parse_count("--concurrency", optarg, 1000, &settings->concurrency);
            break;
        case 'f':
            ok = urls_add_file(urls, optarg) == 0;
            break;
        case 'h':
            sample_usage();
            *ret_status = EXIT_MET;
            return false;
        case 'v':
            settings->format = format_full.name;
            break;
        case OPTION_FORMAT:
            ok = parse_format(optarg, settings);
            break;
        case OPTION_TIMEOUT:
            ok = parse_timeout(optarg, settings);
            break;
        case OPTION_MAX_IN_FLIGHT:
            ok = parse_count("--max-in-flight", optarg, 10000, &settings->max_in_flight);
            break;
        case OPTION_CACERT:
            settings->ca_file = optarg;
            break;
        default:
            fputs("tallyd sample --help says what there is\n", stderr);
            ok = false;
        }
        if (!ok) {
            return false;
        }
    }
    for (; optind < argc; optind++) { /* after -- */
        if (urls_add_argument(urls, argv[optind]) != 0) {
            return false;
        }
    }
    if (urls->n == 0) {
        log_error("no URL given; tallyd sample --help says how");
        return false;
    }
    return true;
}

int sample_main(int argc, char **argv) {
    struct urls urls = {0};
    struct config_urls settings = {.format = "text"};
    struct config *config = NULL;
    struct config_messages messages = {0};
    struct engine_trust trust;
    int status;
    if (parse(argc, argv, &settings, &urls, &status)) {
        status = EXIT_USAGE;
        settings.urls = (const char *const *)urls.texts;
        settings.origins = (const char *const *)urls.origins;
        settings.n_urls = urls.n;
        if (config_from_urls(&settings, &messages, &config) == 0) {
            if (engine_trust_load(config, config->workers, &trust) != 0) {
                log_error("out of memory");
            } else if (!engine_trust_judge(&trust, NULL)) {
                engine_trust_clear(&trust);
            } else {
                status = sample(config, &trust);
            }
        }
        config_messages_print(&messages, stderr);
    }
    config_messages_clear(&messages);
    config_unref(config);
    urls_clear(&urls);
    return status;
}
