/* What the command line of `tallyd sample` asks for. */
#pragma once

#include "config/config.h"
#include "urls.h"

#include <stdbool.h>

struct sample_options {
    const char *config_path; /* NULL: URLs are sampled, not sites of a configuration */
    const char **sites;      /* their names */
    size_t n_sites;
    struct urls urls;
    struct config_urls settings; /* its URLs are those above */
    struct config_setting *list; /* settings.settings */
    char **texts;                /* that values point to */
    size_t n_texts;
};

/* False: `*ret_status` is the exit status, and what is wrong was said. `argv[0]` is the subcommand; the
 * options point into `argv`. */
bool sample_options_parse(int argc, char **argv, struct sample_options *ret_options,
                          int *ret_status);
void sample_options_clear(struct sample_options *options);
