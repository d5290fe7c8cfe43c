"""One of 20 servers behind a load balancer answers 503: the report says so as often as it does."""

from lab import (Daemon, Haproxy, Nginx, case, configuration, counts, free_port, main, sample,
                 wait_for)


def balanced(lab):
    bad_port = free_port()
    return Haproxy(lab, Nginx(lab, ports=19, bad_port=bad_port).ports, bad_port)


def wait_for_statuses(haproxy, expected):
    total = sum(expected.values())
    wait_for(lambda: sum(haproxy.statuses.values()) >= total,
             lambda: f"{expected} in haproxy's log, which has {haproxy.statuses}")
    assert haproxy.statuses == expected, f"haproxy {haproxy.statuses}, reports {expected}"


@case
def over_400_samples_503_is_counted_as_often_as_haproxy_logs_it(lab):
    haproxy = balanced(lab)
    done = sample("-n", 20, *[haproxy.url()] * 20, status=1)
    total = {}
    for report in done.reports:
        for outcome, n in counts(report).items():
            total[outcome] = total.get(outcome, 0) + n
    wait_for_statuses(haproxy, total)
    # in turn over 20 servers, whatever the order in which the samples came
    assert total == {"200": 380, "503": 20}, total


@case
def the_site_is_degraded_after_a_few_rounds(lab):
    haproxy = balanced(lab)
    daemon = Daemon(lab, configuration({"shop": haproxy.url()},
                                       {"interval": "1s", "samples": 20}))
    daemon.wait_for(lambda: any(r["record"] == "event" and r["to"] == "degraded"
                                for r in daemon.records()), "an event to degraded", 30)
    log = daemon.stop()
    reports = [r for r in log if r["record"] == "report"]
    degraded = [r for r in reports if r["state"] == "degraded"]
    # each round of 20 adds a failure and takes away 19 fiftieths: full in the seventh
    assert reports[0]["state"] in ("unknown", "up") and degraded, reports
    whole = [r for r in reports if r["round"] < degraded[0]["round"]]
    assert len(whole) == 6 and all(r["codes"] == {"200": 19, "503": 1} for r in whole), reports
    assert all(r["planned"] == 20 for r in reports)
    totals = {}
    for report in reports:
        for code, n in report["codes"].items():
            totals[code] = totals.get(code, 0) + n
    wait_for_statuses(haproxy, totals)


main()
