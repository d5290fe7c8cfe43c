/* The demo is the daemon and nothing else: a configuration file in a directory of its own,
 * daemon_run() on it, and a director, a loop in its own thread, who rewrites the file and sends the
 * process the signals that an operator would: SIGHUP half-way, SIGTERM at the end. Records go to
 * stdout, what the director says to stderr. */
#include "demo.h"

#include "daemon.h"

#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "service/origin.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_USAGE = 2, EXIT_FAILED = 3 };

struct demo {
    nsec_t lasts;
    char directory[32];
    char path[64];
    struct origin *origin;
    struct loop *loop;
    struct event *half_way, *end;
};

static void usage(void) {
    fputs(
        "usage: tallyd demo [--seconds S]\n"
        "\n"
        "Starts a small web server on loopback with healthy, partly failing, slow and broken paths,\n"
        "and samples it with the real daemon: every 2 s one report for each site, in order. Half-way\n"
        "the configuration changes and is reloaded by SIGHUP. Ends by itself after S seconds (20),\n"
        "or with Ctrl-C.\n"
        "\n"
        "  -s, --seconds S  how long; a bare number is seconds\n"
        "  -h, --help       this text\n"
        "\n"
        "exit status: 0; 2 wrong usage; 3 something could not be had.\n",
        stdout);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("demo: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* Before the reload a site refuses connections; after it that one is gone and another has come. */
static int write_config(const struct demo *demo, bool reloaded) {
    unsigned port = origin_port(demo->origin);
    FILE *file = fopen(demo->path, "we");
    if (file == NULL) {
        return -errno;
    }
    fprintf(file,
            "defaults: { interval: 2s, samples: 20, concurrency: 10, timeout: 1s }\n"
            "reports:\n"
            "  - { to: stdout, format: line }\n"
            "sites:\n"
            "  - { name: healthy, url: \"http://127.0.0.1:%u/ok\" }\n"
            "  - { name: one-in-twenty, url: \"http://127.0.0.1:%u/one-in-twenty\" }\n"
            "  - { name: slow, url: \"http://127.0.0.1:%u/slow\" }\n"
            "  - { name: closes-early, url: \"http://127.0.0.1:%u/\" }\n",
            port, port, port, origin_early_port(demo->origin));
    if (reloaded) {
        fprintf(file, "  - { name: newcomer, url: \"http://127.0.0.1:%u/ok\" }\n", port);
    } else {
        fprintf(file, "  - { name: refused, url: \"http://127.0.0.1:%u/\" }\n",
                origin_refused_port(demo->origin));
    }
    int r = ferror(file) ? -EIO : 0;
    return fclose(file) == 0 ? r : -errno;
}

static void on_half_way(evutil_socket_t fd, short what, void *arg) {
    struct demo *demo = arg;
    (void)fd;
    (void)what;
    int r = write_config(demo, true);
    if (r != 0) {
        log_error("%s: %s", demo->path, strerror(-r));
        return;
    }
    say("the configuration changes (`refused` goes, `newcomer` comes); SIGHUP");
    kill(getpid(), SIGHUP);
}

static void on_end(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    say("time is up; SIGTERM");
    kill(getpid(), SIGTERM);
}

static int direct(struct demo *demo) {
    int r = loop_new("director", demo, &demo->loop);
    if (r != 0) {
        return r;
    }
    struct timeval half = loop_timeval(demo->lasts / 2), all = loop_timeval(demo->lasts);
    demo->half_way = event_new(loop_base(demo->loop), -1, 0, on_half_way, demo);
    demo->end = event_new(loop_base(demo->loop), -1, 0, on_end, demo);
    if (demo->half_way == NULL || demo->end == NULL || event_add(demo->half_way, &half) != 0 ||
        event_add(demo->end, &all) != 0) {
        return -ENOMEM;
    }
    return loop_start(demo->loop);
}

static int prepare(struct demo *demo) {
    strcpy(demo->directory, "/tmp/tallyd-demo.XXXXXX");
    if (mkdtemp(demo->directory) == NULL) {
        demo->directory[0] = '\0';
        return -errno;
    }
    snprintf(demo->path, sizeof demo->path, "%s/tallyd.yaml", demo->directory);
    int r = origin_start(&demo->origin);
    return r != 0 ? r : write_config(demo, false);
}

static void clear(struct demo *demo) {
    if (demo->loop != NULL) {
        loop_stop(demo->loop);
        loop_join(demo->loop);
    }
    if (demo->half_way != NULL) {
        event_free(demo->half_way);
    }
    if (demo->end != NULL) {
        event_free(demo->end);
    }
    loop_free(demo->loop);
    origin_stop(demo->origin);
    if (demo->directory[0] != '\0') {
        unlink(demo->path);
        rmdir(demo->directory);
    }
}

/* How another terminal calls this program, wherever it stands: heap. NULL: as in the manual. */
static char *own_path(void) {
    return strchr(program_invocation_name, '/') != NULL ? realpath(program_invocation_name, NULL)
                                                        : NULL;
}

static int demo(nsec_t lasts) {
    struct demo demo = {.lasts = lasts};
    int status = EXIT_FAILED;
    int r = prepare(&demo);
    if (r == 0) {
        say("an origin on 127.0.0.1:%u: one path is well, one answers 503 once in twenty times, one "
            "is slow, one port closes early, one refuses",
            origin_port(demo.origin));
        say("20 fresh requests a site every 2 s, a report each, in order (see %s); ends after %.0f s",
            demo.path, (double)lasts / NSEC_PER_SEC);
        char *path = own_path();
        say("who fails, from another terminal: %s sample -v --backend-header X-Served-By "
            "http://127.0.0.1:%u/one-in-twenty",
            path != NULL ? path : "tallyd", origin_port(demo.origin));
        free(path);
        r = direct(&demo);
    }
    if (r == 0) {
        status = daemon_run(demo.path);
    } else {
        log_error("%s", strerror(-r));
    }
    clear(&demo);
    return status;
}

int demo_main(int argc, char **argv) {
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    nsec_t lasts = 20 * NSEC_PER_SEC;
    int c;
    while ((c = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
        if (c == 'h') {
            usage();
            return EXIT_OK;
        }
        if (c != 's') {
            fputs("tallyd demo --help says what there is\n", stderr);
            return EXIT_USAGE;
        }
        if (config_parse_duration(optarg, true, &lasts) != 0 || lasts <= 0) {
            log_error("--seconds: '%s' is not a time above 0: write 10, 10s or 1m", optarg);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        log_error("demo takes no argument: '%s'", argv[optind]);
        return EXIT_USAGE;
    }
    return demo(lasts);
}
