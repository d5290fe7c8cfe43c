/* Whether an answer is what its site expects. Pure. */
#pragma once

#include "config/config.h"
#include "probe/outcome.h"

#include <stddef.h>

/* What is known of a sample when it is judged. */
struct expect_answer {
    outcome_t outcome;
    nsec_t took;
    nsec_t certificate_left; /* of the chain, that which ends first; NSEC_UNKNOWN: not known */
};

/* REASON_NONE where it meets the expectation, or is not judged because it is our own fault. Else
 * ret_words says what was expected and not met (for REASON_ERROR it is left alone); what it quotes
 * of the answer is escaped. */
enum reason expect_judge(const struct expect_config *expect, const struct expect_answer *answer,
                         char *ret_words, size_t words_size);
