"""Stopping, in all the ways in which a process is told to; and starts with odd descriptors."""

import os
import signal
import subprocess
import threading

from lab import (TALLYD, Daemon, Nginx, Origin, case, check_log, check_words, configuration,
                 counts, main, parse_json, parse_text, start, wait_for)

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


@case
def sigterm_ends_what_is_in_flight_and_the_rest_is_aborted(lab):
    slow = Slow(lab)
    daemon = Daemon(lab, configuration({"slow": slow.origin.url()}, SLOW))
    daemon.wait_for(lambda: slow.origin.requests == 2, "two samples in flight")
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_words("stopping")
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
    daemon.wait_for_words("stopping")  # two that come as one would be one
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
    with open(lab.path("err"), "wb") as err:
        child = start(["sh", "-c", line.format(tallyd=f"{TALLYD} run -c {config}")], stderr=err)
    lab.callback(child.kill)
    wait_for(lambda: os.path.exists(log) and os.path.getsize(log) > 0, "a report")
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0
    with open(log, encoding="utf-8") as file:
        records = parse_json(file.read())
    with open(lab.path("err"), encoding="utf-8") as file:
        check_words(file.read())
    check_log(records)
    assert any(counts(r) == {"200": 4} for r in records if r["record"] == "report"), records


@case
def sample_is_ended_while_it_waits_for_its_list(lab):
    for number in (signal.SIGINT, signal.SIGTERM):
        child = start([TALLYD, "sample", "-f", "-"], stdin=subprocess.PIPE)
        lab.callback(child.kill)
        child.stdin.write(b"# more than a pipe holds: most of it has been read\n" * 20000)
        child.stdin.flush()
        child.send_signal(number)
        assert child.wait(30) == -number


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


class Sample:
    """`tallyd sample` of two URLs that hang, each with two of its four samples in flight."""

    def __init__(self, lab, timeout):
        self.slow = Slow(lab)
        self.urls = [self.slow.origin.url("/a"), self.slow.origin.url("/b")]
        self._out, self._err = lab.path("out"), lab.path("err")
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.child = start([TALLYD, "sample", "-n", "4", "-j", "2", "--timeout", timeout,
                                *self.urls], stdout=out, stderr=err)
        lab.callback(self.child.kill)
        wait_for(lambda: self.slow.origin.requests == 4, "two samples of each in flight")

    def reports(self):
        check_words(self.err())
        with open(self._out, encoding="utf-8") as file:
            return parse_text(file.read())

    def err(self):
        with open(self._err, encoding="utf-8") as file:
            return file.read()


@case
def a_stopped_sample_waits_for_what_is_in_flight_and_tells_what_it_has(lab):
    stopped = Sample(lab, timeout="3s")
    stopped.child.send_signal(signal.SIGTERM)
    # ended by their own timeout, long after the signal has been seen to
    assert stopped.child.wait(30) == 3, stopped.err()
    assert stopped.reports() == [
        (url, {"aborted": 2, "first_byte_timeout": 2}) for url in stopped.urls]
    assert stopped.slow.origin.requests == 4, "it started samples after SIGTERM"


@case
def a_site_without_a_judged_sample_ends_sample_with_3(lab):
    stopped = Sample(lab, timeout="50s")

    def ended():
        # two that come as one would be one: again until it has taken a second
        stopped.child.send_signal(signal.SIGTERM)
        return stopped.child.poll() is not None
    wait_for(ended, "its end")
    assert stopped.child.returncode == 3, stopped.err()
    assert stopped.reports() == [(url, {"aborted": 4}) for url in stopped.urls]


@case
def a_site_that_was_not_begun_ends_sample_with_3_and_is_told(lab):
    slow = Slow(lab)
    with open(lab.path("out"), "wb") as out, open(lab.path("err"), "wb") as err:
        child = start([TALLYD, "sample", "-n", "2", "--max-in-flight", "1", "--timeout", "3s",
                       slow.origin.url("/a"), slow.origin.url("/b")], stdout=out, stderr=err)
    lab.callback(child.kill)
    wait_for(lambda: slow.origin.requests == 1, "the one sample in flight")
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 3
    with open(lab.path("out"), encoding="utf-8") as file:
        assert parse_text(file.read()) == [
            (slow.origin.url("/a"), {"aborted": 1, "first_byte_timeout": 1})]
    with open(lab.path("err"), encoding="utf-8") as file:
        assert "1 of 2 sites" in file.read()


main()
