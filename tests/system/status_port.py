"""Clients of the status port that are slow, endless, idle or deaf: no sample's start moves, what
they take is bounded, and whoever asks properly is served."""

import contextlib
import resource
import socket
import statistics
import threading
import time

from lab import TALLYD, Daemon, Nginx, Skip, case, check_log, configuration, main, process
from lab.web import get, metrics, value

IDLE, PAUSED = 5000, 2000
REQUEST_LIMIT, ANSWER_LIMIT = 5, 10
PATIENCE = 20  # beyond a limit, on a machine that is busy


def start(lab, sites=20):
    nginx, port = Nginx(lab), process.free_port()
    rows = [{"name": f"s{i}", "url": nginx.url("/200")} for i in range(sites)]
    rows += [{"name": f"paused{i}", "url": nginx.url("/200"), "enabled": False}
             for i in range(PAUSED)]
    daemon = Daemon(lab, configuration(rows, {"interval": "500ms", "samples": 2},
                                       status={"listen": f"127.0.0.1:{port}"}))
    daemon.first_report()
    assert get(port, "/healthz") == (200, "ok\n")
    return daemon, port


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), 30)
    sock.settimeout(60)
    return sock


def seconds_until_closed(sock, send=b"", every=0.2):
    """Sends that again and again, until the other side has had enough."""
    began = time.monotonic()
    sock.settimeout(every)
    with contextlib.suppress(ConnectionError), sock:
        while time.monotonic() - began < 60:
            try:
                if send:
                    sock.sendall(send)
                if not sock.recv(65536):
                    break
                continue
            except TimeoutError:
                pass
    return time.monotonic() - began


class Crowd:
    """Those that misbehave, all at a time, until the end of `with`."""

    def __init__(self, port):
        self._port, self._ended, self.errors = port, threading.Event(), []
        self.took = {}
        self._threads = [threading.Thread(target=self._guard, args=(work,)) for work in (
            self._idle, self._slow, self._line, self._header, self._deaf, self._garbage)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.errors.append(f"{work.__name__}: {error!r}")

    def _idle(self):
        with contextlib.ExitStack() as open_ones:
            for _ in range(IDLE):
                open_ones.enter_context(connect(self._port))
            self._ended.wait()

    def _slow(self):
        sock = connect(self._port)
        sock.sendall(b"GET /metrics HTTP/1.1\r\nx")
        self.took["slow"] = seconds_until_closed(sock, b"x", 0.5)

    def _line(self):
        self.took["line"] = seconds_until_closed(connect(self._port), b"GET /" + b"a" * 4096)

    def _header(self):
        sock = connect(self._port)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        self.took["header"] = seconds_until_closed(sock, b"x: y\r\n" * 700)

    def _deaf(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", self._port))
        with sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % self._port)
            began = time.monotonic()
            # what was sent without reading says when the other side has cut it
            while time.monotonic() - began < 60:
                time.sleep(0.2)
                try:
                    sock.sendall(b"x")
                except ConnectionError:
                    break
            self.took["deaf"] = time.monotonic() - began

    def _garbage(self):
        while not self._ended.wait(0.05):
            for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100,
                         b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                         b"GET /..%2f..%2fetc/passwd HTTP/1.0\r\n\r\n",
                         b"HEAD / HTTP/1.1\r\n\r\n" * 1000):
                with contextlib.suppress(OSError), connect(self._port) as sock:
                    sock.sendall(data)


def sanitized():
    """Whether memory is not the program's own alone."""
    return "/asan/" in TALLYD or "/tsan/" in TALLYD


def lateness(reports):
    return [report["late_ms"] for report in reports]


@case
def no_sample_is_late_and_what_they_take_is_bounded(lab):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 500:
        raise Skip(f"no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 500), hard))
    daemon, port = start(lab)
    get(port, "/metrics")
    get(port, "/api/v1/sites")
    daemon.wait_for_reports(100)
    before, rss, fds = lateness(daemon.reports()), daemon.rss_bytes(), daemon.fds()
    worst_rss = worst_fds = 0
    with Crowd(port) as crowd:
        def is_over():
            nonlocal worst_rss, worst_fds
            worst_rss = max(worst_rss, daemon.rss_bytes())
            worst_fds = max(worst_fds, daemon.fds())
            # a flood makes those that ask nothing give way at once, so it may be over soon
            return crowd.errors or (len(crowd.took) == 4 and
                                    len(daemon.reports()) >= len(before) + 100)
        daemon.wait_for(is_over, "the end of those that have one", 60 + PATIENCE)
        # also now somebody who asks is served
        assert get(port, "/healthz")[0] == 200
        assert value(metrics(port), "tallyd_sites", state="up") == 20
        during = lateness(daemon.reports())[len(before):]
    assert not crowd.errors, crowd.errors
    assert len(during) >= 100, len(during)
    assert statistics.median(during) < statistics.median(before) + 20, \
        (statistics.median(before), statistics.median(during))
    assert worst_fds <= fds + 410 + 20 * 4, (fds, worst_fds)  # samples come and go as well
    if not sanitized():
        assert worst_rss <= rss + 16 * 1024 * 1024, (rss, worst_rss)
    for name, seconds in crowd.took.items():
        limit = ANSWER_LIMIT if name == "deaf" else REQUEST_LIMIT
        assert seconds <= limit + PATIENCE, crowd.took
    # beside them samples come and go, and keep handles for the next ones
    daemon.wait_for(lambda: process.established(daemon.process.pid, port, own=True) == 0,
                    "their descriptors back")
    assert get(port, "/readyz") == (200, "ok\n")
    records = daemon.stop()
    check_log(records)
    assert not [r for r in records if r["record"] == "report" and r["failed"]], "a failed sample"


@case
def a_client_that_is_slow_does_not_stay(lab):
    _, port = start(lab, sites=1)
    sock = connect(port)
    sock.sendall(b"GET /metrics HT")
    took = seconds_until_closed(sock, b"x", 0.3)
    assert REQUEST_LIMIT - 1 <= took <= REQUEST_LIMIT + PATIENCE, took


main()
