/* The messages are those of sd_notify(3), whose socket is the one thing that is not libsystemd's here:
 * sd_notify() blocks while the manager does not read, and the control loop must not. So a datagram is
 * sent or it is not; one that found no room waits, behind it all others, and is tried again ten times
 * a second. A socket that is wrong or has gone costs the message, and is said once. */
#include "service/notify.h"

#include "base/log.h"
#include "base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define AGAIN_AFTER (100 * NSEC_PER_MSEC)

enum { WAITING_MOST = 8, MESSAGE_BYTES = 768 };

struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t address_bytes;
    nsec_t watchdog;
    struct event *again;
    char waiting[WAITING_MOST][MESSAGE_BYTES]; /* a ring; the oldest gives way */
    unsigned first, n;
    bool failed; /* and that was said */
};

/* False: it found no room. */
static bool send_now(struct notify *notify, const char *message) {
    ssize_t n = sendto(notify->fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)&notify->address, notify->address_bytes);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) {
        return false;
    }
    if (n < 0 && !notify->failed) {
        log_warning("systemd cannot be told how we are: NOTIFY_SOCKET: %s", strerror(errno));
    }
    notify->failed = n < 0;
    return true;
}

static void send_waiting(struct notify *notify) {
    while (notify->n > 0 && send_now(notify, notify->waiting[notify->first])) {
        notify->first = (notify->first + 1) % WAITING_MOST;
        notify->n--;
    }
    if (notify->n > 0) {
        struct timeval delay = loop_timeval(AGAIN_AFTER);
        event_add(notify->again, &delay);
    }
}

static void on_again(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    send_waiting(arg);
}

__attribute__((format(printf, 2, 3))) static void tell(struct notify *notify, const char *format,
                                                       ...) {
    if (notify->fd < 0) {
        return;
    }
    if (notify->n == WAITING_MOST) {
        notify->first = (notify->first + 1) % WAITING_MOST;
        notify->n--;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(notify->waiting[(notify->first + notify->n) % WAITING_MOST], MESSAGE_BYTES, format,
              args);
    va_end(args);
    notify->n++;
    send_waiting(notify);
}

/* False: nobody wants to know, or it is no address. */
static bool find_socket(struct notify *notify) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || *path == '\0') {
        return false;
    }
    size_t n = strlen(path);
    if ((*path != '/' && *path != '@') || n >= sizeof notify->address.sun_path) {
        log_warning("systemd cannot be told how we are: NOTIFY_SOCKET is no path");
        return false;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, n);
    if (*path == '@') {
        notify->address.sun_path[0] = '\0'; /* the abstract ones */
    }
    notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

int notify_new(struct event_base *base, struct notify **ret_notify) {
    struct notify *notify = calloc(1, sizeof *notify);
    if (notify == NULL) {
        return -ENOMEM;
    }
    notify->fd = -1;
    notify->again = evtimer_new(base, on_again, notify);
    if (notify->again == NULL) {
        free(notify);
        return -ENOMEM;
    }
    if (find_socket(notify)) {
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (notify->fd < 0) {
            log_warning("systemd cannot be told how we are: %s", strerror(errno));
        }
    }
    uint64_t usec;
    if (notify->fd >= 0 && sd_watchdog_enabled(0, &usec) > 0) {
        notify->watchdog = (nsec_t)usec * NSEC_PER_USEC;
    }
    *ret_notify = notify;
    return 0;
}

void notify_free(struct notify *notify) {
    if (notify == NULL) {
        return;
    }
    event_free(notify->again);
    if (notify->fd >= 0) {
        close(notify->fd);
    }
    free(notify);
}

void notify_ready(struct notify *notify, const char *status) {
    tell(notify, "READY=1%s%s", status != NULL ? "\nSTATUS=" : "", status != NULL ? status : "");
}

void notify_reloading(struct notify *notify) {
    tell(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reading the configuration",
         clock_now() / NSEC_PER_USEC);
}

void notify_stopping(struct notify *notify, nsec_t at_most) {
    tell(notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64 "\nSTATUS=samples in flight end",
         at_most / NSEC_PER_USEC);
}

void notify_status(struct notify *notify, const char *status) {
    tell(notify, "STATUS=%s", status);
}

void notify_alive(struct notify *notify) {
    tell(notify, "WATCHDOG=1");
}

nsec_t notify_watchdog(const struct notify *notify) {
    return notify->watchdog;
}
