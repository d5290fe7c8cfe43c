#include "base/clock.h"
#include "service/notify.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct event_base *base;
static int manager; /* its end of the socket */
static char path[64];

static void listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(address.sun_path, name, n);
    if (*name == '@') {
        address.sun_path[0] = '\0';
    }
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(manager, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void setup(void) {
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    manager = -1;
    snprintf(path, sizeof path, "/tmp/test_notify.%d", (int)getpid());
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void teardown(void) {
    if (manager >= 0) {
        close(manager);
    }
    unlink(path);
    event_base_free(base);
}

static struct notify *notify(void) {
    struct notify *made;
    ck_assert_int_eq(notify_new(base, &made), 0);
    return made;
}

/* What the manager is told next; "": nothing. */
static const char *told(void) {
    static char text[1024];
    ssize_t n = recv(manager, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

START_TEST(without_a_socket_nothing_happens) {
    struct notify *quiet = notify();
    notify_ready(quiet, "well");
    notify_reloading(quiet);
    notify_alive(quiet);
    notify_stopping(quiet, NSEC_PER_SEC);
    ck_assert_int_eq(notify_watchdog(quiet), 0);
    ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    notify_free(quiet);
}
END_TEST

START_TEST(each_message_is_as_systemd_wants_it) {
    listen_at(path);
    struct notify *to = notify();
    notify_ready(to, "2 sites");
    ck_assert_str_eq(told(), "READY=1\nSTATUS=2 sites");
    notify_ready(to, NULL);
    ck_assert_str_eq(told(), "READY=1");
    nsec_t before = clock_now();
    notify_reloading(to);
    long long usec;
    ck_assert_int_eq(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=", &usec), 1);
    ck_assert_int_ge(usec, before / NSEC_PER_USEC);
    ck_assert_int_le(usec, clock_now() / NSEC_PER_USEC);
    notify_status(to, "3 sites");
    ck_assert_str_eq(told(), "STATUS=3 sites");
    notify_alive(to);
    ck_assert_str_eq(told(), "WATCHDOG=1");
    notify_stopping(to, 2 * NSEC_PER_SEC);
    ck_assert_str_eq(told(),
                     "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=samples in flight end");
    ck_assert_str_eq(told(), "");
    notify_free(to);
}
END_TEST

START_TEST(an_abstract_socket_will_do) {
    char name[64];
    snprintf(name, sizeof name, "@test_notify.%d", (int)getpid());
    listen_at(name);
    struct notify *to = notify();
    notify_alive(to);
    ck_assert_str_eq(told(), "WATCHDOG=1");
    notify_free(to);
}
END_TEST

START_TEST(a_socket_that_is_wrong_or_has_gone_is_no_failure) {
    static const char *const wrong[] = {"/nonexistent/socket", "relative", "vsock:2:1", "/dev/null",
                                        "/tmp"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        struct notify *to = notify();
        notify_ready(to, "well");
        notify_alive(to);
        notify_free(to);
    }
    listen_at(path);
    struct notify *to = notify();
    close(manager);
    manager = -1;
    notify_ready(to, "well");
    notify_free(to);
}
END_TEST

START_TEST(what_finds_no_room_waits_in_order_and_nobody_waits_for_it) {
    listen_at(path);
    struct notify *to = notify();
    unsigned sent = 0;
    /* until one is waiting: it has a timer */
    while (event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) == 0) {
        notify_status(to, "full");
        ck_assert_uint_lt(++sent, 100000);
    }
    notify_reloading(to);
    notify_ready(to, "again");
    unsigned full = 0;
    const char *text;
    while (strcmp(text = told(), "STATUS=full") == 0) {
        full++;
    }
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(full, sent - 1);
    while (event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) > 0) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    ck_assert_str_eq(told(), "STATUS=full");
    ck_assert_ptr_nonnull(strstr(told(), "RELOADING=1\n"));
    ck_assert_str_eq(told(), "READY=1\nSTATUS=again");
    notify_free(to);
}
END_TEST

START_TEST(of_too_many_that_wait_the_last_are_kept) {
    listen_at(path);
    struct notify *to = notify();
    while (event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) == 0) {
        notify_status(to, "full");
    }
    for (int i = 0; i < 100; i++) {
        notify_alive(to);
    }
    notify_ready(to, "last");
    while (*told() != '\0') {
    }
    event_base_loop(base, 0);
    char last[1024] = "";
    unsigned n = 0;
    for (const char *text; *(text = told()) != '\0'; n++) {
        strcpy(last, text);
    }
    ck_assert_str_eq(last, "READY=1\nSTATUS=last");
    ck_assert_uint_le(n, 16);
    notify_free(to);
}
END_TEST

START_TEST(the_watchdog_is_that_of_this_process) {
    char pid[32];
    listen_at(path);
    setenv("WATCHDOG_USEC", "3000000", 1);
    struct notify *to = notify();
    ck_assert_int_eq(notify_watchdog(to), 3 * NSEC_PER_SEC);
    notify_free(to);
    snprintf(pid, sizeof pid, "%d", (int)getppid());
    setenv("WATCHDOG_PID", pid, 1);
    to = notify();
    ck_assert_int_eq(notify_watchdog(to), 0);
    notify_free(to);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("notify");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_a_socket_nothing_happens);
    tcase_add_test(tcase, each_message_is_as_systemd_wants_it);
    tcase_add_test(tcase, an_abstract_socket_will_do);
    tcase_add_test(tcase, a_socket_that_is_wrong_or_has_gone_is_no_failure);
    tcase_add_test(tcase, what_finds_no_room_waits_in_order_and_nobody_waits_for_it);
    tcase_add_test(tcase, of_too_many_that_wait_the_last_are_kept);
    tcase_add_test(tcase, the_watchdog_is_that_of_this_process);
    Suite *suite = suite_create("notify");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
