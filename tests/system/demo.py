"""`tallyd demo`: everything at once, with nothing to set up."""

import re

from lab import case, main, run_tallyd


@case
def the_demo_shows_failures_in_order_and_a_reload_and_ends_well(lab):
    done = run_tallyd("demo", "--seconds", 6, limit=60)
    assert done.status == 0, done
    assert re.search(r"\b503\b", done.out), done.out
    assert re.search(r"reload", done.out + done.err, re.IGNORECASE), done
    seqs = [int(n) for n in re.findall(r"\bseq=(\d+)", done.out)]
    assert len(seqs) > 5 and seqs == sorted(set(seqs)), seqs


@case
def the_demo_needs_no_home_and_no_writable_directory(lab):
    done = run_tallyd("demo", "--seconds", 2, limit=60, cwd="/proc", env={"HOME": None})
    assert done.status == 0, done


@case
def nonsense_is_refused(lab):
    for seconds in ("0", "-1", "soon"):
        assert run_tallyd("demo", "--seconds", seconds).status == 2, seconds


main()
