/* Whether an answer is what its site expects. Pure. */
#pragma once

#include "config/config.h"
#include "probe/outcome.h"

#include <stdbool.h>
#include <stddef.h>

/* What is known of a sample when it is judged; borrowed. */
struct expect_answer {
    outcome_t outcome;
    nsec_t took;
    const char *head; /* the header lines of the final head, for fields.h */
    size_t head_bytes;
    const char *body; /* so much as was kept */
    size_t body_bytes;
    bool body_cut;           /* there was more */
    nsec_t certificate_left; /* of the chain, that which ends first; NSEC_UNKNOWN: none */
    nsec_t patience; /* of processor time for all patterns at the most; 0: what such a page needs */
};

/* Whether judging may take a while: there are patterns. */
bool expect_has_patterns(const struct expect_config *expect);

/* REASON_NONE where it meets the expectation, or is not judged because it is our own fault. Else
 * ret_words says what was expected and not met (for REASON_ERROR it is left alone); what it quotes
 * of the answer is escaped.
 *
 * A header that occurs several times is present; equals, contains and matches are met when one of
 * its values meets them, not_matches when none of them matches, which is so too of a header that is
 * absent. A pattern that gives up is not met, whichever of the two it is for: nobody knows. A body
 * that was cut equals nothing. */
enum reason expect_judge(const struct expect_config *expect, const struct expect_answer *answer,
                         char *ret_words, size_t words_size);
