#include "state_file.h"

#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct state_file file;
static char path[128], said[128];

static void setup(void) {
    strcpy(path, scratch("state.json"));
    ck_assert_int_eq(state_file_init(&file, path), 0);
    /* what is said on stderr is read from there */
    strcpy(said, scratch("said"));
    int fd = open(said, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    close(fd);
}

static void teardown(void) {
    state_file_clear(&file);
}

static const char *beside(const char *end) {
    static char paths[4][160];
    static unsigned next;
    char *beside = paths[next++ % 4];
    snprintf(beside, sizeof paths[0], "%s%s", path, end);
    return beside;
}

static bool exists(const char *which) {
    struct stat status;
    return lstat(which, &status) == 0;
}

static void write_text(const char *to, const char *text) {
    scratch_write(to, text, strlen(text));
}

static void assert_holds(const char *which, const char *text) {
    size_t n;
    char *bytes = scratch_read(which, &n);
    ck_assert_str_eq(bytes, text);
    free(bytes);
}

/* All of it, in one line, with these words; then it is forgotten. */
static void assert_said(const char *words) {
    size_t n;
    char *text = scratch_read(said, &n);
    ck_assert_msg(strstr(text, words) != NULL, "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + n - 1, "%s", text);
    free(text);
    ck_assert_int_eq(truncate(said, 0), 0);
}

/* A snapshot without sites. */
static void write_good(void) {
    struct snapshot snapshot = {.taken = {.wall = 7}};
    char *bytes;
    size_t n;
    ck_assert_int_eq(snapshot_encode(&snapshot, &bytes, &n), 0);
    ck_assert_int_eq(state_file_write(&file, bytes, n), 0);
    free(bytes);
}

static void assert_set_aside(const char *words) {
    ck_assert_ptr_null(state_file_read(&file));
    ck_assert(!exists(path));
    ck_assert(exists(beside(".damaged-1")));
    assert_said(words);
    ck_assert_int_eq(remove(beside(".damaged-1")), 0);
}

/* ---- where ---- */

START_TEST(it_is_where_the_configuration_or_systemd_says) {
    static const struct {
        const char *key, *environment, *path;
    } rows[] = {
        {NULL, NULL, NULL},
        {NULL, "", NULL},
        {NULL, "here", NULL},
        {NULL, "/var/lib/tallyd", "/var/lib/tallyd/state.json"},
        {NULL, "/a:/b", "/a/state.json"},
        {"/c/d", "/a:/b", "/c/d"},
        {"/c/d", NULL, "/c/d"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config config = {.state_file = rows[i].key};
        char *where = NULL;
        unsetenv("STATE_DIRECTORY");
        if (rows[i].environment != NULL) {
            setenv("STATE_DIRECTORY", rows[i].environment, 1);
        }
        ck_assert_int_eq(state_file_path(&config, &where), 0);
        ck_assert((where == NULL) == (rows[i].path == NULL));
        ck_assert(where == NULL || strcmp(where, rows[i].path) == 0);
        free(where);
    }
}
END_TEST

/* ---- writing ---- */

START_TEST(what_is_written_is_read_and_nobody_else_s) {
    umask(0);
    write_good();
    write_good();
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert(!exists(beside(".new")));
    struct snapshot *snapshot = state_file_read(&file);
    ck_assert_ptr_nonnull(snapshot);
    ck_assert_int_eq(snapshot->taken.wall, 7);
    snapshot_free(snapshot);
    ck_assert(exists(path));
}
END_TEST

START_TEST(no_file_is_no_news) {
    ck_assert_ptr_null(state_file_read(&file));
    size_t n;
    free(scratch_read(said, &n));
    ck_assert_uint_eq(n, 0);
    ck_assert(!exists(beside(".damaged-1")));
}
END_TEST

START_TEST(a_write_that_fails_leaves_the_old_file_and_nothing_beside) {
    write_text(path, "old");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char bytes[10000];
    memset(bytes, 'x', sizeof bytes);
    ck_assert_int_eq(state_file_write(&file, bytes, sizeof bytes), -EFBIG);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_holds(path, "old");
    ck_assert(!exists(beside(".new")));
    ck_assert_int_eq(state_file_write(&file, "new", 3), 0);
    assert_holds(path, "new");
}
END_TEST

START_TEST(without_its_directory_it_is_not_written) {
    state_file_clear(&file);
    ck_assert_int_eq(state_file_init(&file, scratch("none/state.json")), 0);
    ck_assert_int_eq(state_file_lock(&file), -ENOENT);
    ck_assert_int_eq(state_file_write(&file, "x", 1), -ENOENT);
    ck_assert_ptr_null(state_file_read(&file));
}
END_TEST

START_TEST(what_lies_beside_it_is_replaced_and_not_followed) {
    const char *other = scratch("other");
    write_text(other, "precious");
    ck_assert_int_eq(symlink(other, beside(".new")), 0);
    ck_assert_int_eq(state_file_write(&file, "a", 1), 0);
    ck_assert_int_eq(link(other, beside(".new")), 0);
    ck_assert_int_eq(state_file_write(&file, "b", 1), 0);
    assert_holds(other, "precious");
    assert_holds(path, "b");
    ck_assert_int_eq(mkdir(beside(".new"), 0700), 0);
    ck_assert_int_eq(state_file_write(&file, "c", 1), -EISDIR);
    assert_holds(path, "b");
    ck_assert_int_eq(symlink(other, beside(".lock")), 0);
    ck_assert_int_eq(state_file_lock(&file), -ELOOP);
}
END_TEST

START_TEST(it_is_one_daemon_s_at_a_time) {
    struct state_file second;
    ck_assert_int_eq(state_file_init(&second, path), 0);
    ck_assert_int_eq(state_file_lock(&file), 0);
    ck_assert_int_eq(state_file_lock(&file), 0); /* it is ours */
    ck_assert_int_eq(state_file_lock(&second), -EWOULDBLOCK);
    write_good(); /* another inode */
    ck_assert_int_eq(state_file_lock(&second), -EWOULDBLOCK);
    state_file_clear(&file);
    ck_assert_int_eq(state_file_lock(&second), 0);
    state_file_clear(&second);
}
END_TEST

/* ---- what may be found in its place ---- */

START_TEST(what_is_damaged_is_set_aside_and_said_once) {
    write_text(path, "");
    assert_set_aside("state.json is empty: it is ");
    write_text(path, "x\ny\n");
    assert_set_aside("state.json does not end like a state file");
    write_good();
    size_t n;
    char *bytes = scratch_read(path, &n);
    ck_assert_int_eq(truncate(path, (off_t)n - 1), 0);
    assert_set_aside("does not end like a state file");
    bytes[3] ^= 1;
    scratch_write(path, bytes, n);
    assert_set_aside("is not what was once written");
    free(bytes);
}
END_TEST

START_TEST(what_is_no_file_is_set_aside) {
    ck_assert_int_eq(mkdir(path, 0700), 0);
    assert_set_aside("state.json is no regular file");
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* would block whoever opens it */
    assert_set_aside("is no regular file");
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    assert_set_aside("is a symbolic link");
}
END_TEST

START_TEST(what_others_could_have_written_is_set_aside) {
    write_good();
    ck_assert_int_eq(chmod(path, 0602), 0);
    assert_set_aside("can be written by others");
    write_good();
    ck_assert_int_eq(chmod(path, 0620), 0);
    assert_set_aside("can be written by others");
    if (geteuid() == 0) {
        write_good();
        ck_assert_int_eq(chown(path, 12345, 12345), 0);
        assert_set_aside("is somebody else's");
    }
}
END_TEST

START_TEST(a_few_damaged_files_are_kept_the_first_and_the_last) {
    for (int i = 1; i <= 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        write_text(path, text);
        ck_assert_ptr_null(state_file_read(&file));
        char words[32];
        snprintf(words, sizeof words, ".damaged-%d now", i < 3 ? i : 3);
        assert_said(words);
    }
    assert_holds(beside(".damaged-1"), "1");
    assert_holds(beside(".damaged-2"), "2");
    assert_holds(beside(".damaged-3"), "5");
    ck_assert(!exists(beside(".damaged-4")));
    ck_assert_int_eq(mkdir(path, 0700), 0); /* also what is not renamed over a file, */
    ck_assert_ptr_null(state_file_read(&file));
    assert_said(".damaged-3 now");
    write_text(path, "7"); /* nor a file over it */
    ck_assert_ptr_null(state_file_read(&file));
    assert_said(".damaged-3 now");
    assert_holds(beside(".damaged-3"), "7");
}
END_TEST

START_TEST(what_cannot_be_set_aside_is_said_too) {
    for (int i = 1; i <= 3; i++) {
        char end[16];
        snprintf(end, sizeof end, ".damaged-%d", i);
        ck_assert_int_eq(mkdir(beside(end), 0700), 0);
    }
    write_text(beside(".damaged-3/full"), "x");
    write_text(path, "x");
    ck_assert_ptr_null(state_file_read(&file));
    assert_said("cannot be set aside (Is a directory)");
    ck_assert(exists(path));
}
END_TEST

START_TEST(a_moment_knows_the_machine_s_boot) {
    struct snapshot_moment first, second;
    nsec_t age = -1;
    state_file_moment(&first);
    state_file_moment(&second);
    ck_assert_uint_eq(strlen(first.boot_id), 36);
    ck_assert(snapshot_age(&first, &second, &age));
    ck_assert_int_eq(age, second.since_boot - first.since_boot);
    ck_assert_int_ge(age, 0);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("state_file");
    TCase *tests = tcase_create("state_file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_is_where_the_configuration_or_systemd_says);
    tcase_add_test(tests, what_is_written_is_read_and_nobody_else_s);
    tcase_add_test(tests, no_file_is_no_news);
    tcase_add_test(tests, a_write_that_fails_leaves_the_old_file_and_nothing_beside);
    tcase_add_test(tests, without_its_directory_it_is_not_written);
    tcase_add_test(tests, what_lies_beside_it_is_replaced_and_not_followed);
    tcase_add_test(tests, it_is_one_daemon_s_at_a_time);
    tcase_add_test(tests, what_is_damaged_is_set_aside_and_said_once);
    tcase_add_test(tests, what_is_no_file_is_set_aside);
    tcase_add_test(tests, what_others_could_have_written_is_set_aside);
    tcase_add_test(tests, a_few_damaged_files_are_kept_the_first_and_the_last);
    tcase_add_test(tests, what_cannot_be_set_aside_is_said_too);
    tcase_add_test(tests, a_moment_knows_the_machine_s_boot);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures > 0 ? 1 : 0;
}
