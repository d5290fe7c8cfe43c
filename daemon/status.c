/* The status pages have a loop of their own, and are not on the control loop, for two reasons: what a
 * scrape costs grows with the number of sites (10,000 of them are 45 MB of text), and the control
 * loop has rounds to start on time meanwhile; and a client can be slow, or hostile. So nothing of it can
 * move a sample's start, whatever it does to this loop.
 *
 * Nothing is shared but values that never change and are counted: configurations and reports. What this
 * loop knows it was told by mail: each closed round, each configuration with the states of its sites,
 * and once a second how the daemon is. Whether the loops turn is asked of atomics, from here: a loop that
 * hangs cannot tell. */
#include "status.h"

#include "pages.h"

#include "base/log.h"
#include "base/loop.h"
#include "output/api.h"
#include "output/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define AWAY_AFTER (5 * NSEC_PER_SEC) /* a loop that has not turned for so long is not alive */

struct status {
    struct loop *loop;
    const struct engine *engine;

    /* a mail that is under way at most once; the control loop's while it is not */
    struct mail vitals_mail;
    atomic_bool vitals_under_way;
    struct vitals vitals_told;

    /* the status loop's */
    bool stopped; /* mail is only freed */
    struct board *board;
    struct web *web;
    struct vitals vitals;
};

/* ---- what comes ---- */

struct added {
    struct mail mail;
    struct report *report; /* a reference */
    struct board_state state;
};

static void deliver_added(struct mail *mail, void *receiver) {
    struct added *added = (struct added *)mail;
    struct status *status = receiver;
    if (!status->stopped) {
        board_add(status->board, added->report, &added->state);
    }
    report_free(added->report);
    free(added);
}

void status_add(struct status *status, struct report *report, const struct board_state *state) {
    struct added *added = malloc(sizeof *added);
    if (added == NULL) {
        log_error("%s: out of memory: the status pages miss a round", report->site->name);
        return;
    }
    *added = (struct added){.report = report_ref(report), .state = *state};
    added->mail.deliver = deliver_added;
    loop_post(status->loop, &added->mail);
}

struct configured {
    struct mail mail;
    struct config *config; /* a reference */
    struct board_state *states;
};

static void deliver_configured(struct mail *mail, void *receiver) {
    struct configured *configured = (struct configured *)mail;
    struct status *status = receiver;
    if (!status->stopped &&
        board_configure(status->board, configured->config, configured->states) != 0) {
        log_error("out of memory: the status pages stay with the sites of before");
    }
    config_unref(configured->config);
    free(configured->states);
    free(configured);
}

int status_configure(struct status *status, struct config *config, struct board_state *states) {
    struct configured *configured = malloc(sizeof *configured);
    if (configured == NULL) {
        free(states);
        return -ENOMEM;
    }
    *configured = (struct configured){.config = config_ref(config), .states = states};
    configured->mail.deliver = deliver_configured;
    loop_post(status->loop, &configured->mail);
    return 0;
}

struct listening {
    struct mail mail;
    struct web_socket *socket;
};

static void deliver_listening(struct mail *mail, void *receiver) {
    struct listening *listening = (struct listening *)mail;
    struct status *status = receiver;
    if (status->stopped) {
        web_socket_free(listening->socket);
    } else if (web_listen(status->web, listening->socket) != 0) {
        log_error("out of memory: the status server stays where it was");
    }
    free(listening);
}

void status_listen(struct status *status, struct web_socket *socket) {
    struct listening *listening = malloc(sizeof *listening);
    if (listening == NULL) {
        log_error("out of memory: the status server stays where it was");
        web_socket_free(socket);
        return;
    }
    *listening = (struct listening){.socket = socket};
    listening->mail.deliver = deliver_listening;
    loop_post(status->loop, &listening->mail);
}

static void deliver_vitals(struct mail *mail, void *receiver) {
    struct status *status = receiver;
    (void)mail;
    status->vitals = status->vitals_told;
    atomic_store(&status->vitals_under_way, false);
}

void status_vitals(struct status *status, const struct vitals *vitals) {
    if (atomic_exchange(&status->vitals_under_way, true)) {
        return; /* the one before has not been read yet */
    }
    status->vitals_told = *vitals;
    status->vitals_mail.deliver = deliver_vitals;
    loop_post(status->loop, &status->vitals_mail);
}

/* ---- the process ---- */

static uint64_t count_fds(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return 0;
    }
    uint64_t n = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(directory);
    return n - 1; /* the directory itself */
}

static void look_at_process(struct vitals *vitals) {
    unsigned long long pages_virtual = 0, pages_resident = 0;
    struct rlimit limit;
    struct timespec used;
    long page = sysconf(_SC_PAGESIZE);
    FILE *memory = fopen("/proc/self/statm", "re");
    if (memory != NULL) {
        if (fscanf(memory, "%llu %llu", &pages_virtual, &pages_resident) != 2) {
            pages_virtual = pages_resident = 0;
        }
        fclose(memory);
    }
    vitals->virtual_bytes = pages_virtual * (uint64_t)page;
    vitals->resident_bytes = pages_resident * (uint64_t)page;
    vitals->open_fds = count_fds();
    vitals->max_fds = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0) {
        vitals->cpu = used.tv_sec * NSEC_PER_SEC + used.tv_nsec;
    }
}

/* As of now, as far as this loop can know it. */
static struct vitals vitals_now(const struct status *status) {
    struct vitals vitals = status->vitals;
    engine_vital_signs(status->engine, &vitals);
    look_at_process(&vitals);
    return vitals;
}

/* ---- answers ---- */

static const char text_type[] = "text/plain; charset=utf-8", json_type[] = "application/json";

static bool write_metrics(void *metrics, FILE *to) {
    return metrics_write(metrics, to);
}

static void free_metrics(void *metrics) {
    metrics_free(metrics);
}

static void answer_metrics(struct status *status, const struct web_request *request,
                           const char *rest, struct web_answer *ret_answer) {
    (void)request;
    (void)rest;
    struct vitals vitals = vitals_now(status);
    struct metrics *metrics = metrics_new(status->board, &vitals);
    if (metrics == NULL) {
        web_answer_text(ret_answer, 503, text_type, NULL);
        return;
    }
    *ret_answer = (struct web_answer){
        .status = 200,
        .type = METRICS_TYPE,
        .body_write = write_metrics,
        .body_free = free_metrics,
        .body = metrics,
    };
}

/* One line for each loop that does not turn. */
static void answer_alive(struct status *status, const struct web_request *request, const char *rest,
                         struct web_answer *ret_answer) {
    (void)request;
    (void)rest;
    struct vitals vitals;
    engine_vital_signs(status->engine, &vitals);
    char text[256] = "";
    size_t n = 0;
    for (unsigned i = 0; i < VITALS_LOOPS; i++) {
        const struct vitals_loop *loop = &vitals.loops[i];
        if (loop->lag >= AWAY_AFTER) {
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  "the %s loop has not turned for %.0f s\n", loop->name,
                                  (double)loop->lag / NSEC_PER_SEC);
        }
    }
    web_answer_text(ret_answer, n == 0 ? 200 : 503, text_type, strdup(n == 0 ? "ok\n" : text));
}

static void answer_ready(struct status *status, const struct web_request *request, const char *rest,
                         struct web_answer *ret_answer) {
    (void)request;
    (void)rest;
    struct vitals vitals;
    engine_vital_signs(status->engine, &vitals);
    web_answer_text(ret_answer, vitals.ready ? 200 : 503, text_type,
                    strdup(vitals.ready
                               ? "ok\n"
                               : "a sink cannot write: tallyd's messages say which, and why\n"));
}

static bool write_sites(void *sites, FILE *to) {
    return api_sites_write(sites, to);
}

static void free_sites(void *sites) {
    api_sites_free(sites);
}

static void answer_sites(struct status *status, const struct web_request *request, const char *rest,
                         struct web_answer *ret_answer) {
    (void)request;
    (void)rest;
    struct api_sites *sites = api_sites_new(status->board, clock_wall_now());
    if (sites == NULL) {
        web_answer_text(ret_answer, 503, text_type, NULL);
        return;
    }
    *ret_answer = (struct web_answer){
        .status = 200,
        .type = json_type,
        .body_write = write_sites,
        .body_free = free_sites,
        .body = sites,
    };
}

static void answer_site(struct status *status, const struct web_request *request, const char *rest,
                        struct web_answer *ret_answer) {
    (void)request;
    const struct board_site *site = board_find(status->board, rest);
    if (site == NULL) {
        web_answer_text(ret_answer, 404, text_type, strdup("There is no such site.\n"));
        return;
    }
    web_answer_text(ret_answer, 200, json_type, api_site(site, clock_wall_now()));
}

/* Why this machine itself is in trouble, or NULL. */
static const char *trouble_now(const struct status *status) {
    for (unsigned i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
        if (status->vitals.troubles[i].active) {
            return trouble_words((enum trouble)i);
        }
    }
    return NULL;
}

/* The first row that fits. What is below a path that ends in "/" is handed over as `rest`. */
static const struct route {
    const char *path;
    void (*answer)(struct status *status, const struct web_request *request, const char *rest,
                   struct web_answer *ret_answer);
} routes[] = {
    {"/metrics", answer_metrics},    {"/healthz", answer_alive},      {"/readyz", answer_ready},
    {"/api/v1/sites", answer_sites}, {"/api/v1/sites/", answer_site},
};

static void on_request(const struct web_request *request, struct web_answer *ret_answer,
                       void *arg) {
    struct status *status = arg;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t n = strlen(routes[i].path);
        bool below = n > 1 && routes[i].path[n - 1] == '/';
        if (below ? strncmp(request->path, routes[i].path, n) == 0 && request->path[n] != '\0'
                  : strcmp(request->path, routes[i].path) == 0) {
            routes[i].answer(status, request, request->path + n, ret_answer);
            return;
        }
    }
    struct page_about about = {
        .wall_now = clock_wall_now(),
        .refresh_seconds = PAGES_REFRESH_SECONDS,
        .trouble = trouble_now(status),
    };
    pages_answer(status->board, &about, request, ret_answer);
}

/* ---- all ---- */

int status_new(const struct engine *engine, struct web_socket *socket, struct status **ret_status) {
    struct status *status = calloc(1, sizeof *status);
    if (status == NULL) {
        web_socket_free(socket);
        return -ENOMEM;
    }
    status->engine = engine;
    status->board = board_new();
    int r = status->board == NULL ? -ENOMEM : loop_new("status", status, &status->loop);
    if (r == 0) {
        r = web_new(loop_base(status->loop), on_request, status, &status->web);
    }
    if (r == 0) {
        r = web_listen(status->web, socket);
        socket = NULL;
    }
    if (r == 0) {
        r = loop_start(status->loop);
    }
    if (r != 0) {
        web_socket_free(socket);
        status_free(status);
        return r;
    }
    *ret_status = status;
    return 0;
}

void status_free(struct status *status) {
    if (status == NULL) {
        return;
    }
    if (status->loop != NULL) {
        loop_stop(status->loop);
        loop_join(status->loop);
    }
    status->stopped = true;
    web_free(status->web);
    loop_free(status->loop); /* delivers what is left, to be freed */
    board_free(status->board);
    free(status);
}
