"""SIGKILL in the middle of writing: no torn line after a restart, and none seen twice."""

import os
import random
import subprocess
import time

from lab import case, check_log, main, parse_json, start, wait_for

WRITER = os.environ["TALLYD_SINK_WRITER"]
KILLS = 100
TORN = 3  # lines at the least, or more kills, or the test would prove nothing


class Reader:
    """What a reader does that keeps a file's inode and its offset: whatever is appended, once."""

    def __init__(self, path):
        self.path, self.inode, self.offset, self.parts = path, None, 0, []

    def read(self):
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                if self.inode is not None and (status.st_ino != self.inode
                                               or status.st_size < self.offset):
                    raise AssertionError("the log was replaced, or got shorter")
                self.inode = status.st_ino
                file.seek(self.offset)
                part = file.read()
        except FileNotFoundError:
            return
        self.parts.append(part)
        self.offset += len(part)

    def bytes(self):
        self.read()
        return b"".join(self.parts)


def is_repair(line):
    return line.startswith(b'{"v":1,"record":"lost"') and b'"count":' not in line


def compare(seen, log):
    """A reader of the growing log has seen its lines one for one; only where a torn line was
    overwritten may it have seen other bytes, in as many lines."""
    seen, log = seen.split(b"\n"), log.split(b"\n")
    assert len(seen) == len(log), f"{len(seen) - 1} lines seen of {len(log) - 1}"
    for number, (line, written) in enumerate(zip(seen, log), 1):
        assert line == written or is_repair(written), \
            f"line {number}: {line[:80]} seen, {written[:80]} written"
    whole = [line for line, written in zip(seen, log) if line == written and line]
    assert len(set(whole)) == len(whole), "a line was seen twice"


@case
def lines_of_5000_bytes_survive_100_kills(lab):
    seed = int(os.environ.get("TALLYD_TEST_SEED") or time.time_ns())
    chance = random.Random(seed)
    lab.notes.append(lambda: f"TALLYD_TEST_SEED={seed}")
    path, tailed = lab.write("log", ""), lab.path("tailed")
    with open(tailed, "wb") as out:
        tail = start(["tail", "-F", "-s", "0.1", "-n", "+1", path], stdout=out)
    lab.callback(tail.wait)
    lab.callback(tail.kill)
    reader = Reader(path)
    torn = kills = 0
    while kills < KILLS or torn < TORN:
        kills += 1
        assert kills <= 10 * KILLS, f"{kills} kills tore {torn} lines"
        before = os.path.getsize(path)
        child = start([WRITER, path, f"{kills:032x}", "0", "200"], stdout=subprocess.DEVNULL)
        grown = before + chance.randrange(50_000, 500_000)
        wait_for(lambda: reader.read() or os.path.getsize(path) >= grown, "lines are written")
        child.kill()
        child.wait()
        assert os.path.getsize(path) >= before, "the log got shorter"
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            torn += file.read() != b"\n"
        if chance.random() < 0.5:
            reader.read()  # the torn bytes, before they are overwritten
    child = start([WRITER, path, f"{kills + 1:032x}", "100", "20"], stdout=subprocess.DEVNULL)
    assert child.wait(60) == 0
    with open(path, "rb") as file:
        log = file.read()
    assert log.endswith(b"\n")
    records = parse_json(log.decode())
    check_log(records)
    repairs = [r for r in records if r["record"] == "lost" and "count" not in r]
    assert len(repairs) == torn, (torn, repairs)
    assert len({record["boot"] for record in records}) == kills + 1
    compare(reader.bytes(), log)
    wait_for(lambda: os.path.getsize(tailed) >= len(log), "tail -F has all")
    with open(tailed, "rb") as file:
        compare(file.read(), log)
    print(f"# {torn} of {kills} kills tore a line, {len(records)} records")


main()
