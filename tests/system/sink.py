"""Logs: renamed, deleted, locked, foreign, stalled, full."""

import os
import signal
import subprocess

from lab import (Daemon, Nginx, Skip, case, check_log, configuration, main, parse_json,
                 run_tallyd, start, wait_for)

QUICK = {"interval": "200ms", "samples": 2}


def read(path):
    with open(path, encoding="utf-8") as file:
        return parse_json(file.read())


@case
def a_log_renamed_and_made_anew_goes_on_there_after_sigusr1(lab):
    daemon = Daemon(lab, configuration({"shop": Nginx(lab).url()}, QUICK))
    daemon.wait_for_reports(2)
    parts = []
    for i in range(3):
        old = f"{daemon.log_path}.{i}"
        os.rename(daemon.log_path, old)
        if i == 1:  # as logrotate's `create` does
            open(daemon.log_path, "wb").close()
        daemon.signal(signal.SIGUSR1)
        daemon.wait_for_reports(2)
        parts += read(old)
    parts += daemon.stop()
    check_log(parts, {"shop": 0.2})


@case
def a_deleted_log_comes_back_after_sigusr1_and_the_sequence_goes_on(lab):
    daemon = Daemon(lab, configuration({"shop": Nginx(lab).url()}, QUICK))
    daemon.wait_for_reports(2)
    os.unlink(daemon.log_path)
    daemon.signal(signal.SIGUSR1)
    daemon.wait_for_reports(2)
    log = daemon.stop()
    seqs = [record["seq"] for record in log]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) and seqs[0] > 2, seqs


@case
def sighup_reopens_too(lab):
    daemon = Daemon(lab, configuration({"shop": Nginx(lab).url()}, QUICK))
    daemon.wait_for_reports(2)
    os.rename(daemon.log_path, daemon.log_path + ".1")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_reports(2)
    check_log(read(daemon.log_path + ".1") + daemon.stop(), {"shop": 0.2})


@case
def a_log_whose_path_is_spelled_anew_is_the_same_log(lab):
    sites = {"shop": Nginx(lab).url()}
    daemon = Daemon(lab, configuration(sites, QUICK))
    daemon.wait_for_reports(2)
    os.symlink(lab.dir, lab.path("link"))
    for path in (f"{lab.dir}/./tallyd.log", f"{lab.dir}/link/tallyd.log"):
        daemon.write_config(configuration(
            sites, QUICK, reports=[{"to": "file", "path": path, "format": "json"}]))
        said = len(daemon.err())
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_words("reloaded", after=said)
        daemon.wait_for_reports(2)
        assert "refused" not in daemon.err() and "locked" not in daemon.err(), daemon.err()
    check_log(daemon.stop(), {"shop": 0.2})


@case
def a_second_daemon_on_the_same_log_is_refused(lab):
    text = configuration({"shop": Nginx(lab).url()}, QUICK)
    daemon = Daemon(lab, text)
    daemon.wait_for_reports(1)
    second = lab.write("second.yaml", text.replace("{log}", daemon.log_path))
    done = run_tallyd("run", "-c", second, limit=20)
    assert done.status == 3 and daemon.log_path in done.err, done
    daemon.wait_for_reports(1)
    check_log(daemon.stop(), {"shop": 0.2})


@case
def a_file_that_is_not_a_log_is_refused_and_left_alone(lab):
    for words in ("root:x:0:0::/:/bin/sh\n", "no newline at its end"):
        foreign = lab.write("foreign", words)
        config = lab.write("c.yaml", configuration({"shop": "http://127.0.0.1:1/"}, QUICK)
                           .replace("{log}", foreign))
        done = run_tallyd("run", "-c", config, limit=20)
        assert done.status == 3 and foreign in done.err, done
        with open(foreign, encoding="ascii") as file:
            assert file.read() == words


@case
def a_log_that_is_a_directory_a_pipe_or_a_link_is_refused(lab):
    os.mkdir(lab.path("directory"))
    os.mkfifo(lab.path("pipe"))
    os.symlink(lab.write("target", ""), lab.path("link"))
    for name in ("directory", "pipe", "link", "missing/log"):
        config = lab.write("c.yaml", configuration({"shop": "http://127.0.0.1:1/"}, QUICK)
                           .replace("{log}", lab.path(name)))
        done = run_tallyd("run", "-c", config, limit=20)
        assert done.status == 3 and lab.path(name) in done.err, (name, done)


@case
def a_second_start_goes_on_in_the_same_log_as_a_boot_of_its_own(lab):
    text = configuration({"shop": Nginx(lab).url()}, QUICK)
    for n in (1, 2):
        daemon = Daemon(lab, text)
        daemon.wait_for_reports(2)
        log = daemon.stop()
        assert len({record["boot"] for record in log}) == n
    check_log(log, {"shop": 0.2})


@case
def after_sigkill_the_tail_is_repaired_and_every_line_parses(lab):
    text = configuration({f"s{i}": Nginx(lab).url() for i in range(4)}, QUICK)
    for n in range(1, 6):
        daemon = Daemon(lab, text)
        daemon.wait_for_reports(3)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        # what a kill in the middle of a write leaves
        with open(daemon.log_path, "ab") as file:
            file.write(b'{"v":1,"record":"report","boot":"0123')
    daemon = Daemon(lab, text)
    daemon.wait_for_reports(3)
    log = daemon.stop()
    check_log(log)
    assert len({record["boot"] for record in log}) == 6
    losses = [record for record in log if record["record"] == "lost"]
    assert len(losses) == 5 and all("count" not in record for record in losses), losses


@case
def a_reader_of_stdout_that_stalls_delays_no_sample(lab):
    reader, writer = os.pipe()
    text = configuration({f"s{i}": Nginx(lab).url() for i in range(20)}, QUICK, reports=[
        {"to": "stdout", "format": "json"}, {"to": "file", "path": "{log}", "format": "json"}])
    daemon = Daemon(lab, text, stdout=writer)
    os.close(writer)
    # nobody reads: 64 KiB fill, and then the writer is stuck with stdout, and with it alone
    n = 400
    daemon.wait_for_reports(n, limit=60)
    reports = daemon.reports()
    half = len(reports) // 2
    early, late = (sorted(r["late_ms"] for r in part) for part in (reports[:half], reports[half:]))
    assert late[len(late) // 2] < 2 * early[len(early) // 2] + 20, (early, late)
    # a busy machine skips slots now and then, a loop that waited for the writer would at each round
    assert sum(r["skipped"] > 0 for r in reports[half:]) < half / 4, reports[half:]
    os.close(reader)
    # the reader has gone for good: the daemon may end with 3, for a sink that failed, or go on
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() in (0, 3), daemon.err()
    check_log(read(daemon.log_path), {f"s{i}": 0.2 for i in range(20)})


@case
def filters_show_what_they_say(lab):
    nginx = Nginx(lab)
    failed, changes = lab.path("failed.log"), lab.path("changes.log")
    text = configuration({"good": nginx.url(), "bad": nginx.url("/503")}, QUICK, reports=[
        {"to": "file", "path": "{log}", "format": "json"},
        {"to": "file", "path": failed, "format": "json", "only": "failed"},
        {"to": "file", "path": changes, "format": "json", "only": "changes"}])
    daemon = Daemon(lab, text)
    daemon.wait_for(lambda: any(r["record"] == "event" and r["to"] == "down"
                                for r in daemon.records()), "bad goes down")
    daemon.wait_for_reports(4)
    log = daemon.stop()
    for path in (daemon.log_path, failed, changes):
        check_log(read(path))
    events = [(r.get("site"), r["from"], r["to"]) for r in log if r["record"] == "event"]
    for path in (failed, changes):
        assert [(r.get("site"), r["from"], r["to"]) for r in read(path)
                if r["record"] == "event"] == events
    rounds = [r["round"] for r in log if r["record"] == "report" and r["site"] == "bad"]
    assert reports_in(failed) == [("bad", n) for n in rounds]
    # with two samples a round: 100 of 200 fiftieths, full, and the third bad round in a row; that
    # a site is found well at the start is no change
    assert reports_in(changes) == [("bad", 2), ("bad", 3)], reports_in(changes)
    assert events == [("bad", "unknown", "degraded"), ("bad", "degraded", "down")], events


def reports_in(path):
    return [(r["site"], r["round"]) for r in read(path) if r["record"] == "report"]


class SmallDisk:
    """A file system of 64 KiB, in a mount namespace that ends with its keeper."""

    def __init__(self, lab):
        if os.getuid() != 0:
            raise Skip("mounting a small file system needs root")
        self.directory = lab.path("small")
        os.mkdir(self.directory)
        self._keeper = start(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                              f"mount -t tmpfs -o size=64k small {self.directory} &&"
                              " exec sleep 600"])
        lab.callback(self._keeper.wait)
        lab.callback(self._keeper.kill)
        # the same directory, as seen from in there
        self.inside = f"/proc/{self._keeper.pid}/root{self.directory}"
        self.enter = ["nsenter", "--mount", "--target", str(self._keeper.pid), "--"]
        wait_for(lambda: os.path.ismount(self.inside), "the small file system")

    def is_full(self):
        status = os.statvfs(self.inside)
        return status.f_bfree == 0

    def grow(self):
        subprocess.run([*self.enter, "mount", "-o", "remount,size=64m", self.directory],
                       check=True, timeout=30)


def fill_and_recover(lab, sites, interval, records_while_full):
    """(what was written and stated on the small disk, what was written on the large one)."""
    disk = SmallDisk(lab)
    nginx = Nginx(lab)
    daemon = Daemon(lab, configuration(
        {f"s{i}": nginx.url() for i in range(sites)}, {"interval": interval, "samples": 1},
        reports=[{"to": "file", "path": f"{disk.directory}/log", "format": "json"},
                 {"to": "file", "path": "{log}", "format": "json"}]), prefix=disk.enter)
    daemon.wait_for(disk.is_full, "it is full")
    daemon.wait_for_words("disk full")
    daemon.wait_for_reports(records_while_full, limit=100)
    said = len(daemon.err())
    disk.grow()
    daemon.wait_for_words("written again", after=said)
    whole, small = daemon.stop(), read(os.path.join(disk.inside, "log"))
    check_log(whole)
    check_log(small)
    written = sum(record["record"] != "lost" for record in small)
    lost = sum(record["count"] for record in small if record["record"] == "lost")
    assert written + lost == len(whole), (written, lost, len(whole))
    return lost


@case
def a_disk_that_is_full_for_a_while_loses_nothing(lab):
    assert fill_and_recover(lab, sites=10, interval="200ms", records_while_full=200) == 0


@case
def a_disk_that_is_full_for_long_loses_what_is_stated_and_no_more(lab):
    # beyond the 8,192 records that a sink may keep waiting
    assert fill_and_recover(lab, sites=100, interval="100ms", records_while_full=9500) > 0


main()
