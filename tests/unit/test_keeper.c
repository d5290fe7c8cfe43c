#include "keeper.h"

#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE (20 * NSEC_PER_SEC)

/* The disk: it answers, fails, or never comes back. */
static atomic_int disk_error;
static atomic_bool disk_is_dead;
static atomic_int syncs;

int fsync(int fd) { /* the C library's is not wanted */
    (void)fd;
    syncs++;
    while (disk_is_dead) {
        pause();
    }
    errno = disk_error;
    return disk_error == 0 ? 0 : -1;
}

static struct event_base *base;
static struct config *config;
static struct watch_list *list;
static char path[128], said[128];

static const struct watch_list *list_of(void *arg) {
    (void)arg;
    return list;
}

static void setup(void) {
    strcpy(path, scratch("state.json"));
    strcpy(said, scratch("said"));
    int fd = open(said, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    close(fd);
    struct config_messages messages;
    static const char text[] = "sites: [ { name: shop, url: http://shop.test/ } ]\n";
    ck_assert_int_eq(config_load_memory("x", text, strlen(text), &messages, &config), 0);
    config_messages_clear(&messages);
    list = watch_list_new(config, NULL);
    base = event_base_new();
}

static void teardown(void) {
    watch_list_free(list);
    config_unref(config);
    event_base_free(base);
}

static struct keeper *start(void) {
    struct keeper *keeper;
    ck_assert_int_eq(keeper_new(path, base, list_of, NULL, &keeper), 0);
    return keeper;
}

/* A round of one good sample. */
static void judge(uint64_t round) {
    struct report report = {.config = config, .site = &config->sites[0], .round = round};
    struct change change;
    report.planned = report.judged = 1;
    ck_assert(!watch_judge(list, &report, clock_now(), clock_wall_now(), &change));
}

/* As after a restart. */
static void forget(void) {
    watch_list_free(list);
    list = watch_list_new(config, NULL);
}

static unsigned count_said(const char *words) {
    size_t n;
    char *text = scratch_read(said, &n);
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    free(text);
    return count;
}

START_TEST(what_was_kept_at_the_stop_is_restored_at_the_start) {
    struct keeper *keeper = start();
    keeper_restore(keeper, list);
    judge(41);
    keeper_touch(keeper);
    keeper_finish(keeper, PATIENCE);
    keeper_free(keeper);
    ck_assert_uint_eq(count_said("\n"), 0);
    forget();
    keeper = start();
    keeper_restore(keeper, list);
    keeper_restore(keeper, list); /* once */
    ck_assert_uint_eq(count_said("restored the states of 1 site from "), 1);
    ck_assert_uint_eq(count_said("\n"), 1);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 41);
    keeper_free(keeper);
}
END_TEST

START_TEST(where_nothing_changed_nothing_is_written) {
    struct keeper *keeper = start();
    keeper_finish(keeper, PATIENCE);
    keeper_free(keeper);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_uint_eq(count_said("\n"), 0);
}
END_TEST

START_TEST(a_failure_is_said_once_and_its_end_once) {
    struct keeper *keeper = start();
    disk_error = EIO;
    judge(1);
    keeper_touch(keeper);
    for (int i = 0; i < 3; i++) {
        keeper_finish(keeper, PATIENCE); /* tries again, though nothing changed since */
    }
    ck_assert_int_eq(syncs, 3);
    ck_assert_uint_eq(count_said("cannot be kept in "), 1);
    ck_assert_uint_eq(count_said("Input/output error"), 1);
    ck_assert_uint_eq(count_said("the last states of the sites are not kept"), 3);
    disk_error = 0;
    keeper_finish(keeper, PATIENCE);
    keeper_finish(keeper, PATIENCE);
    ck_assert_uint_eq(count_said("are kept in "), 1);
    ck_assert_uint_eq(count_said("\n"), 5);
    disk_error = EIO;
    keeper_touch(keeper);
    keeper_finish(keeper, PATIENCE);
    ck_assert_uint_eq(count_said("cannot be kept in "), 2);
    keeper_free(keeper);
}
END_TEST

START_TEST(a_dead_disk_holds_up_neither_the_loop_nor_the_stop) {
    struct keeper *keeper = start();
    disk_is_dead = true;
    judge(1);
    keeper_touch(keeper);
    keeper_finish(keeper, 1);
    ck_assert_uint_eq(count_said("the disk does not answer"), 1);
    keeper_touch(keeper);
    keeper_finish(keeper, 1);
    keeper_free(keeper); /* would wait for ever */
    ck_assert_int_le(syncs, 1);
    fflush(NULL);
}
END_TEST

START_TEST(another_daemon_s_file_is_neither_read_nor_written) {
    struct keeper *first = start();
    judge(41);
    keeper_touch(first);
    keeper_finish(first, PATIENCE);
    forget();
    struct keeper *second = start();
    keeper_restore(second, list);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 0);
    ck_assert_uint_eq(count_said("is another daemon's"), 1);
    judge(1);
    keeper_touch(second);
    keeper_finish(second, PATIENCE);
    ck_assert_uint_eq(count_said("is another daemon's"), 1);
    keeper_free(first); /* it ends, and the second takes over */
    keeper_finish(second, PATIENCE);
    ck_assert_uint_eq(count_said("are kept in "), 1);
    keeper_free(second);
    forget();
    struct keeper *third = start();
    keeper_restore(third, list);
    ck_assert_uint_eq(watch_round(list, &config->sites[0]), 1);
    keeper_free(third);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_said_and_no_failure) {
    strcpy(path, scratch("none/state.json"));
    struct keeper *keeper = start();
    keeper_restore(keeper, list);
    ck_assert_uint_eq(count_said("cannot be kept in "), 1);
    judge(1);
    keeper_touch(keeper);
    keeper_finish(keeper, PATIENCE);
    ck_assert_uint_eq(count_said("cannot be kept in "), 1);
    ck_assert_int_eq(mkdir(scratch("none"), 0700), 0);
    keeper_finish(keeper, PATIENCE);
    ck_assert_uint_eq(count_said("are kept in "), 1);
    keeper_free(keeper);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("keeper");
    TCase *tests = tcase_create("keeper");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_was_kept_at_the_stop_is_restored_at_the_start);
    tcase_add_test(tests, where_nothing_changed_nothing_is_written);
    tcase_add_test(tests, a_failure_is_said_once_and_its_end_once);
    tcase_add_test(tests, another_daemon_s_file_is_neither_read_nor_written);
    tcase_add_test(tests, a_directory_that_is_not_there_is_said_and_no_failure);
    suite_add_tcase(suite, tests);
    TCase *dead = tcase_create("dead"); /* a thread stays behind */
    tcase_add_checked_fixture(dead, setup, NULL);
    tcase_add_test(dead, a_dead_disk_holds_up_neither_the_loop_nor_the_stop);
    suite_add_tcase(suite, dead);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures > 0 ? 1 : 0;
}
