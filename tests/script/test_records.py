"""The checkers of the system tests, tested: each must find the fault that it is there for."""

import copy
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
from lab import (add_case, case, check_log, check_report, main, parse_json,  # noqa: E402
                 parse_line, parse_text)

BOOT = "0123456789abcdef" * 2


def evidence(**changes):
    return {"outcome": "503", "reason": "status", "address": "192.0.2.2", "backend": "b1",
            "at_ms": 1.0, "took_ms": 3.0, "phases_ms": {"connect": 0.5}, "local_port": 4711,
            "words": "expected 200-399", "curl": "curl http://shop/", **changes}


def report(seq=1, number=1, second=0, **changes):
    made = {
        "v": 1, "record": "report", "boot": BOOT, "seq": seq,
        "time": f"2026-11-22T10:06:{second:02}.001Z", "site": "shop", "url": "http://shop/",
        "round": number, "planned": 4, "judged": 3, "codes": {"200": 2, "503": 1},
        "errors": {"not_sent": 1}, "failed": 1, "reasons": {"status": 1}, "late_ms": 1.0,
        "skipped": 0, "took_ms": 9.5,
        "latency_ms": {"min": 1.0, "mean": 2.0, "p50": 2.0, "p90": 3.0, "max": 3.0},
        "phases_ms": {"connect": 0.5},
        "addresses": {"192.0.2.1": {"codes": {"200": 2}, "errors": {}, "p50_ms": 1.0},
                      "192.0.2.2": {"codes": {"503": 1}, "errors": {}, "p50_ms": 3.0}},
        "appeared": ["192.0.2.2"], "gone": ["192.0.2.3"],
        "backends": {"b1": {"codes": {"200": 1, "503": 1}, "errors": {}}},
        "other_backends": {"codes": {"200": 1}, "errors": {}},
        "evidence": [evidence()]}
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
        "a row with an outcome of nothing": {
            "addresses": {"192.0.2.1": {"codes": {"200": 2, "404": 0}, "errors": {}},
                          "192.0.2.2": {"codes": {"503": 1}, "errors": {}}}},
        "backends that are more than all": {
            "backends": {"b1": {"codes": {"200": 2}, "errors": {}}}},
        "others without backends": {"backends": {}, "evidence": [evidence(backend="b9")]},
        "too many backends": {
            "planned": 37, "judged": 36, "codes": {"200": 35, "503": 1},
            "addresses": {"192.0.2.1": {"codes": {"200": 35}, "errors": {}},
                          "192.0.2.2": {"codes": {"503": 1}, "errors": {}}},
            "backends": {f"b{i}": {"codes": {"200": 1}, "errors": {}} for i in range(33)}},
        "a row that says failed where its outcomes tell": {
            "other_backends": {"codes": {"200": 1}, "errors": {}, "failed": 1}},
        "rows that do not say failed where only they tell": {
            "codes": {"200": 3}, "reasons": {"body": 1}, "evidence": [
                evidence(outcome="200", reason="body")],
            "addresses": {"192.0.2.1": {"codes": {"200": 2}, "errors": {}},
                          "192.0.2.2": {"codes": {"200": 1}, "errors": {}}},
            "backends": {"b1": {"codes": {"200": 2}, "errors": {}}}},
        "an address that appeared and is not there": {"appeared": ["192.0.2.9"]},
        "an address that is gone and there": {"gone": ["192.0.2.1"]},
        "an address that came and went": {"appeared": ["192.0.2.2"], "gone": ["192.0.2.2"]},
        "a reason that does not exist": {"reasons": {"weather": 1}},
        "an error that is no failure": {"errors": {"not_sent": 1, "reset": 0}},
        "percentiles out of order": {
            "latency_ms": {"min": 1.0, "mean": 2.0, "p50": 4.0, "p90": 3.0, "max": 3.0}},
        "a p99 of a few": {"latency_ms": {"min": 1.0, "mean": 2.0, "p50": 2.0, "p90": 3.0,
                                          "p99": 3.0, "max": 3.0}},
        "no latency of answers": {"latency_ms": None},
        "a phase that does not exist": {"phases_ms": {"lunch": 1.0}},
        "evidence of what was not seen": {"evidence": [evidence(outcome="502")]},
        "evidence of a reason that failed nothing": {"evidence": [evidence(reason="body")]},
        "evidence without a reason": {"evidence": [
            {key: value for key, value in evidence().items() if key != "reason"}]},
        "a failure without evidence": {"evidence": []},
        "evidence out of order": {"evidence": [dict(reversed(evidence().items()))]},
        "more evidence than may be": {"evidence": [evidence()] * 4},
        "evidence from elsewhere": {"evidence": [evidence(address="192.0.2.9")]},
        "phases longer than their sample": {"evidence": [evidence(phases_ms={"connect": 3.5})]},
        "a curl line to nowhere": {"evidence": [
            {key: value for key, value in evidence().items() if key not in ("address", "at_ms")}]},
        "a lone address": {"addresses": {"192.0.2.1": {"codes": {"200": 2, "503": 1},
                                                       "errors": {}}}},
}.items():
    add_case(f"{name} is refused", lambda _lab, changes=changes: _refuse_report(changes))


def _refuse_report(changes):
    made = report(**changes)
    assert refused(check_report, {key: value for key, value in made.items() if value is not None})


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
    rows, = parse_text("report for: http://a/\nsaw 200: 3 times\nat 192.0.2.1 saw 200: 2 times\n"
                       'at ::1 saw 200: 1 times\nfrom b1 saw 200: 1 times\n'
                       'from "b 2" saw 200: 1 times\nfrom other backends saw 200: 1 times\n')
    assert rows.addresses == {"192.0.2.1": {"200": 2}, "::1": {"200": 1}}
    assert rows.backends == {"b1": {"200": 1}, "b 2": {"200": 1}} and rows.others == {"200": 1}
    record, = parse_line("2026-11-22T10:06:00.123Z 200=2 reset=1 addr[::1]=200:2,reset:1 "
                         "addr[192.0.2.1]=- backend[b%202]=200:1 other_backends=200:1\n")
    assert record["addresses"] == {"::1": {"200": 2, "reset": 1}, "192.0.2.1": {}}
    assert record["backends"] == {"b 2": {"200": 1}}
    assert parse_json(json.dumps(report()) + "\n") == [report()]


for name, (parse, text) in {
        "a torn line": (parse_json, "{}"),
        "a key twice": (parse_json, '{"a":1,"a":2}\n'),
        "a foreign line": (parse_text, "report for: http://a/\nsaw 200 18 times\n"),
        "an outcome before any report": (parse_text, "saw 200: 1 times\n"),
        "an outcome twice": (parse_line, "2026-11-22T10:06:00.123Z 200=1 200=1\n"),
        "rows that do not add up": (
            parse_text, "report for: http://a/\nsaw 200: 3 times\nat ::1 saw 200: 2 times\n"),
        "a row of more than all": (
            parse_line, "2026-11-22T10:06:00.123Z 200=1 backend[b1]=200:2\n"),
        "a row twice": (
            parse_line, "2026-11-22T10:06:00.123Z 200=2 addr[::1]=200:1 addr[::1]=200:1\n"),
        "a bare space": (parse_line, "2026-11-22T10:06:00.123Z site=a b 200=1\n"),
        "an escape sequence": (parse_line, "2026-11-22T10:06:00.123Z site=\x1b[1m\n"),
}.items():
    add_case(f"{name} is refused",
             lambda _lab, parse=parse, text=text: _refuse_text(parse, text))


def _refuse_text(parse, text):
    assert refused(parse, text)


main()
