/* Four things meet here and nowhere else: the schedule says whose slot it is, the engine samples, the
 * judge says whose that is what came back, the site's or ours, and the watch list what it means for the
 * site. One timer, for the schedule's next start, drives it all.
 *
 * A reload reads aside (reload.c), compares, prepares the sinks, and then applies everything in one
 * turn of the loop; on any error nothing at all is applied and the old configuration goes on.
 * Another SIGHUP meanwhile is remembered and served afterwards. Rounds in flight end under the
 * configuration that they began with, of which they hold a reference. */
#include "daemon.h"

#include "difference.h"
#include "display.h"
#include "engine.h"
#include "herald.h"
#include "judge.h"
#include "keeper.h"
#include "on_change.h"
#include "reload.h"
#include "state_file.h"
#include "watch.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"
#include "config/plan.h"
#include "sampling/schedule.h"
#include "service/signals.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_CONFIG = 2, EXIT_FAILED = 3 };
static const nsec_t keep_limit = 2 * NSEC_PER_SEC;
enum { SITES_MANY = 10 }; /* from here on a reload that drops more than half is refused */

struct daemon {
    const char *path;
    char boot[33];
    struct engine *engine;
    struct schedule *schedule;
    const struct site **scheduled; /* by the schedule's index; of the configuration in force */
    struct watch_list *watched, *watched_before; /* the latter only while a reload is applied */
    struct on_change *on_change;
    struct keeper *keeper; /* NULL: states are not kept over a restart */
    struct herald *herald;
    struct display *display;
    struct judge *judge;
    struct event *timer;
    struct signals *signals;
    struct reload *reload;     /* under way */
    struct reload_result next; /* read, waiting for the sinks */
    struct difference difference;
    bool reload_again;
    struct vitals_reloads reloads;
    bool stopping;
    bool drained; /* the engine has come to its end */
    bool broken;
};

/* ---- slots ---- */

static void arm(struct daemon *daemon) {
    nsec_t at;
    event_del(daemon->timer);
    if (daemon->stopping || !schedule_next(daemon->schedule, &at)) {
        return;
    }
    struct timeval delay = loop_timeval(at - clock_now());
    event_add(daemon->timer, &delay);
}

static void begin_due(struct daemon *daemon) {
    struct schedule_slot slot;
    nsec_t now = clock_now();
    while (!daemon->stopping && schedule_take(daemon->schedule, now, &slot)) {
        const struct site *site = daemon->scheduled[slot.site];
        struct engine_begin begin = {
            .config = engine_config(daemon->engine),
            .site = site,
            .number = slot.number,
            .skipped = slot.skipped,
            .first = slot.first,
            .due = slot.due,
            .entry = slot.entry,
        };
        if (engine_begin(daemon->engine, &begin) != 0) {
            log_error("%s: out of memory: round %" PRIu64 " is lost", site->name, slot.number);
            schedule_done(daemon->schedule, slot.entry, now);
        }
    }
    arm(daemon);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    begin_due(arg);
}

static void on_settled(const struct round *round, struct report *report, void *arg) {
    struct daemon *daemon = arg;
    struct change change;
    if (watch_judge(daemon->watched, report, round->began, clock_wall_now(), &change)) {
        engine_event(daemon->engine, report->site, report->config, &change);
        on_change_tell(daemon->on_change, report->site, &change);
    }
    display_add(daemon->display, report, daemon->watched);
    keeper_touch(daemon->keeper);
}

static bool on_closed(struct round *round, struct report *report, void *arg) {
    struct daemon *daemon = arg;
    nsec_t now = clock_now();
    bool kept = report != NULL && judge_close(daemon->judge, round, report);
    schedule_done(daemon->schedule, round->entry, now);
    begin_due(daemon);
    return kept;
}

static void on_paused(struct config *config, const struct site *site, const struct change *change,
                      void *arg) {
    struct daemon *daemon = arg;
    engine_event(daemon->engine, site, config, change);
    on_change_tell(daemon->on_change, site, change);
}

/* ---- what a configuration becomes ---- */

/* The enabled sites, as the schedule wants them. */
static int list_scheduled(const struct config *config, const struct watch_list *watched,
                          struct schedule_site **ret_sites, const struct site ***ret_scheduled,
                          size_t *ret_n) {
    struct schedule_site *sites = calloc(config->n_sites, sizeof *sites);
    const struct site **scheduled = calloc(config->n_sites, sizeof(const struct site *));
    if (sites == NULL || scheduled == NULL) {
        free(sites);
        free(scheduled);
        return -ENOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if (site->enabled) {
            sites[n] = (struct schedule_site){.name = site->name,
                                              .interval = site->interval,
                                              .ring = site->ring,
                                              .number = watch_round(watched, site)};
            scheduled[n++] = site;
        }
    }
    *ret_sites = sites;
    *ret_scheduled = scheduled;
    *ret_n = n;
    return 0;
}

/* Schedule and watch list for the configuration that is in force from now on; on failure nothing
 * has changed. */
static int apply(struct daemon *daemon, struct config *config, nsec_t now) {
    struct schedule_site *sites = NULL;
    const struct site **scheduled = NULL;
    size_t n;
    struct watch_list *watched = watch_list_new(config, daemon->watched);
    if (watched == NULL) {
        return -ENOMEM;
    }
    keeper_restore(daemon->keeper, watched);
    int r = list_scheduled(config, watched, &sites, &scheduled, &n);
    if (r == 0) {
        r = schedule_set(daemon->schedule, sites, n, now);
    }
    free(sites);
    if (r != 0) {
        watch_list_free(watched);
        free(scheduled);
        return r;
    }
    daemon->watched_before = daemon->watched;
    daemon->watched = watched;
    judge_configure(daemon->judge, config, watched);
    free(daemon->scheduled);
    daemon->scheduled = scheduled;
    return 0;
}

/* ---- reload ---- */

static void start_reload(struct daemon *daemon);

__attribute__((format(printf, 2, 3))) static void refuse(struct daemon *daemon, const char *format,
                                                         ...) {
    char *why = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&why, format, args) < 0) {
        why = NULL;
    }
    va_end(args);
    const char *said = why != NULL ? why : "out of memory";
    log_error("reload refused, the old configuration stays: %s", said);
    struct vitals_reloads *reloads = &daemon->reloads;
    reloads->refused++;
    text_escape(said, strlen(said), reloads->why_refused, sizeof reloads->why_refused);
    free(why);
}

static void end_reload(struct daemon *daemon) {
    struct reload *reload = daemon->reload;
    daemon->reload = NULL;
    config_unref(daemon->next.config);
    config_messages_clear(&daemon->next.messages);
    engine_trust_clear(&daemon->next.trust);
    memset(&daemon->next, 0, sizeof daemon->next);
    reload_free(reload);
    engine_reopen(daemon->engine);
    if (!daemon->stopping) {
        herald_ready(daemon->herald);
    }
    if (daemon->reload_again && !daemon->stopping) {
        start_reload(daemon);
    }
}

/* A file cut at a line's end is still valid YAML; a site list that shrinks by half needs a word. */
static bool removes_too_many(struct daemon *daemon, const struct difference *difference,
                             const struct config *config) {
    if (config->max_removed >= 0) {
        if (difference->removed <= (uint64_t)config->max_removed) {
            return false;
        }
        refuse(daemon,
               "it would remove %zu of %zu sites, and max_removed allows %" PRId64
               "; if so many shall go, say so: max_removed: %zu",
               difference->removed, difference->before, config->max_removed, difference->removed);
        return true;
    }
    if (difference->before < SITES_MANY || difference->removed * 2 <= difference->before) {
        return false;
    }
    refuse(daemon,
           "it would remove %zu of %zu sites; is the file whole? If so, say so in it: "
           "max_removed: %zu",
           difference->removed, difference->before, difference->removed);
    return true;
}

static int apply_next(void *arg) {
    struct daemon *daemon = arg;
    return apply(daemon, daemon->next.config, clock_now());
}

static void on_reconfigured(const char *why_not, void *arg) {
    struct daemon *daemon = arg;
    if (why_not != NULL) {
        display_rollback(daemon->display);
        refuse(daemon, "%s", why_not);
    } else {
        daemon->reloads.applied++;
        daemon->reloads.wall_applied = clock_wall_now();
        *daemon->reloads.why_refused = '\0';
        display_commit(daemon->display, daemon->next.config, daemon->watched);
        const struct difference *difference = &daemon->difference;
        size_t n = daemon->next.config->n_sites;
        log_notice("reloaded: %zu site%s; %zu added, %zu removed, %zu changed", n,
                   n == 1 ? "" : "s", difference->added, difference->removed, difference->changed);
        int r = on_change_configure(daemon->on_change, daemon->next.config);
        if (r != 0) {
            log_error("on_change: the commands of before stay: %s", strerror(-r));
        }
        /* now, as the sinks are those of the new configuration */
        watch_list_tell_paused(daemon->watched, daemon->watched_before, clock_wall_now(), on_paused,
                               daemon);
        watch_list_free(daemon->watched_before);
        daemon->watched_before = NULL;
    }
    end_reload(daemon);
    begin_due(daemon);
}

static void warn_of_next_start(const struct daemon *daemon, const struct config *config,
                               const struct config *before) {
    const char *is = config->state_file, *was = before->state_file;
    if (config->workers != engine_workers(daemon->engine)) {
        log_warning("workers: %u takes effect with the next start (systemctl restart tallyd)",
                    config->workers);
    }
    if (is != was && (is == NULL || was == NULL || strcmp(is, was) != 0)) {
        log_warning("state_file: %s takes effect with the next start (systemctl restart tallyd)",
                    is != NULL ? is : "its absence");
    }
}

static void on_read(struct reload_result *result, void *arg) {
    struct daemon *daemon = arg;
    daemon->next = *result;
    memset(result, 0, sizeof *result);
    struct config *config = daemon->next.config;
    struct config *before = engine_config(daemon->engine);
    config_messages_print(&daemon->next.messages, stderr);
    if (daemon->stopping) {
        end_reload(daemon);
        return;
    }
    if (config == NULL) {
        size_t n = daemon->next.messages.n_errors;
        refuse(daemon, "%s has %zu error%s; `tallyd check -c %s` tells %s", daemon->path, n,
               n == 1 ? "" : "s", daemon->path, n == 1 ? "it" : "them");
        end_reload(daemon);
        return;
    }
    struct difference difference = difference_between(before, config);
    if (removes_too_many(daemon, &difference, config)) {
        end_reload(daemon);
        return;
    }
    const char *why_not = daemon->next.trust.n == 0 ? "out of memory"
                          : !engine_trust_judge(&daemon->next.trust, before)
                              ? "a file that it names cannot be used; the log says which, and why"
                              : NULL;
    if (why_not != NULL) {
        refuse(daemon, "%s", why_not);
        end_reload(daemon);
        return;
    }
    char *why = NULL;
    if (display_prepare(daemon->display, config, &why) != 0) {
        refuse(daemon, "%s", why != NULL ? why : "out of memory");
        free(why);
        end_reload(daemon);
        return;
    }
    warn_of_next_start(daemon, config, before);
    daemon->difference = difference;
    engine_reconfigure(daemon->engine, config, &daemon->next.trust, apply_next, on_reconfigured,
                       daemon);
}

static void start_reload(struct daemon *daemon) {
    daemon->reload_again = false;
    herald_reloading(daemon->herald);
    int r = reload_start(daemon->path, engine_workers(daemon->engine), engine_loop(daemon->engine),
                         on_read, daemon, &daemon->reload);
    if (r != 0) {
        refuse(daemon, "%s", strerror(-r));
        engine_reopen(daemon->engine);
        herald_ready(daemon->herald);
    }
}

static void on_reload_signal(void *arg) {
    struct daemon *daemon = arg;
    if (daemon->stopping) {
        return;
    }
    if (daemon->reload != NULL) {
        daemon->reload_again = true;
    } else {
        start_reload(daemon);
    }
}

static void on_reopen_signal(void *arg) {
    struct daemon *daemon = arg;
    engine_reopen(daemon->engine);
}

/* ---- start and stop ---- */

static void on_stop_signal(void *arg) {
    struct daemon *daemon = arg;
    log_notice(daemon->stopping ? "stopping now" : "stopping: samples in flight end by themselves");
    bool again = daemon->stopping;
    daemon->stopping = true;
    event_del(daemon->timer);
    if (!again) {
        herald_stopping(daemon->herald);
    }
    if (!daemon->drained) {
        judge_release(daemon->judge);
        engine_stop(daemon->engine, again);
    }
    on_change_stop(daemon->on_change, again);
}

static void on_commands_ended(void *arg) {
    struct daemon *daemon = arg;
    if (daemon->drained) {
        loop_stop(engine_loop(daemon->engine));
    }
}

static void on_broken(int error, void *arg) {
    struct daemon *daemon = arg;
    log_error("stdout cannot be written: %s", strerror(error));
    daemon->broken = true;
}

static void make_boot(char ret_boot[static 33]) {
    unsigned char bytes[16];
    /* fewer than 256 bytes come whole, once the pool is ready */
    ssize_t n = getrandom(bytes, sizeof bytes, 0);
    assert(n == sizeof bytes);
    (void)n;
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(ret_boot + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void warn_of_descriptors(const struct config *config) {
    struct rlimit limit;
    uint64_t most = plan_fds(config);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && most > limit.rlim_cur) {
        log_warning(
            "max_in_flight %u can need %" PRIu64 " descriptors, the limit is %" PRIu64
            ": lower max_in_flight or raise the limit (LimitNOFILE=), else samples will end "
            "as local_resource",
            config->max_in_flight, most, (uint64_t)limit.rlim_cur);
    }
}

static const struct watch_list *watched_of(void *arg) {
    const struct daemon *daemon = arg;
    return daemon->watched;
}

static int start_keeper(struct daemon *daemon, const struct config *config,
                        struct event_base *base) {
    char *path;
    int r = state_file_path(config, &path);
    if (r == 0 && path != NULL) {
        r = keeper_new(path, base, watched_of, daemon, &daemon->keeper);
        free(path);
    }
    return r;
}

/* What looks on shows what the judge finds. */
static int start_display(struct daemon *daemon, const struct config *config) {
    daemon->judge = judge_new(daemon->engine, on_settled, daemon);
    if (daemon->judge != NULL) {
        daemon->display =
            display_new(daemon->engine, judge_troubles(daemon->judge), &daemon->reloads);
    }
    char *why = NULL;
    int r = daemon->display == NULL ? -ENOMEM : display_prepare(daemon->display, config, &why);
    if (r != 0) {
        log_error("%s", why != NULL ? why : "out of memory");
        free(why);
    }
    return r;
}

static int start(struct daemon *daemon, struct config *config, struct engine_trust *trust) {
    struct engine_options options = {
        .config = config,
        .trust = trust,
        .boot = daemon->boot,
        .on_closed = on_closed,
        .on_broken = on_broken,
        .arg = daemon,
    };
    char *why = NULL;
    int r = engine_new(&options, &daemon->engine, &why);
    if (r != 0) {
        log_error("%s", why != NULL ? why : strerror(-r));
        free(why);
        return r;
    }
    struct event_base *base = loop_base(engine_loop(daemon->engine));
    struct signals_handlers handlers = {
        .on_reload = on_reload_signal,
        .on_reopen = on_reopen_signal,
        .on_stop = on_stop_signal,
        .arg = daemon,
    };
    daemon->timer = event_new(base, -1, 0, on_timer, daemon);
    r = start_keeper(daemon, config, base);
    if (r == 0) {
        daemon->on_change = on_change_new(engine_loop(daemon->engine), on_commands_ended, daemon);
        r = daemon->on_change == NULL ? -ENOMEM : on_change_configure(daemon->on_change, config);
    }
    if (r != 0) {
        log_error("cannot start: %s", strerror(-r));
        return r;
    }
    r = start_display(daemon, config);
    if (r != 0) {
        return r;
    }
    nsec_t now = clock_now(); /* one reading: the first slot is due this very instant */
    daemon->schedule = schedule_new(now);
    if (daemon->timer == NULL || daemon->schedule == NULL || apply(daemon, config, now) != 0 ||
        herald_new(daemon->engine, &daemon->reloads, watched_of, daemon, &daemon->herald) != 0 ||
        signals_start(base, &handlers, &daemon->signals) != 0) {
        log_error("out of memory");
        return -ENOMEM;
    }
    daemon->reloads.wall_applied = clock_wall_now();
    display_commit(daemon->display, config, daemon->watched);
    return 0;
}

static void clear(struct daemon *daemon) {
    reload_abandon(daemon->reload);
    signals_stop(daemon->signals);
    if (daemon->timer != NULL) {
        event_free(daemon->timer);
    }
    keeper_free(daemon->keeper);
    herald_free(daemon->herald);
    on_change_free(daemon->on_change);
    display_free(daemon->display);
    daemon->display = NULL;
    engine_free(daemon->engine);
    reload_free(daemon->reload);
    config_unref(daemon->next.config);
    config_messages_clear(&daemon->next.messages);
    engine_trust_clear(&daemon->next.trust);
    judge_free(daemon->judge);
    watch_list_free(daemon->watched);
    schedule_free(daemon->schedule);
    free(daemon->scheduled);
}

static int run(struct daemon *daemon, struct config *config, struct engine_trust *trust) {
    int status = EXIT_FAILED;
    if (start(daemon, config, trust) == 0) {
        log_notice("version %s: %zu site%s in %zu ring%s", TALLYD_VERSION, config->n_sites,
                   config->n_sites == 1 ? "" : "s", config->n_rings,
                   config->n_rings == 1 ? "" : "s");
        herald_ready(daemon->herald);
        begin_due(daemon);
        loop_run(engine_loop(daemon->engine));
        daemon->drained = true;
        on_change_stop(daemon->on_change, false);
        while (!on_change_has_ended(daemon->on_change)) {
            loop_run(engine_loop(daemon->engine));
        }
        keeper_finish(daemon->keeper, keep_limit);
        uint64_t unwritten = engine_unwritten(daemon->engine);
        if (unwritten > 0) {
            log_error("stopped; %" PRIu64 " records could not be written", unwritten);
        } else {
            log_notice("stopped");
        }
        status = unwritten > 0 || daemon->broken ? EXIT_FAILED : EXIT_OK;
        if (engine_is_stuck(daemon->engine) || on_change_is_stuck(daemon->on_change)) {
            _exit(EXIT_FAILED);
        }
    }
    clear(daemon);
    return status;
}

int daemon_run(const char *config_path) {
    struct daemon daemon = {.path = config_path};
    struct config *config = NULL;
    struct config_messages messages = {0};
    int r = config_load(config_path, &messages, &config);
    config_messages_print(&messages, stderr);
    config_messages_clear(&messages);
    if (r != 0) {
        return EXIT_CONFIG;
    }
    struct engine_trust trust;
    int status = EXIT_CONFIG;
    if (engine_trust_load(config, config->workers, &trust) != 0) {
        log_error("out of memory");
    } else if (!engine_trust_judge(&trust, NULL)) {
        engine_trust_clear(&trust);
    } else {
        warn_of_descriptors(config);
        make_boot(daemon.boot);
        status = run(&daemon, config, &trust);
    }
    config_unref(config);
    return status;
}
