#include "output/sink.h"

#include "base/loop.h"
#include "fake_config.h"
#include "log_check.h"
#include "make_record.h"
#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BOOT     "5f3c0a9e5f3c0a9e5f3c0a9e5f3c0a9e"
#define PATIENCE (20 * NSEC_PER_SEC)

static const struct site site = {.name = "shop", .url_given = "http://shop/"};
static struct sink_shared shared;
static unsigned settled, broken;
static int broken_by;

static void on_settled(void *arg) {
    (void)arg;
    settled++;
}

static void on_broken(int error, void *arg) {
    (void)arg;
    broken++;
    broken_by = error;
}

static void setup(void) {
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    shared = (struct sink_shared){
        .base = event_base_new(),
        .boot = BOOT,
        .on_settled = on_settled,
        .on_broken = on_broken,
    };
    progress_init(&shared.progress, -1);
}

static void teardown(void) {
    ck_assert_uint_eq(config_refs, 0);
    ck_assert_uint_eq(atomic_load(&shared.failing), 0);
    event_base_free(shared.base);
}

static struct sink *open_sink(const char *path, const char *format, enum sink_only only) {
    struct sink_config config = {
        .kind = path != NULL ? SINK_FILE : SINK_STDOUT, .path = path, .format = format};
    struct sink *sink = sink_new(&config, &shared);
    ck_assert_ptr_nonnull(sink);
    ck_assert(!sink_is_open(sink) && sink_is_for(sink, &config));
    char *why;
    int r = sink_open(sink, format_find(format), &why);
    ck_assert_msg(r == 0, "%s", why);
    sink_activate(sink, format_find(format), only);
    return sink;
}

static void push_record(struct sink *sink, struct record *record) {
    sink_push(sink, record);
    if (--record->refs == 0) {
        record_free(record);
    }
}

static void push(struct sink *sink, uint64_t first, uint64_t last) {
    for (uint64_t round = first; round <= last; round++) {
        push_record(sink, make_record(&site, round, false));
    }
}

/* Turns the loop for a while. */
static void turn(nsec_t duration) {
    struct timeval time = loop_timeval(duration);
    event_base_loopexit(shared.base, &time);
    event_base_loop(shared.base, EVLOOP_NO_EXIT_ON_EMPTY);
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        nsec_t deadline = clock_now() + PATIENCE;                                                  \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_now() < deadline, "waited in vain for: %s", #condition);           \
            turn(5 * NSEC_PER_MSEC);                                                               \
        }                                                                                          \
    } while (0)

/* A full disk is played by RLIMIT_FSIZE. It holds for every file of the process, and the test's own
 * reports are in one: so the log stands behind a large hole, out of the way of that. */
#define FAR      (64L << 20)
#define FAR_LINE "{\"v\":1,\"record\":\"report\",\"boot\":\"\",\"seq\":0,\"round\":0}\n"

static const char *far_log(const char *torn) {
    const char *path = scratch("log");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    const char end[] = "\n" FAR_LINE;
    ck_assert_int_eq(pwrite(fd, end, strlen(end), FAR - (off_t)strlen(end)), strlen(end));
    ck_assert_int_eq(pwrite(fd, torn, strlen(torn), FAR), strlen(torn));
    close(fd);
    return path;
}

static struct log_check far_check(const char *path) {
    struct log_check check = {.from = FAR};
    log_check_file(&check, path, NULL);
    check.from = 0;
    return check;
}

static struct rlimit unlimited;

static void limit_files(off_t bytes) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    unlimited = limit;
    limit.rlim_cur = (rlim_t)bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void lift_limit(void) {
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
}

static off_t size_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

START_TEST(records_are_numbered_from_one_and_given_back) {
    const char *path = scratch("log");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 50);
    push_record(sink, make_event(&site, STATE_UP, STATE_DOWN, "x"));
    push(sink, 51, 100);
    ck_assert(sink_is_settled(sink));
    ck_assert_uint_eq(config_refs, 0);
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 0);
    ck_assert_uint_gt(settled, 0);
    struct log_check log = log_check(path);
    ck_assert_uint_eq(log.reports, 100);
    ck_assert_uint_eq(log.events, 1);
    ck_assert_uint_eq(log.seq, 101);
    sink_free(sink);
}
END_TEST

START_TEST(a_filter_leaves_no_gap_in_the_numbers) {
    const char *path = scratch("log");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_FAILED);
    for (uint64_t round = 1; round <= 100; round++) {
        push_record(sink, make_record(&site, round, round % 4 == 0));
    }
    struct log_check log = log_check(path);
    ck_assert_uint_eq(log.reports, 25);
    ck_assert_uint_eq(log.seq, 25);
    sink_free(sink);
}
END_TEST

START_TEST(a_full_disk_ends_in_one_exact_statement_of_loss) {
    const char *path = far_log("");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    limit_files(size_of(path) + 100); /* in the middle of a line: a short write, then an error */
    push(sink, 11, 20000);
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 20000 - 10);
    ck_assert_uint_eq(config_refs, SINK_BACKLOG_MOST + 1);
    turn(300 * NSEC_PER_MSEC);
    ck_assert(!sink_is_settled(sink));
    lift_limit();
    nsec_t lifted =
        clock_now(); /* the next try comes within a second; the rest is for a slow test */
    wait_until(size_of(path) > FAR + 10000);
    ck_assert_int_lt(clock_now() - lifted, 5 * NSEC_PER_SEC);
    ck_assert(!sink_is_settled(sink)); /* so much is written in turns: others have theirs */
    wait_until(sink_is_settled(sink));
    ck_assert_uint_eq(atomic_load(&shared.failing), 0);
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 0);
    struct log_check log = far_check(path);
    ck_assert_uint_eq(log.losses, 1);
    ck_assert_uint_eq(log.lost, 20000 - 11 - SINK_BACKLOG_MOST);
    ck_assert_uint_eq(log.reports + log.lost, 20000);
    ck_assert_uint_eq(log.last_round, 20000);
    ck_assert_str_eq(log.why, "File too large");
    sink_free(sink);
}
END_TEST

START_TEST(episodes_of_a_full_disk_at_every_cut_lose_nothing_that_is_not_stated) {
    const char *path = far_log("");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    uint64_t round = 0;
    push(sink, 1, 1);
    round = 1;
    off_t line = size_of(path) - FAR;
    for (off_t cut = 0; cut <= line; cut += 7) {
        limit_files(size_of(path) + cut);
        push(sink, round + 1, round + 3);
        round += 3;
        lift_limit();
        sink_reopen(sink); /* somebody made room, and says so */
        wait_until(sink_is_settled(sink));
    }
    struct log_check log = far_check(path);
    ck_assert_uint_eq(log.reports, round);
    ck_assert_uint_eq(log.losses, 0);
    sink_free(sink);
}
END_TEST

START_TEST(records_missed_on_the_way_are_stated_in_their_place) {
    const char *path = scratch("log");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_FAILED);
    const uint64_t missed[] = {7, 3, 1}, none[] = {7, 0, 0};
    push_record(sink, make_record(&site, 1, true));
    sink_miss(sink, missed);
    sink_miss(sink, none);
    push_record(sink, make_record(&site, 9, true));
    struct log_check log = log_check(path);
    ck_assert_uint_eq(log.reports, 2);
    ck_assert_uint_eq(log.lost, 3);
    ck_assert_str_eq(log.why, "the writer was stuck");
    ck_assert_uint_eq(log.seq, 6);
    sink_free(sink);
}
END_TEST

START_TEST(a_torn_line_takes_the_first_number_of_the_boot) {
    const char *path = scratch("log");
    scratch_write(path, "{\"v\":1,\"record\":\"rep", 20);
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 3);
    struct log_check log = log_check(path);
    ck_assert_uint_eq(log.torn, 1);
    ck_assert_uint_eq(log.reports, 3);
    ck_assert_uint_eq(log.seq, 4);
    sink_free(sink);
}
END_TEST

START_TEST(a_torn_line_on_a_full_disk_waits_for_room) {
    const char *path = far_log("{\"v\":1,\"record\":\"rep");
    limit_files(FAR + 20);
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    push(sink, 1, 3);
    lift_limit();
    wait_until(sink_is_settled(sink));
    struct log_check log = far_check(path);
    ck_assert_uint_eq(log.torn, 1);
    ck_assert_uint_eq(log.reports, 3);
    sink_free(sink);
}
END_TEST

START_TEST(a_torn_text_log_gets_a_visible_line) {
    const char *path = scratch("log");
    const char torn[] = "report for: http://shop/\nsaw 200: 1 ti";
    scratch_write(path, torn, strlen(torn));
    struct sink *sink = open_sink(path, "text", SINK_ONLY_ALL);
    push(sink, 1, 1);
    sink_free(sink);
    size_t n;
    char *all = scratch_read(path, &n);
    ck_assert_str_eq(all, "report for: http://shop/\nlost: a torn line\n"
                          "report for: http://shop/\nsaw 200: 1 times\n");
    free(all);
}
END_TEST

START_TEST(a_log_that_is_renamed_is_opened_anew_by_itself) {
    const char *path = scratch("log"), *aside = scratch("log.1");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    ck_assert_int_eq(rename(path, aside), 0);
    uint64_t round = 10;
    wait_until((push(sink, round + 1, round + 1), round++, size_of(path) > 0));
    wait_until(sink_is_settled(sink));
    struct log_check log = {0};
    log_check_file(&log, aside, NULL);
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.reports, round);
    ck_assert_uint_eq(log.losses, 0);
    sink_free(sink);
}
END_TEST

START_TEST(a_log_that_is_replaced_is_followed_at_once_when_asked) {
    const char *path = scratch("log"), *aside = scratch("log.1");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    ck_assert_int_eq(rename(path, aside), 0);
    scratch_write(path, "", 0);
    sink_reopen(sink);
    push(sink, 11, 20);
    ck_assert_int_eq(rename(path, scratch("log.2")), 0);
    sink_reopen(sink); /* gone: made anew, without a wait */
    ck_assert_int_eq(size_of(path), 0);
    sink_reopen(sink); /* the same: nothing to do */
    push(sink, 21, 30);
    struct log_check log = {0};
    log_check_file(&log, aside, NULL);
    ck_assert_uint_eq(log.reports, 10);
    log_check_file(&log, scratch("log.2"), NULL);
    ck_assert_uint_eq(log.reports, 20);
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.reports, 30);
    sink_free(sink);
}
END_TEST

START_TEST(a_deleted_log_is_made_anew_within_a_second) {
    const char *path = scratch("log");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    unlink(path);
    uint64_t round = 10;
    nsec_t deleted = clock_now();
    wait_until((push(sink, round + 1, round + 1), round++, size_of(path) > 0));
    ck_assert_int_lt(clock_now() - deleted, 5 * NSEC_PER_SEC);
    sink_free(sink);
}
END_TEST

START_TEST(a_log_cut_to_nothing_goes_on_at_its_start) {
    const char *path = scratch("log");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    ck_assert_int_eq(truncate(path, 0), 0);
    push(sink, 11, 20);
    struct log_check log = {.seq = 10};
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.reports, 10);
    sink_free(sink);
}
END_TEST

START_TEST(a_log_cut_in_the_middle_of_a_line_gets_the_line_whole) {
    const char *path = far_log("");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    limit_files(size_of(path) + 100);
    push(sink, 11, 20);
    ck_assert_int_eq(truncate(path, 0), 0);
    lift_limit();
    wait_until(sink_is_settled(sink));
    struct log_check log = {.seq = 10};
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.first_round, 11);
    ck_assert_uint_eq(log.reports, 10);
    sink_free(sink);
}
END_TEST

/* The rest of a line cannot go to the old file: the new one gets it whole, with its number. */
START_TEST(a_line_left_half_written_in_a_rotated_log_is_whole_in_the_next) {
    const char *path = far_log(""), *aside = scratch("log.1");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 20);
    off_t whole = size_of(path);
    limit_files(whole + 100);
    push(sink, 21, 22);
    ck_assert_int_eq(size_of(path), whole + 100);
    ck_assert_int_eq(rename(path, aside), 0);
    sink_reopen(sink);
    wait_until(sink_is_settled(sink)); /* the new file has room below the limit */
    lift_limit();
    struct log_check log = {.seq = 20};
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.first_round, 21);
    ck_assert_uint_eq(log.reports, 2);
    sink_free(sink);
}
END_TEST

/* The repair of the new file stands before the line, and takes its number. */
START_TEST(a_line_in_work_leaves_its_number_to_a_repair_before_it) {
    const char *path = far_log(""), *aside = scratch("log.1");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 20);
    limit_files(size_of(path) + 100);
    push(sink, 21, 22);
    ck_assert_int_eq(rename(path, aside), 0);
    scratch_write(path, "{\"v\":1,\"record\":\"rep", 20);
    sink_reopen(sink);
    wait_until(sink_is_settled(sink));
    lift_limit();
    struct log_check log = {.seq = 20};
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.torn, 1);
    ck_assert_uint_eq(log.reports, 2);
    sink_free(sink);
}
END_TEST

START_TEST(what_must_not_be_opened_leaves_the_old_log_in_use) {
    const char *path = scratch("log"), *aside = scratch("log.1");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    ck_assert_int_eq(rename(path, aside), 0);
    scratch_write(scratch("other"), "", 0);
    ck_assert_int_eq(_i == 0   ? symlink(scratch("other"), path)
                     : _i == 1 ? mkfifo(path, 0600)
                               : mkdir(path, 0700),
                     0);
    sink_reopen(sink);
    push(sink, 11, 20);
    struct log_check log = log_check(aside);
    ck_assert_uint_eq(log.reports, 20);
    ck_assert_int_eq(remove(path), 0);
    sink_reopen(sink);
    push(sink, 21, 21);
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.reports, 21);
    sink_free(sink);
}
END_TEST

START_TEST(a_deleted_log_whose_directory_is_gone_waits_and_comes_back) {
    const char *directory = scratch("d"), *path = scratch("d/log");
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    unlink(path);
    rmdir(directory);
    sink_reopen(sink);
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    push(sink, 11, 20);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    wait_until(sink_is_settled(sink));
    struct log_check log = {.seq = 10};
    log_check_file(&log, path, NULL);
    ck_assert_uint_eq(log.reports, 10);
    ck_assert_uint_eq(log.losses, 0);
    sink_free(sink);
}
END_TEST

START_TEST(a_closed_sink_goes_on_with_its_numbers) {
    const char *path = scratch("log");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    sink_retire(sink);
    push(sink, 11, 20);
    ck_assert(sink_is_settled(sink));
    sink_close(sink);
    char *why;
    ck_assert_int_eq(sink_open(sink, &format_json, &why), 0);
    sink_activate(sink, &format_json, SINK_ONLY_ALL);
    push(sink, 21, 30);
    struct log_check log = log_check(path);
    ck_assert_uint_eq(log.reports, 20);
    ck_assert_uint_eq(log.seq, 20);
    sink_free(sink);
}
END_TEST

START_TEST(a_log_that_becomes_text_drops_waiting_events_and_takes_no_numbers) {
    const char *path = far_log("");
    struct sink *sink = open_sink(path, "json", SINK_ONLY_ALL);
    push(sink, 1, 1);
    limit_files(size_of(path));
    push_record(sink, make_event(&site, STATE_UP, STATE_DOWN, "x"));
    push_record(sink, make_event(&site, STATE_UP, STATE_DOWN, "x"));
    push(sink, 2, 2);
    sink_activate(sink, &format_text, SINK_ONLY_ALL);
    lift_limit();
    wait_until(sink_is_settled(sink)); /* the first event was formatted already */
    sink_activate(sink, &format_json, SINK_ONLY_ALL);
    push(sink, 3, 3);
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 0);
    size_t n;
    char *all = scratch_read(path, &n);
    const char *log = all + FAR;
    ck_assert_ptr_nonnull(strstr(log, "\"seq\":2,"));
    ck_assert_ptr_nonnull(strstr(log, "\nreport for: http://shop/\nsaw 200: 1 times\n{"));
    ck_assert_ptr_nonnull(strstr(log, "\"seq\":3,"));
    free(all);
    sink_free(sink);
}
END_TEST

/* stdout */

static void make_stdout(int fd) {
    ck_assert_int_ge(fd, 0);
    fflush(stdout);
    ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    if (fd != STDOUT_FILENO) {
        close(fd);
    }
}

/* Makes a pipe stdout; returns its reading end. */
static int pipe_stdout(int bytes) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, bytes), bytes);
    make_stdout(ends[1]);
    return ends[0];
}

START_TEST(a_stalled_reader_blocks_nothing_and_gets_everything_later) {
    int reader = pipe_stdout(4096);
    const char *path = scratch("log"), *got = scratch("got");
    struct sink *sink = open_sink(NULL, "json", SINK_ONLY_ALL);
    struct sink *other = open_sink(path, "json", SINK_ONLY_ALL);
    for (uint64_t round = 1; round <= 10000; round++) {
        struct record *record = make_record(&site, round, false);
        sink_push(sink, record);
        push_record(other, record);
    }
    ck_assert(sink_is_settled(other) && !sink_is_settled(sink));
    ck_assert_uint_eq(log_check(path).reports, 10000);
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    ck_assert_int_eq(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);

    FILE *to = fopen(got, "w");
    fcntl(reader, F_SETFL, O_NONBLOCK);
    nsec_t deadline = clock_now() + PATIENCE;
    while (!sink_is_settled(sink)) {
        char bytes[1000];
        ssize_t n;
        while ((n = read(reader, bytes, sizeof bytes)) > 0) {
            fwrite(bytes, 1, (size_t)n, to);
        }
        event_base_loop(shared.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        ck_assert_int_lt(clock_now(), deadline);
    }
    char bytes[8192];
    ssize_t n = read(reader, bytes, sizeof bytes);
    fwrite(bytes, 1, n > 0 ? (size_t)n : 0, to);
    fclose(to);
    struct log_check log = log_check(got);
    ck_assert_uint_eq(log.losses, 1);
    ck_assert_uint_eq(log.reports + log.lost, 10000);
    ck_assert_str_eq(log.why, "the reader is too slow");
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 0);
    sink_free(sink);
    sink_free(other);
}
END_TEST

START_TEST(a_reader_that_has_gone_is_told_once) {
    int reader = pipe_stdout(4096);
    struct sink *sink = open_sink(NULL, "text", SINK_ONLY_ALL);
    push(sink, 1, 1);
    close(reader);
    push(sink, 2, 100);
    ck_assert_uint_eq(broken, 1);
    ck_assert_int_eq(broken_by, EPIPE);
    ck_assert(sink_is_settled(sink));
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 99);
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    sink_free(sink);
}
END_TEST

START_TEST(a_reader_that_goes_while_it_stalls_is_noticed) {
    int reader = pipe_stdout(4096);
    struct sink *sink = open_sink(NULL, "json", SINK_ONLY_ALL);
    push(sink, 1, 100);
    ck_assert_uint_eq(broken, 0);
    close(reader);
    wait_until(broken == 1);
    sink_free(sink);
}
END_TEST

START_TEST(a_device_that_fails_is_broken_and_one_that_does_not_is_written) {
    make_stdout(open("/dev/full", O_WRONLY));
    struct sink *sink = open_sink(NULL, "text", SINK_ONLY_ALL);
    push(sink, 1, 2);
    ck_assert_uint_eq(broken, 1);
    ck_assert_int_eq(broken_by, ENOSPC);
    sink_free(sink);
    make_stdout(open("/dev/null", O_WRONLY));
    sink = open_sink(NULL, "text", SINK_ONLY_ALL);
    push(sink, 1, 200);
    ck_assert(sink_is_settled(sink));
    ck_assert_uint_eq(broken, 1);
    sink_free(sink);
}
END_TEST

START_TEST(a_regular_file_as_stdout_fails_for_a_while_only) {
    const char *path = far_log("");
    make_stdout(open(path, O_WRONLY | O_APPEND));
    struct sink *sink = open_sink(NULL, "json", SINK_ONLY_ALL);
    push(sink, 1, 10);
    limit_files(size_of(path) + 50);
    push(sink, 11, 20);
    ck_assert_uint_eq(broken, 0);
    lift_limit();
    wait_until(sink_is_settled(sink));
    ck_assert_uint_eq(far_check(path).reports, 20);
    sink_free(sink);
}
END_TEST

START_TEST(a_socket_as_stdout_is_never_waited_for) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    make_stdout(ends[0]);
    struct sink *sink = open_sink(NULL, "json", SINK_ONLY_ALL);
    push(sink, 1, 3000);
    ck_assert(!sink_is_settled(sink));
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    size_t got = 0;
    nsec_t deadline = clock_now() + PATIENCE;
    while (!sink_is_settled(sink)) {
        char bytes[4096];
        ssize_t n = read(ends[1], bytes, sizeof bytes);
        got += n > 0 ? (size_t)n : 0;
        event_base_loop(shared.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        ck_assert_int_lt(clock_now(), deadline);
    }
    ck_assert_uint_gt(got, 100000);
    close(ends[1]);
    push(sink, 3001, 3001);
    ck_assert_int_eq(broken_by, EPIPE);
    sink_free(sink);
}
END_TEST

/* the journal */

static int make_journal(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    unlink(path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int open_journal_sink(const char *path, struct sink **ret_sink) {
    struct sink_config config = {.kind = SINK_JOURNAL, .path = path, .format = "journal"};
    struct sink *sink = sink_new(&config, &shared);
    ck_assert(sink != NULL && sink_is_for(sink, &config));
    char *why;
    int r = sink_open(sink, &format_journal, &why);
    ck_assert((r == 0) == (why == NULL));
    if (r == 0) {
        sink_activate(sink, &format_journal, SINK_ONLY_ALL);
    }
    free(why);
    *ret_sink = sink;
    return r;
}

/* The number that the field has in the next message; 0: it has none, or there is no message. */
static uint64_t receive(int journal, const char *field, bool *ret_any) {
    static char message[1 << 20];
    ssize_t n = recv(journal, message, sizeof message - 1, 0);
    *ret_any = n > 0;
    message[n > 0 ? n : 0] = '\0';
    const char *at = strstr(message, field);
    return at != NULL ? strtoull(at + strlen(field), NULL, 10) : 0;
}

static uint64_t receive_seq(int journal) {
    bool any;
    return receive(journal, "\nTALLYD_SEQ=", &any);
}

START_TEST(each_record_is_a_message_to_the_journal) {
    const char *path = scratch("journal");
    int journal = make_journal(path);
    struct sink *sink;
    ck_assert_int_eq(open_journal_sink(path, &sink), 0);
    push(sink, 1, 3);
    ck_assert(sink_is_settled(sink));
    for (uint64_t seq = 1; seq <= 3; seq++) {
        ck_assert_uint_eq(receive_seq(journal), seq);
    }
    sink_free(sink);
    close(journal);
}
END_TEST

START_TEST(a_journal_that_is_not_there_is_refused) {
    struct sink *sink;
    ck_assert_int_eq(open_journal_sink("/nonexistent/socket", &sink), -ENOENT);
    ck_assert(!sink_is_open(sink));
    sink_free(sink);
}
END_TEST

START_TEST(a_journal_that_hangs_blocks_nothing_and_gets_everything_later) {
    const char *path = scratch("journal");
    int journal = make_journal(path);
    struct sink *sink;
    ck_assert_int_eq(open_journal_sink(path, &sink), 0);
    push(sink, 1, 10000);
    ck_assert(!sink_is_settled(sink));
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    uint64_t reports = 0, lost = 0, last = 0;
    nsec_t deadline = clock_now() + PATIENCE;
    while (last < 10001) { /* one more, for the loss */
        static char message[1 << 16];
        ssize_t n = recv(journal, message, sizeof message - 1, 0);
        ck_assert_int_lt(clock_now(), deadline);
        if (n <= 0) {
            event_base_loop(shared.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
            continue;
        }
        message[n] = '\0';
        uint64_t seq = strtoull(strstr(message, "TALLYD_SEQ=") + 11, NULL, 10);
        const char *count = strstr(message, " count=");
        uint64_t missing = count != NULL ? strtoull(count + 7, NULL, 10) : 0;
        ck_assert_uint_eq(seq, last + missing + 1);
        last = seq;
        lost += missing;
        reports += missing == 0;
    }
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_eq(reports + lost, 10000);
    ck_assert(sink_is_settled(sink));
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 0);
    sink_free(sink);
    close(journal);
}
END_TEST

START_TEST(a_journal_that_goes_and_comes_again_gets_what_waited) {
    const char *path = scratch("journal");
    int journal = make_journal(path);
    struct sink *sink;
    ck_assert_int_eq(open_journal_sink(path, &sink), 0);
    push(sink, 1, 1);
    ck_assert_uint_eq(receive_seq(journal), 1);
    close(journal);
    unlink(path);
    push(sink, 2, 5);
    turn(200 * NSEC_PER_MSEC);
    ck_assert(!sink_is_settled(sink));
    ck_assert_uint_eq(atomic_load(&shared.failing), 1);
    journal = make_journal(path);
    wait_until(sink_is_settled(sink));
    for (uint64_t seq = 2; seq <= 5; seq++) {
        ck_assert_uint_eq(receive_seq(journal), seq);
    }
    ck_assert_uint_eq(atomic_load(&shared.failing), 0);
    sink_free(sink);
    close(journal);
}
END_TEST

START_TEST(a_record_that_the_journal_does_not_take_is_stated_as_lost) {
    const char *path = scratch("journal");
    int journal = make_journal(path);
    struct sink *sink;
    ck_assert_int_eq(open_journal_sink(path, &sink), 0);
    char *long_value = malloc(20 << 20);
    memset(long_value, 'x', (20 << 20) - 1);
    long_value[(20 << 20) - 1] = '\0';
    const struct label label = {"note", long_value};
    const struct site wide = {
        .name = "wide", .url_given = "http://wide/", .labels = &label, .n_labels = 1};
    push(sink, 1, 1);
    push_record(sink, make_record(&wide, 1, false));
    push(sink, 2, 2);
    ck_assert(sink_is_settled(sink));
    bool any;
    ck_assert_uint_eq(receive_seq(journal), 1);
    ck_assert_uint_eq(receive(journal, " from_seq=2 to_seq=2 count=", &any), 1);
    ck_assert_uint_eq(receive_seq(journal), 4);
    ck_assert_uint_eq(atomic_load(&shared.unwritten), 0);
    sink_free(sink);
    free(long_value);
    close(journal);
}
END_TEST

START_TEST(sample_drops_nothing_however_slow_its_reader) {
    shared.boot = NULL;
    int reader = pipe_stdout(4096);
    struct sink *sink = open_sink(NULL, "text", SINK_ONLY_ALL);
    push(sink, 1, 3 * SINK_BACKLOG_MOST);
    fcntl(reader, F_SETFL, O_NONBLOCK);
    size_t got = 0;
    nsec_t deadline = clock_now() + PATIENCE;
    ssize_t n = 0;
    while (!sink_is_settled(sink) || n > 0) {
        char bytes[65536];
        n = read(reader, bytes, sizeof bytes);
        got += n > 0 ? (size_t)n : 0;
        event_base_loop(shared.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        ck_assert_int_lt(clock_now(), deadline);
    }
    ck_assert_uint_eq(got, 3 * SINK_BACKLOG_MOST *
                               strlen("report for: http://shop/\nsaw 200: 1 times\n"));
    sink_free(sink);
}
END_TEST

START_TEST(a_progress_line_is_out_of_the_way_of_reports) {
    const char *path = scratch("terminal");
    int terminal = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    make_stdout(dup(terminal));
    progress_init(&shared.progress, terminal);
    struct sink *sink = open_sink(NULL, "text", SINK_ONLY_ALL);
    progress_set(&shared.progress, "1 of 2\x1b[2J");
    push(sink, 1, 1);
    progress_set(&shared.progress, "2 of 2");
    progress_set(&shared.progress, "");
    push(sink, 2, 2);
    sink_free(sink);
    size_t n;
    char *all = scratch_read(path, &n);
#define DRAWN "\r\033[K"
#define BLOCK "report for: http://shop/\nsaw 200: 1 times\n"
    ck_assert_str_eq(all, DRAWN "1 of 2\\x1b[2J" DRAWN BLOCK DRAWN "1 of 2\\x1b[2J" DRAWN
                                "2 of 2" DRAWN BLOCK);
    free(all);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("sink");
    TCase *tcase = tcase_create("sink");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, records_are_numbered_from_one_and_given_back);
    tcase_add_test(tcase, a_filter_leaves_no_gap_in_the_numbers);
    tcase_add_test(tcase, a_full_disk_ends_in_one_exact_statement_of_loss);
    tcase_add_test(tcase, episodes_of_a_full_disk_at_every_cut_lose_nothing_that_is_not_stated);
    tcase_add_test(tcase, records_missed_on_the_way_are_stated_in_their_place);
    tcase_add_test(tcase, a_torn_line_takes_the_first_number_of_the_boot);
    tcase_add_test(tcase, a_torn_line_on_a_full_disk_waits_for_room);
    tcase_add_test(tcase, a_torn_text_log_gets_a_visible_line);
    tcase_add_test(tcase, a_log_that_is_renamed_is_opened_anew_by_itself);
    tcase_add_test(tcase, a_log_that_is_replaced_is_followed_at_once_when_asked);
    tcase_add_test(tcase, a_deleted_log_is_made_anew_within_a_second);
    tcase_add_test(tcase, a_log_cut_to_nothing_goes_on_at_its_start);
    tcase_add_test(tcase, a_log_cut_in_the_middle_of_a_line_gets_the_line_whole);
    tcase_add_test(tcase, a_line_left_half_written_in_a_rotated_log_is_whole_in_the_next);
    tcase_add_test(tcase, a_line_in_work_leaves_its_number_to_a_repair_before_it);
    tcase_add_loop_test(tcase, what_must_not_be_opened_leaves_the_old_log_in_use, 0, 3);
    tcase_add_test(tcase, a_deleted_log_whose_directory_is_gone_waits_and_comes_back);
    tcase_add_test(tcase, a_closed_sink_goes_on_with_its_numbers);
    tcase_add_test(tcase, a_log_that_becomes_text_drops_waiting_events_and_takes_no_numbers);
    tcase_add_test(tcase, a_stalled_reader_blocks_nothing_and_gets_everything_later);
    tcase_add_test(tcase, a_reader_that_has_gone_is_told_once);
    tcase_add_test(tcase, a_reader_that_goes_while_it_stalls_is_noticed);
    tcase_add_test(tcase, a_device_that_fails_is_broken_and_one_that_does_not_is_written);
    tcase_add_test(tcase, a_regular_file_as_stdout_fails_for_a_while_only);
    tcase_add_test(tcase, a_socket_as_stdout_is_never_waited_for);
    tcase_add_test(tcase, each_record_is_a_message_to_the_journal);
    tcase_add_test(tcase, a_journal_that_is_not_there_is_refused);
    tcase_add_test(tcase, a_journal_that_hangs_blocks_nothing_and_gets_everything_later);
    tcase_add_test(tcase, a_journal_that_goes_and_comes_again_gets_what_waited);
    tcase_add_test(tcase, a_record_that_the_journal_does_not_take_is_stated_as_lost);
    tcase_add_test(tcase, sample_drops_nothing_however_slow_its_reader);
    tcase_add_test(tcase, a_progress_line_is_out_of_the_way_of_reports);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures ? 1 : 0;
}
