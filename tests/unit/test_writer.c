#include "output/writer.h"

#include "fake_config.h"
#include "log_check.h"
#include "make_record.h"
#include "output/file.h"
#include "scratch.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT     "5f3c0a9e5f3c0a9e5f3c0a9e5f3c0a9e"
#define PATIENCE (20 * NSEC_PER_SEC)

static const struct site site = {.name = "shop", .url_given = "http://shop/"};
static struct loop *control;
static unsigned broken, prepared, drained;
static int broken_by;
static uint64_t unwritten;
static char why_not[256];

static unsigned count_fds(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(directory) != NULL) {
        n++;
    }
    closedir(directory);
    return n;
}

static unsigned fds_before;

static void setup(void) {
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    scratch("");
    fds_before = count_fds();
    ck_assert_int_eq(loop_new("control", NULL, &control), 0);
}

static void teardown(void) {
    loop_free(control);
    ck_assert_uint_eq(config_refs, 0);
    ck_assert_uint_eq(count_fds(), fds_before);
}

static void turn(nsec_t duration) {
    struct timeval time = loop_timeval(duration);
    event_base_loopexit(loop_base(control), &time);
    event_base_loop(loop_base(control), EVLOOP_NO_EXIT_ON_EMPTY);
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        nsec_t deadline = clock_now() + PATIENCE;                                                  \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_now() < deadline, "waited in vain for: %s", #condition);           \
            turn(5 * NSEC_PER_MSEC);                                                               \
        }                                                                                          \
    } while (0)

static void on_broken(int error, void *arg) {
    ck_assert_ptr_eq(arg, &broken);
    broken++;
    broken_by = error;
}

static void on_prepared(const char *why, void *arg) {
    ck_assert_ptr_eq(arg, &prepared);
    prepared++;
    snprintf(why_not, sizeof why_not, "%s", why != NULL ? why : "");
}

static void on_drained(uint64_t left, void *arg) {
    ck_assert_ptr_eq(arg, &drained);
    drained++;
    unwritten = left;
}

static struct sink_config sinks[4];
static struct config config = {.sinks = sinks};

static void add_sink(const char *path, const char *format, enum sink_only only) {
    sinks[config.n_sinks++] = (struct sink_config){
        .kind = path != NULL ? SINK_FILE : SINK_STDOUT,
        .path = path,
        .format = format,
        .only = only,
    };
}

static struct writer *start(const char *boot, bool progress) {
    struct writer_options options = {
        .control = control,
        .boot = boot,
        .on_broken = on_broken,
        .arg = &broken,
        .progress = progress,
    };
    struct writer *writer;
    char *why;
    int r = writer_new(&options, &config, &writer, &why);
    ck_assert_msg(r == 0, "%s", why);
    return writer;
}

static void assert_no_start(int error, const char *words) {
    struct writer_options options = {.control = control, .boot = BOOT};
    struct writer *writer;
    char *why = NULL;
    ck_assert_int_eq(writer_new(&options, &config, &writer, &why), error);
    ck_assert_ptr_nonnull(why);
    ck_assert_msg(strstr(why, words) != NULL, "%s", why);
    free(why);
}

static void post(struct writer *writer, uint64_t first, uint64_t last) {
    for (uint64_t round = first; round <= last; round++) {
        writer_post(writer, make_record(&site, round, round % 4 == 0));
    }
}

static void prepare(struct writer *writer) {
    unsigned before = prepared;
    writer_prepare(writer, &config, on_prepared, &prepared);
    wait_until(prepared > before);
}

static unsigned count_lines(const char *path) {
    size_t n;
    unsigned lines = 0;
    char *all = scratch_read(path, &n);
    for (size_t i = 0; i < n; i++) {
        lines += all[i] == '\n';
    }
    free(all);
    return lines;
}

static void drain(struct writer *writer, nsec_t limit) {
    writer_drain(writer, limit, on_drained, &drained);
    wait_until(drained == 1);
}

START_TEST(everything_posted_is_written_by_the_time_it_is_drained) {
    const char *all = scratch("all"), *failed = scratch("failed"), *text = scratch("text");
    add_sink(all, "json", SINK_ONLY_ALL);
    add_sink(failed, "json", SINK_ONLY_FAILED);
    add_sink(text, "text", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    ck_assert(writer_is_ready(writer));
    for (uint64_t round = 1; round <= 5000; round += 100) {
        post(writer, round, round + 99);
        writer_post(writer, make_event(&site, STATE_UP, STATE_DOWN, "why"));
    }
    drain(writer, PATIENCE);
    ck_assert_uint_eq(unwritten, 0);
    struct log_check log = log_check(all);
    ck_assert_uint_eq(log.reports, 5000);
    ck_assert_uint_eq(log.events, 50);
    ck_assert_uint_eq(log.losses, 0);
    log = log_check(failed);
    ck_assert_uint_eq(log.reports, 1250);
    ck_assert_uint_eq(log.seq, 1300);
    writer_free(writer);
}
END_TEST

START_TEST(a_log_that_is_taken_or_not_ours_keeps_the_daemon_from_starting) {
    const char *path = scratch("log"), *foreign = scratch("foreign");
    scratch_write(foreign, "root:x:0:0\n", 11);
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    assert_no_start(-EWOULDBLOCK, "locked");
    writer_free(writer);
    add_sink(foreign, "line", SINK_ONLY_ALL);
    assert_no_start(-EEXIST, foreign);
    config.n_sinks = 1;
    add_sink(path, "line", SINK_ONLY_ALL);
    assert_no_start(-EINVAL, "named twice");
    config.n_sinks = 0;
    add_sink(NULL, "line", SINK_ONLY_ALL);
    add_sink(NULL, "json", SINK_ONLY_ALL);
    assert_no_start(-EINVAL, "standard output is named twice");
}
END_TEST

START_TEST(a_reload_adds_removes_and_brings_back_logs_without_a_gap) {
    const char *first = scratch("first"), *second = scratch("second");
    add_sink(first, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    post(writer, 1, 100);
    config.n_sinks = 0;
    add_sink(second, "json", SINK_ONLY_ALL);
    prepare(writer);
    ck_assert_str_eq(why_not, "");
    post(writer, 101, 200); /* prepared is not in use */
    writer_commit(writer);
    post(writer, 201, 300);
    add_sink(first, "json", SINK_ONLY_FAILED);
    prepare(writer);
    ck_assert_str_eq(why_not, "");
    writer_commit(writer);
    post(writer, 301, 400);
    drain(writer, PATIENCE);
    writer_free(writer);
    struct log_check log = log_check(first);
    ck_assert_uint_eq(log.reports, 225);
    ck_assert_uint_eq(log.seq, 225);
    log = log_check(second);
    ck_assert_uint_eq(log.first_round, 201);
    ck_assert_uint_eq(log.reports, 200);
}
END_TEST

START_TEST(a_reload_that_cannot_open_a_log_changes_nothing) {
    const char *path = scratch("log"), *fresh = scratch("fresh"), *foreign = scratch("foreign");
    scratch_write(foreign, "root:x:0:0\n", 11);
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    post(writer, 1, 100);
    config.n_sinks = 0;
    add_sink(fresh, "json", SINK_ONLY_ALL);
    add_sink(foreign, "json", SINK_ONLY_ALL);
    prepare(writer);
    ck_assert_ptr_nonnull(strstr(why_not, foreign));
    post(writer, 101, 200);
    config.n_sinks = 1;
    prepare(writer); /* and can be tried again */
    ck_assert_str_eq(why_not, "");
    writer_rollback(writer);
    post(writer, 201, 300);
    drain(writer, PATIENCE);
    struct file file;
    char *why;
    ck_assert_int_eq(file_open(fresh, &file, &why), 0); /* not locked any more */
    ck_assert_int_eq(file_size(&file), 0);
    file_close(&file);
    writer_free(writer);
    ck_assert_uint_eq(log_check(path).reports, 300);
}
END_TEST

START_TEST(logs_are_opened_anew_when_asked) {
    const char *path = scratch("log"), *aside = scratch("log.1");
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    post(writer, 1, 100);
    ck_assert_int_eq(rename(path, aside), 0);
    for (int i = 0; i < 100; i++) {
        writer_reopen(writer);
    }
    post(writer, 101, 200);
    drain(writer, PATIENCE);
    writer_free(writer);
    struct log_check log = {0};
    log_check_file(&log, aside, NULL);
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.reports, 200);
    ck_assert_uint_eq(log.losses, 0);
}
END_TEST

/* Makes a pipe of 4 KiB the descriptor `fd`; returns its reading end. */
static int put_pipe(int fd) {
    int ends[2];
    fflush(stdout);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    ck_assert_int_eq(dup2(ends[1], fd), fd);
    close(ends[1]);
    fds_before++; /* the reading end */
    return ends[0];
}

START_TEST(a_stalled_reader_does_not_delay_other_logs_nor_the_stop) {
    int reader = put_pipe(STDOUT_FILENO);
    const char *path = scratch("log");
    add_sink(NULL, "json", SINK_ONLY_ALL);
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    post(writer, 1, 1000);
    wait_until(count_lines(path) == 1000);
    nsec_t began = clock_now();
    drain(writer, 200 * NSEC_PER_MSEC);
    ck_assert_int_ge(clock_now() - began, 200 * NSEC_PER_MSEC);
    ck_assert_uint_ge(unwritten, 900);
    ck_assert_uint_lt(unwritten, 1000);
    began = clock_now();
    writer_free(writer);
    ck_assert_int_lt(clock_now() - began, NSEC_PER_SEC);
    ck_assert_uint_eq(log_check(path).reports, 1000);
    close(reader);
    fds_before--;
}
END_TEST

START_TEST(a_broken_reader_is_told_on_the_control_loop_and_counted) {
    int reader = put_pipe(STDOUT_FILENO);
    close(reader);
    fds_before--;
    add_sink(NULL, "text", SINK_ONLY_ALL);
    struct writer *writer = start(NULL, false);
    post(writer, 1, 10);
    wait_until(broken == 1);
    ck_assert_int_eq(broken_by, EPIPE);
    ck_assert(!writer_is_ready(writer));
    drain(writer, PATIENCE);
    ck_assert_uint_eq(unwritten, 10);
    ck_assert_uint_eq(broken, 1);
    writer_free(writer);
}
END_TEST

/* The writer's thread hangs in a write(2) to a terminal that takes nothing: what a dead disk does
 * to it. The control loop goes on, and what it had to drop is stated afterwards, before the next
 * record
 * (_i 0) or at the end. */
START_TEST(a_stuck_writer_costs_records_that_are_stated_and_never_the_control_loop) {
    int reader = put_pipe(STDERR_FILENO);
    char filler[4096] = {0};
    ck_assert_int_eq(write(STDERR_FILENO, filler, sizeof filler), sizeof filler);
    const char *path = scratch("log");
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, true);
    for (int i = 0; i < 1000; i++) {
        writer_progress(writer, "1 of 2"); /* hangs in this before it sees a record */
    }
    post(writer, 1, 20000);
    ck_assert_uint_eq(config_refs, 8192);
    ck_assert_int_eq(read(reader, filler, sizeof filler), sizeof filler);
    wait_until(config_refs == 0);
    post(writer, 20001, _i == 0 ? 20001 : 20000);
    drain(writer, PATIENCE);
    ck_assert_uint_eq(unwritten, 0);
    struct log_check log = log_check(path);
    ck_assert_uint_eq(log.losses, 1);
    ck_assert_uint_eq(log.lost, 20000 - 8192);
    ck_assert_uint_eq(log.reports, 8192 + (_i == 0 ? 1 : 0));
    ck_assert_int_eq(log.ends_in_loss, _i == 1);
    ck_assert_str_eq(log.why, "the writer was stuck");
    writer_free(writer);
    close(reader);
    fds_before--;
}
END_TEST

START_TEST(a_drain_of_a_stuck_writer_ends_at_its_limit) {
    int reader = put_pipe(STDERR_FILENO);
    char filler[4096] = {0};
    ck_assert_int_eq(write(STDERR_FILENO, filler, sizeof filler), sizeof filler);
    const char *path = scratch("log");
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, true);
    writer_progress(writer, "1 of 2"); /* hangs in this before it sees a record */
    post(writer, 1, 100);
    drain(writer, 100 * NSEC_PER_MSEC);
    ck_assert_uint_eq(unwritten, 100);
    ck_assert_int_eq(read(reader, filler, sizeof filler), sizeof filler);
    wait_until(config_refs == 0);
    turn(50 * NSEC_PER_MSEC);
    ck_assert_uint_eq(drained, 1); /* the late answer is nobody's */
    writer_free(writer);
    ck_assert_uint_eq(log_check(path).reports, 100);
    close(reader);
    fds_before--;
}
END_TEST

START_TEST(a_log_that_fails_makes_the_writer_unready_until_it_is_written_again) {
    const char *directory = scratch("d"), *path = scratch("d/log");
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, false);
    post(writer, 1, 1);
    wait_until(config_refs == 0);
    unlink(path);
    rmdir(directory);
    writer_reopen(writer);
    wait_until(!writer_is_ready(writer));
    post(writer, 2, 2);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    wait_until(writer_is_ready(writer));
    drain(writer, PATIENCE);
    ck_assert_uint_eq(unwritten, 0);
    writer_free(writer);
}
END_TEST

START_TEST(a_writer_that_is_freed_at_once_leaves_nothing_behind) {
    const char *path = scratch("log"), *second = scratch("second");
    add_sink(path, "json", SINK_ONLY_ALL);
    struct writer *writer = start(BOOT, true);
    writer_progress(writer, "x");
    post(writer, 1, 5000);
    add_sink(second, "json", SINK_ONLY_ALL);
    writer_prepare(writer, &config, on_prepared, &prepared);
    writer_reopen(writer);
    writer_progress(writer, "y");
    if (_i == 1) {
        writer_drain(writer, PATIENCE, on_drained, &drained);
    }
    if (_i == 2) {
        wait_until(prepared == 1);
    }
    writer_free(writer);
    turn(20 * NSEC_PER_MSEC); /* an answer may be under way: it is nobody's */
    ck_assert_uint_eq(prepared, _i == 2 ? 1 : 0);
    ck_assert_uint_eq(drained, 0);
    writer_free(NULL);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("writer");
    TCase *tcase = tcase_create("writer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, everything_posted_is_written_by_the_time_it_is_drained);
    tcase_add_test(tcase, a_log_that_is_taken_or_not_ours_keeps_the_daemon_from_starting);
    tcase_add_test(tcase, a_reload_adds_removes_and_brings_back_logs_without_a_gap);
    tcase_add_test(tcase, a_reload_that_cannot_open_a_log_changes_nothing);
    tcase_add_test(tcase, logs_are_opened_anew_when_asked);
    tcase_add_test(tcase, a_stalled_reader_does_not_delay_other_logs_nor_the_stop);
    tcase_add_test(tcase, a_broken_reader_is_told_on_the_control_loop_and_counted);
    tcase_add_loop_test(
        tcase, a_stuck_writer_costs_records_that_are_stated_and_never_the_control_loop, 0, 2);
    tcase_add_test(tcase, a_drain_of_a_stuck_writer_ends_at_its_limit);
    tcase_add_test(tcase, a_log_that_fails_makes_the_writer_unready_until_it_is_written_again);
    tcase_add_loop_test(tcase, a_writer_that_is_freed_at_once_leaves_nothing_behind, 0, 3);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures ? 1 : 0;
}
