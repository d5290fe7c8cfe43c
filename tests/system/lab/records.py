"""Reads the three formats, and checks what must hold of every report and of every log."""

import datetime
import json
import re
import urllib.parse

CLASSES = """aborted connect_failure connect_refused connect_timeout connect_unreachable dns_failure
dns_nxdomain dns_timeout empty_reply first_byte_timeout local_resource not_sent protocol proxy
redirect reset tls_handshake tls_timeout tls_verify too_large transfer_timeout truncated""".split()
NOT_JUDGED = {"aborted", "local_resource", "not_sent"}
TROUBLES = "lag no_route no_resolver resources canary".split()

_REPORT_FOR = re.compile(r"report for: (\S+)")
_SAW = re.compile(r"saw (\w+): ([1-9][0-9]*) times")
_ROW = re.compile(r'(at|from) ([A-Za-z0-9._:/@%+,-]+|"(?:[^"\\]|\\.)*"|other backends) (saw .*)')
_LINE_VALUE = re.compile(
    r'([a-z_0-9]+(?:\[[A-Za-z0-9._:/@%+,-]+\])?)='
    r'("(?:[^"\\]|\\.)*"|[A-Za-z0-9._:/@%+,-]*)(?: |$)')
_LINE_ROW = re.compile(r"(addr|backend)\[(.+)\]")

REASONS = "error status header body certificate latency".split()
PHASES = "dns connect tls first_byte transfer".split()
EVIDENCE_EACH, EVIDENCE_MOST, BACKENDS_MOST = 3, 48, 32


def _lines(text):
    assert text == "" or text.endswith("\n"), f"a torn last line: {text[-200:]!r}"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text), "control characters"
    return text.split("\n")[:-1]


def _is_outcome(word):
    return word in CLASSES or re.fullmatch(r"[1-9][0-9][0-9]", word) is not None


class TextReport(tuple):
    """(url, {outcome: count}), with the rows of its addresses and backends beside."""

    def __new__(cls, url):
        report = super().__new__(cls, (url, {}))
        report.addresses, report.backends, report.others = {}, {}, {}
        return report

    def row(self, kind, name):
        if kind == "at":
            return self.addresses.setdefault(name, {})
        if name == "other backends":
            return self.others
        return self.backends.setdefault(json.loads(name) if name.startswith('"') else name, {})


def parse_text(text):
    """[(url, {outcome: count})], every line accounted for; their rows add up."""
    reports = []
    for line in _lines(text):
        head = _REPORT_FOR.fullmatch(line)
        if head:
            reports.append(TextReport(head.group(1)))
            continue
        row = _ROW.fullmatch(line)
        saw = _SAW.fullmatch(row.group(3) if row else line)
        assert saw and reports, f"not a line of a report: {line!r}"
        into = reports[-1].row(row.group(1), row.group(2)) if row else reports[-1][1]
        outcome, count = saw.group(1), int(saw.group(2))
        assert _is_outcome(outcome), f"unknown outcome: {line!r}"
        assert outcome not in into, f"told twice: {line!r}"
        into[outcome] = count
    for report in reports:
        _check_rows(report[1], list(report.addresses.values()) or None,
                    [*report.backends.values(), report.others], repr(report))
    return reports


def _parse_row(value, line):
    """{outcome: count} of "200:10,503:1,failed:2"."""
    row = {}
    value, _, failed = value.partition(",failed:")
    assert failed == "" or failed.isdigit(), line
    for part in value.split(",") if value != "-" else []:
        outcome, _, count = part.partition(":")
        assert _is_outcome(outcome) and outcome not in row and int(count) > 0, line
        row[outcome] = int(count)
    return row


def parse_line(text):
    """[{key: value as text}]; the time under "time", outcomes under "outcomes", the rows of
    addresses and backends under "addresses" and "backends", where there are any, which add up."""
    records = []
    for line in _lines(text):
        time, _, rest = line.partition(" ")
        parse_time(time)
        record, at, rows = {"time": time, "outcomes": {}}, 0, {"addr": {}, "backend": {}}
        while at < len(rest):
            found = _LINE_VALUE.match(rest, at)
            assert found, f"not a line of ours, at {rest[at:]!r}: {line!r}"
            key, value = found.group(1), found.group(2)
            of_row = _LINE_ROW.fullmatch(key)
            if value.startswith('"'):
                value = json.loads(value)
            if of_row:
                kind, name = of_row.group(1), urllib.parse.unquote(of_row.group(2))
                assert name not in rows[kind], f"told twice: {line!r}"
                rows[kind][name] = _parse_row(value, line)
            elif _is_outcome(key):
                assert key not in record["outcomes"], f"told twice: {line!r}"
                record["outcomes"][key] = int(value)
            else:
                assert key not in record, f"told twice: {line!r}"
                record[key] = value
            at = found.end()
        others = _parse_row(record.get("other_backends", "-"), line)
        _check_rows(record["outcomes"], list(rows["addr"].values()) or None,
                    [*rows["backend"].values(), others], line)
        if rows["addr"]:
            record["addresses"] = rows["addr"]
        if rows["backend"]:
            record["backends"] = rows["backend"]
        records.append(record)
    return records


def _sum(rows):
    total = {}
    for row in rows:
        for outcome, n in row.items():
            total[outcome] = total.get(outcome, 0) + n
    return total


def _check_rows(outcomes, addresses, backends, where):
    """The rows of addresses (None: there are none) and of backends against the whole."""
    if addresses is not None:
        total = _sum(addresses)
        # a sample that never started went to no address
        for outcome, n in outcomes.items():
            if outcome not in NOT_JUDGED:
                assert total.get(outcome, 0) == n, "addresses do not add up: " + where
        assert all(n <= outcomes.get(o, 0) for o, n in total.items()), where
    # an answer need not name a backend
    assert all(n <= outcomes.get(o, 0) for o, n in _sum(backends).items()), \
        "more from backends than at all: " + where


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


_REPORT_KEYS = """v record boot seq time site url labels round first ours planned judged codes
errors failed reasons repeated late_ms skipped took_ms latency_ms phases_ms addresses appeared gone
left_out backends other_backends state level window evidence""".split()
_EVIDENCE_KEYS = """outcome reason address backend at_ms took_ms phases_ms local_port words
curl""".split()


def _check_order(record, keys, where):
    known = [key for key in record if key in keys]
    assert known == sorted(known, key=keys.index), "order of keys: " + where


def _check_tally(tally, where):
    assert all(_is_outcome(code) and code.isdigit() for code in tally["codes"]), where
    assert all(word in CLASSES for word in tally["errors"]), where
    assert all(n > 0 for n in counts(tally).values()), where
    for kind in ("codes", "errors"):
        assert list(tally[kind]) == sorted(tally[kind]), f"{kind} are not sorted: {where}"


def _check_times(report, where):
    latency = report.get("latency_ms")
    assert (latency is not None) == bool(report["codes"]), "latency: " + where
    if latency is not None:
        order = [latency[key] for key in ("min", "p50", "p90", "p99", "max") if key in latency]
        assert order == sorted(order), "percentiles: " + where
        assert latency["min"] <= latency["mean"] <= latency["max"], where
        assert ("p99" in latency) == (sum(report["codes"].values()) >= 100), where
    phases = report.get("phases_ms", {"connect": 0})
    assert phases and all(name in PHASES and took >= 0 for name, took in phases.items()), where


def _check_evidence(report, where):
    """What is told of single samples is of this round, and no more than may be told."""
    alike = {}
    for item in report.get("evidence", []):
        _check_order(item, _EVIDENCE_KEYS, where)
        outcome, reason = item["outcome"], item.get("reason")
        assert outcome in counts(report), "evidence of nothing: " + where
        assert (reason is None) == (outcome in NOT_JUDGED or "ours" in report), \
            "a reason: " + where
        assert reason is None or reason in report["reasons"], "an unknown reason: " + where
        assert (reason == "error") == (outcome in CLASSES and reason is not None), where
        alike[outcome, reason] = alike.get((outcome, reason), 0) + 1
        if "addresses" in report and "address" in item:
            assert item["address"] in report["addresses"], "a foreign address: " + where
        if "backend" in item and "other_backends" not in report:
            assert item["backend"] in report.get("backends", {}), "a foreign backend: " + where
        assert ("address" in item) == ("at_ms" in item), "never sent, or was it: " + where
        assert "curl" not in item or "address" in item, "a line to nowhere: " + where
        if "took_ms" in item:
            phases = [took for name, took in item.get("phases_ms", {}).items() if name != "dns"]
            assert sum(phases) <= item["took_ms"] + 0.01, "phases: " + where
    assert all(n <= EVIDENCE_EACH for n in alike.values()), "too much evidence: " + where
    assert sum(alike.values()) <= EVIDENCE_MOST, "too much evidence: " + where
    told = {reason for _, reason in alike}
    assert all(reason in told for reason in report["reasons"]) or len(alike) >= 16, \
        "a reason without evidence: " + where


def check_report(report):
    """What holds of every JSON report, whatever was sampled."""
    where = json.dumps(report)
    outcomes = counts(report)
    _check_tally(report, where)
    assert sum(outcomes.values()) == report["planned"], "outcomes do not add up: " + where
    ours = sum(n for word, n in report["errors"].items() if word in NOT_JUDGED)
    if "ours" in report:
        assert report["ours"] in TROUBLES, "an unknown trouble: " + where
        ours = report["planned"]
    assert report["judged"] == report["planned"] - ours, "judged: " + where
    assert report["failed"] <= report["judged"], "failed: " + where
    assert sum(report["reasons"].values()) == report["failed"], "reasons: " + where
    assert all(reason in REASONS for reason in report["reasons"]), "reasons: " + where
    assert "ours" in report or \
        report["reasons"].get("error", 0) == sum(report["errors"].values()) - ours, \
        "every error class is a failure: " + where
    assert report["skipped"] >= 0 and report["took_ms"] >= 0, where
    _check_order(report, _REPORT_KEYS, where)
    addresses, backends = report.get("addresses"), report.get("backends", {})
    others = [report["other_backends"]] if "other_backends" in report else []
    assert addresses is None or len(addresses) > 1, where
    for tally in [*(addresses or {}).values(), *backends.values(), *others]:
        _check_tally(tally, where)
    _check_rows(outcomes, None if addresses is None else [counts(t) for t in addresses.values()],
                [counts(tally) for tally in [*backends.values(), *others]], where)
    tell = report["failed"] == sum(report["reasons"].get(r, 0) for r in ("error", "status"))
    for rows in (list((addresses or {}).values()), [*backends.values(), *others]):
        assert all(("failed" in row) != tell for row in rows), "failed of a row: " + where
        assert sum(row.get("failed", 0) for row in rows) <= report["failed"], where
        assert all(row.get("failed", 0) <= sum(counts(row).values()) for row in rows), where
    assert len(backends) <= BACKENDS_MOST, "too many backends: " + where
    assert not others or len(backends) > 0, "others than whom: " + where
    news = report.get("appeared", []) + report.get("gone", [])
    assert len(news) == len(set(news)), "an address twice: " + where
    if addresses is not None:
        assert all(address in addresses for address in report.get("appeared", [])), where
        assert all(address not in addresses for address in report.get("gone", [])), where
    _check_times(report, where)
    _check_evidence(report, where)


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
        _check_health(of_boot)
        lossless = all(record["record"] != "lost" for record in of_boot)
        for site, reports in by_site.items():
            _check_rounds(site, reports, (intervals or {}).get(site), lossless)


def troubles(records):
    """Events without a site: [(from, to, which)]."""
    return [(record["from"], record["to"], record["ours"]) for record in records
            if record["record"] == "event" and "site" not in record]


def _check_health(records):
    """Each trouble begins and is over in turn, from and to tell whether there is any, and none that
    a report names is not told."""
    active = set()
    for record in records:
        if record["record"] != "event" or "site" in record:
            continue
        before, which = bool(active), record["ours"]
        assert which in TROUBLES, record
        active ^= {which}
        assert record["from"] == ("impaired" if before else "ok"), record
        assert record["to"] == ("impaired" if active else "ok"), record
        assert (which not in active) == record["why"].startswith("over after "), record
    told = {which for _, _, which in troubles(records)}
    shown = {record["ours"] for record in records if "ours" in record}
    assert shown <= told or any(record["record"] == "lost" for record in records), (shown, told)


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
