/* What write() left of a line is the next thing written. Only when its file has gone meanwhile is
 * the line written whole into the next one.
 *
 * stdout is shared with whoever started us, so O_NONBLOCK is never set on it. Instead it is asked
 * whether it is writable before each write of at most PIPE_BUF bytes, which a pipe that says so has
 * room for; a socket is written with MSG_DONTWAIT.
 *
 * The journal is a datagram socket: a record is one message, which is taken whole or not at all. It is
 * not libsystemd's, as sd_journal_sendv() waits as long as journald does not read, and says that all
 * is well where there is no journal. After an error it is connected anew before the next message.
 *
 * A log file's path is looked at once a second, before a write. Replaced: the target moves on.
 * Gone: so it does, but logrotate makes the new file itself a moment after the rename, and would
 * rename ours away if it found one; so a second look comes 100 ms later, unless the old file is
 * deleted or a signal asked. When the new file is refused, the old one serves on while it has a
 * name. A file cut to nothing under us (copytruncate) is no case, thanks to O_APPEND, save in the
 * middle of a line, which is then written whole. */
#include "output/target.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_EVERY NSEC_PER_SEC

static int open_stdout(struct target *target, char **ret_why) {
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) < 0) {
        int error = errno;
        if (asprintf(ret_why, "standard output cannot be used: %s", strerror(error)) < 0) {
            *ret_why = NULL;
        }
        return -error;
    }
    if (S_ISREG(status.st_mode)) {
        target->kind = TARGET_REGULAR;
    } else if (S_ISFIFO(status.st_mode) || isatty(STDOUT_FILENO)) {
        target->kind = TARGET_PIPE;
    } else if (S_ISSOCK(status.st_mode)) {
        target->kind = TARGET_SOCKET;
    } else {
        target->kind = TARGET_DEVICE;
    }
    target->fd = STDOUT_FILENO;
    return 0;
}

/* Room for a burst: as much as we may have, which is enough for any record. */
enum { JOURNAL_BUFFER_BYTES = 8 << 20 };

static int connect_journal(struct target *target) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(target->path) >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    strcpy(address.sun_path, target->path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return -error;
    }
    int size = JOURNAL_BUFFER_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* less will have to do */
    target->fd = fd;
    return 0;
}

static int open_journal(struct target *target, char **ret_why) {
    int r = connect_journal(target);
    if (r < 0) {
        if (asprintf(ret_why, "the journal cannot be reached: %s: %s; does systemd-journald run?",
                     target->path, strerror(-r)) < 0) {
            *ret_why = NULL;
        }
        return r;
    }
    target->kind = TARGET_JOURNAL;
    return 0;
}

int target_open(struct target *target, enum sink_kind kind, const char *path, char **ret_why) {
    *target = (struct target){.path = path, .fd = -1, .looked_at = clock_now()};
    switch (kind) {
    case SINK_STDOUT:
        return open_stdout(target, ret_why);
    case SINK_JOURNAL:
        return open_journal(target, ret_why);
    case SINK_FILE:
        break;
    }
    int r = file_open(path, &target->file, ret_why);
    if (r == 0) {
        target->kind = TARGET_FILE;
        target->fd = target->file.fd;
    }
    return r;
}

void target_close(struct target *target) {
    if (target->kind == TARGET_FILE) {
        file_close(&target->file);
    } else if (target->kind == TARGET_JOURNAL && target->fd >= 0) {
        close(target->fd);
    }
    target->kind = TARGET_CLOSED;
    target->fd = -1;
    target->done = 0;
}

/* One write. Returns the bytes, at least 1, or -errno. */
static ssize_t write_part(const struct target *target, const char *bytes, size_t n) {
    for (;;) {
        ssize_t written;
        if (target->kind == TARGET_SOCKET) {
            written = send(target->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else if (target->kind == TARGET_PIPE) {
            struct pollfd room = {.fd = target->fd, .events = POLLOUT};
            int ready = poll(&room, 1, 0);
            if (ready == 0) {
                return -EAGAIN;
            }
            written = ready < 0 ? -1 : write(target->fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        } else {
            written = write(target->fd, bytes, n);
        }
        if (written > 0) {
            return written;
        }
        if (written == 0) {
            return -EIO; /* neither progress nor a reason */
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

static int write_journal(struct target *target, const char *line, size_t n) {
    if (target->fd < 0) {
        int r = connect_journal(target);
        if (r < 0) {
            return r;
        }
    }
    ssize_t sent;
    do {
        sent = send(target->fd, line, n, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        return 0;
    }
    int error = errno == ENOBUFS ? EAGAIN : errno;
    if (error != EAGAIN && error != EMSGSIZE) {
        close(target->fd);
        target->fd = -1;
    }
    return -error;
}

int target_write(struct target *target, const char *line, size_t n) {
    assert(target->kind != TARGET_CLOSED && !target_is_torn(target));
    if (target->kind == TARGET_JOURNAL) {
        return write_journal(target, line, n);
    }
    bool is_file = target->kind == TARGET_FILE;
    if (target->done > 0 && is_file && file_size(&target->file) < target->part_end) {
        target->done = 0; /* cut under us */
    }
    while (target->done < n) {
        ssize_t written = write_part(target, line + target->done, n - target->done);
        if (written < 0) {
            return (int)written;
        }
        target->done += (size_t)written;
        if (target->done < n && is_file) {
            target->part_end = file_size(&target->file);
        }
    }
    target->done = 0;
    return 0;
}

/* Moves on to the file that is at the path now. 0: writing may go on, in the new file or the old;
 * 1: so it may, and the line in work is finished. */
static int move_on(struct target *target, const char *line, size_t n) {
    struct file next;
    char *why = NULL;
    int r = file_open(target->path, &next, &why);
    if (r < 0) {
        bool deleted = file_is_deleted(&target->file);
        if (!target->refusing) {
            log_error("%s; %s", why != NULL ? why : strerror(-r),
                      deleted ? "the old file is deleted" : "the old file is written on");
        }
        free(why);
        target->refusing = true;
        if (!deleted) {
            return 0;
        }
        target->looked_at -= LOOK_EVERY; /* nothing may be written before the next look */
        return r;
    }
    bool finished = target->done > 0 && target_write(target, line, n) == 0;
    target->done = 0;
    file_close(&target->file);
    target->file = next;
    target->fd = next.fd;
    target->refusing = false;
    log_notice("%s: opened anew", target->path);
    return finished ? 1 : 0;
}

int target_check(struct target *target, bool ask_now, const char *line, size_t n) {
    if (target->kind != TARGET_FILE) {
        return 0;
    }
    nsec_t now = clock_now();
    if (!ask_now && !target->gone && now - target->looked_at < LOOK_EVERY) {
        return 0;
    }
    target->looked_at = now;
    enum file_change change = file_look(&target->file, target->path);
    bool wait = change == FILE_GONE && !target->gone && !ask_now && !file_is_deleted(&target->file);
    target->gone = wait;
    if (wait) {
        return -EAGAIN;
    }
    return change == FILE_SAME ? 0 : move_on(target, line, n);
}

bool target_is_torn(const struct target *target) {
    return target->kind == TARGET_FILE && target->file.torn_bytes > 0;
}

int target_repair(struct target *target, const char *line, size_t n) {
    return file_repair(&target->file, line, n);
}

bool target_is_midway(const struct target *target) {
    return target->done > 0;
}

bool target_is_stream(const struct target *target) {
    return target->kind == TARGET_PIPE || target->kind == TARGET_SOCKET;
}

bool target_fails_for_good(const struct target *target) {
    return target_is_stream(target) || target->kind == TARGET_DEVICE;
}
