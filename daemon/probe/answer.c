/* Bytes are counted here, since libcurl's own limits leak: heads and trailers together to 64 KiB,
 * the body to the site's limit, after which the transfer is ended on purpose and its status stands.
 */
#include "probe/answer.h"

#include "base/clock.h"

void answer_init(struct answer *answer, CURL *easy, const struct site *site) {
    *answer = (struct answer){.easy = easy, .site = site, .first_byte = NSEC_UNKNOWN};
}

void answer_clear(struct answer *answer) {
    (void)answer;
}

size_t answer_on_header(char *line, size_t size, size_t n, void *arg) {
    struct answer *answer = arg;
    size_t bytes = size * n;
    answer->head_bytes += bytes;
    if (answer->head_bytes > ANSWER_HEAD_BYTES_MOST) {
        answer->head_too_large = true;
        return 0;
    }
    bool blank =
        bytes > 0 && (line[0] == '\n' || (bytes > 1 && line[0] == '\r' && line[1] == '\n'));
    switch (answer->head) {
    case HEAD_BEGIN: {
        long status = 0;
        curl_easy_getinfo(answer->easy, CURLINFO_RESPONSE_CODE, &status);
        answer->interim = status >= 100 && status < 200;
        if (!answer->interim) {
            answer->first_byte = clock_now();
        }
        answer->head = HEAD_LINES;
        break;
    }
    case HEAD_LINES:
        if (blank) {
            answer->head = answer->interim ? HEAD_BEGIN : HEAD_DONE;
        }
        break;
    case HEAD_DONE:
        break;
    }
    return bytes;
}

size_t answer_on_body(char *bytes, size_t size, size_t n, void *arg) {
    struct answer *answer = arg;
    (void)bytes;
    answer->body_bytes += size * n;
    if (answer->body_bytes > answer->site->body_limit_bytes) {
        answer->body_stopped = true;
        return 0;
    }
    return size * n;
}
