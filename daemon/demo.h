/* `tallyd demo`: the real daemon, sampling an origin of its own on loopback. */
#pragma once

int demo_main(int argc, char **argv); /* the exit status */
