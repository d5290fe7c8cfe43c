"""Four sampling loops: the same counts, the same order."""

import collections
import datetime

from lab import (CertificateAuthority, Daemon, Nginx, case, check_log, configuration, counts, main)


INTERVAL_S = 4.0  # so long that nothing times out on a busy machine and under a sanitizer
INTERVAL = f"{INTERVAL_S:g}s"


def start_of(report):
    """In milliseconds."""
    return datetime.datetime.fromisoformat(report["time"]).timestamp() * 1000


def totals(reports):
    sums = collections.Counter()
    for report in reports:
        sums.update(counts(report))
    return sums


@case
def four_workers_and_a_hundred_sites_count_what_nginx_counts(lab):
    nginx = Nginx(lab)
    names = [f"s{i}" for i in range(100)]
    daemon = Daemon(lab, configuration({name: nginx.url("/mix") for name in names},
                                       {"interval": INTERVAL, "samples": 5}, workers=4))
    daemon.wait_for_reports(250, limit=60)
    log = daemon.stop()
    check_log(log, {name: INTERVAL_S for name in names})
    reports = [r for r in log if r["record"] == "report"]
    nginx.wait_for_requests({outcome: n for outcome, n in totals(reports).items()
                             if outcome != "aborted"})
    # rounds begin in the order of their slots, which is the configuration's; a busy machine may
    # begin one late, and that one alone leaves after others
    latest = 0.0
    for report in reports:
        began, due = start_of(report), start_of(report) - report["late_ms"]
        assert began > latest - 2, "not in the order in which rounds began"
        latest = max(latest, due)
    firsts = [r for r in reports if r["round"] == 1]
    firsts.sort(key=lambda r: start_of(r) - r["late_ms"])
    assert [r["site"] for r in firsts] == names, "not in the order of the configuration"


@case
def four_workers_over_tls_share_nothing_but_the_bundle(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    names = [f"s{i}" for i in range(16)]
    daemon = Daemon(lab, configuration({name: nginx.tls_url() for name in names},
                                       {"interval": INTERVAL, "samples": 5}, workers=4),
                    env={"SSL_CERT_FILE": ca.certificate})
    daemon.wait_for_reports(40, limit=60)
    log = daemon.stop()
    check_log(log, {name: INTERVAL_S for name in names})
    sums = totals(r for r in log if r["record"] == "report")
    aborted = sums.pop("aborted", 0)
    assert set(sums) == {"200"}, (sums, aborted)
    nginx.wait_for_requests(sums)


main()
