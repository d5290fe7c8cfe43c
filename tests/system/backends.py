"""Servers behind one address that name themselves: the report says which of them is bad."""

import itertools

from lab import (Daemon, Haproxy, Nginx, Origin, add_case, case, check_log, configuration, counts,
                 free_port, main, wait_for)

SAMPLES = 30


def report_of(lab, url, backend, **settings):
    daemon = Daemon(lab, configuration(
        [{"name": "shop", "url": url, "backend": backend}],
        {"interval": "60s", "samples": SAMPLES, "spread": "0s", **settings}))
    report = daemon.first_report()
    check_log(daemon.stop())
    return report


def rows(report):
    return {name: counts(row) for name, row in report["backends"].items()}


def three_servers(lab):
    bad_port = free_port()
    return Haproxy(lab, Nginx(lab, ports=2, bad_port=bad_port).ports, bad_port)


def add_bad_one(kind, name, prefix):
    def run(lab):
        haproxy = three_servers(lab)
        report = report_of(lab, haproxy.url(), {kind: name})
        each = SAMPLES // 3
        assert counts(report) == {"200": 2 * each, "503": each}, report
        assert rows(report) == {prefix + "0": {"200": each}, prefix + "1": {"200": each},
                                prefix + "2": {"503": each}}, report
        assert {(e["outcome"], e["backend"]) for e in report["evidence"]} == \
            {("503", prefix + "2")}, report
        # as haproxy itself has it
        wait_for(lambda: sum(haproxy.statuses.values()) >= SAMPLES, "haproxy's log")
        assert haproxy.statuses == counts(report), haproxy.statuses
    add_case(f"of three servers behind haproxy the bad one is named by its {kind}", run)


add_bad_one("header", "X-Served-By", "s")
add_bad_one("cookie", "SERVERID", "c")


@case
def who_does_not_say_is_in_no_row(lab):
    nginx = Nginx(lab)
    report = report_of(lab, nginx.url(), {"header": "X-Served-By"})
    assert counts(report) == {"200": SAMPLES} and "backends" not in report, report


@case
def the_32_most_frequent_are_told_one_by_one_and_the_rest_together(lab):
    # server i of 40 answers 41 - i times, so that no two are as frequent
    turns = itertools.chain.from_iterable([i] * (41 - i) for i in range(1, 41))

    def behave(connection):
        if connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Served-By: b%d\r\n\r\n"
                            % next(turns))
            connection.finish()
    report = report_of(lab, Origin(lab, behave).url(), {"header": "X-Served-By"}, samples=820,
                       concurrency=1)
    assert rows(report) == {f"b{i}": {"200": 41 - i} for i in range(1, 33)}, report
    assert counts(report["other_backends"]) == {"200": sum(range(1, 9))}, report


@case
def a_name_cannot_stand_for_anything_but_itself(lab):
    names = [b"200", b"other", b'"},"planned":0', b"a\x1b[31mb", b"x" * 500]
    turns = itertools.cycle(names)

    def behave(connection):
        if connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Served-By: " + next(turns)
                            + b"\r\n\r\n")
            connection.finish()
    report = report_of(lab, Origin(lab, behave).url(), {"header": "X-Served-By"}, concurrency=1)
    found = rows(report)
    assert len(found) == len(names) and all(len(name) < 64 for name in found), report
    assert {"200", "other", '"},"planned":0'} < set(found), report
    assert all(row == {"200": SAMPLES // len(names)} for row in found.values()), report


main()
