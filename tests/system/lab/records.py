"""Reads the three formats, and checks what must hold of every report and of every log."""

import datetime
import json
import re

CLASSES = """aborted connect_failure connect_refused connect_timeout connect_unreachable dns_failure
dns_nxdomain dns_timeout empty_reply first_byte_timeout local_resource not_sent protocol proxy
redirect reset tls_handshake tls_timeout tls_verify too_large transfer_timeout truncated""".split()
NOT_JUDGED = {"aborted", "local_resource", "not_sent"}

_REPORT_FOR = re.compile(r"report for: (\S+)")
_SAW = re.compile(r"saw (\w+): ([1-9][0-9]*) times")
_LINE_VALUE = re.compile(r'([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|[A-Za-z0-9._:/@%+,-]*)(?: |$)')


def _lines(text):
    assert text == "" or text.endswith("\n"), f"a torn last line: {text[-200:]!r}"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text), "control characters"
    return text.split("\n")[:-1]


def _is_outcome(word):
    return word in CLASSES or re.fullmatch(r"[1-9][0-9][0-9]", word) is not None


def parse_text(text):
    """[(url, {outcome: count})], every line accounted for."""
    reports = []
    for line in _lines(text):
        head = _REPORT_FOR.fullmatch(line)
        if head:
            reports.append((head.group(1), {}))
            continue
        saw = _SAW.fullmatch(line)
        assert saw and reports, f"not a line of a report: {line!r}"
        outcome, count = saw.group(1), int(saw.group(2))
        assert _is_outcome(outcome), f"unknown outcome: {line!r}"
        assert outcome not in reports[-1][1], f"told twice: {line!r}"
        reports[-1][1][outcome] = count
    return reports


def parse_line(text):
    """[{key: value as text}]; the time under "time", outcomes under "outcomes"."""
    records = []
    for line in _lines(text):
        time, _, rest = line.partition(" ")
        parse_time(time)
        record, at = {"time": time, "outcomes": {}}, 0
        while at < len(rest):
            found = _LINE_VALUE.match(rest, at)
            assert found, f"not a line of ours, at {rest[at:]!r}: {line!r}"
            key, value = found.group(1), found.group(2)
            if value.startswith('"'):
                value = json.loads(value)
            if _is_outcome(key):
                assert key not in record["outcomes"], f"told twice: {line!r}"
                record["outcomes"][key] = int(value)
            else:
                assert key not in record, f"told twice: {line!r}"
                record[key] = value
            at = found.end()
        records.append(record)
    return records


def _no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return dict(pairs)


def parse_json(text):
    """[object], keys in their order."""
    return [json.loads(line, object_pairs_hook=_no_duplicates) for line in _lines(text)]


def parse_time(text):
    """Seconds since the epoch."""
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def counts(report):
    """{outcome: count} of a JSON report."""
    return {**report["codes"], **report["errors"]}


_REPORT_KEYS = """v record boot seq time site url labels round first planned judged codes errors
failed reasons repeated late_ms skipped took_ms latency_ms phases_ms addresses left_out state level
window evidence""".split()


def check_report(report):
    """What holds of every JSON report, whatever was sampled."""
    where = json.dumps(report)
    outcomes = counts(report)
    assert all(_is_outcome(code) and code.isdigit() for code in report["codes"]), where
    assert all(word in CLASSES for word in report["errors"]), where
    assert all(n > 0 for n in outcomes.values()), where
    assert sum(outcomes.values()) == report["planned"], "outcomes do not add up: " + where
    ours = sum(n for word, n in report["errors"].items() if word in NOT_JUDGED)
    assert report["judged"] == report["planned"] - ours, "judged: " + where
    assert report["failed"] <= report["judged"], "failed: " + where
    assert sum(report["reasons"].values()) == report["failed"], "reasons: " + where
    assert report["skipped"] >= 0 and report["took_ms"] >= 0, where
    for kind in ("codes", "errors"):
        assert list(report[kind]) == sorted(report[kind]), f"{kind} are not sorted: {where}"
    known = [key for key in report if key in _REPORT_KEYS]
    assert known == sorted(known, key=_REPORT_KEYS.index), "order of keys: " + where
    addresses = report.get("addresses")
    if addresses is not None:
        assert len(addresses) > 1, where
        per_outcome = {}
        for tally in addresses.values():
            for outcome, n in counts(tally).items():
                per_outcome[outcome] = per_outcome.get(outcome, 0) + n
        # a sample that never started went to no address
        for outcome, n in outcomes.items():
            if outcome not in NOT_JUDGED:
                assert per_outcome.get(outcome, 0) == n, "addresses do not add up: " + where
        assert all(n <= outcomes.get(o, 0) for o, n in per_outcome.items()), where


def _check_sequence(boot, records):
    due = 1
    for record in records:
        seq = record["seq"]
        if record["record"] == "lost" and "from_seq" in record:
            first, last = record["from_seq"], record["to_seq"]
            assert record["count"] == last - first + 1, f"count of {record}"
            assert first == due, f"boot {boot}: {due} was due, lost begins with {first}: {record}"
            due = last + 1
        assert seq == due, f"boot {boot}: {due} was due, {seq} came: {record}"
        due = seq + 1


def check_log(records, intervals=None):
    """What holds of a whole log in JSON, of any number of boots: its sequence, its sites' rounds,
    every report; and with {site: seconds} that rounds + skipped are the slots that passed."""
    boots = {}
    for record in records:
        assert record["v"] == 1, record
        assert re.fullmatch("[0-9a-f]{32}", record["boot"]), record
        boots.setdefault(record["boot"], []).append(record)
    for boot, of_boot in boots.items():
        _check_sequence(boot, of_boot)
        by_site = {}
        for record in of_boot:
            if record["record"] == "report":
                check_report(record)
                by_site.setdefault(record["site"], []).append(record)
        lossless = all(record["record"] != "lost" for record in of_boot)
        for site, reports in by_site.items():
            _check_rounds(site, reports, (intervals or {}).get(site), lossless)


def _check_rounds(site, reports, interval, lossless):
    for before, after in zip(reports, reports[1:]):
        assert after["round"] > before["round"], f"{site}: round {after} after {before}"
        if not lossless:
            continue
        assert after["round"] == before["round"] + 1, f"{site}: a round is missing before {after}"
        if interval is None or before.get("first"):
            continue
        passed = (slot(after) - slot(before)) / interval
        assert abs(passed - round(passed)) < 0.25, f"{site}: off its phase: {before} {after}"
        assert round(passed) == 1 + after["skipped"], \
            f"{site}: {passed:.2f} slots, {after['skipped']} skipped: {before} {after}"


def slot(report):
    """When the report's round was due, in seconds since the epoch."""
    return parse_time(report["time"]) - report["late_ms"] / 1000


def slots(records, site):
    """The slots of a site's reports, the extra first one left out."""
    return [slot(record) for record in records if record["record"] == "report"
            and record["site"] == site and not record.get("first")]
