/* A class name is stacked at its underscores, and when the outcomes are still too many for a line, the
 * matrix goes on below with the rest of them. Nothing is left out but one thing: beyond ROWS_MOST rows
 * those that saw only statuses that are expected are added up. The columns add up to the report's
 * tally, so there are rows for samples that had no address and for answers that named nobody. */
#include "output/matrix.h"

#include "output/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MOST = 40,
    NAME_COLUMNS_MOST = 40, /* an IPv6 address has 39 */
    TIME_COLUMNS = 9,
    STACK_MOST = 4, /* words of a class name */
};

struct row {
    char *name; /* heap */
    const struct tally *tally;
    nsec_t p50;
};

struct matrix {
    const char *kind; /* what the rows are */
    struct row *rows;
    size_t n;
    const struct tally *all;
    struct tally rest;   /* of `all`, what no row has */
    struct tally folded; /* of rows beyond the most */
    size_t n_folded;
    const char *rest_name;
    unsigned name_columns;
};

/* The words of an outcome's name, from the top: "first_", "byte_", "timeout". */
struct heading {
    char words[STACK_MOST][32];
    unsigned n;
    unsigned columns;
};

static struct heading stack(outcome_t outcome) {
    struct heading heading = {0};
    char text[FORMAT_OUTCOME_BYTES];
    const char *at = format_outcome(outcome, text);
    while (*at != '\0' && heading.n < STACK_MOST) {
        size_t n = strcspn(at, "_");
        n += at[n] == '_';
        snprintf(heading.words[heading.n++], sizeof heading.words[0], "%.*s", (int)n, at);
        heading.columns = heading.columns > n ? heading.columns : (unsigned)n;
        at += n;
    }
    heading.columns = (heading.columns > 5 ? heading.columns : 5) + 2;
    return heading;
}

/* Statuses first, then classes. */
static outcome_t outcome_at(const struct tally *tally, size_t i) {
    size_t classes = 0;
    while (classes < tally->n && !outcome_is_status(tally->rows[classes].outcome)) {
        classes++;
    }
    size_t statuses = tally->n - classes;
    return tally->rows[i < statuses ? classes + i : i - statuses].outcome;
}

/* How many outcomes from `first` on fit into a line. */
static size_t fit(const struct matrix *matrix, size_t first) {
    unsigned column = matrix->name_columns + TIME_COLUMNS;
    size_t n = 0;
    while (first + n < matrix->all->n) {
        column += stack(outcome_at(matrix->all, first + n)).columns;
        if (column > FORMAT_COLUMNS && n > 0) {
            break;
        }
        n++;
    }
    return n;
}

static void put_head(const struct matrix *matrix, size_t first, size_t n, FILE *to) {
    for (unsigned line = STACK_MOST; line > 0; line--) { /* counted from below */
        bool bottom = line == 1, any = bottom;
        for (size_t i = 0; i < n && !any; i++) {
            any = stack(outcome_at(matrix->all, first + i)).n >= line;
        }
        if (!any) {
            continue;
        }
        unsigned pending = 0; /* blanks, so that no line ends in some */
        fprintf(to, "%s", bottom ? "  " : "");
        if (bottom) {
            fprintf(to, "%-*s%*s", (int)matrix->name_columns - 2, matrix->kind, TIME_COLUMNS,
                    "p50 ms");
        } else {
            pending = matrix->name_columns + TIME_COLUMNS;
        }
        for (size_t i = 0; i < n; i++) {
            struct heading heading = stack(outcome_at(matrix->all, first + i));
            const char *word = line <= heading.n ? heading.words[heading.n - line] : "";
            pending += heading.columns;
            if (*word != '\0') {
                fprintf(to, "%*s", (int)pending, word);
                pending = 0;
            }
        }
        fputc('\n', to);
    }
}

static void put_row(const struct matrix *matrix, const char *name, const struct tally *tally,
                    nsec_t p50, size_t first, size_t n, FILE *to) {
    char ms[FORMAT_MS_BYTES];
    unsigned columns = format_columns(name);
    unsigned room = matrix->name_columns - 2;
    fprintf(to, "  %s%*s%*s", name, columns < room ? (int)(room - columns) : 0, "", TIME_COLUMNS,
            format_ms(p50, ms));
    for (size_t i = 0; i < n; i++) {
        outcome_t outcome = outcome_at(matrix->all, first + i);
        unsigned count = tally_count(tally, outcome);
        int width = (int)stack(outcome).columns;
        if (count > 0) {
            fprintf(to, "%*u", width, count);
        } else {
            fprintf(to, "%*s", width, ".");
        }
    }
    fputc('\n', to);
}

static void put_matrix(const struct matrix *matrix, nsec_t p50, FILE *to) {
    char name[64];
    snprintf(name, sizeof name, "(%zu more, alike)", matrix->n_folded);
    for (size_t first = 0, n; first < matrix->all->n; first += n) {
        n = fit(matrix, first);
        fputc('\n', to);
        put_head(matrix, first, n, to);
        for (size_t i = 0; i < matrix->n; i++) {
            const struct row *row = &matrix->rows[i];
            put_row(matrix, row->name, row->tally, row->p50, first, n, to);
        }
        if (matrix->n_folded > 0) {
            put_row(matrix, name, &matrix->folded, NSEC_UNKNOWN, first, n, to);
        }
        if (matrix->rest.n > 0) {
            put_row(matrix, matrix->rest_name, &matrix->rest, NSEC_UNKNOWN, first, n, to);
        }
        if (matrix->n + matrix->n_folded + (matrix->rest.n > 0) > 1) {
            put_row(matrix, "all", matrix->all, p50, first, n, to);
        }
    }
}

static bool is_expected(const struct site *site, const struct tally *tally) {
    for (size_t i = 0; i < tally->n; i++) {
        if (!status_set_has(site->expect.status, tally->rows[i].outcome)) {
            return false;
        }
    }
    return true;
}

/* 0 or -ENOMEM */
static int add_tally(struct tally *to, const struct tally *tally) {
    int r = 0;
    for (size_t i = 0; i < tally->n && r == 0; i++) {
        r = tally_add(to, tally->rows[i].outcome, tally->rows[i].count);
    }
    return r;
}

/* Where there are too many rows, those without news are folded into one. */
static int fold(struct matrix *matrix, const struct site *site) {
    if (matrix->n <= ROWS_MOST) {
        return 0;
    }
    size_t kept = 0;
    int r = 0;
    for (size_t i = 0; i < matrix->n; i++) {
        if (r == 0 && is_expected(site, matrix->rows[i].tally)) {
            r = add_tally(&matrix->folded, matrix->rows[i].tally);
            free(matrix->rows[i].name);
            matrix->n_folded++;
        } else {
            matrix->rows[kept++] = matrix->rows[i];
        }
    }
    matrix->n = kept;
    return r;
}

static int find_rest(struct matrix *matrix) {
    for (size_t i = 0; i < matrix->all->n; i++) {
        unsigned left = matrix->all->rows[i].count;
        outcome_t outcome = matrix->all->rows[i].outcome;
        for (size_t k = 0; k < matrix->n; k++) {
            left -= tally_count(matrix->rows[k].tally, outcome);
        }
        int r = tally_add(&matrix->rest, outcome, left);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* What is too long for its column ends in "…". */
static void cut(char *name) {
    size_t at = 0;
    for (unsigned columns = 0; name[at] != '\0'; at++) {
        columns += ((unsigned char)name[at] & 0xc0) != 0x80;
        if (columns == NAME_COLUMNS_MOST && format_columns(name) > NAME_COLUMNS_MOST &&
            strlen(name + at) >= sizeof "…") {
            strcpy(name + at, "…");
            return;
        }
    }
}

static int add_row(struct matrix *matrix, char *name, const struct tally *tally, nsec_t p50) {
    if (name == NULL) {
        return -ENOMEM;
    }
    cut(name);
    matrix->rows[matrix->n++] = (struct row){.name = name, .tally = tally, .p50 = p50};
    unsigned columns = format_columns(name) + 2;
    matrix->name_columns = columns > matrix->name_columns ? columns : matrix->name_columns;
    return 0;
}

static int list_addresses(struct matrix *matrix, const struct report *report) {
    matrix->kind = "address";
    matrix->rest_name = "(no address)";
    int r = 0;
    for (size_t i = 0; i < report->n_addresses && r == 0; i++) {
        const struct report_address *address = &report->addresses[i];
        r = add_row(matrix, strdup(address->text), &address->tally, address->p50);
    }
    return r;
}

static int list_backends(struct matrix *matrix, const struct report *report) {
    matrix->kind = "backend";
    matrix->rest_name = "(not named)";
    int r = 0;
    for (size_t i = 0; i < report->n_backends && r == 0; i++) {
        const struct report_backend *backend = &report->backends[i];
        r = add_row(matrix, format_word(backend->name), &backend->tally, backend->p50);
    }
    if (r == 0 && report->other_backends.n > 0) {
        r = add_row(matrix, strdup("(others)"), &report->other_backends,
                    report->other_backends_p50);
    }
    return r;
}

/* `n` rows at the most. 0 or -ENOMEM */
static int put_rows(const struct report *report, size_t n,
                    int (*list)(struct matrix *matrix, const struct report *report), FILE *to) {
    struct matrix matrix = {.all = &report->tally, .name_columns = sizeof "  (no address)" - 1};
    matrix.rows = calloc(n, sizeof *matrix.rows);
    int r = matrix.rows == NULL ? -ENOMEM : list(&matrix, report);
    if (r == 0) {
        r = find_rest(&matrix);
    }
    if (r == 0) {
        r = fold(&matrix, report->site);
    }
    if (r == 0) {
        put_matrix(&matrix, report->latency.n > 0 ? report->latency.p50 : NSEC_UNKNOWN, to);
    }
    for (size_t i = 0; i < matrix.n; i++) {
        free(matrix.rows[i].name);
    }
    free(matrix.rows);
    tally_clear(&matrix.rest);
    tally_clear(&matrix.folded);
    return r;
}

int matrix_put(const struct report *report, FILE *to) {
    int r = 0;
    if (report->n_addresses > 1 || report->n_backends == 0) {
        r = put_rows(report, report->n_addresses + 1, list_addresses, to);
    }
    if (r == 0 && report->n_backends > 0) {
        r = put_rows(report, report->n_backends + 1, list_backends, to);
    }
    return r;
}
