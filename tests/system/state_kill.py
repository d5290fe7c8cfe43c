"""SIGKILL in the middle of writing the state file: what is found after it is whole."""

import os
import random
import subprocess
import time

from lab import case, main, start, wait_for

WRITER = os.environ["TALLYD_STATE_WRITER"]
KILLS = 50  # that hit a piece of the next file, or the test would prove nothing
SITES = "2000\n"


@case
def fifty_kills_never_leave_a_file_that_is_refused(lab):
    seed = int(os.environ.get("TALLYD_TEST_SEED") or time.time_ns())
    chance = random.Random(seed)
    lab.notes.append(lambda: f"TALLYD_TEST_SEED={seed}")
    path = lab.path("state.json")
    hit = kills = 0
    while hit < KILLS:
        kills += 1
        assert kills <= 20 * KILLS, f"{hit} of {kills} kills hit a piece"
        before = os.stat(path).st_mtime_ns if os.path.exists(path) else None
        child = start([WRITER, path, "write"], stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(path) and os.stat(path).st_mtime_ns != before,
                 "it is replaced")
        time.sleep(chance.random() * 0.01)  # the time of the fault is its chance
        child.kill()
        child.wait()
        hit += os.path.exists(path + ".new")
        read = subprocess.run([WRITER, path, "read"], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stdout, read.stderr) == (0, SITES, ""), read
    assert sorted(set(os.listdir(lab.dir)) - {"state.json.new"}) == \
        ["state.json", "state.json.lock"], os.listdir(lab.dir)
    print(f"# {hit} of {kills} kills left a piece of the next file")


main()
