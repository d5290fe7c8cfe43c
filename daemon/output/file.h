/* A log file: opening it so that nobody else's file is touched, mending its tail, and noticing that
 * its path has become another file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A line that has not ended after so many bytes is none of ours. The longest are reports of a host with
 * 256 addresses, each of which answered with every status that there is: below 3 MiB. */
#define FILE_LINE_MOST (4 << 20)

struct file {
    int fd; /* -1: closed */
    dev_t device;
    ino_t inode;
    off_t torn_at;     /* where a last line without its end begins, */
    size_t torn_bytes; /* and how long it is; 0: there is none */
};

/* Opens or makes the file, for us alone. When it ends in a torn line nothing may be written before
 * file_repair() has succeeded. 0, or -errno with *ret_why set to a sentence (heap; NULL when there
 * was no memory for it): -EWOULDBLOCK another has it locked, -EEXIST it is not a log of ours,
 * -EINVAL it is not a regular file. */
int file_open(const char *path, struct file *ret_file, char **ret_why);
void file_close(struct file *file); /* a closed file: nothing */

/* Overwrites the torn line with `line` (n bytes with its newline), padded with spaces. 0 or -errno;
 * then the line is still torn, and another call may succeed. */
int file_repair(struct file *file, const char *line, size_t n);

enum file_change {
    FILE_SAME,     /* or nobody can tell */
    FILE_GONE,     /* nothing is at the path */
    FILE_REPLACED, /* something else is */
};
enum file_change file_look(const struct file *file, const char *path);
bool file_is_deleted(const struct file *file); /* what is written to it is lost */
off_t file_size(const struct file *file);
