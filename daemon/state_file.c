/* A file of this name is whole at any time: the next one is written beside it, synced, and renamed
 * over it, and then the directory is synced. After a crash the old one is there or the new one, and
 * perhaps a piece of the next under its own name, which is removed before the following is written.
 *
 * Two daemons with one state file would each write over what the other knows, and one name for the
 * piece aside would mix them up. So whoever has the lock reads and writes, and the other does without
 * until it gets it. The lock is on a file of its own that stays, since a lock belongs to an inode, and
 * the inode of the state file is a new one with each writing.
 *
 * What is found at the start may be anything: a directory, a FIFO that would block, a symbolic link, a
 * file that others can write. It is opened so that it can do no harm, and where it cannot be read it
 * is renamed, for whoever wants to look at it, and out of the way of the next one. */
#include "state_file.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAMAGED_MOST = 3 };

int state_file_path(const struct config *config, char **ret_path) {
    char *path = NULL;
    if (config->state_file != NULL) {
        path = strdup(config->state_file);
    } else {
        const char *directories = getenv("STATE_DIRECTORY"); /* set by systemd: absolute ones */
        if (directories == NULL || *directories != '/') {
            *ret_path = NULL;
            return 0;
        }
        if (asprintf(&path, "%.*s/state.json", (int)strcspn(directories, ":"), directories) < 0) {
            path = NULL;
        }
    }
    if (path == NULL) {
        return -ENOMEM;
    }
    *ret_path = path;
    return 0;
}

int state_file_init(struct state_file *file, const char *path) {
    const char *slash = strrchr(path, '/');
    *file = (struct state_file){.lock_fd = -1, .path = strdup(path)};
    file->directory = slash == NULL   ? strdup(".")
                      : slash == path ? strdup("/")
                                      : strndup(path, (size_t)(slash - path));
    if (asprintf(&file->aside, "%s.new", path) < 0) {
        file->aside = NULL;
    }
    if (asprintf(&file->locking, "%s.lock", path) < 0) {
        file->locking = NULL;
    }
    if (file->path == NULL || file->directory == NULL || file->aside == NULL ||
        file->locking == NULL) {
        state_file_clear(file);
        return -ENOMEM;
    }
    return 0;
}

void state_file_clear(struct state_file *file) {
    if (file->lock_fd >= 0) {
        close(file->lock_fd);
    }
    free(file->path);
    free(file->directory);
    free(file->aside);
    free(file->locking);
    *file = (struct state_file){.lock_fd = -1};
}

int state_file_lock(struct state_file *file) {
    if (file->lock_fd >= 0) {
        return 0;
    }
    int fd = open(file->locking, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                  0600);
    if (fd < 0) {
        return -errno;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    file->lock_fd = fd;
    return 0;
}

/* ---- reading ---- */

/* 0 with its bytes, the caller's to free; -ENOMEM; or -EINVAL and ret_why. */
static int read_whole(int fd, char **ret_bytes, size_t *ret_n, char ret_why[SNAPSHOT_WHY_SIZE]) {
    struct stat status;
    if (fstat(fd, &status) < 0) {
        snprintf(ret_why, SNAPSHOT_WHY_SIZE, "cannot be examined: %s", strerror(errno));
        return -EINVAL;
    }
    const char *why = !S_ISREG(status.st_mode)                      ? "is no regular file"
                      : (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 ? "can be written by others"
                      : status.st_uid != geteuid() && status.st_uid != 0 ? "is somebody else's"
                      : (size_t)status.st_size > SNAPSHOT_BYTES_MOST
                          ? "is larger than any state file"
                          : NULL;
    if (why != NULL) {
        snprintf(ret_why, SNAPSHOT_WHY_SIZE, "%s", why);
        return -EINVAL;
    }
    size_t size = (size_t)status.st_size, n = 0;
    char *bytes = malloc(size + 1);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    while (n < size) {
        ssize_t got = read(fd, bytes + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            snprintf(ret_why, SNAPSHOT_WHY_SIZE, "cannot be read: %s", strerror(errno));
            free(bytes);
            return -EINVAL;
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    *ret_bytes = bytes;
    *ret_n = n;
    return 0;
}

/* 0; -ENOENT; -ENOMEM; or -EINVAL and ret_why. */
static int read_snapshot(const struct state_file *file, struct snapshot **ret_snapshot,
                         char ret_why[SNAPSHOT_WHY_SIZE]) {
    int fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int error = errno;
        if (error == ENOENT) {
            return -error;
        }
        snprintf(ret_why, SNAPSHOT_WHY_SIZE, "%s",
                 error == ELOOP ? "is a symbolic link" : "cannot be opened");
        if (error != ELOOP) {
            snprintf(ret_why, SNAPSHOT_WHY_SIZE, "cannot be opened: %s", strerror(error));
        }
        return -EINVAL;
    }
    char *bytes;
    size_t n;
    int r = read_whole(fd, &bytes, &n, ret_why);
    close(fd);
    if (r == 0) {
        r = snapshot_decode(bytes, n, ret_snapshot, ret_why);
        free(bytes);
    }
    return r;
}

/* The first free name of a few; when none is free, the last of them is taken anew. */
static void set_aside(const struct state_file *file, const char *why) {
    int r = -1;
    char *to = NULL;
    for (int i = 1; i <= DAMAGED_MOST && r < 0; i++) {
        free(to);
        if (asprintf(&to, "%s.damaged-%d", file->path, i) < 0) {
            to = NULL;
            break;
        }
        r = renameat2(AT_FDCWD, file->path, AT_FDCWD, to, RENAME_NOREPLACE);
        if (r < 0 && i == DAMAGED_MOST) {
            (void)remove(to); /* a file is not renamed over a directory, nor one over a file */
            r = rename(file->path, to);
        }
    }
    if (r < 0) {
        log_warning("%s %s, and cannot be set aside (%s): the sites begin as unknown", file->path,
                    why, strerror(to == NULL ? ENOMEM : errno));
    } else {
        log_warning("%s %s: it is %s now, and the sites begin as unknown", file->path, why, to);
    }
    free(to);
}

struct snapshot *state_file_read(const struct state_file *file) {
    struct snapshot *snapshot = NULL;
    char why[SNAPSHOT_WHY_SIZE];
    int r = read_snapshot(file, &snapshot, why);
    if (r == -EINVAL) {
        set_aside(file, why);
    } else if (r == -ENOMEM) {
        log_warning("%s: out of memory: the sites begin as unknown", file->path);
    }
    return snapshot;
}

/* ---- writing ---- */

static int write_whole(int fd, const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return -errno;
        }
        bytes += written;
        n -= (size_t)written;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int sync_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

int state_file_write(const struct state_file *file, const char *bytes, size_t n) {
    if (unlink(file->aside) < 0 && errno != ENOENT) {
        return -errno;
    }
    int fd = open(file->aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    int r = write_whole(fd, bytes, n);
    if (close(fd) < 0 && r == 0) {
        r = -errno;
    }
    if (r == 0 && rename(file->aside, file->path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void)unlink(file->aside); /* or the next one does */
        return r;
    }
    return sync_directory(file->directory);
}

/* ---- the clocks ---- */

void state_file_moment(struct snapshot_moment *ret_now) {
    *ret_now = (struct snapshot_moment){
        .wall = clock_wall_now(),
        .since_boot = clock_boot_now(),
    };
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return; /* then it is not known, and the wall clock must do */
    }
    ssize_t n = read(fd, ret_now->boot_id, sizeof ret_now->boot_id - 1);
    close(fd);
    ret_now->boot_id[n > 0 ? n : 0] = '\0';
}
