/* A daemon that is killed in the middle of a write(2) leaves a torn line, even a short one, when it
 * crosses a page (measured: 76 of 300 kills with lines of 5,000 bytes). So every open looks at the
 * end of the file, and overwrites a last line without newline *in place*: truncating it would make
 * `tail -F` and shippers read the whole file again. The new line is padded so that its newline
 * comes after the torn bytes: a reader that has already read those sees their line end, and then
 * only new lines. It is one pwrite(2) that only ever replaces or adds bytes; when it is itself
 * torn, the next open finds one torn line again. pwrite(2) appends on a descriptor with O_APPEND
 * (Linux), so that flag is set afterwards.
 *
 * The configuration may name any file by mistake, so one whose end is not like our logs is refused:
 * the last complete line and a torn one must each begin like a line of one of our formats (any: a
 * log may change its format). After a power loss a file may end in NUL bytes that were never
 * written; they count as torn where the line before them is ours. A file that has no line end in
 * its last FILE_LINE_MOST bytes is refused: we write no such lines. */
#include "output/file.h"

#include "output/format.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 4096,
    BEGINNING_BYTES = 64, /* enough of a line to know it by */
};

__attribute__((format(printf, 3, 4))) static int refuse(int error, char **ret_why,
                                                        const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(ret_why, format, args) < 0) {
        *ret_why = NULL;
    }
    va_end(args);
    return error;
}

/* All of `n` bytes, which the file is known to have. 0 or -errno. */
static int read_at(int fd, char *bytes, size_t n, off_t at) {
    while (n > 0) {
        ssize_t got = pread(fd, bytes, n, at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : -EIO; /* it got shorter: somebody else is at it */
        }
        bytes += got;
        n -= (size_t)got;
        at += got;
    }
    return 0;
}

/* Where the line begins whose last byte is before `end`; a newline at `end` - 1 belongs to it only
 * if it is `ended`. 0, -errno, or -EEXIST: too long to be ours. */
static int find_line(int fd, off_t end, bool ended, off_t *ret_begin) {
    off_t least = end > FILE_LINE_MOST ? end - FILE_LINE_MOST : 0;
    off_t at = ended ? end - 1 : end;
    while (at > least) {
        char block[BLOCK_BYTES];
        size_t n = at - least < BLOCK_BYTES ? (size_t)(at - least) : BLOCK_BYTES;
        int r = read_at(fd, block, n, at - (off_t)n);
        if (r < 0) {
            return r;
        }
        const char *newline = memrchr(block, '\n', n);
        if (newline != NULL) {
            *ret_begin = at - (off_t)n + (newline - block) + 1;
            return 0;
        }
        at -= (off_t)n;
    }
    *ret_begin = least;
    return least == 0 ? 0 : -EEXIST;
}

/* 0, -errno, or -EEXIST: no line of ours begins like this. */
static int check_line(int fd, off_t begin, off_t end, bool *ret_blank) {
    char bytes[BEGINNING_BYTES];
    size_t n = end - begin < BEGINNING_BYTES ? (size_t)(end - begin) : BEGINNING_BYTES;
    int r = read_at(fd, bytes, n, begin);
    if (r < 0) {
        return r;
    }
    n = strnlen(bytes, n); /* NUL: never written */
    *ret_blank = n == 0;
    for (size_t i = 0; format_at(i) != NULL; i++) {
        if (format_at(i)->resembles(bytes, n)) {
            return 0;
        }
    }
    return -EEXIST;
}

/* Sets the file's torn line. 0, -errno, or -EEXIST: not ours. */
static int examine_tail(struct file *file, off_t size) {
    if (size == 0) {
        return 0;
    }
    off_t torn_at;
    int r = find_line(file->fd, size, false, &torn_at);
    if (r < 0) {
        return r;
    }
    bool blank = false;
    if (torn_at < size) {
        r = check_line(file->fd, torn_at, size, &blank);
        if (r < 0) {
            return r;
        }
        file->torn_at = torn_at;
        file->torn_bytes = (size_t)(size - torn_at);
    }
    if (torn_at == 0) {
        return blank ? -EEXIST : 0; /* NUL bytes alone may be anybody's */
    }
    off_t last;
    r = find_line(file->fd, torn_at, true, &last);
    return r < 0 ? r : check_line(file->fd, last, torn_at, &blank);
}

static int start_appending(int fd) {
    /* also takes O_NONBLOCK away, which only guarded open(2) against a FIFO */
    return fcntl(fd, F_SETFL, O_APPEND) < 0 ? -errno : 0;
}

static int take(const char *path, struct file *file, char **ret_why) {
    struct stat status;
    if (fstat(file->fd, &status) < 0) {
        int error = errno;
        return refuse(-error, ret_why, "%s cannot be examined: %s", path, strerror(error));
    }
    if (!S_ISREG(status.st_mode)) {
        return refuse(-EINVAL, ret_why, "%s is not a regular file; name one", path);
    }
    if (flock(file->fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        if (error == EWOULDBLOCK) {
            return refuse(-error, ret_why,
                          "%s is locked: another daemon writes to it; "
                          "stop that one, or name another file",
                          path);
        }
        return refuse(-error, ret_why, "%s cannot be locked: %s", path, strerror(error));
    }
    /* its size as of now: only the lock keeps it from growing */
    if (fstat(file->fd, &status) < 0) {
        int error = errno;
        return refuse(-error, ret_why, "%s cannot be examined: %s", path, strerror(error));
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    int r = examine_tail(file, status.st_size);
    if (r == -EEXIST) {
        return refuse(r, ret_why,
                      "%s is left alone: it does not end like a log of tallyd; "
                      "move it away, or name another file",
                      path);
    }
    if (r == 0 && file->torn_bytes == 0) {
        r = start_appending(file->fd);
    }
    if (r < 0) {
        return refuse(r, ret_why, "%s cannot be read: %s", path, strerror(-r));
    }
    return 0;
}

/* The unit's ProtectSystem= makes all else read-only to the service. */
static const char *remedy_of(int error) {
    return error == EACCES || error == EPERM ? "; tallyd's user must be able to write it"
           : error == EROFS ? "; a service writes below /var/log/tallyd, and elsewhere only with "
                              "ReadWritePaths= in its unit"
                            : "";
}

int file_open(const char *path, struct file *ret_file, char **ret_why) {
    struct file file = {
        .fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640)};
    if (file.fd < 0) {
        int error = errno;
        struct stat status;
        if (error == ELOOP && lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) {
            return refuse(-error, ret_why, "%s is a symbolic link; name the file itself", path);
        }
        if (error == ENOENT) { /* O_CREAT makes the file, nobody its directory */
            return refuse(-error, ret_why,
                          "%s cannot be opened: its directory does not exist; "
                          "make it, writable for tallyd's user",
                          path);
        }
        return refuse(-error, ret_why, "%s cannot be opened: %s%s", path, strerror(error),
                      remedy_of(error));
    }
    int r = take(path, &file, ret_why);
    if (r < 0) {
        file_close(&file);
        return r;
    }
    *ret_file = file;
    return 0;
}

void file_close(struct file *file) {
    if (file->fd >= 0) {
        close(file->fd);
    }
    file->fd = -1;
    file->torn_bytes = 0;
}

int file_repair(struct file *file, const char *line, size_t n) {
    assert(file->torn_bytes > 0 && n > 0 && line[n - 1] == '\n');
    size_t length = n - 1 > file->torn_bytes ? n - 1 : file->torn_bytes;
    char *bytes = malloc(length + 1);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    memcpy(bytes, line, n - 1);
    memset(bytes + n - 1, ' ', length - (n - 1));
    bytes[length] = '\n';
    ssize_t written;
    do {
        written = pwrite(file->fd, bytes, length + 1, file->torn_at);
    } while (written < 0 && errno == EINTR);
    int r = written < 0 ? -errno : 0;
    free(bytes);
    if (r < 0) {
        return r;
    }
    if ((size_t)written < length + 1) { /* it may have grown: what is torn now is longer */
        off_t size = file_size(file);
        if (size > file->torn_at) {
            file->torn_bytes = (size_t)(size - file->torn_at);
        }
        return -ENOSPC;
    }
    r = start_appending(file->fd);
    if (r == 0) {
        file->torn_bytes = 0;
    }
    return r;
}

enum file_change file_look(const struct file *file, const char *path) {
    struct stat status;
    if (stat(path, &status) < 0) {
        return errno == ENOENT || errno == ENOTDIR ? FILE_GONE : FILE_SAME;
    }
    return status.st_dev == file->device && status.st_ino == file->inode ? FILE_SAME
                                                                         : FILE_REPLACED;
}

bool file_is_deleted(const struct file *file) {
    struct stat status;
    return fstat(file->fd, &status) == 0 && status.st_nlink == 0;
}

off_t file_size(const struct file *file) {
    struct stat status;
    return fstat(file->fd, &status) == 0 ? status.st_size : 0;
}
