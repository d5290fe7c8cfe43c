/* `tallyd status`: asks the daemon that runs how its sites are. */
#pragma once

/* `argv[0]` is the subcommand. Returns the exit status: 0 every site that was asked about is up or
 * paused, 1 some are not, 2 usage or configuration, 3 the daemon could not be asked. */
int ask_main(int argc, char **argv);
