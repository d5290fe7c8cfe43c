/* How far a word is from one that was probably meant. Pure. */
#pragma once

/* Typing errors between the two: bytes inserted, left out, replaced, or swapped with their neighbour.
 * A large number where one is empty or longer than any word with a typing error or two. */
unsigned nearest_distance(const char *a, const char *b);

/* How many of them still make `word`. */
unsigned nearest_limit(const char *word);
