"""Cases, the room each of them has, and the TAP lines that tell of them."""

import contextlib
import os
import shutil
import sys
import tempfile
import traceback

_cases = []


class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


class Lab(contextlib.ExitStack):
    """The room of one case: a directory, and what was started in it, ended in reverse order."""

    def __init__(self):
        super().__init__()
        self.dir = tempfile.mkdtemp(prefix="tallyd-test-")
        self.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.failed = False  # from then on things are killed, not stopped and judged
        self.notes = []  # callables whose text helps to understand a failure

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        """Writes a file whole: whoever reads it at the same time sees the old or the new one."""
        path = self.path(name)
        with open(path + ".new", "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.rename(path + ".new", path)
        return path


    def read_notes(self):
        texts = []
        for note in self.notes:
            with contextlib.suppress(OSError):
                texts.append(note())
        return texts


def case(function):
    """Registers a case; its name, spelled with underscores, is the expectation."""
    add_case(function.__name__.replace("_", " "), function)
    return function


def add_case(name, function):
    _cases.append((name, function))


def _run(function):
    """None, or what went wrong."""
    lab = Lab()
    troubles = []
    try:
        function(lab)
    except Exception as error:
        lab.failed = True
        if isinstance(error, Skip):
            lab.close()
            raise
        troubles.append(traceback.format_exc())
    except BaseException:
        lab.failed = True
        lab.close()
        raise
    if troubles:
        troubles += lab.read_notes()
    try:
        lab.close()
    except Exception:  # what ended badly is a failure of the case
        troubles.append(traceback.format_exc())
    return "\n".join(troubles) or None


def main():
    """Runs the file's cases, or those whose names contain an argument; the status is TAP's."""
    wanted = [word.replace("_", " ") for word in sys.argv[1:]]
    chosen = [(name, function) for name, function in _cases
              if not wanted or any(word in name for word in wanted)]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(chosen, 1):
        try:
            trouble = _run(function)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
            continue
        if trouble is None:
            print(f"ok {number} - {name}", flush=True)
        else:
            failed += 1
            print(f"not ok {number} - {name}")
            for line in trouble.splitlines():
                print("# " + line.encode("ascii", "backslashreplace").decode())
            sys.stdout.flush()
    sys.exit(1 if failed or not chosen else 0)
