#!/usr/bin/env python3
"""Counts the single cases of a test run: `count.py FILE...` reads meson's testlog.json files (the
TAP of each test is in there; in a .status.json each test is one case, by its exit status) and plain
.tap files, names what failed and what was skipped, and ends with `N passed, N failed, N skipped`.
The exit status is 1 when a case failed, or none passed."""

import json
import re
import sys

_TEST = re.compile(r"(not )?ok\b\s*(\d+)?\s*-?\s*(.*)")
_DIRECTIVE = re.compile(r"(.*?)\s*#\s*(skip|todo)\S*\s*(.*)", re.IGNORECASE)


LINES, COLUMNS = 40, 600  # of what is told of a failure; build/results/ has it whole


def shortened(lines):
    """The beginning and the end of what was said."""
    if len(lines) > LINES:
        lines = [*lines[:LINES // 4], "[...]", *lines[-LINES * 3 // 4:]]
    return [line if len(line) <= COLUMNS else line[:COLUMNS] + " [...]" for line in lines]


class Count:
    """What was seen, each case as a name with its test in front."""

    def __init__(self):
        self.passed, self.failed, self.skipped = [], [], []  # skipped: (name, why)
        self.words = {}  # of what failed: the lines that tell of it

    def add_tap(self, test, text):
        """Counts the cases of one TAP text, and what was promised but never came."""
        planned, seen, telling = None, 0, None
        for line in text.splitlines():
            if telling is not None and line.startswith("#"):
                self.words.setdefault(telling, []).append(line)
                continue
            telling = None
            plan = re.fullmatch(r"1\.\.(\d+)(\s*#.*)?", line)
            if plan:
                planned = int(plan.group(1))
                if planned == 0:
                    self.skipped.append((test, (plan.group(2) or "nothing planned").strip(" #")))
                continue
            if line.startswith("Bail out!"):
                self.failed.append(f"{test}: {line}")
                continue
            found = _TEST.fullmatch(line)
            if not found:
                continue
            seen += 1
            directive = _DIRECTIVE.fullmatch(found.group(3))
            name = f"{test}: {directive.group(1) if directive else found.group(3)}"
            if found.group(1):
                self.failed.append(name)
                telling = name
            elif directive:
                self.skipped.append((name, directive.group(3) or "no reason given"))
            else:
                self.passed.append(name)
        if planned is None:
            self.failed.append(f"{test}: no plan, it did not begin or did not end")
        elif seen != planned:
            self.failed.append(f"{test}: {planned} cases planned, {seen} came")

    def add_meson(self, label, text):
        """Counts a testlog.json: one JSON object a line, one a test."""
        for line in text.splitlines():
            test = json.loads(line)
            name = f"{label}: {test['name'].rpartition(' / ')[2]}"
            before = len(self.failed)
            self.add_tap(name, test.get("stdout", ""))
            if len(self.failed) > before:
                continue
            if test["result"] not in ("OK", "SKIP"):
                # every case passed, and yet: a crash at the end, a leak, the time limit
                self._fail_by_status(name, test)

    def _fail_by_status(self, name, test):
        name = f"{name}: {test['result']}, status {test.get('returncode')}"
        self.failed.append(name)
        self.words[name] = (test.get("stdout", "") + "\n" + test.get("stderr", "")).splitlines()

    def add_status(self, label, text):
        """Counts a testlog.json of tests that tell by their exit status alone."""
        for line in text.splitlines():
            test = json.loads(line)
            name = f"{label}: {test['name'].rpartition(' / ')[2]}"
            if test["result"] == "OK":
                self.passed.append(name)
            elif test["result"] == "SKIP":
                self.skipped.append((name, "it says so by its exit status"))
            else:
                self._fail_by_status(name, test)

    def print(self, to):
        for name, why in self.skipped:
            print(f"skipped  {name}: {why}", file=to)
        for name in self.failed:
            print(f"FAILED   {name}", file=to)
            for line in shortened(self.words.get(name, [])):
                print(f"         {line}", file=to)
        print(f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped",
              file=to)

    def status(self):
        return 1 if self.failed or not self.passed else 0


def main(paths):
    count = Count()
    for path in paths:
        label = path.rpartition("/")[2].partition(".")[0]
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError as error:
            count.failed.append(f"{label}: {error}")
            continue
        if path.endswith(".tap"):
            count.add_tap(label, text)
        elif path.endswith(".status.json"):
            count.add_status(label, text)
        else:
            count.add_meson(label, text)
    count.print(sys.stdout)
    return count.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
