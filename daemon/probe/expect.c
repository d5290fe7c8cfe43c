/* The order in which an answer is judged is that of enum reason, and within a kind that of the
 * configuration; the first expectation that is not met is the sample's one reason. */
#include "probe/expect.h"

#include "probe/fields.h"
#include "probe/words.h"

#include "base/pattern.h"

#include <assert.h>
#include <string.h>

/* For so long a loop may be held up by one answer, whoever wrote the page. */
#define BUDGET_MOST (60 * NSEC_PER_MSEC)

/* ---- one rule, one text ---- */

enum met {
    MET,
    UNMET,
    UNKNOWN, /* the pattern gave up */
};

static enum met meets(const struct rule *rule, const char *bytes, size_t n, nsec_t *budget,
                      size_t *ret_at) {
    size_t text_bytes = rule->text != NULL ? strlen(rule->text) : 0;
    switch (rule->kind) {
    case RULE_PRESENT:
        return MET;
    case RULE_ABSENT:
        return UNMET;
    case RULE_EQUALS:
        return n == text_bytes && (n == 0 || memcmp(bytes, rule->text, n) == 0) ? MET : UNMET;
    case RULE_CONTAINS:
        return text_bytes == 0 || (n > 0 && memmem(bytes, n, rule->text, text_bytes) != NULL)
                   ? MET
                   : UNMET;
    case RULE_MATCHES:
    case RULE_NOT_MATCHES: {
        enum pattern_result result =
            pattern_match(rule->pattern, n > 0 ? bytes : "", n, budget, ret_at);
        if (result == PATTERN_GAVE_UP) {
            return UNKNOWN;
        }
        return (result == PATTERN_MATCHES) == (rule->kind == RULE_MATCHES) ? MET : UNMET;
    }
    }
    return UNMET;
}

static void quote(struct words *words, const char *text) {
    words_quote(words, "\"", text, strlen(text));
}

static void quote_pattern(struct words *words, const struct rule *rule) {
    words_quote(words, "/", rule->text, strlen(rule->text));
}

/* ---- headers ---- */

/* What the values of one header come to. Where they do not meet the rule, ret_value is the one that
 * decided, or the first of those of which one should have. */
static enum met header_meets(const struct rule *rule, const struct expect_answer *answer,
                             nsec_t *budget, struct field *ret_value, unsigned *ret_n) {
    bool one_is_enough = rule->kind != RULE_ABSENT && rule->kind != RULE_NOT_MATCHES;
    size_t at = 0;
    struct field field;
    *ret_n = 0;
    while (fields_find(answer->head, answer->head_bytes, &at, rule->header, &field)) {
        enum met met = meets(rule, field.value, field.value_bytes, budget, NULL);
        bool decided = met == UNKNOWN || (met == MET) == one_is_enough;
        if ((*ret_n)++ == 0 || decided) {
            *ret_value = field;
        }
        if (decided) {
            return met;
        }
    }
    return one_is_enough ? UNMET : MET;
}

static void say_header(struct words *words, const struct rule *rule, enum met met,
                       const struct field *value, unsigned n) {
    words_add(words, "header ");
    words_add(words, "%.64s", rule->header);
    if (met == UNKNOWN) {
        words_add(words, ": ");
        quote_pattern(words, rule);
        words_add(words, " gave up: too costly");
        return;
    }
    if (n == 0) {
        words_add(words, " is absent");
        return;
    }
    if (rule->kind == RULE_ABSENT) {
        words_add(words, " is present");
    }
    words_add(words, ": ");
    words_quote(words, "\"", value->value, value->value_bytes);
    switch (rule->kind) {
    case RULE_PRESENT:
    case RULE_ABSENT:
        break;
    case RULE_EQUALS:
        words_add(words, " is not ");
        quote(words, rule->text);
        break;
    case RULE_CONTAINS:
        words_add(words, " does not contain ");
        quote(words, rule->text);
        break;
    case RULE_MATCHES:
        words_add(words, " does not match ");
        quote_pattern(words, rule);
        break;
    case RULE_NOT_MATCHES:
        words_add(words, " matches ");
        quote_pattern(words, rule);
        break;
    }
    if (n > 1 && rule->kind != RULE_NOT_MATCHES) {
        words_add(words, " (the first of %u)", n);
    }
}

static bool judge_header(const struct rule *rule, const struct expect_answer *answer,
                         nsec_t *budget, struct words *words) {
    struct field value = {0};
    unsigned n = 0;
    enum met met = header_meets(rule, answer, budget, &value, &n);
    if (met != MET) {
        say_header(words, rule, met, &value, n);
    }
    return met == MET;
}

/* ---- the body ---- */

static void say_body(struct words *words, const struct rule *rule, enum met met,
                     const struct expect_answer *answer, size_t at) {
    const char *first = answer->body_cut ? "first " : "";
    words_add(words, "body: ");
    if (met == UNKNOWN) {
        quote_pattern(words, rule);
        words_add(words, " gave up: too costly");
        return;
    }
    switch (rule->kind) {
    case RULE_PRESENT:
    case RULE_ABSENT:
        assert(false); /* rules for headers */
        break;
    case RULE_EQUALS:
        words_add(words, "its %s%zu bytes are not %s", first, answer->body_bytes,
                  answer->body_cut ? "all, expected was " : "");
        quote(words, rule->text);
        break;
    case RULE_CONTAINS:
        quote(words, rule->text);
        words_add(words, " is not in its %s%zu bytes", first, answer->body_bytes);
        break;
    case RULE_MATCHES:
        quote_pattern(words, rule);
        words_add(words, " does not match in its %s%zu bytes", first, answer->body_bytes);
        break;
    case RULE_NOT_MATCHES:
        quote_pattern(words, rule);
        words_add(words, " matches at byte %zu", at);
        break;
    }
}

static bool judge_body(const struct rule *rule, const struct expect_answer *answer, nsec_t *budget,
                       struct words *words) {
    size_t at = 0;
    enum met met = rule->kind == RULE_EQUALS && answer->body_cut
                       ? UNMET
                       : meets(rule, answer->body, answer->body_bytes, budget, &at);
    if (met != MET) {
        say_body(words, rule, met, answer, at);
    }
    return met == MET;
}

/* ---- durations ---- */

/* What an operator would write: "14 d", "3.2 d", "36 s", "1.5 ms". */
static void add_duration(struct words *words, nsec_t duration) {
    static const struct {
        nsec_t nsec;
        const char *name;
    } units[] = {
        {86400 * NSEC_PER_SEC, "d"},
        {3600 * NSEC_PER_SEC, "h"},
        {60 * NSEC_PER_SEC, "min"},
        {NSEC_PER_SEC, "s"},
        {0, "ms"},
    };
    size_t i = 0;
    while (duration < units[i].nsec) {
        i++;
    }
    nsec_t unit = units[i].nsec == 0 ? NSEC_PER_MSEC : units[i].nsec;
    if (duration % unit == 0) {
        words_add(words, "%lld %s", (long long)(duration / unit), units[i].name);
    } else {
        words_add(words, "%.1f %s", (double)duration / (double)unit, units[i].name);
    }
}

static bool judge_certificate(const struct expect_config *expect,
                              const struct expect_answer *answer, struct words *words) {
    nsec_t left = answer->certificate_left;
    if (expect->certificate == 0 || (left != NSEC_UNKNOWN && left >= expect->certificate)) {
        return true;
    }
    words_add(words, "certificate: ");
    if (left == NSEC_UNKNOWN) {
        words_add(words, "there was none, expected was one valid for ");
    } else if (left <= 0) {
        words_add(words, "has expired, expected was one valid for ");
    } else {
        words_add(words, "valid for ");
        add_duration(words, left);
        words_add(words, ", not ");
    }
    add_duration(words, expect->certificate);
    return false;
}

static bool judge_latency(const struct expect_config *expect, const struct expect_answer *answer,
                          struct words *words) {
    if (expect->latency == 0 || answer->took < expect->latency) {
        return true;
    }
    words_add(words, "latency: %.1f ms, not under %g ms", (double)answer->took / NSEC_PER_MSEC,
              (double)expect->latency / NSEC_PER_MSEC);
    return false;
}

/* ---- all of it ---- */

/* Of all patterns together: a head of many fields must not cost many times what one may. */
static nsec_t budget_of(const struct expect_config *expect, const struct expect_answer *answer) {
    nsec_t bytes =
        (nsec_t)(expect->n_headers * answer->head_bytes + expect->n_body * answer->body_bytes);
    nsec_t budget = PATTERN_BUDGET + bytes * PATTERN_BUDGET_PER_BYTE;
    nsec_t most = answer->patience > 0 ? answer->patience : BUDGET_MOST;
    return budget < most ? budget : most;
}

static bool any_pattern(const struct rule *rules, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (rules[i].pattern != NULL) {
            return true;
        }
    }
    return false;
}

bool expect_has_patterns(const struct expect_config *expect) {
    return any_pattern(expect->headers, expect->n_headers) ||
           any_pattern(expect->body, expect->n_body);
}

enum reason expect_judge(const struct expect_config *expect, const struct expect_answer *answer,
                         char *ret_words, size_t words_size) {
    if (!outcome_is_judged(answer->outcome)) {
        return REASON_NONE;
    }
    if (!outcome_is_status(answer->outcome)) {
        return REASON_ERROR;
    }
    nsec_t budget = budget_of(expect, answer);
    struct words words;
    words_init(&words, ret_words, words_size);
    if (!status_set_has(expect->status, answer->outcome)) {
        words_add(&words, "%u was not expected", answer->outcome);
        return REASON_STATUS;
    }
    for (size_t i = 0; i < expect->n_headers; i++) {
        if (!judge_header(&expect->headers[i], answer, &budget, &words)) {
            return REASON_HEADER;
        }
    }
    for (size_t i = 0; i < expect->n_body; i++) {
        if (!judge_body(&expect->body[i], answer, &budget, &words)) {
            return REASON_BODY;
        }
    }
    if (!judge_certificate(expect, answer, &words)) {
        return REASON_CERTIFICATE;
    }
    return judge_latency(expect, answer, &words) ? REASON_NONE : REASON_LATENCY;
}
