/* A class name is stacked at its underscores, and when the outcomes are still too many for a line, the
 * matrix goes on below with the rest of them. Nothing is left out but one thing: beyond ROWS_MOST rows
 * those without any failure or error are added up. The columns add up to the report's
 * tally, so there are rows for samples that had no address and for answers that named nobody. */
#include "output/matrix.h"

#include "output/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MOST = 40,
    NAME_COLUMNS_MOST = 40, /* an IPv6 address has 39 */
    FAILED_COLUMNS = 8,
    TIME_COLUMNS = 9,
    STACK_MOST = 4, /* words of a class name */
};

struct row {
    char *name; /* heap, but for those of a matrix itself */
    const struct tally *tally;
    unsigned failed;
    nsec_t p50;
};

struct matrix {
    const char *kind; /* what the rows are */
    struct row *rows;
    size_t n;
    struct row all;
    struct row rest;   /* of all, what no row has */
    struct row folded; /* rows beyond the most */
    size_t n_folded;
    struct tally rest_tally, folded_tally;
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

/* How many outcomes from `first` on fit into a line. */
static size_t fit(const struct matrix *matrix, size_t first) {
    unsigned column = matrix->name_columns + FAILED_COLUMNS + TIME_COLUMNS;
    size_t n = 0;
    while (first + n < matrix->all.tally->n) {
        column += stack(tally_outcome_at(matrix->all.tally, first + n)).columns;
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
            any = stack(tally_outcome_at(matrix->all.tally, first + i)).n >= line;
        }
        if (!any) {
            continue;
        }
        unsigned pending = 0; /* blanks, so that no line ends in some */
        fprintf(to, "%s", bottom ? "  " : "");
        if (bottom) {
            fprintf(to, "%-*s%*s%*s", (int)matrix->name_columns - 2, matrix->kind, FAILED_COLUMNS,
                    "failed", TIME_COLUMNS, "p50 ms");
        } else {
            pending = matrix->name_columns + FAILED_COLUMNS + TIME_COLUMNS;
        }
        for (size_t i = 0; i < n; i++) {
            struct heading heading = stack(tally_outcome_at(matrix->all.tally, first + i));
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

static void put_count(unsigned count, unsigned columns, FILE *to) {
    if (count > 0) {
        fprintf(to, "%*u", (int)columns, count);
    } else {
        fprintf(to, "%*s", (int)columns, ".");
    }
}

static void put_row(const struct matrix *matrix, const struct row *row, size_t first, size_t n,
                    FILE *to) {
    char ms[FORMAT_MS_BYTES];
    unsigned columns = format_columns(row->name);
    unsigned room = matrix->name_columns - 2;
    fprintf(to, "  %s%*s", row->name, columns < room ? (int)(room - columns) : 0, "");
    put_count(row->failed, FAILED_COLUMNS, to);
    fprintf(to, "%*s", TIME_COLUMNS, format_ms(row->p50, ms));
    for (size_t i = 0; i < n; i++) {
        outcome_t outcome = tally_outcome_at(matrix->all.tally, first + i);
        put_count(tally_count(row->tally, outcome), stack(outcome).columns, to);
    }
    fputc('\n', to);
}

static void put_matrix(const struct matrix *matrix, FILE *to) {
    size_t n_rows = matrix->n + (matrix->n_folded > 0) + (matrix->rest_tally.n > 0);
    for (size_t first = 0, n; first < matrix->all.tally->n; first += n) {
        n = fit(matrix, first);
        fputc('\n', to);
        put_head(matrix, first, n, to);
        for (size_t i = 0; i < matrix->n; i++) {
            put_row(matrix, &matrix->rows[i], first, n, to);
        }
        if (matrix->n_folded > 0) {
            put_row(matrix, &matrix->folded, first, n, to);
        }
        if (matrix->rest_tally.n > 0) {
            put_row(matrix, &matrix->rest, first, n, to);
        }
        if (n_rows > 1) {
            put_row(matrix, &matrix->all, first, n, to);
        }
    }
}

static bool has_news(const struct row *row) {
    bool news = row->failed > 0;
    for (size_t i = 0; i < row->tally->n && !news; i++) {
        news = !outcome_is_status(row->tally->rows[i].outcome);
    }
    return news;
}

/* 0 or -ENOMEM */
static int add_tally(struct tally *to, const struct tally *tally) {
    int r = 0;
    for (size_t i = 0; i < tally->n && r == 0; i++) {
        r = tally_add(to, tally->rows[i].outcome, tally->rows[i].count);
    }
    return r;
}

/* Where there are too many rows, those without news are folded into one. 0 or -ENOMEM */
static int fold(struct matrix *matrix) {
    if (matrix->n <= ROWS_MOST) {
        return 0;
    }
    size_t kept = 0;
    int r = 0;
    for (size_t i = 0; i < matrix->n; i++) {
        if (r == 0 && !has_news(&matrix->rows[i])) {
            r = add_tally(&matrix->folded_tally, matrix->rows[i].tally);
            free(matrix->rows[i].name);
            matrix->n_folded++;
        } else {
            matrix->rows[kept++] = matrix->rows[i];
        }
    }
    matrix->n = kept;
    return r;
}

/* 0 or -ENOMEM */
static int find_rest(struct matrix *matrix) {
    const struct tally *all = matrix->all.tally;
    for (size_t i = 0; i < all->n; i++) {
        unsigned left = all->rows[i].count;
        for (size_t k = 0; k < matrix->n; k++) {
            left -= tally_count(matrix->rows[k].tally, all->rows[i].outcome);
        }
        int r = tally_add(&matrix->rest_tally, all->rows[i].outcome, left);
        if (r < 0) {
            return r;
        }
    }
    matrix->rest.failed = matrix->all.failed;
    for (size_t k = 0; k < matrix->n; k++) {
        matrix->rest.failed -= matrix->rows[k].failed;
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

/* 0; -ENOMEM: its name is NULL */
static int add_row(struct matrix *matrix, struct row row) {
    if (row.name == NULL) {
        return -ENOMEM;
    }
    cut(row.name);
    matrix->rows[matrix->n++] = row;
    unsigned columns = format_columns(row.name) + 2;
    matrix->name_columns = columns > matrix->name_columns ? columns : matrix->name_columns;
    return 0;
}

static int list_addresses(struct matrix *matrix, const struct report *report) {
    int r = 0;
    for (size_t i = 0; i < report->n_addresses && r == 0; i++) {
        const struct report_address *address = &report->addresses[i];
        r = add_row(matrix, (struct row){strdup(address->text), &address->tally, address->failed,
                                         address->p50});
    }
    return r;
}

static int list_backends(struct matrix *matrix, const struct report *report) {
    int r = 0;
    for (size_t i = 0; i < report->n_backends && r == 0; i++) {
        const struct report_backend *backend = &report->backends[i];
        r = add_row(matrix, (struct row){format_word(backend->name), &backend->tally,
                                         backend->failed, backend->p50});
    }
    if (r == 0 && report->other_backends.n > 0) {
        r = add_row(matrix,
                    (struct row){strdup("(others)"), &report->other_backends,
                                 report->other_backends_failed, report->other_backends_p50});
    }
    return r;
}

/* `n` rows at the most. 0 or -ENOMEM */
static int put_rows(const struct report *report, const char *kind, const char *rest, size_t n,
                    int (*list)(struct matrix *matrix, const struct report *report), FILE *to) {
    char all_name[] = "all", rest_name[16], folded_name[48];
    nsec_t p50 = report->latency.n > 0 ? report->latency.p50 : NSEC_UNKNOWN;
    struct matrix matrix = {.kind = kind, .name_columns = sizeof "  (no address)" - 1};
    matrix.all = (struct row){all_name, &report->tally, report->failed, p50};
    matrix.rest = (struct row){rest_name, &matrix.rest_tally, 0, NSEC_UNKNOWN};
    matrix.folded = (struct row){folded_name, &matrix.folded_tally, 0, NSEC_UNKNOWN};
    matrix.rows = calloc(n, sizeof *matrix.rows);
    int r = matrix.rows == NULL ? -ENOMEM : list(&matrix, report);
    if (r == 0) {
        r = find_rest(&matrix);
    }
    if (r == 0) {
        r = fold(&matrix);
    }
    if (r == 0) {
        snprintf(rest_name, sizeof rest_name, "%s", rest);
        snprintf(folded_name, sizeof folded_name, "(%zu more)", matrix.n_folded);
        put_matrix(&matrix, to);
    }
    for (size_t i = 0; i < matrix.n; i++) {
        free(matrix.rows[i].name);
    }
    free(matrix.rows);
    tally_clear(&matrix.rest_tally);
    tally_clear(&matrix.folded_tally);
    return r;
}

int matrix_put(const struct report *report, FILE *to) {
    int r = 0;
    if (report->n_addresses > 1 || report->n_backends == 0) {
        r = put_rows(report, "address", "(no address)", report->n_addresses + 1, list_addresses,
                     to);
    }
    if (r == 0 && report->n_backends > 0) {
        r = put_rows(report, "backend", "(not named)", report->n_backends + 1, list_backends, to);
    }
    return r;
}
