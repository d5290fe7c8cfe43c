"""A real browser without a window, driven over two pipes: what a person would see of a page."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

from . import process

# Nothing of a browser's own on the network; the sandbox cannot be had by root.
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
              "--disable-background-networking", "--disable-component-update", "--disable-sync",
              "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars",
              "--remote-debugging-pipe")
# a dark system, a phone
LIGHT, DARK = "light", "dark"
DESKTOP, PHONE = (1200, 900), (360, 740)


def _above(fd):
    """The same as a number out of the way."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD, 10)
    os.close(fd)
    return moved


class Browser:
    """One page of it. What the page asked for, and what its console said, is kept."""

    def __init__(self, lab):
        program = shutil.which("chromium")
        assert program is not None, "chromium is not installed"
        commands, self._to = os.pipe()
        self._from, events = os.pipe()
        # it wants them as 3 and 4: a shell puts them there, so they must be neither before
        commands, events = (_above(fd) for fd in (commands, events))
        script = f'exec "$0" "$@" 3<&{commands} 4>&{events}'
        directory = lab.path("browser")
        with open(lab.path("browser.stderr"), "wb") as err:
            self._process = process.start(
                ["bash", "-c", script, program, *_ARGUMENTS, f"--user-data-dir={directory}",
                 "about:blank"], pass_fds=(commands, events), stdin=subprocess.DEVNULL,
                stdout=err, stderr=err, env={**os.environ, "HOME": lab.dir})
        lab.callback(self._end)
        os.close(commands)
        os.close(events)
        self._data, self._number, self._answers, self._session = b"", 0, {}, None
        self.events = []
        target = self._wait_for_target()
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def _end(self):
        process.end(self._process)
        for fd in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _wait_for_target(self):
        deadline = time.monotonic() + 60
        while True:
            pages = [one for one in self.call("Target.getTargets", limit=60)["targetInfos"]
                     if one["type"] == "page"]
            if pages:
                return pages[0]["targetId"]
            assert time.monotonic() < deadline, "the browser opens no page"

    def _receive(self, deadline):
        """One message, or None when the time is over."""
        while b"\0" not in self._data:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                return None
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser has ended"
            self._data += piece
        message, _, self._data = self._data.partition(b"\0")
        message = json.loads(message)
        if "id" in message:
            self._answers[message["id"]] = message
        else:
            self.events.append(message)
        return message

    def call(self, method, limit=30, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + limit
        while self._number not in self._answers:
            assert self._receive(deadline) is not None, f"no answer to {method}"
        answer = self._answers.pop(self._number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def wait_for_event(self, method, after=0, limit=30):
        """The first one of that kind from the `after`-th event on."""
        deadline = time.monotonic() + limit
        while True:
            for event in self.events[after:]:
                if event["method"] == method:
                    return event["params"]
            assert self._receive(deadline) is not None, f"no {method} within {limit} s"

    def open(self, url, size=DESKTOP, scheme=LIGHT):
        """Until it is there with all that belongs to it."""
        self.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1],
                  deviceScaleFactor=1, mobile=size == PHONE)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        after = len(self.events)
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait_for_event("Page.loadEventFired", after)

    def value(self, expression):
        """Of an expression of JavaScript, ours and not the page's."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector):
        """Follows a link, and waits for where it leads."""
        after = len(self.events)
        self.value(f"document.querySelector({json.dumps(selector)}).click()")
        self.wait_for_event("Page.loadEventFired", after)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Tab": 9, "Enter": 13}[key])

    def keep_picture(self, name):
        """For a person, where TALLYD_SCREENSHOTS names a directory."""
        directory = os.environ.get("TALLYD_SCREENSHOTS")
        if directory:
            data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            with open(os.path.join(directory, name + ".png"), "wb") as file:
                file.write(base64.b64decode(data))

    def requested(self):
        """All URLs that were asked for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """What stood on the console, violations of the page's policy among it, and requests that
        came to nothing."""
        return [event["params"] for event in self.events
                if event["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled",
                                       "Runtime.exceptionThrown", "Network.loadingFailed")]
