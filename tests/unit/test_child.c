#include "service/child.h"

#include "base/text.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG (300 * NSEC_PER_SEC) /* never reached */

static struct event_base *base;
static struct child *child;
static char output[65536]; /* the lines, each with its end */
static size_t n_lines;
static bool ended;
static struct child_end end;

static void on_line(const char *line, void *arg) {
    (void)arg;
    ck_assert(text_is_safe(line, strlen(line)));
    ck_assert_uint_lt(strlen(output) + strlen(line), sizeof output - 2);
    strcat(strcat(output, line), "\n");
    n_lines++;
}

static void on_end(const struct child_end *how, void *arg) {
    (void)arg;
    ck_assert(!ended);
    ended = true;
    end = *how;
    child_free(child); /* as one may */
    child = NULL;
}

static void setup(void) {
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    child = NULL;
    *output = '\0';
    n_lines = 0;
    ended = false;
}

static void teardown(void) {
    child_free(child);
    event_base_free(base);
}

static int try_start(nsec_t limit, nsec_t grace, const char *const *words) {
    static const char *const environment[] = {"A=1", "B=x y \"z\" $A", NULL};
    const struct child_options options = {
        .base = base,
        .words = words,
        .environment = environment,
        .limit = limit,
        .grace = grace,
        .on_line = on_line,
        .on_end = on_end,
    };
    return child_start(&options, &child);
}

#define WORDS(...)                                                                                 \
    (const char *const[]) {                                                                        \
        __VA_ARGS__, NULL                                                                          \
    }
#define SHELL(script) WORDS("/bin/sh", "-c", script)

static void start(nsec_t limit, nsec_t grace, const char *const *words) {
    ck_assert_int_eq(try_start(limit, grace, words), 0);
}

static void wait_for_end(void) {
    while (!ended) {
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    /* no zombie is left */
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static void wait_for_line(void) {
    while (n_lines == 0) {
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    }
}

static void run(const char *const *words) {
    start(LONG, LONG, words);
    wait_for_end();
    ck_assert(!end.late && !end.stopped && !end.left_running);
}

/* Waits for a process that is not ours any more. */
static void wait_for_death(long pid) {
    char path[64], state;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    for (;;) {
        FILE *file = fopen(path, "r");
        if (file == NULL) {
            return;
        }
        int found = fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
        if (found == 1 && (state == 'Z' || state == 'X')) { /* whom nobody has reaped yet */
            return;
        }
        usleep(1000);
    }
}

START_TEST(words_arrive_as_they_are) {
    run(WORDS("/bin/sh", "-c", "for w; do echo \"<$w>\"; done", "sh", "a b", "", "$A `id` \"'"));
    ck_assert_str_eq(output, "<a b>\n<>\n<$A `id` \"'>\n");
    ck_assert(end.exited);
    ck_assert_int_eq(end.status, 0);
}
END_TEST

START_TEST(the_environment_is_what_was_given_and_no_more) {
    run(WORDS("/usr/bin/env"));
    ck_assert_str_eq(output, "A=1\nB=x y \"z\" $A\n");
}
END_TEST

static unsigned count_descriptors(void) {
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/* As config/plan.c counts them; without pidfd_open(), as under valgrind, it is one less. */
START_TEST(one_that_runs_takes_two_descriptors_here) {
    int own = pidfd_open(getpid(), 0);
    unsigned wanted = own >= 0 ? 2 : 1;
    if (own >= 0) {
        close(own);
    }
    unsigned before = count_descriptors();
    start(LONG, LONG, SHELL("read x; echo on; exec sleep 1000"));
    wait_for_line();
    ck_assert_uint_eq(count_descriptors(), before + wanted);
    child_stop(child, 0);
    wait_for_end();
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(descriptors_are_the_first_three_whatever_is_open_here) {
    int high = fcntl(STDERR_FILENO, F_DUPFD, 200), low = dup(STDERR_FILENO); /* no CLOEXEC */
    ck_assert_int_ge(high, 200);
    ck_assert_int_ge(low, 3);
    run(SHELL("ls /proc/$$/fd; :"));
    ck_assert_str_eq(output, "0\n1\n2\n");
    close(high);
    close(low);
}
END_TEST

START_TEST(it_stands_on_neutral_ground) {
    run(WORDS("/bin/readlink", "/proc/self/fd/0", "/proc/self/cwd"));
    ck_assert_str_eq(output, "/dev/null\n/\n");
}
END_TEST

START_TEST(it_leads_a_session_and_a_group_of_its_own) {
    run(WORDS("/usr/bin/cut", "-d ", "-f1,5,6", "/proc/self/stat"));
    long pid, group, session;
    ck_assert_int_eq(sscanf(output, "%ld %ld %ld", &pid, &group, &session), 3);
    ck_assert_int_eq(pid, group);
    ck_assert_int_eq(pid, session);
    ck_assert_int_ne(pid, getpid());
}
END_TEST

START_TEST(signals_have_their_default_effect_again) {
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigprocmask(SIG_SETMASK, &all, &before);
    run(WORDS("/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"));
    sigprocmask(SIG_SETMASK, &before, NULL);
    unsigned long long blocked, ignored;
    ck_assert_int_eq(sscanf(output, "SigBlk:\\x09%llx\nSigIgn:\\x09%llx", &blocked, &ignored), 2);
    ck_assert_uint_eq(blocked, 0);
    ck_assert_uint_eq(ignored & 0x7fffffff, 0); /* 32 and 33 are glibc's own */
}
END_TEST

START_TEST(an_end_is_told_by_status_or_signal) {
    run(SHELL("exit 7"));
    ck_assert(end.exited);
    ck_assert_int_eq(end.status, 7);
    teardown();
    setup();
    run(SHELL("kill -9 $$"));
    ck_assert(!end.exited);
    ck_assert_int_eq(end.status, SIGKILL);
}
END_TEST

/* Valgrind's children have memory of their own, and can tell of a failed exec by their status only. */
static void fails_to_start(const char *path, int error) {
    int r = try_start(LONG, LONG, WORDS(path));
    if (r == 0) {
        wait_for_end();
        ck_assert(end.exited);
        ck_assert_int_eq(end.status, 127);
        const char *preloaded = getenv("LD_PRELOAD");
        ck_assert(preloaded != NULL && strstr(preloaded, "vgpreload") != NULL);
    } else {
        ck_assert_int_eq(r, -error);
    }
    teardown();
    setup();
}

START_TEST(what_cannot_be_started_says_why) {
    char path[] = "/tmp/tallyd-test-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "echo x\n", 7), 7);
    close(fd);
    fails_to_start("/nonexistent/x", ENOENT);
    fails_to_start(path, EACCES);
    ck_assert_int_eq(chmod(path, 0700), 0);
    fails_to_start(path, ENOEXEC); /* without "#!" nobody says what it is */
    unlink(path);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(lines_of_both_streams_come_safe_and_cut_and_are_counted) {
    run(SHELL("echo one; echo two >&2; printf '\\033[31mred\\007\\000\\n\\n\\n'; "
              "head -c 1000 /dev/zero | tr '\\0' x; echo; printf '\\377'; printf ' last'"));
    char wanted[1024];
    int n = snprintf(wanted, sizeof wanted, "one\ntwo\n\\x1b[31mred\\x07\\x00\n");
    memset(wanted + n, 'x', CHILD_LINE_BYTES);
    snprintf(wanted + n + CHILD_LINE_BYTES, 64, " [cut]\n\\xff last\n");
    ck_assert_str_eq(output, wanted);
    ck_assert_uint_eq(end.lines_more, 0);
    teardown();
    setup();
    run(SHELL("seq 1 100; printf 101"));
    ck_assert_uint_eq(n_lines, CHILD_LINES_MOST);
    ck_assert_uint_eq(end.lines_more, 101 - CHILD_LINES_MOST);
    teardown();
    setup();
    run(SHELL("head -c 1000000 /dev/zero; head -c 1000000 /dev/urandom >&2"));
    ck_assert_int_eq(strncmp(output, "\\x00\\x00", 8), 0);
    ck_assert_uint_eq(n_lines, CHILD_LINES_MOST);
}
END_TEST

START_TEST(one_that_takes_too_long_is_told_to_end) {
    start(100 * NSEC_PER_MSEC, LONG, SHELL("trap 'echo bye; exit 0' TERM; sleep 1000 & wait"));
    wait_for_end();
    ck_assert(end.late);
    ck_assert(end.exited);
    ck_assert_str_eq(output, "bye\n");
}
END_TEST

START_TEST(one_that_will_not_end_is_killed_with_its_group) {
    start(100 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC,
          SHELL("trap '' TERM; sleep 1000 & echo $!; wait"));
    wait_for_end();
    ck_assert(end.late);
    ck_assert(!end.exited);
    ck_assert_int_eq(end.status, SIGKILL);
    wait_for_death(atol(output));
}
END_TEST

START_TEST(what_it_left_running_with_its_output_has_the_same_limit) {
    start(200 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC,
          SHELL("(trap '' TERM; sleep 1000) & echo $!; exit 3"));
    wait_for_end();
    ck_assert(end.left_running);
    ck_assert(!end.late);
    ck_assert(end.exited);
    ck_assert_int_eq(end.status, 3);
    wait_for_death(atol(output));
}
END_TEST

START_TEST(what_it_left_running_without_its_output_ends_with_it) {
    run(SHELL("sleep 1000 >/dev/null 2>&1 & echo $!"));
    wait_for_death(atol(output));
}
END_TEST

START_TEST(one_that_escaped_with_its_output_holds_nobody_up) {
    start(100 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC,
          SHELL("setsid sh -c 'echo $$; exec sleep 1000' & wait"));
    wait_for_end();
    long pid = atol(output);
    ck_assert_int_gt(pid, 1);
    ck_assert_int_eq(kill((pid_t)pid, 0), 0);
    kill((pid_t)pid, SIGKILL);
}
END_TEST

START_TEST(one_that_is_stopped_has_so_much_time_and_no_more) {
    start(LONG, 100 * NSEC_PER_MSEC, SHELL("trap '' TERM; echo $$; sleep 1000"));
    wait_for_line();
    child_stop(child, 50 * NSEC_PER_MSEC);
    child_stop(child, LONG); /* does not give it more */
    wait_for_end();
    ck_assert(end.stopped);
    ck_assert(end.late);
    ck_assert(!end.exited);
    teardown();
    setup();
    start(LONG, LONG, SHELL("echo x; sleep 0.1"));
    wait_for_line();
    child_stop(child, LONG);
    wait_for_end();
    ck_assert(end.exited && !end.late);
}
END_TEST

START_TEST(one_that_is_freed_is_killed_with_its_group) {
    start(LONG, LONG, SHELL("trap '' TERM; sleep 1000 & echo $!; wait"));
    wait_for_line();
    child_free(child);
    child = NULL;
    wait_for_death(atol(output));
    child_free(NULL);
    while (waitpid(-1, NULL, 0) > 0) { /* it was not waited for */
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("child");
    TCase *tests = tcase_create("child");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, words_arrive_as_they_are);
    tcase_add_test(tests, the_environment_is_what_was_given_and_no_more);
    tcase_add_test(tests, one_that_runs_takes_two_descriptors_here);
    tcase_add_test(tests, descriptors_are_the_first_three_whatever_is_open_here);
    tcase_add_test(tests, it_stands_on_neutral_ground);
    tcase_add_test(tests, it_leads_a_session_and_a_group_of_its_own);
    tcase_add_test(tests, signals_have_their_default_effect_again);
    tcase_add_test(tests, an_end_is_told_by_status_or_signal);
    tcase_add_test(tests, what_cannot_be_started_says_why);
    tcase_add_test(tests, lines_of_both_streams_come_safe_and_cut_and_are_counted);
    tcase_add_test(tests, one_that_takes_too_long_is_told_to_end);
    tcase_add_test(tests, one_that_will_not_end_is_killed_with_its_group);
    tcase_add_test(tests, what_it_left_running_with_its_output_has_the_same_limit);
    tcase_add_test(tests, what_it_left_running_without_its_output_ends_with_it);
    tcase_add_test(tests, one_that_escaped_with_its_output_holds_nobody_up);
    tcase_add_test(tests, one_that_is_stopped_has_so_much_time_and_no_more);
    tcase_add_test(tests, one_that_is_freed_is_killed_with_its_group);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
