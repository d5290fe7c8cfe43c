#include "base/loop.h"

#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { SENDERS = 4, EACH = 20000 };

struct letter {
    struct mail mail;
    unsigned sender, number;
};

/* The receiver; touched by the loop's thread alone, read after it has ended. */
struct box {
    struct loop *loop;
    unsigned next[SENDERS];
    unsigned out_of_order;
    unsigned received;
    unsigned stop_after; /* 0: never */
};

static void receive(struct mail *mail, void *receiver) {
    struct letter *letter = (struct letter *)mail;
    struct box *box = receiver;
    box->out_of_order += letter->number != box->next[letter->sender];
    box->next[letter->sender] = letter->number + 1;
    box->received++;
    free(letter);
    if (box->received == box->stop_after) {
        loop_stop(box->loop);
    }
}

static void post(struct loop *loop, unsigned sender, unsigned number) {
    struct letter *letter = calloc(1, sizeof *letter);
    letter->mail.deliver = receive;
    letter->sender = sender;
    letter->number = number;
    loop_post(loop, &letter->mail);
}

struct sender {
    pthread_t thread;
    struct loop *loop;
    unsigned number;
};

static void *send_all(void *arg) {
    struct sender *sender = arg;
    for (unsigned i = 0; i < EACH; i++) {
        post(sender->loop, sender->number, i);
    }
    return NULL;
}

START_TEST(mail_arrives_whole_and_in_order_per_sender) {
    struct box box = {.stop_after = SENDERS * EACH};
    struct sender senders[SENDERS];
    ck_assert_int_eq(loop_new("receiver", &box, &box.loop), 0);
    ck_assert_int_eq(loop_start(box.loop), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.loop = box.loop, .number = i};
        pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
    }
    loop_join(box.loop);
    ck_assert_uint_eq(box.received, SENDERS * EACH);
    ck_assert_uint_eq(box.out_of_order, 0);
    loop_free(box.loop);
}
END_TEST

START_TEST(mail_to_a_stopped_loop_is_delivered_when_it_is_freed) {
    struct box box = {0};
    ck_assert_int_eq(loop_new("receiver", &box, &box.loop), 0);
    ck_assert_int_eq(loop_start(box.loop), 0);
    loop_stop(box.loop);
    loop_join(box.loop);
    unsigned before = box.received;
    post(box.loop, 0, box.next[0]);
    post(box.loop, 0, box.next[0] + 1);
    ck_assert_uint_eq(box.received, before);
    loop_free(box.loop);
    ck_assert_uint_eq(box.received, before + 2);
}
END_TEST

START_TEST(a_loop_can_be_stopped_before_it_runs) {
    struct box box = {0};
    ck_assert_int_eq(loop_new("receiver", &box, &box.loop), 0);
    loop_stop(box.loop);
    loop_run(box.loop); /* returns */
    loop_free(box.loop);
}
END_TEST

static atomic_int signals_seen;
static pthread_t signalled;

static void on_signal(int number) {
    (void)number;
    signalled = pthread_self();
    atomic_fetch_add(&signals_seen, 1);
}

START_TEST(signals_go_to_the_main_thread_alone) {
    struct box box = {0};
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR2, &action, NULL);
    ck_assert_int_eq(loop_new("receiver", &box, &box.loop), 0);
    ck_assert_int_eq(loop_start(box.loop), 0);
    for (int i = 0; i < 20; i++) {
        int before = atomic_load(&signals_seen);
        kill(getpid(), SIGUSR2);
        while (atomic_load(&signals_seen) == before) {
            sched_yield();
        }
        ck_assert(pthread_equal(signalled, pthread_self()));
    }
    loop_stop(box.loop);
    loop_join(box.loop);
    loop_free(box.loop);
}
END_TEST

struct nap {
    struct mail mail;
    atomic_bool begun, seen;   /* that it lasts */
    nsec_t turned;             /* the loop, last */
    nsec_t noticed, forgotten; /* the absence, since before it and since now */
};

static void sleep_through(struct mail *mail, void *receiver) {
    struct nap *nap = (struct nap *)mail;
    struct box *box = receiver;
    nsec_t began = clock_now();
    nap->turned = loop_turned(box->loop);
    atomic_store(&nap->begun, true);
    while (!atomic_load(&nap->seen)) {
        usleep(1000);
    }
    nap->noticed = loop_absence(box->loop, began);
    nap->forgotten = loop_absence(box->loop, clock_now());
    nap->turned = loop_turned(box->loop);
    loop_stop(box->loop);
}

START_TEST(a_loop_that_was_held_up_knows_for_how_long) {
    struct box box = {0};
    struct nap nap = {.mail.deliver = sleep_through};
    ck_assert_int_eq(loop_new("receiver", &box, &box.loop), 0);
    ck_assert_int_eq(loop_lag(box.loop), 0); /* nobody expects it to turn yet */
    ck_assert_int_eq(loop_turned(box.loop), 0);
    ck_assert_int_eq(loop_start(box.loop), 0);
    loop_post(box.loop, &nap.mail);
    while (!atomic_load(&nap.begun) || loop_lag(box.loop) < LOOP_AWAY) { /* while it lasts */
        usleep(1000);
    }
    nsec_t turned = nap.turned;
    ck_assert_int_eq(loop_turned(box.loop), turned);
    atomic_store(&nap.seen, true);
    loop_join(box.loop);
    ck_assert_int_gt(nap.turned, turned);
    ck_assert_int_eq(loop_turned(box.loop), 0);
    ck_assert_int_ge(nap.noticed, LOOP_AWAY);
    ck_assert_int_eq(nap.forgotten, 0);
    loop_free(box.loop);
}
END_TEST

START_TEST(durations_are_rounded_up_and_never_negative) {
    struct timeval some = loop_timeval(1500 * NSEC_PER_MSEC + 1);
    ck_assert_int_eq(some.tv_sec, 1);
    ck_assert_int_eq(some.tv_usec, 500001);
    struct timeval none = loop_timeval(-5);
    ck_assert_int_eq(none.tv_sec, 0);
    ck_assert_int_eq(none.tv_usec, 0);
}
END_TEST

static unsigned count_descriptors(void) {
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/* As config/plan.c counts them. */
START_TEST(a_loop_takes_five_descriptors) {
    unsigned before = count_descriptors();
    struct loop *loop;
    ck_assert_int_eq(loop_new("fds", NULL, &loop), 0);
    ck_assert_uint_eq(count_descriptors(), before + 5);
    loop_free(loop);
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(a_loop_that_was_never_made_can_be_freed) {
    loop_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("loop");
    TCase *tests = tcase_create("loop");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, mail_arrives_whole_and_in_order_per_sender);
    tcase_add_test(tests, mail_to_a_stopped_loop_is_delivered_when_it_is_freed);
    tcase_add_test(tests, a_loop_can_be_stopped_before_it_runs);
    tcase_add_test(tests, signals_go_to_the_main_thread_alone);
    tcase_add_test(tests, a_loop_that_was_held_up_knows_for_how_long);
    tcase_add_test(tests, durations_are_rounded_up_and_never_negative);
    tcase_add_test(tests, a_loop_takes_five_descriptors);
    tcase_add_test(tests, a_loop_that_was_never_made_can_be_freed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
