/* `tallyd run`: the schedule, verdicts, reload and stop around the engine. */
#pragma once

/* Runs in the foreground until a signal ends it. Returns the exit status: 0 stopped cleanly, 2 the
 * configuration cannot be used, 3 something else could not be had (a log file, threads), or records
 * could not be written. */
int daemon_run(const char *config_path);
