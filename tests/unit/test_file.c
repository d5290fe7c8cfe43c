#include "output/file.h"

#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOST "{\"v\":1,\"record\":\"lost\",\"seq\":1,\"why\":\"a torn line\"}"
#define REPORT                                                                                     \
    "{\"v\":1,\"record\":\"report\",\"seq\":7,\"site\":\"shop\",\"took_ms\":812.102,\"x\":\"padding beyond the lost record\"}"
#define LINE "2026-11-22T10:06:00.123Z seq=17 site=shop state=up\n"

static struct file open_ok(const char *path) {
    struct file file;
    char *why = NULL;
    int r = file_open(path, &file, &why);
    ck_assert_msg(r == 0, "%s", why);
    return file;
}

static void assert_refused(const char *path, int error, const char *words) {
    struct file file = {.fd = 4711};
    char *why = NULL;
    ck_assert_int_eq(file_open(path, &file, &why), error);
    ck_assert_ptr_nonnull(why);
    ck_assert_msg(strstr(why, words) != NULL && strstr(why, path) != NULL, "%s", why);
    ck_assert_int_eq(file.fd, 4711);
    free(why);
}

static void assert_holds(const char *path, const char *bytes, size_t n) {
    size_t found;
    char *all = scratch_read(path, &found);
    ck_assert_uint_eq(found, n);
    ck_assert_mem_eq(all, bytes, n);
    free(all);
}

START_TEST(a_new_file_is_made_private_closed_on_exec_and_appends) {
    umask(0);
    const char *path = scratch("new.log");
    struct file file = open_ok(path);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_mode, S_IFREG | 0640);
    ck_assert_int_eq(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(file.fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
    ck_assert_uint_eq(file.torn_bytes, 0);
    file_close(&file);
    ck_assert_int_eq(file.fd, -1);
    file_close(&file);
}
END_TEST

START_TEST(whole_lines_of_any_format_are_appended_to) {
    static const char *const contents[] = {
        LINE,
        REPORT "\n",
        LINE REPORT "\n",
        "report for: http://a/\nsaw 200: 1 times\n",
        "lost: a torn line      \n",
        LOST "           \n",
    };
    const char *path = scratch("whole.log");
    scratch_write(path, contents[_i], strlen(contents[_i]));
    struct file file = open_ok(path);
    ck_assert_uint_eq(file.torn_bytes, 0);
    ck_assert_int_eq(lseek(file.fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(write(file.fd, "more\n", 5), 5);
    file_close(&file);
    char expected[512];
    snprintf(expected, sizeof expected, "%smore\n", contents[_i]);
    assert_holds(path, expected, strlen(expected));
}
END_TEST

/* The torn part at every length, from one byte to all but the newline. */
START_TEST(a_torn_line_of_every_length_is_overwritten_in_place) {
    for (size_t n = 1; n <= strlen(REPORT); n++) {
        const char *path = scratch("torn.log");
        char before[1024];
        int whole = snprintf(before, sizeof before, "%s%.*s", LINE, (int)n, REPORT);
        scratch_write(path, before, (size_t)whole);
        struct file file = open_ok(path);
        ck_assert_int_eq(file.torn_at, strlen(LINE));
        ck_assert_uint_eq(file.torn_bytes, n);
        ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), 0);
        ck_assert_uint_eq(file.torn_bytes, 0);
        ck_assert_int_eq(fcntl(file.fd, F_GETFL) & O_APPEND, O_APPEND);
        ck_assert_int_eq(write(file.fd, LINE, strlen(LINE)), strlen(LINE));
        file_close(&file);

        size_t length = n > strlen(LOST) ? n : strlen(LOST);
        char expected[1024];
        snprintf(expected, sizeof expected, "%s%-*s\n%s", LINE, (int)length, LOST, LINE);
        assert_holds(path, expected, strlen(expected));
        /* a reader that had seen the torn bytes gets their end of line before any new line */
        ck_assert_ptr_nonnull(strchr(expected + whole, '\n'));
        file = open_ok(path);
        ck_assert_uint_eq(file.torn_bytes, 0);
        file_close(&file);
    }
}
END_TEST

/* A repair that is killed half-way leaves one torn line again, at the same place. */
START_TEST(a_torn_repair_is_repaired) {
    const char *path = scratch("twice.log");
    for (size_t n = 1; n <= strlen(LOST); n++) {
        char before[1024];
        snprintf(before, sizeof before, "%s%.*s%s", LINE, (int)n, LOST, &REPORT[n]);
        scratch_write(path, before, strlen(before));
        struct file file = open_ok(path);
        ck_assert_uint_eq(file.torn_bytes, strlen(REPORT));
        ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), 0);
        file_close(&file);
        char expected[1024];
        snprintf(expected, sizeof expected, "%s%-*s\n", LINE, (int)strlen(REPORT), LOST);
        assert_holds(path, expected, strlen(expected));
    }
}
END_TEST

START_TEST(a_torn_first_line_is_overwritten) {
    const char *path = scratch("first.log");
    scratch_write(path, "{\"v\":1,\"rec", 11);
    struct file file = open_ok(path);
    ck_assert_int_eq(file.torn_at, 0);
    ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), 0);
    file_close(&file);
    assert_holds(path, LOST "\n", strlen(LOST "\n"));
}
END_TEST

START_TEST(bytes_that_a_power_loss_left_unwritten_are_torn) {
    const char *path = scratch("nul.log");
    char zeros[10000] = LINE;
    scratch_write(path, zeros, sizeof zeros); /* after a line */
    struct file file = open_ok(path);
    ck_assert_int_eq(file.torn_at, strlen(LINE));
    ck_assert_uint_eq(file.torn_bytes, sizeof zeros - strlen(LINE));
    ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), 0);
    file_close(&file);
    size_t n;
    char *all = scratch_read(path, &n);
    ck_assert_uint_eq(n, sizeof zeros + 1);
    ck_assert_ptr_null(memchr(all, '\0', n));
    free(all);
    memset(zeros, 0, sizeof zeros);
    memcpy(zeros, REPORT, 40); /* in a line */
    scratch_write(path, zeros, sizeof zeros);
    file = open_ok(path);
    ck_assert_int_eq(file.torn_at, 0);
    file_close(&file);
    memset(zeros, 0, sizeof zeros); /* and nothing else: anybody's */
    scratch_write(path, zeros, sizeof zeros);
    assert_refused(path, -EEXIST, "does not end like a log");
    assert_holds(path, zeros, sizeof zeros);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_left_alone) {
    static const char *const contents[] = {
        "root:x:0:0:root:/root:/bin/bash\n",
        "#!/bin/sh\nexit 0",
        "\n",
        LINE "\n",
        "x",
        "hello\n{\"v\":1,\"rec",                        /* a short torn line may look like ours */
        LINE "2026-11-22T10:06:00.123Z something else", /* the torn line is not */
        "{\n  \"v\": 1\n}\n",
    };
    const char *path = scratch("foreign");
    scratch_write(path, contents[_i], strlen(contents[_i]));
    assert_refused(path, -EEXIST,
                   "does not end like a log of tallyd; move it away, or name another");
    assert_holds(path, contents[_i], strlen(contents[_i]));
}
END_TEST

START_TEST(a_line_that_is_too_long_is_not_ours_and_one_below_is) {
    const char *path = scratch("long.log");
    size_t n = FILE_LINE_MOST + 100;
    char *bytes = malloc(n);
    memset(bytes, 'x', n);
    memcpy(bytes, REPORT, 40);
    scratch_write(path, bytes, n);
    assert_refused(path, -EEXIST, "does not end like a log");
    scratch_write(path, bytes, n - 101);
    struct file file = open_ok(path);
    ck_assert_uint_eq(file.torn_bytes, n - 101);
    file_close(&file);
    bytes[n - 102] = '\n';
    scratch_write(path, bytes, n - 101);
    file = open_ok(path);
    ck_assert_uint_eq(file.torn_bytes, 0);
    file_close(&file);
    free(bytes);
}
END_TEST

START_TEST(only_a_regular_file_itself_is_opened) {
    const char *target = scratch("target.log"), *path = scratch("odd");
    scratch_write(target, LINE, strlen(LINE));
    ck_assert_int_eq(symlink(target, path), 0);
    assert_refused(path, -ELOOP, "symbolic link");
    unlink(path);
    ck_assert_int_eq(symlink("nowhere", path), 0);
    assert_refused(path, -ELOOP, "symbolic link");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_refused(path, -EINVAL, "not a regular file"); /* and does not wait for a reader */
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    assert_refused(path, -EISDIR, "cannot be opened");
    rmdir(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_refused(path, -ENXIO, "cannot be opened");
    close(fd);
    assert_refused("/dev/null", -EINVAL, "not a regular file");
    assert_refused(scratch("none/such.log"), -ENOENT, "does not exist; make it, writable for");
}
END_TEST

/* Not even root makes a file in /sys; in a container it may be mounted so that nobody writes. */
START_TEST(who_may_not_write_is_told_what_to_do) {
    struct file file;
    char *why = NULL;
    int r = file_open("/sys/tallyd.log", &file, &why);
    ck_assert_msg(r == -EACCES || r == -EROFS || r == -EPERM, "%d", r);
    const char *remedy = r == -EROFS
                             ? "; a service writes below /var/log/tallyd, and elsewhere only "
                               "with ReadWritePaths= in its unit"
                             : "; tallyd's user must be able to write it";
    ck_assert_msg(strstr(why, remedy) != NULL, "%s", why);
    free(why);
}
END_TEST

START_TEST(a_second_writer_is_locked_out_until_the_first_is_done) {
    const char *path = scratch("locked.log");
    struct file file = open_ok(path);
    assert_refused(path, -EWOULDBLOCK,
                   "locked: another daemon writes to it; stop that one, or name");
    pid_t child = fork();
    if (child == 0) {
        struct file other;
        char *why;
        _exit(file_open(path, &other, &why) == -EWOULDBLOCK ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    file_close(&file);
    file = open_ok(path);
    file_close(&file);
}
END_TEST

START_TEST(a_repair_without_room_can_be_tried_again) {
    signal(SIGXFSZ, SIG_IGN);
    const char *path = scratch("full.log");
    char before[4096];
    int n = snprintf(before, sizeof before, "%s%s", LINE, REPORT);
    scratch_write(path, before, (size_t)n);
    struct file file = open_ok(path);
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)n; /* the newline does not fit: a short write */
    setrlimit(RLIMIT_FSIZE, &tight);
    ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), -ENOSPC);
    ck_assert_uint_eq(file.torn_bytes, strlen(REPORT));
    tight.rlim_cur = (rlim_t)strlen(LINE); /* nothing fits: an error */
    setrlimit(RLIMIT_FSIZE, &tight);
    ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(file_repair(&file, LOST "\n", strlen(LOST "\n")), 0);
    file_close(&file);
    char expected[4096];
    snprintf(expected, sizeof expected, "%s%-*s\n", LINE, (int)strlen(REPORT), LOST);
    assert_holds(path, expected, strlen(expected));
}
END_TEST

START_TEST(a_path_that_is_another_file_now_is_noticed) {
    const char *path = scratch("look.log"), *aside = scratch("look.log.1");
    struct file file = open_ok(path);
    ck_assert_int_eq(file_look(&file, path), FILE_SAME);
    ck_assert(!file_is_deleted(&file));
    ck_assert_int_eq(rename(path, aside), 0);
    ck_assert_int_eq(file_look(&file, path), FILE_GONE);
    ck_assert(!file_is_deleted(&file));
    scratch_write(path, "", 0);
    ck_assert_int_eq(file_look(&file, path), FILE_REPLACED);
    ck_assert_int_eq(write(file.fd, LINE, strlen(LINE)), strlen(LINE));
    ck_assert_int_eq(file_size(&file), strlen(LINE));
    unlink(aside);
    ck_assert(file_is_deleted(&file));
    file_close(&file);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("file");
    TCase *tcase = tcase_create("file");
    tcase_add_test(tcase, a_new_file_is_made_private_closed_on_exec_and_appends);
    tcase_add_loop_test(tcase, whole_lines_of_any_format_are_appended_to, 0, 6);
    tcase_add_test(tcase, a_torn_line_of_every_length_is_overwritten_in_place);
    tcase_add_test(tcase, a_torn_repair_is_repaired);
    tcase_add_test(tcase, a_torn_first_line_is_overwritten);
    tcase_add_test(tcase, bytes_that_a_power_loss_left_unwritten_are_torn);
    tcase_add_loop_test(tcase, a_file_that_is_not_ours_is_left_alone, 0, 8);
    tcase_add_test(tcase, a_line_that_is_too_long_is_not_ours_and_one_below_is);
    tcase_add_test(tcase, only_a_regular_file_itself_is_opened);
    tcase_add_test(tcase, who_may_not_write_is_told_what_to_do);
    tcase_add_test(tcase, a_second_writer_is_locked_out_until_the_first_is_done);
    tcase_add_test(tcase, a_repair_without_room_can_be_tried_again);
    tcase_add_test(tcase, a_path_that_is_another_file_now_is_noticed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures ? 1 : 0;
}
