"""script/count.py: the last line of script/test is true."""

import io
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
sys.path.insert(0, os.path.join(HERE, "../../script"))
from count import Count  # noqa: E402
from lab import case, main  # noqa: E402


def meson(stdout, result="OK", status=0):
    return json.dumps({"name": "tallyd:unit / x", "stdout": stdout, "result": result,
                       "returncode": status})


def last_line(count):
    text = io.StringIO()
    count.print(text)
    return text.getvalue().splitlines()[-1]


@case
def every_case_is_counted_once(_lab):
    count = Count()
    count.add_tap("a", "1..4\nok 1 - p\n# ok 9 - not a case\nnot ok 2 - q\n"
                       "ok 3 - r # SKIP no root\nok 4 - s: Passed\n")
    assert last_line(count) == "2 passed, 1 failed, 1 skipped"
    assert count.failed == ["a: q"] and count.skipped == [("a: r", "no root")]
    assert count.status() == 1


@case
def cases_that_never_came_are_a_failure(_lab):
    count = Count()
    count.add_tap("a", "1..3\nok 1 - p\nok 2 - q\n")
    assert last_line(count) == "2 passed, 1 failed, 0 skipped" and count.status() == 1


@case
def a_test_that_says_nothing_is_a_failure(_lab):
    count = Count()
    count.add_meson("gcc", meson("", "ERROR", 1))
    assert last_line(count) == "0 passed, 1 failed, 0 skipped"


@case
def a_crash_after_the_last_case_is_a_failure(_lab):
    count = Count()
    count.add_meson("gcc", meson("1..1\nok 1 - p\n", "ERROR", -11))
    assert last_line(count) == "1 passed, 1 failed, 0 skipped"


@case
def a_failed_case_is_not_counted_again_for_its_exit_status(_lab):
    count = Count()
    count.add_meson("gcc", meson("1..2\nnot ok 1 - p\nok 2 - q\n", "FAIL", 1))
    assert last_line(count) == "1 passed, 1 failed, 0 skipped"


@case
def a_test_that_tells_by_its_exit_status_is_one_case(_lab):
    count = Count()
    count.add_status("fuzz", meson("whatever") + "\n" + meson("", "FAIL", 1))
    assert last_line(count) == "1 passed, 1 failed, 0 skipped"
    assert count.failed == ["fuzz: x: FAIL, status 1"]


@case
def what_failed_is_told_beside_its_name(_lab):
    count = Count()
    count.add_meson("gcc", meson("1..3\nok 1 - p\n# of p\nnot ok 2 - q\n# why\n" + "# x\n" * 100 +
                                 "# because\nok 3 - r\n# of r\n", "FAIL", 1))
    count.add_meson("gcc", meson("1..1\nok 1 - p\nboom\n", "ERROR", -6))
    text = io.StringIO()
    count.print(text)
    told = [line.strip() for line in text.getvalue().splitlines()]
    assert told[0] == "FAILED   gcc: x: q" and told[1] == "# why" and "# because" in told, told
    assert "boom" in told and "# of p" not in told and "# of r" not in told, told
    assert told.count("# x") < 50 and "[...]" in told, told


@case
def good_runs_end_with_status_0_and_empty_ones_do_not(_lab):
    count = Count()
    assert count.status() == 1
    count.add_meson("gcc", meson("1..1\nok 1 - p\n"))
    assert count.status() == 0 and last_line(count) == "1 passed, 0 failed, 0 skipped"


main()
