/* Without `status` in the configuration there is neither loop nor board. A reload that brings it starts
 * both, and counters begin then; one that takes it away ends them. */
#include "display.h"

#include "status.h"

#include "base/log.h"
#include "base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct display {
    const struct engine *engine;
    const struct trouble_list *troubles;
    const struct vitals_reloads *reloads;
    struct status *status; /* NULL: none is wanted */
    char *listen;          /* where it does */
    struct web_file file;  /* and at which file there */
    struct event *told;    /* every second: how the daemon is */
    nsec_t wall_started;

    /* prepared; all NULL: as before */
    struct status *next_status;
    struct web_socket *next_socket; /* for the status that there is */
    char *next_listen;
    struct web_file next_file;
};

static void tell_vitals(struct display *display) {
    struct vitals vitals = {
        .wall_started = display->wall_started,
        .reloads = *display->reloads,
    };
    for (unsigned i = 0; i < TROUBLE_COUNT; i++) {
        vitals.troubles[i].active = display->troubles->states[i].active;
        vitals.troubles[i].rounds = display->troubles->rounds[i];
    }
    engine_vitals(display->engine, &vitals);
    status_vitals(display->status, &vitals);
}

static void on_told(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    tell_vitals(arg);
}

struct display *display_new(const struct engine *engine, const struct trouble_list *troubles,
                            const struct vitals_reloads *reloads) {
    struct display *display = calloc(1, sizeof *display);
    if (display == NULL) {
        return NULL;
    }
    display->engine = engine;
    display->troubles = troubles;
    display->reloads = reloads;
    display->wall_started = clock_wall_now();
    display->told = event_new(loop_base(engine_loop(engine)), -1, EV_PERSIST, on_told, display);
    if (display->told == NULL) {
        free(display);
        return NULL;
    }
    return display;
}

static void end(struct display *display) {
    event_del(display->told);
    status_free(display->status);
    free(display->listen);
    display->status = NULL;
    display->listen = NULL;
}

void display_free(struct display *display) {
    if (display == NULL) {
        return;
    }
    display_rollback(display);
    end(display);
    event_free(display->told);
    free(display);
}

/* A unix socket that somebody removed is made anew. */
static bool stays(const struct display *display, const struct config *config) {
    const char *is = display->listen, *will = config->status_listen;
    return is == will || (is != NULL && will != NULL && strcmp(is, will) == 0 &&
                          web_file_is_at(&display->file, is));
}

int display_prepare(struct display *display, const struct config *config, char **ret_why) {
    *ret_why = NULL;
    if (stays(display, config) || config->status_listen == NULL) {
        return 0;
    }
    display->next_listen = strdup(config->status_listen);
    int r = display->next_listen == NULL
                ? -ENOMEM
                : web_socket_open(config->status_listen, &display->next_socket, ret_why);
    if (r == 0) {
        display->next_file = web_socket_file(display->next_socket);
    }
    if (r == 0 && display->status == NULL) {
        r = status_new(display->engine, display->next_socket, &display->next_status);
        display->next_socket = NULL;
    }
    if (r != 0) {
        display_rollback(display);
    }
    return r;
}

void display_rollback(struct display *display) {
    status_free(display->next_status);
    web_socket_free(display->next_socket);
    free(display->next_listen);
    display->next_status = NULL;
    display->next_socket = NULL;
    display->next_listen = NULL;
}

static void show_sites(struct display *display, struct config *config,
                       const struct watch_list *watched) {
    struct board_state *states = calloc(config->n_sites + 1, sizeof *states);
    for (size_t i = 0; i < config->n_sites && states != NULL; i++) {
        states[i] = watch_state(watched, i);
    }
    if (states == NULL || status_configure(display->status, config, states) != 0) {
        log_error("out of memory: the status pages stay with the sites of before");
    }
}

void display_commit(struct display *display, struct config *config,
                    const struct watch_list *watched) {
    static const struct timeval every = {.tv_sec = STATUS_VITALS_EVERY / NSEC_PER_SEC};
    if (config->status_listen == NULL) {
        end(display);
        return;
    }
    if (display->next_listen != NULL) {
        if (display->next_socket != NULL) {
            status_listen(display->status, display->next_socket);
        } else {
            display->status = display->next_status;
        }
        free(display->listen);
        display->listen = display->next_listen;
        display->file = display->next_file;
        display->next_status = NULL;
        display->next_socket = NULL;
        display->next_listen = NULL;
    }
    show_sites(display, config, watched);
    tell_vitals(display);
    if (!event_pending(display->told, EV_TIMEOUT, NULL) && event_add(display->told, &every) != 0) {
        log_error("out of memory: the status pages do not know how tallyd itself is");
    }
}

void display_add(struct display *display, struct report *report, const struct watch_list *watched) {
    struct board_state state;
    if (display != NULL && display->status != NULL &&
        watch_find_state(watched, report->site->name, &state)) {
        status_add(display->status, report, &state);
    }
}
