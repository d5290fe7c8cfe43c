/* `tallyd check`: what is wrong with a configuration, or what it will cost and find. */
#pragma once

/* Reads the file, and prints its page on stdout and what is wrong on stderr. The exit status: 0 or 2. */
int checker_run(const char *path);

/* Prints the names of its sites alone, for shells that complete them. The same. */
int checker_names(const char *path);
