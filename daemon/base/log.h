/* The daemon's own messages, one line each on stderr, safe to call from any thread.
 *
 * A message is printf-formatted, made safe for a terminal (text.h), cut at 1 KiB and written with
 * one write(2). Under systemd (JOURNAL_STREAM set) each line begins with its priority, "<3>".
 * LOG_INTERNAL is for what can only be our own mistake: such a line begins with "internal: ", and a
 * test run that prints one has failed. */
#pragma once

enum log_level {
    LOG_LEVEL_ERROR,   /* something asked for will not happen */
    LOG_LEVEL_WARNING, /* it will, but not as one would wish */
    LOG_LEVEL_NOTICE,  /* a change of the daemon's own condition */
};

void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...)    log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)  log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)   log_message(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_internal(...) log_message(LOG_LEVEL_ERROR, "internal: " __VA_ARGS__)
