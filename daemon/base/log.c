#include "base/log.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 1024 };

static const struct {
    const char *priority; /* sd-daemon(3) */
    const char *word;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"<3>", "error: "},
    [LOG_LEVEL_WARNING] = {"<4>", "warning: "},
    [LOG_LEVEL_NOTICE] = {"<5>", ""},
};

void log_message(enum log_level level, const char *format, ...) {
    int saved = errno;
    char raw[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    if (n < 0) {
        n = 0;
    } else if ((size_t)n >= sizeof raw) {
        n = sizeof raw - 1;
    }

    char line[TEXT_ESCAPED_SIZE(MESSAGE_BYTES) + 64];
    const char *journal = getenv("JOURNAL_STREAM");
    size_t used = 0;
    if (journal != NULL && *journal != '\0') {
        used = (size_t)snprintf(line, sizeof line, "%s", levels[level].priority);
    }
    used += (size_t)snprintf(line + used, sizeof line - used, "tallyd: %s", levels[level].word);
    used += text_escape(raw, (size_t)n, line + used, sizeof line - used - 1);
    line[used++] = '\n';
    /* nowhere to report that stderr itself fails */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
    errno = saved;
}
