"""The program under test: as a command that ends, and as a daemon."""

import fcntl
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from . import process, records

TALLYD = os.environ.get("TALLYD") or os.path.abspath(os.path.join(
    os.path.dirname(__file__), "../../../build/gcc/tallyd"))
if os.environ.get("TALLYD_UNDER"):  # a program that runs it
    os.environ["TALLYD_BINARY"] = TALLYD
    TALLYD = os.path.abspath(os.environ["TALLYD_UNDER"])

PATIENT = "4s"  # a timeout: what a busy machine takes of it is no quarter, so that none is ours

# In no run may these be in what the program says of itself.
_NEVER = re.compile(r"internal: |Sanitizer|runtime error:|Assertion|==\d+== ")


class Result:
    """What a command that ended left behind."""

    def __init__(self, status, out, err, usage=None):
        self.status, self.out, self.err = status, out, err
        if usage is not None:
            self.cpu_seconds = usage.ru_utime + usage.ru_stime
            self.max_rss_bytes = usage.ru_maxrss * 1024  # the test's own size at the least

    def __repr__(self):
        return f"status {self.status}\nstdout: {self.out}\nstderr: {self.err}"


def check_words(err):
    """What a process said on stderr must not tell of a mistake of its own."""
    found = _NEVER.search(err)
    assert not found, f"{found.group(0)!r} in stderr:\n{err}"


def _pipe_with(text):
    """The reading end of a pipe in which `text` waits, and then the end."""
    reader, writer = os.pipe()
    data = text.encode()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, max(len(data), 4096))
    with open(writer, "wb") as file:
        file.write(data)
    return reader


def run_tallyd(*arguments, env=None, stdin=None, limit=60.0, cwd=None):
    """Runs to the end; `stdin` is text. A run that takes longer than `limit` seconds is a failure.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        feed = subprocess.DEVNULL if stdin is None else _pipe_with(stdin)
        child = process.start([TALLYD, *map(str, arguments)], env=env, cwd=cwd, stdin=feed,
                              stdout=out, stderr=err)
        if stdin is not None:
            os.close(feed)
        deadline, ended = time.monotonic() + limit, None
        while not ended and time.monotonic() < deadline:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            ended = pid != 0
            if not ended:
                time.sleep(0.005)
        if not ended:
            child.kill()
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        done = Result(child.returncode, *texts, usage)
    assert ended, f"still there after {limit:g} s: {arguments}\n{done}"
    check_words(done.err)
    return done


class Running:
    """`tallyd sample --format json`, under way; the kernel kills it when the test ends."""

    def __init__(self, lab, *arguments, prefix=()):
        self._arguments = arguments
        self._files = [lab.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        self._child = process.start(
            [*prefix, TALLYD, "sample", "--format", "json", *map(str, arguments)],
            stdout=self._files[0], stderr=self._files[1])
        lab.callback(process.end, self._child)

    def signal(self, number):
        """Sends it, and waits until it is taken: a second one of a kind would be lost."""
        self._child.send_signal(number)
        process.wait_for(lambda: self._child.poll() is not None or not self._pending(number),
                         "a signal taken")

    def _pending(self, number):
        with open(f"/proc/{self._child.pid}/status", encoding="ascii", errors="replace") as file:
            masks = re.findall(r"^S[hi]\w*Pnd:\s*([0-9a-f]+)$", file.read(), re.MULTILINE)
        return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)

    def wait(self, limit=60.0):
        """Its result, with the reports, checked."""
        try:
            status = self._child.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {limit:g} s: {self._arguments}") from None
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read().decode())
        done = Result(status, *texts)
        check_words(done.err)
        done.reports = records.parse_json(done.out)
        for report in done.reports:
            records.check_report(report)
        return done


def sample(*arguments, status=None, **options):
    """`tallyd sample --format json`; the result has its reports, checked, as .reports."""
    done = run_tallyd("sample", "--format", "json", *arguments, **options)
    if status is not None:
        assert done.status == status, f"exit status {status} expected: {done}"
    done.reports = records.parse_json(done.out)
    for report in done.reports:
        records.check_report(report)
    return done


def configuration(sites, defaults=None, **top):
    """A configuration file's text; `sites` is a list, or {name: URL}. JSON is YAML too."""
    if isinstance(sites, dict):
        sites = [{"name": name, "url": url} for name, url in sites.items()]
    settings = {"interval": "500ms", "samples": 4, "concurrency": 4, **(defaults or {})}
    return json.dumps({"defaults": settings,
                       "reports": [{"to": "file", "path": "{log}", "format": "json"}],
                       "sites": sites, **top}, indent=1) + "\n"


class Daemon:
    """`tallyd run`, ended with its case: a case that did not stop it does so here, and fails when
    that is not clean. `{log}` in the configuration is the path of its log."""

    def __init__(self, lab, config, env=None, name="tallyd", prefix=(), stdout=None):
        self._lab = lab
        self.config_path = lab.path(name + ".yaml")
        self.log_path = lab.path(name + ".log")
        self.err_path = lab.path(name + ".stderr")
        self.write_config(config)
        self._before = len(self.reports())  # of daemons before it that had the same log
        with open(self.err_path, "wb") as err:
            self.process = process.start(
                [*prefix, TALLYD, "run", "-c", self.config_path], env=env, stderr=err,
                stdout=subprocess.DEVNULL if stdout is None else stdout)
        lab.push(self._at_end)
        lab.notes.append(lambda: f"{name} said:\n{self.err()[-4000:]}")

    def write_config(self, config):
        """In one piece, so that the daemon never sees half of it."""
        self._lab.write(os.path.basename(self.config_path),
                        config.replace("{log}", self.log_path))

    def err(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def records(self, path=None):
        """What is in the log by now, without a line that is just being written."""
        try:
            with open(path or self.log_path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return []
        return records.parse_json(text[:text.rfind("\n") + 1])

    def reports(self, site=None):
        return [record for record in self.records() if record["record"] == "report"
                and (site is None or record["site"] == site)]

    def wait_for(self, condition, what, limit=30.0):
        def holds():
            value = condition()
            if not value and self.process.poll() is not None:
                raise AssertionError(
                    f"ended with {self.process.returncode} before {what}: {self.err()}")
            return value
        return process.wait_for(holds, what, limit)

    def wait_for_reports(self, n, site=None, limit=30.0):
        """Until `n` more reports, of a site or of all, are in the log."""
        target = len(self.reports(site)) + n
        self.wait_for(lambda: len(self.reports(site)) >= target, f"{n} more reports", limit)
        return self.reports(site)

    def first_report(self, site=None, limit=30.0, suits=lambda report: True):
        """However early it comes: of this daemon, whatever its log had before; that suits."""
        def own():
            return [report for report in self.reports()[self._before:]
                    if (site is None or report["site"] == site) and suits(report)]
        self.wait_for(own, "a report", limit)
        return own()[0]

    def signal(self, number):
        self.process.send_signal(number)

    def wait_for_words(self, words, limit=30.0, after=0):
        """Until `words` stand in stderr beyond position `after`; returns the text from there on."""
        self.wait_for(lambda: words in self.err()[after:], f"{words!r} on stderr", limit)
        return self.err()[after:]

    def wait(self, limit=30.0):
        """The exit status."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {limit:g} s: {self.err()}") from None

    def stop(self, limit=30.0):
        """SIGTERM; returns the records of the whole log, which ends in a whole line."""
        self.signal(signal.SIGTERM)
        status = self.wait(limit)
        assert status == 0, f"stopped with {status}: {self.err()}"
        with open(self.log_path, encoding="utf-8") as file:
            return records.parse_json(file.read())

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _at_end(self, *_):
        try:
            if self.process.poll() is None:
                if self._lab.failed:
                    self.process.kill()
                    self.process.wait()
                else:
                    self.signal(signal.SIGTERM)
                    status = self.wait()
                    assert status == 0, f"stopped with {status}: {self.err()}"
            if not self._lab.failed:
                check_words(self.err())
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
