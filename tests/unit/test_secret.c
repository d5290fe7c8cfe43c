#include "config/secret.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/tallyd-test-XXXXXX";
static struct arena arena;
static struct secrets secrets;

static void begin(void) {
    strcpy(directory, "/tmp/tallyd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    arena = (struct arena){0};
    secrets = (struct secrets){0};
}

static void end(void) {
    arena_clear(&arena);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *bytes, size_t n, mode_t mode) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

/* What reading a file says; NULL: it was read. */
static const char *hint; /* of the last read */

static const char *read_file(const char *name, const struct secret **ret_secret) {
    static char room[SECRET_WHY_SIZE];
    const char *path, *why = NULL;
    struct secret_origin origin = {.file = path_of(name)};
    int r = secret_read(&secrets, &arena, &origin, ret_secret, &path, room, &why, &hint);
    ck_assert_msg(r == 0 || r == -EINVAL, "%d", r);
    ck_assert_str_eq(path, path_of(name));
    ck_assert((r == 0) == (why == NULL));
    return why;
}

START_TEST(one_line_is_read_without_its_end) {
    static const struct {
        const char *bytes, *secret;
    } rows[] = {
        {"s3cret\n", "s3cret"},
        {"s3cret", "s3cret"},
        {" a b ", " a b "},
        {"p\xc3\xa4ss\xff\n", "p\xc3\xa4ss\xff"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct secret *secret = NULL;
        write_file("s", rows[i].bytes, strlen(rows[i].bytes), 0640);
        const char *why = read_file("s", &secret);
        ck_assert_msg(why == NULL, "%s", why);
        ck_assert_str_eq(secret->bytes, rows[i].secret);
        ck_assert_uint_eq(secret->n, strlen(rows[i].secret));
        ck_assert_str_eq(secret->path, path_of("s"));
    }
}
END_TEST

START_TEST(what_is_no_secret_is_refused) {
    static const struct {
        const char *bytes;
        size_t n;
        mode_t mode;
        const char *why;
    } rows[] = {
        {"", 0, 0600, "is empty"},
        {"\n", 1, 0600, "is empty"},
        {"a\nb\n", 4, 0600, "has more than one line"},
        {"a\n\n", 3, 0600, "has more than one line"},
        {"a\r\n", 3, 0600, "ends in a carriage return"},
        {"a\r\nX-Injected: 1\n", 17, 0600, "has more than one line"},
        {"a\0b", 3, 0600, "holds a NUL byte"},
        {"a\tb", 3, 0600, "control character"},
        {"a\x1b[31m", 6, 0600, "control character"},
        {"a\x7f", 2, 0600, "control character"},
        {"a", 1, 0604, "is open to everybody (mode 0604)"},
        {"a", 1, 0602, "is open to everybody (mode 0602)"},
        {"a", 1, 0601, "is open to everybody (mode 0601)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct secret *secret = NULL;
        write_file("s", rows[i].bytes, rows[i].n, rows[i].mode);
        const char *why = read_file("s", &secret);
        ck_assert_msg(why != NULL && strstr(why, rows[i].why) != NULL, "%zu: %s", i,
                      why != NULL ? why : "accepted");
        ck_assert_ptr_null(secret);
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused_and_never_blocks) {
    const struct secret *secret = NULL;
    ck_assert_ptr_nonnull(strstr(read_file("none", &secret), "No such file"));
    ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
    ck_assert_str_eq(read_file("fifo", &secret), "is not a regular file");
    ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
    ck_assert_str_eq(read_file("d", &secret), "is a directory");
    ck_assert_int_eq(symlink("/dev/zero", path_of("zero")), 0);
    ck_assert_str_eq(read_file("zero", &secret), "is not a regular file");
    ck_assert_int_eq(symlink("loop", path_of("loop")), 0);
    ck_assert_ptr_nonnull(strstr(read_file("loop", &secret), "cannot be opened: "));
    ck_assert_ptr_null(secret);
}
END_TEST

START_TEST(who_may_not_read_it_is_told_of_credentials) {
    const struct secret *secret = NULL;
    write_file("s", "x", 1, 0);
    uid_t me = geteuid();
    ck_assert_int_eq(seteuid(me == 0 ? 65534 : me), 0);
    const char *why = read_file("s", &secret);
    ck_assert_int_eq(seteuid(me), 0);
    ck_assert_str_eq(why, "cannot be opened: Permission denied");
    ck_assert_msg(hint != NULL && strstr(hint, "{credential: NAME}") != NULL, "%s", hint);
    ck_assert_ptr_nonnull(strstr(read_file("none", &secret), "No such file"));
    ck_assert_ptr_null(hint);
    ck_assert_ptr_null(secret);
}
END_TEST

START_TEST(its_length_has_a_limit) {
    enum { MOST = 64 * 1024, HUGE_BYTES = 10 * 1024 * 1024 };
    char *bytes = malloc(HUGE_BYTES);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', HUGE_BYTES);
    const struct secret *secret = NULL;
    write_file("s", bytes, MOST, 0600);
    ck_assert_ptr_null(read_file("s", &secret));
    ck_assert_uint_eq(secret->n, MOST);
    write_file("s", bytes, MOST + 1, 0600);
    ck_assert_str_eq(read_file("s", &secret), "is longer than 64 KiB");
    write_file("s", bytes, HUGE_BYTES, 0600);
    ck_assert_str_eq(read_file("s", &secret), "is longer than 64 KiB");
    free(bytes);
}
END_TEST

START_TEST(many_are_kept_apart) {
    enum { N = 5000 };
    const struct secret *all[N];
    for (int i = 0; i < N; i++) {
        char text[64];
        snprintf(text, sizeof text, "secret %d%s", i, i % 3 == 0 ? "\n" : "");
        write_file("s", text, strlen(text), 0400);
        ck_assert_ptr_null(read_file("s", &all[i]));
    }
    for (int i = 0; i < N; i++) {
        char text[64];
        snprintf(text, sizeof text, "secret %d", i);
        ck_assert_str_eq(all[i]->bytes, text);
    }
    ck_assert(secret_is_same(all[7], all[7]) && !secret_is_same(all[7], all[8]));
}
END_TEST

START_TEST(the_same_is_of_the_same_content) {
    const struct secret *a, *b, *c;
    write_file("a", "x\n", 2, 0600);
    write_file("b", "x", 1, 0600);
    write_file("c", "xy", 2, 0600);
    ck_assert_ptr_null(read_file("a", &a));
    ck_assert_ptr_null(read_file("b", &b));
    ck_assert_ptr_null(read_file("c", &c));
    ck_assert(secret_is_same(a, b));
    ck_assert(!secret_is_same(a, c));
    ck_assert(!secret_is_same(a, NULL) && !secret_is_same(NULL, a));
    ck_assert(secret_is_same(NULL, NULL));
}
END_TEST

START_TEST(a_credential_is_a_file_of_the_directory_that_systemd_names) {
    char room[SECRET_WHY_SIZE];
    const char *path, *why;
    const struct secret *secret;
    struct secret_origin origin = {.credential = "login"};
    write_file("login", "s3cret\n", 7, 0440);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
    ck_assert_int_eq(secret_read(&secrets, &arena, &origin, &secret, &path, room, &why, &hint), 0);
    ck_assert_str_eq(secret->bytes, "s3cret");
    ck_assert_str_eq(secret->path, path_of("login"));

    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    ck_assert_int_eq(secret_read(&secrets, &arena, &origin, &secret, &path, room, &why, &hint),
                     -EINVAL);
    ck_assert_str_eq(why, "cannot be found: CREDENTIALS_DIRECTORY is not set");
    ck_assert_ptr_null(path);
    ck_assert_ptr_nonnull(hint);
}
END_TEST

/* In a process of its own: what it dies of, and whether with a core. */
static int die(bool with_secret) {
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
        (void)setrlimit(RLIMIT_CORE, &all);
        const struct secret *secret;
        prctl(PR_SET_DUMPABLE, 1);
        if (chdir(directory) != 0 || (with_secret && read_file("s", &secret) != NULL)) {
            _exit(1);
        }
        signal(SIGQUIT, SIG_DFL);
        raise(SIGQUIT);
        _exit(2);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    return WCOREDUMP(status);
}

START_TEST(a_process_that_has_read_one_leaves_no_core) {
    write_file("s", "s3cret\n", 7, 0600);
    fprintf(stderr, "# without a secret: %s\n", die(false) ? "a core" : "no core");
    ck_assert(!die(true));
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 1);
    const struct secret *secret;
    ck_assert_ptr_null(read_file("s", &secret));
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
}
END_TEST

/* Whether the mapping that holds `address` is left out of core files. */
static bool is_undumped(const void *address) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    ck_assert_ptr_nonnull(maps);
    char line[512];
    bool inside = false, undumped = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = (unsigned long)address >= from && (unsigned long)address < to;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            undumped = strstr(line, " dd") != NULL;
        }
    }
    fclose(maps);
    return undumped;
}

START_TEST(its_pages_are_left_out_of_dumps_and_go_with_the_arena) {
    const struct secret *secret;
    write_file("s", "s3cret\n", 7, 0600);
    ck_assert_ptr_null(read_file("s", &secret));
    const char *bytes = secret->bytes;
    ck_assert(is_undumped(bytes));
    arena_clear(&arena);
    unsigned char there;
    void *page = (void *)((uintptr_t)bytes & ~(uintptr_t)4095);
    ck_assert(mincore(page, 1, &there) == -1 && errno == ENOMEM); /* nothing is mapped */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("secret");
    TCase *tests = tcase_create("secret");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, one_line_is_read_without_its_end);
    tcase_add_test(tests, what_is_no_secret_is_refused);
    tcase_add_test(tests, what_is_no_file_is_refused_and_never_blocks);
    tcase_add_test(tests, who_may_not_read_it_is_told_of_credentials);
    tcase_add_test(tests, its_length_has_a_limit);
    tcase_add_test(tests, many_are_kept_apart);
    tcase_add_test(tests, the_same_is_of_the_same_content);
    tcase_add_test(tests, a_credential_is_a_file_of_the_directory_that_systemd_names);
    tcase_add_test(tests, a_process_that_has_read_one_leaves_no_core);
    tcase_add_test(tests, its_pages_are_left_out_of_dumps_and_go_with_the_arena);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
