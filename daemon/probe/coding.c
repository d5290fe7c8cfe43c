#include "probe/coding.h"

#include <string.h>
#include <strings.h>

static bool begins_with(const char *line, size_t n, const char *name) {
    size_t length = strlen(name);
    return n >= length && strncasecmp(line, name, length) == 0;
}

static bool is(const char *word, size_t n, const char *name) {
    return n == strlen(name) && strncasecmp(word, name, n) == 0;
}

unsigned coding_count(const char *line, size_t n, bool unpacked) {
    static const char separators[] = ", \t\r\n";
    if (!begins_with(line, n, "transfer-encoding:") &&
        !(unpacked && begins_with(line, n, "content-encoding:"))) {
        return 0;
    }
    size_t at = (size_t)((const char *)memchr(line, ':', n) - line) + 1;
    unsigned count = 0;
    while (at < n) {
        size_t end = at;
        while (end < n && memchr(separators, line[end], sizeof separators - 1) == NULL) {
            end++;
        }
        if (end > at && !is(line + at, end - at, "chunked") &&
            !is(line + at, end - at, "identity")) {
            count++;
        }
        at = end + 1;
    }
    return count;
}
