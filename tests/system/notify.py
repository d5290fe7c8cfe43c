"""What a service manager is told, where there is one that listens; and where it does not, nothing
else changes."""

import contextlib
import os
import re
import signal
import socket
import time

from lab import (Daemon, Origin, Recorder, case, check_log, configuration, free_port, main,
                 wait_for)
from lab.web import get

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
QUICK = {"interval": "200ms", "samples": 2}


class Manager:
    """A socket as systemd has it, and what came by it."""

    def __init__(self, lab, path=None):
        self.path = path or lab.path("notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.told = []
        self.fed_at = None
        lab.callback(self._socket.close)

    def read(self):
        """[{name: value}] of all messages by now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                text = self._socket.recv(65536).decode()
                self.told.append(dict(line.split("=", 1) for line in text.splitlines()))
                if "WATCHDOG" in self.told[-1]:
                    self.fed_at = time.monotonic()
        return self.told

    def wait_for(self, name, value=".*", after=0):
        """The first message from the `after`th on that says so, and its place."""
        def found():
            for place, message in enumerate(self.read()[after:], after):
                if name in message and re.search(value, message[name]):
                    return place, message
            return None
        return wait_for(found, lambda: f"{name}={value} in {self.told}")


def start(lab, manager, env=None, sites=None, name="tallyd", **top):
    sites = sites or {"good": Origin(lab, Recorder(OK)).url()}
    return Daemon(lab, configuration(sites, QUICK, **top),
                  env={"NOTIFY_SOCKET": manager, **(env or {})}, name=name)


@case
def a_manager_hears_of_the_start_of_reloads_and_of_the_stop(lab):
    manager = Manager(lab)
    bad = f"http://127.0.0.1:{free_port()}/"
    daemon = start(lab, manager.path, sites={"bad": bad})
    place, ready = manager.wait_for("READY")
    assert place == 0 and ready["STATUS"].startswith("1 site, 0 degraded, 0 down"), ready
    place, _ = manager.wait_for("STATUS", "^1 site, 0 degraded, 1 down; [0-9.]+ samples/s$", 1)
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    daemon.signal(signal.SIGHUP)
    place, message = manager.wait_for("RELOADING", after=place + 1)
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert before <= int(message["MONOTONIC_USEC"]) / 1e6 + 1e-6 <= now + 1e-6, message
    place, message = manager.wait_for("READY", after=place)
    assert re.search("1 down; [0-9.]+ samples/s$", message["STATUS"]), message
    daemon.write_config("sites: [ https://a/")
    daemon.signal(signal.SIGHUP)
    place, _ = manager.wait_for("RELOADING", after=place + 1)
    place, message = manager.wait_for("READY", after=place)
    assert re.search("1 down; .*; the last reload was refused: .* has 1 error; "
                     "`tallyd check -c .*` tells it$", message["STATUS"]), message
    daemon.write_config(configuration({"bad": bad}, QUICK))
    daemon.signal(signal.SIGHUP)
    place, _ = manager.wait_for("RELOADING", after=place + 1)
    place, message = manager.wait_for("READY", after=place)
    assert message["STATUS"].endswith(" samples/s"), message
    daemon.stop()
    place, message = manager.wait_for("STOPPING", after=place)
    assert int(message["EXTEND_TIMEOUT_USEC"]) > 5e6, message
    assert not any("WATCHDOG" in message for message in manager.told), manager.told


@case
def the_watchdog_is_fed_often_enough_and_only_where_there_is_one(lab):
    manager = Manager(lab, f"@tallyd-test-notify-{free_port()}")
    daemon = start(lab, manager.path, {"WATCHDOG_USEC": "2000000"})
    place = 0
    for _ in range(4):
        place, _ = manager.wait_for("WATCHDOG", "1", place + 1)
    daemon.stop()


@case
def a_loop_that_hangs_starves_the_watchdog_and_is_named(lab):
    hanging = []
    for loop, file in (("sampling", "sampling-0"), ("writer", "write")):
        os.mkdir(lab.path(loop))
        manager, port = Manager(lab, lab.path(f"{loop}/notify")), free_port()
        daemon = start(lab, manager.path, {
            "WATCHDOG_USEC": "2000000", "LD_PRELOAD": os.environ["TALLYD_STALL"],
            "STALL": lab.path(loop), "ASAN_OPTIONS": "verify_asan_link_order=0"},
            name=loop, status={"listen": f"127.0.0.1:{port}"})
        daemon.wait_for_reports(1)
        manager.wait_for("WATCHDOG")
        assert get(port, "/healthz") == (200, "ok\n")
        lab.write(f"{loop}/{file}", "")
        hanging.append((loop, manager, port, daemon))
    for loop, manager, port, daemon in hanging:
        wait_for(lambda: manager.read() and time.monotonic() - manager.fed_at > 2, "no more food")
        wait_for(lambda: get(port, "/healthz")[0] == 503, "a bad word of its health")
        status, words = get(port, "/healthz")
        assert status == 503, words
        assert re.fullmatch(f"the {loop} loop has not turned for [0-9]+ s\n", words), words
        daemon.process.kill()
        daemon.wait()


@case
def a_manager_that_does_not_read_or_has_gone_or_never_was_moves_no_sample(lab):
    deaf = Manager(lab)
    full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.setblocking(False)
    lab.callback(full.close)
    with contextlib.suppress(BlockingIOError):
        while True:
            full.sendto(b"STATUS=full", deaf.path)
    for path in (deaf.path, lab.path("none"), "not/a/path", "/dev/null"):
        daemon = start(lab, path, {"WATCHDOG_USEC": "200000"})
        daemon.wait_for_reports(5)
        check_log(daemon.stop(), {"good": 0.2})
        assert daemon.err().count("NOTIFY_SOCKET") == (path != deaf.path), daemon.err()
        lab.write("tallyd.log", "")


main()
