"""The tables of outcomes as the sources have them: what a test can hold its own lists against."""

import os
import re

_PROBE = os.path.join(os.path.dirname(__file__), "../../../daemon/probe")
_ROW = re.compile(r"\{CURLE_(\w+), ([\w| ]+), (\w+), (\w+),\s+OUTCOME_(\w+)\}")
_CLASS = re.compile(r'^ +\{"(\w+)", ".*?(true|false)\},$', re.MULTILINE | re.DOTALL)


def _read(name):
    with open(os.path.join(_PROBE, name), encoding="utf-8") as file:
        return file.read()


def table_rows():
    """{row: class} of the table in classify.c. A row is named by what it asks for: the code without
    its CURLE_, and whatever is not "any"."""
    rows = {}
    for code, progress, error, scheme, outcome in _ROW.findall(_read("classify.c")):
        parts = [code, progress.replace(" ", ""), error, scheme]
        name = " ".join(part for part in parts if not part.startswith("ANY"))
        assert name not in rows, f"two rows of classify.c ask for {name}"
        rows[name] = outcome.lower()
    assert len(rows) > 50, "the table in classify.c is not found"
    return rows


def classes():
    """The error classes of outcome.c, but the one that stands for none."""
    names = [name for name, _ in _CLASS.findall(_read("outcome.c"))]
    assert names[0] == "none" and len(names) > 20, names
    return names[1:]
