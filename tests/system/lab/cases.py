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


def add_case(name, function, begin=None):
    """`begin(lab)` is called before the first case runs, and its value given to `function` as a
    second argument: what only waits can wait together."""
    _cases.append((name, function, begin))


class _Begun:
    """A case that has its room, and what its begin() came to."""

    def __init__(self, name, function, begin):
        self.name, self.function = name, function
        self.lab = Lab() if begin is not None else None
        self.arguments, self.error = (), None
        if begin is not None:
            try:
                self.arguments = (begin(self.lab),)
            except Exception as error:
                self.error = error

    def run(self, lab):
        if self.error is not None:
            raise self.error
        self.function(lab, *self.arguments)


def _run(begun):
    """None, or what went wrong."""
    lab = begun.lab or Lab()
    troubles = []
    try:
        begun.run(lab)
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


def main(last_words=None):
    """Runs the file's cases, or those whose names contain an argument; the status is TAP's.
    `last_words()` is a comment that stands below them."""
    wanted = [word.replace("_", " ") for word in sys.argv[1:]]
    chosen = [one for one in _cases if not wanted or any(word in one[0] for word in wanted)]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, begun in enumerate([_Begun(*one) for one in chosen], 1):
        name = begun.name
        try:
            trouble = _run(begun)
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
    if last_words is not None:
        print(f"# {last_words()}", flush=True)
    sys.exit(1 if failed or not chosen else 0)
