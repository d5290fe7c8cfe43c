/* The keys of a configuration as pages for people, printed from their rows. */
#pragma once

#include <stdio.h>

void page_print_markdown(FILE *to); /* config/keys.md */
void page_print_mdoc(FILE *to);     /* sections and lists for tallyd.yaml(5) */

/* A text as lines of mdoc that show it as it is, a line for each sentence. */
void page_print_mdoc_text(const char *text, FILE *to);
