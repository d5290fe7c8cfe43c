#include "probe/expect.h"

#include <stdio.h>

enum reason expect_judge(const struct expect_config *expect, const struct expect_answer *answer,
                         char *ret_words, size_t words_size) {
    if (!outcome_is_judged(answer->outcome)) {
        return REASON_NONE;
    }
    if (!outcome_is_status(answer->outcome)) {
        return REASON_ERROR;
    }
    if (!status_set_has(expect->status, answer->outcome)) {
        snprintf(ret_words, words_size, "%s", "");
        return REASON_STATUS;
    }
    return REASON_NONE;
}
