/* Damerau's distance, in its form of optimal string alignment: no part is edited twice. */
#include "config/nearest.h"

#include <stddef.h>
#include <string.h>

enum { BYTES_MOST = 64, FAR = 2 * BYTES_MOST };

unsigned nearest_distance(const char *a, const char *b) {
    size_t a_n = strlen(a), b_n = strlen(b);
    if (a_n == 0 || b_n == 0 || a_n > BYTES_MOST || b_n > BYTES_MOST) {
        return FAR;
    }
    unsigned rows[3][BYTES_MOST + 1];
    for (unsigned j = 0; j <= b_n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_n; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = two_above[j - 2] + 1 < best ? two_above[j - 2] + 1 : best;
            }
            row[j] = best;
        }
    }
    return rows[a_n % 3][b_n];
}

unsigned nearest_limit(const char *word) {
    size_t n = strlen(word);
    /* a word of one or two bytes is not made of nothing but errors */
    return n < 2 ? 0 : n < 4 ? 1 : n < 8 ? 2 : 3;
}
