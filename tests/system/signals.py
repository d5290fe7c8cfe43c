"""Stopping, in all the ways in which a process is told to; and starts with odd descriptors."""

import os
import signal
import subprocess
import threading

from lab import (TALLYD, Daemon, Nginx, Origin, case, check_log, configuration, counts, main,
                 parse_json, parse_text, start, wait_for)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Slow:
    """An origin whose answers wait until it is opened."""

    def __init__(self, lab):
        self.opened = threading.Event()
        self.origin = Origin(lab, self._behave)
        lab.callback(self.opened.set)

    def _behave(self, connection):
        if connection.read_request():
            self.opened.wait(60)
            connection.send(OK)
            connection.finish()


SLOW = {"interval": "30s", "samples": 6, "concurrency": 2, "timeout": "20s", "spread": "0s"}


def pending(pid, number):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        masks = [int(line.split()[1], 16) for line in file if line.startswith("ShdPnd:")]
    return masks[0] >> (number - 1) & 1


@case
def sigterm_ends_what_is_in_flight_and_the_rest_is_aborted(lab):
    slow = Slow(lab)
    daemon = Daemon(lab, configuration({"slow": slow.origin.url()}, SLOW))
    daemon.wait_for(lambda: slow.origin.requests == 2, "two samples in flight")
    daemon.signal(signal.SIGTERM)
    slow.opened.set()
    assert daemon.wait() == 0, daemon.err()
    report, = [r for r in daemon.records() if r["record"] == "report"]
    assert counts(report) == {"200": 2, "aborted": 4}, report
    assert report["judged"] == 2 and report["failed"] == 0, report
    assert slow.origin.requests == 2, "it started samples after SIGTERM"
    check_log(daemon.records())


@case
def the_drain_lasts_no_longer_than_the_timeout(lab):
    slow = Slow(lab)
    daemon = Daemon(lab, configuration({"slow": slow.origin.url()}, {**SLOW, "timeout": "1s"}))
    daemon.wait_for(lambda: slow.origin.requests == 2, "two samples in flight")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(15) == 0, daemon.err()
    report, = [r for r in daemon.records() if r["record"] == "report"]
    assert counts(report) == {"aborted": 4, "first_byte_timeout": 2}, report


@case
def a_second_sigterm_stops_at_once_and_the_report_is_still_written(lab):
    slow = Slow(lab)
    daemon = Daemon(lab, configuration({"slow": slow.origin.url()}, SLOW))
    daemon.wait_for(lambda: slow.origin.requests == 2, "two samples in flight")
    daemon.signal(signal.SIGTERM)
    # two that come as one would be one: the first has been taken when it is no longer pending
    wait_for(lambda: not pending(daemon.process.pid, signal.SIGTERM), "the first SIGTERM taken")
    assert daemon.process.poll() is None and daemon.records() == [], "the first did not wait"
    daemon.signal(signal.SIGTERM)
    # far from the 20 s that the samples may last
    assert daemon.wait(10) == 0, daemon.err()
    report, = [r for r in daemon.records() if r["record"] == "report"]
    assert counts(report) == {"aborted": 6}, report


@case
def sigint_is_as_good_as_sigterm(lab):
    daemon = Daemon(lab, configuration({"shop": Nginx(lab).url()}, {"interval": "200ms"}))
    daemon.wait_for_reports(1)
    daemon.signal(signal.SIGINT)
    assert daemon.wait() == 0, daemon.err()
    check_log(daemon.records(), {"shop": 0.2})


@case
def sigpipe_and_sigchld_do_nothing(lab):
    daemon = Daemon(lab, configuration({"shop": Nginx(lab).url()}, {"interval": "200ms"}))
    daemon.wait_for_reports(1)
    for number in (signal.SIGPIPE, signal.SIGCHLD):
        daemon.signal(number)
        daemon.wait_for_reports(2)
    check_log(daemon.stop(), {"shop": 0.2})


@case
def a_stop_on_the_heels_of_a_reload_is_clean(lab):
    nginx = Nginx(lab)
    for _ in range(5):
        daemon = Daemon(lab, configuration({"a": nginx.url()}, {"interval": "200ms"}))
        daemon.wait_for_reports(1)
        daemon.write_config(configuration({"b": nginx.url()}, {"interval": "200ms"}))
        daemon.signal(signal.SIGHUP)
        check_log(daemon.stop())


def run_under_shell(lab, line):
    """A daemon started by `sh -c line`, where {tallyd} is the command; until it has a report."""
    log = lab.path("log")
    config = lab.write("c.yaml", configuration({"shop": Nginx(lab).url()}, {"interval": "200ms"})
                       .replace("{log}", log))
    child = start(["sh", "-c", line.format(tallyd=f"{TALLYD} run -c {config}")])
    lab.callback(child.kill)
    wait_for(lambda: os.path.exists(log) and os.path.getsize(log) > 0, "a report")
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0
    with open(log, encoding="utf-8") as file:
        records = parse_json(file.read())
    check_log(records)
    assert any(counts(r) == {"200": 4} for r in records if r["record"] == "report"), records


@case
def closed_descriptors_at_the_start_do_not_matter(lab):
    run_under_shell(lab, "exec {tallyd} <&- >&-")
    os.unlink(lab.path("log"))
    run_under_shell(lab, "exec {tallyd} <&- >&- 2>&-")


@case
def inherited_ignored_signals_and_an_odd_umask_do_not_matter(lab):
    run_under_shell(lab, "umask 0777; trap '' PIPE CHLD HUP USR1; exec {tallyd}")


@case
def a_reader_that_goes_away_ends_sample_with_3(lab):
    slow = Slow(lab)
    nginx = Nginx(lab)
    reader, writer = os.pipe()
    child = start([TALLYD, "sample", "-n", "2", nginx.url(),
                   *[slow.origin.url(f"/{i}") for i in range(50)]],
                  stdout=writer, stderr=subprocess.PIPE)
    lab.callback(child.kill)
    os.close(writer)
    first = os.read(reader, 65536)  # as `head -1` does
    assert first.startswith(b"report for: " + nginx.url().encode()), first
    os.close(reader)
    slow.opened.set()
    _, err = child.communicate(timeout=30)
    assert child.returncode == 3, (child.returncode, err)


@case
def a_stopped_sample_tells_what_it_has(lab):
    slow = Slow(lab)
    path = lab.path("out")
    with open(path, "wb") as out:
        child = start([TALLYD, "sample", "-n", "4", "-j", "2", "--format", "json", "--timeout",
                       "20", slow.origin.url("/a"), slow.origin.url("/b")], stdout=out)
    lab.callback(child.kill)
    wait_for(lambda: slow.origin.requests == 4, "two samples of each in flight")
    child.send_signal(signal.SIGTERM)
    slow.opened.set()
    status = child.wait(30)
    with open(path, encoding="utf-8") as file:
        reports = parse_json(file.read())
    assert [counts(r) for r in reports] == [{"200": 2, "aborted": 2}] * 2, (status, reports)


@case
def a_site_without_a_judged_sample_ends_sample_with_3(lab):
    slow = Slow(lab)
    path = lab.path("out")
    with open(path, "wb") as out:
        child = start([TALLYD, "sample", "-n", "2", "--max-in-flight", "1", "--timeout", "20",
                       slow.origin.url("/a"), slow.origin.url("/b")], stdout=out)
    lab.callback(child.kill)
    wait_for(lambda: slow.origin.requests == 1, "the one sample in flight")
    child.send_signal(signal.SIGTERM)
    slow.opened.set()
    assert child.wait(30) == 3
    with open(path, encoding="utf-8") as file:
        reports = parse_text(file.read())
    assert reports == [(slow.origin.url("/a"), {"200": 1, "aborted": 1}),
                       (slow.origin.url("/b"), {"aborted": 2})], reports


main()
