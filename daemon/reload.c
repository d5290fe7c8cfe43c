#include "reload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct reload {
    struct mail mail; /* to the control loop, when read */
    char *path;
    unsigned workers;
    struct loop *control;
    void (*done)(struct reload_result *result, void *arg);
    void *arg;
    pthread_t thread;
    bool joined;
    struct reload_result result;
};

static void on_read(struct mail *mail, void *receiver) {
    struct reload *reload = (struct reload *)mail;
    (void)receiver;
    if (reload->done != NULL) {
        reload->done(&reload->result, reload->arg);
    }
}

static void *read_aside(void *arg) {
    struct reload *reload = arg;
    struct reload_result *result = &reload->result;
    if (config_load(reload->path, &result->messages, &result->config) == 0) {
        (void)engine_trust_load(result->config, reload->workers, &result->trust);
    }
    reload->mail.deliver = on_read;
    loop_post(reload->control, &reload->mail);
    return NULL;
}

static int start_thread(struct reload *reload) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&reload->thread, NULL, read_aside, reload);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int reload_start(const char *path, unsigned workers, struct loop *control,
                 void (*done)(struct reload_result *result, void *arg), void *arg,
                 struct reload **ret_reload) {
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL) {
        return -ENOMEM;
    }
    reload->path = strdup(path);
    reload->workers = workers;
    reload->control = control;
    reload->done = done;
    reload->arg = arg;
    int r = reload->path == NULL ? -ENOMEM : start_thread(reload);
    if (r != 0) {
        free(reload->path);
        free(reload);
        return r;
    }
    *ret_reload = reload;
    return 0;
}

static void join(struct reload *reload) {
    if (!reload->joined) {
        pthread_join(reload->thread, NULL);
        reload->joined = true;
    }
}

void reload_abandon(struct reload *reload) {
    if (reload != NULL) {
        join(reload);
        reload->done = NULL;
    }
}

void reload_free(struct reload *reload) {
    if (reload == NULL) {
        return;
    }
    join(reload);
    config_unref(reload->result.config);
    config_messages_clear(&reload->result.messages);
    engine_trust_clear(&reload->result.trust);
    free(reload->path);
    free(reload);
}
