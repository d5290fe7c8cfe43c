"""Reports leave in order, as early as the order allows, and rings do not wait for one another."""

import subprocess
import threading

from lab import (TALLYD, Daemon, Nginx, Origin, case, configuration, counts, main, parse_text,
                 sample, start, wait_for)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SITES = 50


class Gate:
    """An origin of 50 paths that holds the answers to one of them until it is opened."""

    def __init__(self, lab, held):
        self.opened = threading.Event()
        self._held = f"/{held}"
        self.answered = 0
        self._lock = threading.Lock()
        self.origin = Origin(lab, self._behave)
        self.urls = [self.origin.url(f"/{i}") for i in range(SITES)]
        lab.callback(self.opened.set)

    def _behave(self, connection):
        if not connection.read_request():
            return
        if connection.path == self._held:
            self.opened.wait(60)
        connection.send(OK)
        with self._lock:
            self.answered += 1
        connection.finish()


def started(lab, urls):
    """`tallyd sample` with its output in a file."""
    path = lab.path("out")
    with open(path, "wb") as out:
        child = start([TALLYD, "sample", "-n", "2", "--timeout", "50", *urls], stdout=out,
                      stderr=subprocess.DEVNULL)
    lab.callback(child.kill)

    def text():
        with open(path, encoding="utf-8") as file:
            return file.read()
    return child, text


@case
def the_first_site_slowest_everything_waits_and_is_in_order(lab):
    gate = Gate(lab, held=0)
    child, text = started(lab, gate.urls)
    wait_for(lambda: gate.answered == 2 * (SITES - 1), "all others answered")
    assert text() == "", "a report overtook the first"
    gate.opened.set()
    assert child.wait(30) == 0
    assert parse_text(text()) == [(url, {"200": 2}) for url in gate.urls]


@case
def the_first_site_quickest_it_is_out_before_the_last_is_done(lab):
    gate = Gate(lab, held=SITES - 1)
    child, text = started(lab, gate.urls)
    wait_for(lambda: len(parse_text(text()[:text().rfind("\n") + 1])) >= SITES - 1,
             "all but the last report while the last site is not done")
    assert child.poll() is None
    gate.opened.set()
    assert child.wait(30) == 0
    assert parse_text(text()) == [(url, {"200": 2}) for url in gate.urls]


@case
def delays_that_run_against_the_order_do_not_change_it(lab):
    def behave(connection):
        if connection.read_request():
            # the later in the order, the quicker
            connection.pause(0.01 * (SITES - int(connection.path[1:])))
            connection.send(OK)
            connection.finish()
    origin = Origin(lab, behave)
    urls = [origin.url(f"/{i}") for i in range(SITES)]
    done = sample("-n", 2, *urls, status=0)
    assert [report["url"] for report in done.reports] == urls
    assert all(counts(report) == {"200": 2} for report in done.reports)


@case
def a_site_that_hangs_in_a_long_ring_delays_no_other_ring(lab):
    gate = Gate(lab, held=0)
    nginx = Nginx(lab)
    daemon = Daemon(lab, configuration(
        [{"name": "slow", "url": gate.urls[0], "interval": "10m", "timeout": "50s",
          "spread": "0s"},
         {"name": "quick", "url": nginx.url()}], {"interval": "300ms", "samples": 2}))
    daemon.wait_for(lambda: gate.origin.requests > 0, "the slow site in flight")
    daemon.wait_for_reports(5, "quick")
    assert not daemon.reports("slow"), "it was to hang"
    gate.opened.set()
    report = daemon.wait_for(lambda: daemon.reports("slow"), "the slow site's report")[0]
    assert counts(report) == {"200": 2}, report
    daemon.stop()


@case
def reports_of_one_ring_leave_in_the_order_in_which_their_rounds_began(lab):
    def behave(connection):
        if connection.read_request():
            connection.pause(0.15 if connection.path == "/0" else 0)
            connection.send(OK)
            connection.finish()
    origin = Origin(lab, behave)
    daemon = Daemon(lab, configuration(
        {f"s{i}": origin.url(f"/{i}") for i in range(8)},
        {"interval": "800ms", "samples": 2, "spread": "0s"}))
    daemon.wait_for_reports(40)
    reports = [r for r in daemon.stop() if r["record"] == "report"]
    times = [r["time"] for r in reports]
    assert times == sorted(times), "not in the order of their beginnings"
    assert {r["site"] for r in reports[:40]} == {f"s{i}" for i in range(8)}, reports
    # which is not the order of their ends: the next site begins 100 ms later, and ends at once
    slow = [r for r in reports if r["site"] == "s0" and counts(r) == {"200": 2}]
    assert slow and all(r["took_ms"] >= 150 for r in slow), reports


main()
