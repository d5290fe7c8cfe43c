"""The checkers of the system tests, tested: each must find the fault that it is there for."""

import copy
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
from lab import (add_case, case, check_log, check_report, main, parse_json,  # noqa: E402
                 parse_line, parse_text)

BOOT = "0123456789abcdef" * 2


def report(seq=1, number=1, second=0, **changes):
    made = {
        "v": 1, "record": "report", "boot": BOOT, "seq": seq,
        "time": f"2026-11-22T10:06:{second:02}.001Z", "site": "shop", "url": "http://shop/",
        "round": number, "planned": 4, "judged": 3, "codes": {"200": 2, "503": 1},
        "errors": {"not_sent": 1}, "failed": 1, "reasons": {"status": 1}, "late_ms": 1.0,
        "skipped": 0, "took_ms": 9.5,
        "addresses": {"192.0.2.1": {"codes": {"200": 2}, "errors": {}},
                      "192.0.2.2": {"codes": {"503": 1}, "errors": {}}}}
    made.update(changes)
    return made


def lost(seq, first, last, **changes):
    return {"v": 1, "record": "lost", "boot": BOOT, "seq": seq, "time": "2026-11-22T10:06:00.000Z",
            "from_seq": first, "to_seq": last, "count": last - first + 1, "why": "full", **changes}


def refused(check, *arguments):
    try:
        check(*arguments)
    except AssertionError:
        return True
    return False


@case
def a_sound_report_passes(_lab):
    check_report(report())


for name, changes in {
        "a sum that is short": {"codes": {"200": 1, "503": 1}},
        "judged that counts our own faults": {"judged": 4},
        "more failed than judged": {"failed": 4, "reasons": {"status": 4}},
        "reasons that do not add up": {"reasons": {"status": 1, "error": 1}},
        "a code of two digits": {"codes": {"20": 2, "503": 1}},
        "a code of nothing": {"codes": {"000": 2, "503": 1}},
        "a class that does not exist": {"errors": {"not_send": 1}},
        "codes out of order": {"codes": {"503": 1, "200": 2}},
        "addresses that do not add up": {
            "addresses": {"192.0.2.1": {"codes": {"200": 2}, "errors": {}},
                          "192.0.2.2": {"codes": {}, "errors": {}}}},
        "a lone address": {"addresses": {"192.0.2.1": {"codes": {"200": 2, "503": 1},
                                                       "errors": {}}}},
}.items():
    add_case(f"{name} is refused", lambda _lab, changes=changes: _refuse_report(changes))


def _refuse_report(changes):
    assert refused(check_report, report(**changes))


@case
def keys_out_of_order_are_refused(_lab):
    made = report()
    made["v"] = made.pop("v")
    assert refused(check_report, made)


@case
def a_sound_log_passes(_lab):
    check_log([report(1, 1, 0), report(2, 2, 10), lost(5, 3, 4), report(6, 5, 40)], {"shop": 10})
    check_log([report(1, 1, 0), report(2, 2, 30, skipped=2)], {"shop": 10})


for name, log in {
        "a gap": [report(1, 1), report(3, 2)],
        "a log that begins with 2": [report(2, 1)],
        "a duplicate": [report(1, 1), report(1, 2)],
        "an inversion": [report(2, 1), report(1, 2)],
        "a loss that is larger than said": [report(1, 1), lost(4, 2, 2), report(5, 3)],
        "a loss whose count is not its range": [lost(3, 1, 2, count=1)],
        "a loss that overlaps": [report(1, 1), lost(3, 1, 2)],
        "a round twice": [report(1, 1), report(2, 1)],
        "a missing round": [report(1, 1), report(2, 3)],
        "a slot that nobody counted": [report(1, 1, 0), report(2, 2, 20)],
        "a slot that was counted but did not pass": [report(1, 1, 0), report(2, 2, 10, skipped=1)],
        "a drift": [report(1, 1, 0), report(2, 2, 14)],
}.items():
    add_case(f"{name} is refused", lambda _lab, log=log: _refuse_log(log))


def _refuse_log(log):
    assert refused(check_log, copy.deepcopy(log), {"shop": 10})


@case
def formats_are_read(_lab):
    assert parse_text("report for: http://a/\nsaw 200: 18 times\nsaw reset: 1 times\n") == \
        [("http://a/", {"200": 18, "reset": 1})]
    record, = parse_line('2026-11-22T10:06:00.123Z seq=17 site="a b" 200=18 reset=1 p50=11.9\n')
    assert record == {"time": "2026-11-22T10:06:00.123Z", "seq": "17", "site": "a b",
                      "p50": "11.9", "outcomes": {"200": 18, "reset": 1}}
    assert parse_json(json.dumps(report()) + "\n") == [report()]


for name, (parse, text) in {
        "a torn line": (parse_json, "{}"),
        "a key twice": (parse_json, '{"a":1,"a":2}\n'),
        "a foreign line": (parse_text, "report for: http://a/\nsaw 200 18 times\n"),
        "an outcome before any report": (parse_text, "saw 200: 1 times\n"),
        "an outcome twice": (parse_line, "2026-11-22T10:06:00.123Z 200=1 200=1\n"),
        "a bare space": (parse_line, "2026-11-22T10:06:00.123Z site=a b 200=1\n"),
        "an escape sequence": (parse_line, "2026-11-22T10:06:00.123Z site=\x1b[1m\n"),
}.items():
    add_case(f"{name} is refused",
             lambda _lab, parse=parse, text=text: _refuse_text(parse, text))


def _refuse_text(parse, text):
    assert refused(parse, text)


main()
