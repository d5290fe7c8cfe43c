/* A run is over when the process has ended and its output is at its end, or was given up. The
 * process is reaped then and not before: until that its number, which is its group's too, cannot be
 * another's, so that a signal to the group never hits a stranger. What is left of the group is killed
 * at the end; who wants to outlive it makes a session of its own.
 *
 * posix_spawn() and not fork(): it neither copies this process's tables nor runs a handler of any
 * library in the child. Everything above stderr is closed there, whoever opened it: libcurl opens some
 * descriptors without O_CLOEXEC. Signals that we ignore or block have their default effect again.
 *
 * Output is read at most once every few milliseconds, what the pipe holds at a time: a program that
 * writes without end waits for us, and not we for it. */
#include "service/child.h"

#include "base/loop.h"
#include "base/text.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BYTES = 65536 }; /* what a pipe holds */
#define READ_PAUSE (5 * NSEC_PER_MSEC)
#define POLL_PAUSE (20 * NSEC_PER_MSEC) /* where there is no descriptor of the process */

struct child {
    pid_t pid;       /* not reaped yet */
    int pidfd;       /* -1: none is to be had */
    int output;      /* -1: at its end, or given up */
    bool has_ended;  /* the process */
    bool terminated; /* the group got SIGTERM, */
    bool killed;     /* SIGKILL */
    nsec_t until;    /* its limit */
    nsec_t grace;
    struct event *exit, *readable, *pause, *limit;
    char line[CHILD_LINE_BYTES];
    size_t line_bytes; /* so far; of one that is cut all */
    unsigned lines;
    struct child_end end;
    void (*on_line)(const char *line, void *arg);
    void (*on_end)(const struct child_end *end, void *arg);
    void *arg;
};

static void arm(struct event *event, nsec_t delay) {
    struct timeval time = loop_timeval(delay);
    (void)event_add(event, &time); /* libevent has its memory since event_new() */
}

/* ---- output ---- */

static void end_line(struct child *child) {
    if (child->line_bytes == 0) {
        return;
    }
    if (child->lines == CHILD_LINES_MOST) {
        child->end.lines_more++;
    } else {
        static const char cut[] = " [cut]";
        char safe[CHILD_LINE_SIZE];
        bool is_cut = child->line_bytes > sizeof child->line;
        size_t n = text_escape(child->line, is_cut ? sizeof child->line : child->line_bytes, safe,
                               sizeof safe - sizeof cut);
        if (is_cut) {
            memcpy(safe + n, cut, sizeof cut);
        }
        child->lines++;
        child->on_line(safe, child->arg);
    }
    child->line_bytes = 0;
}

static void take_output(struct child *child, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            end_line(child);
        } else {
            if (child->line_bytes < sizeof child->line) {
                child->line[child->line_bytes] = bytes[i];
            }
            child->line_bytes++;
        }
    }
}

static void close_output(struct child *child) {
    if (child->output >= 0) {
        event_del(child->readable);
        event_del(child->pause);
        close(child->output);
        child->output = -1;
        end_line(child);
    }
}

/* What is there now. */
static void read_output(struct child *child) {
    char bytes[READ_BYTES];
    ssize_t n = read(child->output, bytes, sizeof bytes);
    if (n > 0) {
        take_output(child, bytes, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_output(child);
    }
}

/* ---- end ---- */

static void kill_group(const struct child *child, int number) {
    (void)kill(-child->pid, number); /* ESRCH: it has not become a group's leader yet, or no more */
}

/* Only looks: the process stays unreaped. */
static bool find_end(struct child *child) {
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return false;
    }
    child->has_ended = true;
    child->end.exited = info.si_code == CLD_EXITED;
    child->end.status = info.si_status;
    return true;
}

static void reap(struct child *child) {
    kill_group(child, SIGKILL);
    siginfo_t info;
    (void)waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG);
    child->pid = 0;
}

static void end_when_done(struct child *child) {
    if (!child->has_ended || (child->output >= 0 && !child->killed)) {
        return;
    }
    if (child->output >= 0) { /* somebody else has it still, in a session of its own */
        read_output(child);
        close_output(child);
    }
    event_del(child->exit);
    event_del(child->limit);
    reap(child);
    struct child_end end = child->end;
    child->on_end(&end, child->arg); /* which may free it */
}

static void on_exit_seen(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    (void)fd;
    (void)what;
    if (find_end(child)) {
        end_when_done(child);
    } else if (child->pidfd < 0) {
        arm(child->exit, POLL_PAUSE);
    } else {
        (void)event_add(child->exit, NULL);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    (void)fd;
    (void)what;
    read_output(child);
    if (child->output >= 0) {
        arm(child->pause, READ_PAUSE);
    }
    end_when_done(child);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    (void)fd;
    (void)what;
    (void)event_add(child->readable, NULL);
}

static void on_limit(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    (void)fd;
    (void)what;
    if (!child->terminated) {
        child->terminated = true;
        child->end.left_running = child->has_ended;
        child->end.late = !child->has_ended;
        kill_group(child, SIGTERM);
        arm(child->limit, child->grace);
        return;
    }
    child->killed = true;
    kill_group(child, SIGKILL);
    end_when_done(child);
}

/* ---- start ---- */

static int spawn(const struct child_options *options, int output, pid_t *ret_pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) {
        return -r;
    }
    r = posix_spawnattr_init(&attributes);
    if (r != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -r;
    }
    (void)posix_spawnattr_setsigmask(&attributes, &none); /* these three cannot fail */
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    if ((r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) ==
            0 &&
        (r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)) == 0 &&
        (r = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)) == 0 &&
        (r = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)) == 0 &&
        (r = posix_spawn_file_actions_addchdir_np(&actions, "/")) == 0) {
        /* the casts: execve(2) promises not to write to them */
        r = posix_spawn(ret_pid, options->words[0], &actions, &attributes,
                        (char *const *)options->words, (char *const *)options->environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* All that can fail and is ours, before there is a process. */
static int prepare(struct child *child, struct event_base *base, int *ret_output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -errno;
    }
    child->output = ends[0];
    *ret_output = ends[1];
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child->readable = event_new(base, ends[0], EV_READ, on_readable, child);
    child->pause = evtimer_new(base, on_pause_over, child);
    child->limit = evtimer_new(base, on_limit, child);
    return child->readable != NULL && child->pause != NULL && child->limit != NULL ? 0 : -ENOMEM;
}

/* To be told of the end; without a descriptor for that we look from time to time. */
static int watch_exit(struct child *child, struct event_base *base) {
    child->pidfd = pidfd_open(child->pid, 0);
    child->exit = child->pidfd >= 0 ? event_new(base, child->pidfd, EV_READ, on_exit_seen, child)
                                    : evtimer_new(base, on_exit_seen, child);
    if (child->exit == NULL) {
        return -ENOMEM;
    }
    if (child->pidfd >= 0) {
        return event_add(child->exit, NULL) == 0 ? 0 : -ENOMEM;
    }
    arm(child->exit, POLL_PAUSE);
    return 0;
}

int child_start(const struct child_options *options, struct child **ret_child) {
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL) {
        return -ENOMEM;
    }
    child->pidfd = child->output = -1;
    child->grace = options->grace;
    child->on_line = options->on_line;
    child->on_end = options->on_end;
    child->arg = options->arg;
    int output = -1;
    int r = prepare(child, options->base, &output);
    if (r == 0) {
        r = spawn(options, output, &child->pid);
    }
    if (output >= 0) {
        close(output);
    }
    if (r == 0) {
        r = watch_exit(child, options->base);
    }
    if (r == 0 && event_add(child->readable, NULL) != 0) {
        r = -ENOMEM;
    }
    if (r != 0 && child->pid != 0) { /* it runs and nobody would hear of its end */
        siginfo_t info;
        kill_group(child, SIGKILL);
        (void)waitid(P_PID, (id_t)child->pid, &info, WEXITED);
        child->pid = 0;
    }
    if (r != 0) {
        child_free(child);
        return r;
    }
    child->until = clock_now() + options->limit;
    arm(child->limit, options->limit);
    *ret_child = child;
    return 0;
}

void child_stop(struct child *child, nsec_t limit) {
    nsec_t now = clock_now();
    if (child->pid == 0) {
        return; /* it is on its way out */
    }
    child->end.stopped = !child->has_ended;
    if (!child->terminated && now + limit < child->until) {
        child->until = now + limit;
        arm(child->limit, limit);
    }
}

static void free_event(struct event *event) {
    if (event != NULL) {
        event_free(event);
    }
}

void child_free(struct child *child) {
    if (child == NULL) {
        return;
    }
    if (child->pid != 0) {
        reap(child); /* one that does not die at once becomes init's when we end */
    }
    free_event(child->exit);
    free_event(child->readable);
    free_event(child->pause);
    free_event(child->limit);
    if (child->pidfd >= 0) {
        close(child->pidfd);
    }
    if (child->output >= 0) {
        close(child->output);
    }
    free(child);
}
