/* A secret lies in pages of its own kind: left out of core files, wiped before they go back. That is
 * not all: libcurl copies what it sends to its heap and to its buffers, so the process as a whole
 * must not leave a core file once it has read a secret. prctl(PR_SET_DUMPABLE, 0) sees to it,
 * whatever the limits and the kernel's core pattern say. With it, /proc/PID of this process belongs
 * to root, and no process without privileges may trace it or read its memory; what is public there
 * (status, stat, comm) stays so, and the process' own look into /proc/self/fd too.
 *
 * A file that everybody can read is no secret and refused. Files of systemd credentials are of mode
 * 0400 or 0440. */
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECRET_BYTES = 64 * 1024,
    SECRETS_BYTES = 64 * 1024 * 1024, /* of all together */
    ROOM_BYTES = 4 * SECRET_BYTES,    /* mapped at a time; what is never touched costs nothing */
};

const char secret_unreadable[] =
    "tallyd's user must read it; a service has {credential: NAME} for what only root reads, with "
    "LoadCredential= in its unit";

static void release_pages(void *at) {
    explicit_bzero(at, ROOM_BYTES);
    munmap(at, ROOM_BYTES);
}

/* Room for the longest, and for the byte that shows that one is longer. 0 or -ENOMEM. */
static int make_room(struct secrets *secrets, struct arena *arena) {
    if (secrets->size - secrets->used > SECRET_BYTES) {
        return 0;
    }
    void *at = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return -ENOMEM;
    }
    (void)madvise(at, ROOM_BYTES, MADV_DONTDUMP); /* it is prctl() that must not fail */
    int r = arena_own(arena, at, release_pages);
    if (r == 0) {
        *secrets = (struct secrets){at, 0, ROOM_BYTES, secrets->all_bytes};
    }
    return r;
}

static int fail(const char *why, const char **ret_why) {
    *ret_why = why;
    return -EINVAL;
}

static int fail_errno(const char *what, int error, char room[SECRET_WHY_SIZE],
                      const char **ret_why) {
    snprintf(room, SECRET_WHY_SIZE, "%s: %s", what, strerror(error));
    return error == ENOMEM ? -ENOMEM : fail(room, ret_why);
}

static int check_file(const struct stat *file, char room[SECRET_WHY_SIZE], const char **ret_why,
                      const char **ret_hint) {
    if (!S_ISREG(file->st_mode)) {
        return fail(S_ISDIR(file->st_mode) ? "is a directory" : "is not a regular file", ret_why);
    }
    if ((file->st_mode & S_IRWXO) != 0) {
        snprintf(room, SECRET_WHY_SIZE, "is open to everybody (mode %04o)",
                 (unsigned)file->st_mode & 07777);
        *ret_hint = "no secret may be; chmod o= the file, and change the secret if it matters";
        return fail(room, ret_why);
    }
    return 0;
}

/* What is wrong with what was read, its line's end included; NULL: nothing. */
static const char *check_bytes(const char *bytes, size_t n) {
    if (n == 0) {
        return "is empty";
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n' || c == '\r') {
            return "has more than one line, or a line that ends in a carriage return";
        }
        if (c < 0x20 || c == 0x7f) {
            return "holds a NUL byte or another control character";
        }
    }
    return NULL;
}

/* Up to `size` bytes: their number, or -errno. */
static ssize_t read_bytes(int fd, char *bytes, size_t size) {
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, bytes + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    return (ssize_t)n;
}

/* Reads it to the end of the room. 0; -ENOMEM; -EINVAL with *ret_why, and nothing left behind. */
static int read_text(int fd, const struct stat *file, struct secrets *secrets,
                     struct secret *secret, char room[SECRET_WHY_SIZE], const char **ret_why) {
    char *bytes = secrets->room + secrets->used;
    ssize_t got = read_bytes(fd, bytes, SECRET_BYTES + 1);
    if (got < 0) {
        return fail_errno("cannot be read", (int)-got, room, ret_why);
    }
    struct stat after;
    size_t n = (size_t)got;
    const char *why = NULL;
    if (n > SECRET_BYTES) {
        why = "is longer than 64 KiB";
    } else if (n > SECRETS_BYTES - secrets->all_bytes) {
        why = "is one too many; all secrets together may have 64 MiB";
    } else if (fstat(fd, &after) != 0 || (off_t)n != file->st_size ||
               after.st_size != file->st_size || after.st_mtim.tv_sec != file->st_mtim.tv_sec ||
               after.st_mtim.tv_nsec != file->st_mtim.tv_nsec) {
        why = "changed while it was being read; try again";
    } else {
        n -= n > 0 && bytes[n - 1] == '\n';
        why = check_bytes(bytes, n);
    }
    if (why != NULL) {
        explicit_bzero(bytes, (size_t)got);
        return fail(why, ret_why);
    }
    bytes[n] = '\0';
    secrets->used += n + 1;
    secrets->all_bytes += n;
    secret->bytes = bytes;
    secret->n = n;
    return 0;
}

static int read_open(int fd, struct secrets *secrets, struct arena *arena, struct secret *secret,
                     char room[SECRET_WHY_SIZE], const char **ret_why, const char **ret_hint) {
    struct stat file;
    if (fstat(fd, &file) != 0) {
        return fail_errno("cannot be read", errno, room, ret_why);
    }
    int r = check_file(&file, room, ret_why, ret_hint);
    if (r == 0 && prctl(PR_SET_DUMPABLE, 0) != 0) { /* before the first byte is here */
        r = fail_errno("cannot be kept out of core files", errno, room, ret_why);
    }
    if (r == 0) {
        r = make_room(secrets, arena);
    }
    return r == 0 ? read_text(fd, &file, secrets, secret, room, ret_why) : r;
}

int secret_find_path(struct arena *arena, const struct secret_origin *origin, const char **ret_path,
                     const char **ret_why, const char **ret_hint) {
    *ret_hint = NULL;
    *ret_path = origin->file;
    if (origin->file != NULL) {
        return 0;
    }
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (directory == NULL || directory[0] != '/') {
        *ret_hint =
            "systemd sets it for a service with LoadCredential=; elsewhere use {file: PATH}";
        return fail("cannot be found: CREDENTIALS_DIRECTORY is not set", ret_why);
    }
    size_t size = strlen(directory) + strlen(origin->credential) + 2;
    char *path = arena_take(arena, size);
    if (path == NULL) {
        return -ENOMEM;
    }
    snprintf(path, size, "%s/%s", directory, origin->credential);
    *ret_path = path;
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        *ret_hint = "the unit wants LoadCredential=NAME:FILE for it, and then a restart";
        return fail("does not exist", ret_why);
    }
    return 0;
}

int secret_read(struct secrets *secrets, struct arena *arena, const struct secret_origin *origin,
                const struct secret **ret_secret, const char **ret_path, char room[SECRET_WHY_SIZE],
                const char **ret_why, const char **ret_hint) {
    int r = secret_find_path(arena, origin, ret_path, ret_why, ret_hint);
    if (r < 0) {
        return r;
    }
    struct secret *secret = arena_take(arena, sizeof *secret);
    if (secret == NULL) {
        return -ENOMEM;
    }
    secret->path = *ret_path;
    /* O_NONBLOCK: opening a FIFO nobody writes to would wait for ever */
    int fd = open(*ret_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        if (errno == EACCES && origin->file != NULL) {
            *ret_hint = secret_unreadable;
        }
        return fail_errno("cannot be opened", errno, room, ret_why);
    }
    r = read_open(fd, secrets, arena, secret, room, ret_why, ret_hint);
    close(fd);
    if (r == 0) {
        *ret_secret = secret;
    }
    return r;
}

bool secret_is_same(const struct secret *a, const struct secret *b) {
    return a == b ||
           (a != NULL && b != NULL && a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0);
}
