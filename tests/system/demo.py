"""`tallyd demo`: everything at once, with nothing to set up."""

import os
import re
import subprocess
import xml.etree.ElementTree

from lab import TALLYD, case, main, run_tallyd

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


@case
def the_demo_shows_failures_in_order_and_a_reload_and_ends_well(lab):
    done = run_tallyd("demo", "--seconds", 6, limit=60)
    assert done.status == 0, done
    assert re.search(r"\b503\b", done.out), done.out
    assert re.search(r"reload", done.out + done.err, re.IGNORECASE), done
    seqs = [int(n) for n in re.findall(r"\bseq=(\d+)", done.out)]
    assert len(seqs) > 5 and seqs == sorted(set(seqs)), seqs


@case
def what_the_demo_says_for_another_terminal_can_be_typed_there(lab):
    done = run_tallyd("demo", "--seconds", 1, limit=60)
    line = re.search(r"another terminal: (.*)", done.err).group(1)
    assert line.split()[:2] == [os.path.realpath(TALLYD), "sample"], line


@case
def the_demo_needs_no_home_and_no_writable_directory(lab):
    done = run_tallyd("demo", "--seconds", 2, limit=60, cwd="/proc", env={"HOME": None})
    assert done.status == 0, done


def words_of(picture):
    """Without what differs from run to run."""
    tree = xml.etree.ElementTree.parse(picture)
    lines = ["".join(text.itertext()).split()
             for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    words = [line[0] for line in lines]
    assert words.count("curl") == 1, words
    return words[:words.index("round")]  # how evidence is wrapped depends on its numbers


@case
def the_picture_in_the_readme_is_what_the_program_shows(lab):
    subprocess.run([os.path.join(ROOT, "script/picture"), TALLYD, lab.path("sample.svg")],
                   check=True, timeout=60)
    shown = words_of(os.path.join(ROOT, "doc/sample.svg"))
    assert shown[:6] == ["$", "report", "saw", "saw", "backend", "web-1"], shown
    now = words_of(lab.path("sample.svg"))
    assert now == shown, (now, shown)


@case
def nonsense_is_refused(lab):
    for seconds in ("0", "-1", "soon"):
        assert run_tallyd("demo", "--seconds", seconds).status == 2, seconds


main()
