/* `tallyd sample`: one round for each URL, all in parallel, reports in the order given. */
#pragma once

/* `argv[0]` is the subcommand. Returns the exit status: 0 every site met its expectation, 1 some
 * did not, 2 usage or configuration, 3 a site had no judged sample or the output failed. */
int sample_main(int argc, char **argv);
