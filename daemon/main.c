/* tallyd: samples web sites with many independent requests, counts what came back, and writes one
 * report a site and round, in order. This file: arguments and exit status. The map of the tree:
 *
 *   main.c       which subcommand, its arguments
 *   sample.c     `tallyd sample`: one round for each URL or site of the command line (sample_options.c,
 *                urls.c)
 *   checker.c    `tallyd check`: what a configuration costs, and what its sites' health will be like
 *   daemon.c     `tallyd run`: the schedule, reload (reload.c, difference.c), stop; whose a round is, the
 *                site's or ours (judge.c), and what it means (watch.c); states over a restart (keeper.c,
 *                state_file.c); commands at a change (on_change.c, teller.c, errands.c, news.c); what
 *                systemd is told (herald.c); the status loop (display.c, status.c, pages.c)
 *   ask.c        `tallyd status`: asks the daemon; ask_evidence.c: what of a site's samples failed
 *   demo.c       `tallyd demo`: the daemon on an origin of its own
 *   engine.c     what they share: the loops, the order of reports, the writer; sees every folder
 *   base/        clock, log, loop (thread + event base + mailbox) and whether it turns, text from
 *                outside, URLs, addresses to listen on, patterns
 *   config/      the configuration as a value; the key rows; the YAML reader; secrets; what it will cost
 *   probe/       outcomes; a sample (follow.c) and its hops (http.c), by libcurl; what is asked, what
 *                came back, whether it will do; files of TLS; kept connections; the resolver
 *   sampling/    the schedule (pure); rounds; the sampling loop
 *   report/      tally, report, evidence, verdict and its forecast, change, trouble, snapshot, board,
 *                the order of reports (all pure); records
 *   output/      formats (a file each), log files, sinks, the writer's loop; metrics, API, pages
 *   service/     signals, notify, a child process, the status server; the demo's origin
 *
 * Data moves down that list: a slot of the schedule becomes a round, which a sampling loop fills with
 * samples; the closed round becomes a report, gets its verdict and its place in the order, and leaves
 * for the writer; commands, pages and the state file learn of it beside that. Each folder includes only
 * itself and those above it. */
#include "ask.h"
#include "checker.h"
#include "daemon.h"
#include "demo.h"
#include "sample.h"

#include "base/log.h"
#include "base/loop.h"
#include "config/nearest.h"
#include "probe/probe.h"
#include "service/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_USAGE = 2, EXIT_FAILED = 3 };

static void usage(FILE *to) {
    fputs("usage: tallyd COMMAND [ARGUMENT]...\n"
          "\n"
          "  sample URL...   send each URL many independent requests, now; print what came back\n"
          "  run -c FILE     the daemon: do so every interval, for the sites of FILE\n"
          "  status -c FILE  how the sites of the daemon are that runs with FILE\n"
          "  check -c FILE   read FILE; say what is wrong with it, or what it will cost\n"
          "  demo            watch it at work on a server of its own\n"
          "\n"
          "tallyd COMMAND --help, or tallyd help COMMAND, says more; tallyd --version.\n",
          to);
}

/* `run` and `check` take the same arguments, but that `check` has --names (`names` is not NULL). */
static int with_config(int argc, char **argv, const char *help, int (*command)(const char *path),
                       int (*names)(const char *path)) {
    static const struct option all[] = {
        {"names", no_argument, NULL, 'N'},
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const struct option *options = names != NULL ? all : all + 1;
    const char *path = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if (c == 'N') {
            command = names;
            continue;
        }
        if (c != 'c') {
            fprintf(stderr, "%s --help says what there is\n", argv[0]);
            return EXIT_USAGE;
        }
        path = optarg;
    }
    if (optind < argc) {
        log_error("no argument is wanted here: '%s'; the configuration is named by -c FILE",
                  argv[optind]);
        return EXIT_USAGE;
    }
    if (path == NULL) {
        log_error("-c FILE is missing: %s -c /etc/tallyd/tallyd.yaml", argv[0]);
        return EXIT_USAGE;
    }
    return command(path);
}

static const char run_help[] =
    "usage: tallyd run -c FILE\n"
    "\n"
    "Samples the sites of FILE until SIGTERM or SIGINT, in the foreground. SIGHUP\n"
    "reads FILE anew and applies the difference; with an error in it, nothing\n"
    "changes. SIGUSR1 reopens the log files. After SIGTERM no sample starts any more\n"
    "and those in flight end; a second one stops at once.\n"
    "\n"
    "  -c, --config FILE  the configuration; tallyd.yaml(5) tells of every key\n"
    "  -h, --help         this text\n"
    "\n"
    "exit status: 0 stopped cleanly; 2 FILE cannot be used; 3 a log file is locked\n"
    "or not ours, or records could not be written.\n";

static const char check_help[] =
    "usage: tallyd check [--names] -c FILE\n"
    "\n"
    "Reads FILE as `tallyd run` would and starts nothing. Says everything that is\n"
    "wrong with it, or what it will cost: requests, bytes, log, descriptors, memory,\n"
    "and how long a report can wait; and of its sites how soon they will be found\n"
    "degraded, and how often for nothing.\n"
    "\n"
    "  -c, --config FILE  the configuration\n"
    "      --names        print the names of its sites instead, one a line\n"
    "  -h, --help         this text\n"
    "\n"
    "exit status: 0 FILE can be used, perhaps with warnings; 2 it cannot; 3 the\n"
    "output failed.\n";

static int refuse(const char *command) {
    static const char *const names[] = {"sample", "run", "status", "check", "demo", "help"};
    const char *meant = NULL;
    unsigned least = nearest_limit(command) + 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsigned distance = nearest_distance(command, names[i]);
        if (distance < least) {
            least = distance;
            meant = names[i];
        }
    }
    if (*command == '-') {
        log_error("'%s' is no command; options stand behind one", command);
    } else if (meant != NULL) {
        log_error("there is no command '%s'; did you mean '%s'?", command, meant);
    } else if (*command != '\0') {
        log_error("there is no command '%s'", command);
    }
    usage(stderr);
    return EXIT_USAGE;
}

static int dispatch(int argc, char **argv) {
    static char help[] = "--help";
    if (argc > 1 && strcmp(argv[1], "help") == 0) { /* as other programs have it */
        bool of_one = argc > 2 && strcmp(argv[2], "help") != 0;
        argv[1] = of_one ? argv[2] : help;
        argv[2] = of_one ? help : NULL;
        argc = of_one ? 3 : 2;
    }
    const char *command = argc > 1 ? argv[1] : "";
    char name[16]; /* with which getopt's own messages begin */
    if (argc > 1) {
        snprintf(name, sizeof name, "tallyd %s", command);
        argv[1] = name;
    }
    if (strcmp(command, "sample") == 0) {
        return sample_main(argc - 1, argv + 1);
    }
    if (strcmp(command, "run") == 0) {
        return with_config(argc - 1, argv + 1, run_help, daemon_run, NULL);
    }
    if (strcmp(command, "check") == 0) {
        return with_config(argc - 1, argv + 1, check_help, checker_run, checker_names);
    }
    if (strcmp(command, "status") == 0) {
        return ask_main(argc - 1, argv + 1);
    }
    if (strcmp(command, "demo") == 0) {
        return demo_main(argc - 1, argv + 1);
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        usage(stdout);
        return EXIT_OK;
    }
    if (strcmp(command, "--version") == 0) {
        puts("tallyd " TALLYD_VERSION);
        return EXIT_OK;
    }
    return refuse(command);
}

/* A process may be started with stdin, stdout or stderr closed; the next open() would then get the
 * number, and messages would end up in a log or a socket. */
static bool hold_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat status;
        if (fstat(fd, &status) == 0) {
            continue;
        }
        /* opened the wrong way round on purpose: writing to a closed stdout must fail */
        int held = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (held != fd) {
            return false;
        }
    }
    return true;
}

static void raise_fd_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* what could not be raised, check and run tell */
    }
}

int main(int argc, char **argv) {
    if (!hold_standard_streams()) {
        return EXIT_FAILED;
    }
    signals_prepare();
    loop_prepare();
    raise_fd_limit();
    int r = probe_global_init();
    if (r != 0) {
        log_error("cannot start: %s", strerror(-r));
        return EXIT_FAILED;
    }
    int status = dispatch(argc, argv);
    probe_global_clear();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("stdout cannot be written: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    return status;
}
