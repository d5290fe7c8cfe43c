"""A full disk: what could not be written is stated to the number, and the log goes on."""

import os
import subprocess

from lab import Skip, case, check_log, main, parse_json, start, wait_for

WRITER = os.environ["TALLYD_SINK_WRITER"]
WAITING = 8192  # records that a sink keeps


class Small:
    """A tmpfs of 64 KiB in a mount namespace of its own, which ends with the process that keeps it.
    """

    def __init__(self, lab):
        if os.getuid() != 0:
            raise Skip("mounting a small file system needs root")
        self.mount = lab.path("small")
        os.mkdir(self.mount)
        keeper = start(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        f"mount -t tmpfs -o size=64k small {self.mount} && exec sleep 300"])
        lab.callback(keeper.wait)
        lab.callback(keeper.kill)
        self.inside = ["nsenter", "--mount", "--target", str(keeper.pid), "--"]
        self.root = f"/proc/{keeper.pid}/root{self.mount}"
        wait_for(lambda: os.path.ismount(self.root) or keeper.poll() is not None, "a mount")
        if keeper.poll() is not None:
            raise Skip("no mount namespaces here")

    def write(self, lab, count, per_msec):
        """Starts a writer on the log there."""
        self.err = lab.path("err")
        with open(self.err, "wb") as err:
            child = start([*self.inside, WRITER, f"{self.mount}/log", "5" * 32, str(count),
                           str(per_msec)], stdout=subprocess.PIPE, stderr=err)
        lab.callback(child.stdout.close)
        lab.callback(child.wait)
        lab.callback(child.kill)
        return child

    def resize(self, size):
        subprocess.run([*self.inside, "mount", "-o", f"remount,size={size}", self.mount],
                       check=True)

    def size(self):
        log = f"{self.root}/log"
        return os.path.getsize(log) if os.path.exists(log) else 0

    def log(self):
        with open(f"{self.root}/log", encoding="utf-8") as file:
            return file.read()

    def words(self):
        with open(self.err, encoding="utf-8") as file:
            return file.read()


def finish(child):
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0 and out.endswith(b"unwritten 0\n"), (child.returncode, out)


@case
def a_full_disk_ends_in_one_exact_statement_of_loss(lab):
    small, count = Small(lab), 40000
    child = small.write(lab, count, 20)
    wait_for(lambda: "disk full" in small.words() or "No space" in small.words(), "it is full")
    assert small.size() == 65536 and not small.log().endswith("\n")
    # all but what the queue holds is posted and lost: its memory is bounded
    assert child.stdout.readline() == b"posted\n"
    assert small.log().count("\n") < 20
    small.resize("100m")
    finish(child)
    text = small.log()
    assert text.endswith("\n")
    records = parse_json(text)
    check_log(records)
    losses = [record for record in records if record["record"] == "lost"]
    reports = [record for record in records if record["record"] == "report"]
    assert len(losses) == 1 and losses[0]["why"] == "disk full", losses
    assert len(reports) + losses[0]["count"] == count
    assert WAITING <= len(reports) <= WAITING + 20, len(reports)
    rounds = [report["round"] for report in reports]
    assert rounds == sorted(set(rounds)) and rounds[0] == 1 and rounds[-1] == count
    assert len(small.words().splitlines()) == 2, small.words()


@case
def a_disk_that_is_full_again_and_again_loses_nothing_while_there_is_room_in_memory(lab):
    small, count = Small(lab), 600
    child = small.write(lab, count, 1)
    sizes = range(64, 3000, 128)
    for size, larger in zip(sizes, sizes[1:]):
        wait_for(lambda: small.size() == size * 1024, lambda: f"{small.size()} of {size} KiB fill")
        small.resize(f"{larger}k")
    small.resize("100m")
    finish(child)
    records = parse_json(small.log())
    check_log(records)
    assert [record["record"] for record in records] == ["report"] * count
    words = small.words()
    assert words.count("disk full") == words.count("written again; 0 records were lost") > 0, words


main()
