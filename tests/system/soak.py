"""A long run against nginx and haproxy: nothing skipped, nothing miscounted, nothing leaked.
TALLYD_SOAK_SECONDS, _SITES and _INTERVAL (seconds) make it as long as one likes."""

import collections
import os
import signal

from lab import (CertificateAuthority, Daemon, Haproxy, Nginx, case, check_log, configuration,
                 counts, free_port, main, wait_for)

SECONDS = float(os.environ.get("TALLYD_SOAK_SECONDS", "20"))
SITES = int(os.environ.get("TALLYD_SOAK_SITES", "200"))
INTERVAL = float(os.environ.get("TALLYD_SOAK_INTERVAL", "3"))
# of resident memory after the warm-up, which a short run has hardly behind it at its end
GROWTH_BYTES = 256 * 1024 if SECONDS >= 300 else 4 * 1024 * 1024
# what is in flight differs from look to look; one descriptor lost in two hundred samples is more
GROWTH_FDS = 32
SAMPLES = 5


def memory_is_judged(daemon):
    """Not under a sanitizer, which keeps what was freed."""
    with open(f"/proc/{daemon.process.pid}/maps", encoding="utf-8", errors="replace") as file:
        text = file.read()
    return "libasan" not in text and "libtsan" not in text


@case
def nothing_is_skipped_miscounted_or_leaked(lab):
    ca = CertificateAuthority(lab)
    bad_port = free_port()
    backends = Nginx(lab, ports=19, bad_port=bad_port)
    haproxy = Haproxy(lab, backends.ports, bad_port)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    urls = [nginx.url("/mix"), nginx.tls_url("/200"), haproxy.url(), nginx.url("/body")]
    names = [f"s{i}" for i in range(SITES)]
    sites = {name: urls[i % len(urls)] for i, name in enumerate(names)}
    daemon = Daemon(lab, configuration(sites, {"interval": f"{INTERVAL}s", "samples": SAMPLES}),
                    env={"SSL_CERT_FILE": ca.certificate})
    rounds = max(4, int(SECONDS / INTERVAL))
    warm = max(2, rounds // 4)
    daemon.wait_for_reports(SITES)
    fill_the_pool(daemon, nginx)
    daemon.wait_for_reports(warm * SITES, limit=warm * INTERVAL + 60)
    before = look(daemon, INTERVAL)
    daemon.wait_for_reports((rounds - warm) * SITES, limit=rounds * INTERVAL + 60)
    after = look(daemon, INTERVAL)
    judged = memory_is_judged(daemon)
    log = daemon.stop()

    check_log(log, {name: INTERVAL for name in names})
    reports = [r for r in log if r["record"] == "report"]
    assert sum(r["skipped"] for r in reports) == 0, "rounds were skipped"
    sums = {url: collections.Counter() for url in urls}
    for report in reports:
        sums[report["url"]].update(counts(report))
    for url in urls:
        sums[url].pop("aborted", None)
    for url, path in ((urls[0], "/mix"), (urls[1], "/200"), (urls[3], "/body")):
        nginx.wait_for_requests(sums[url], path)
    wait_for(lambda: haproxy.statuses == sums[urls[2]],
             lambda: f"haproxy {haproxy.statuses}, reports {sums[urls[2]]}")
    assert after[1] - before[1] <= GROWTH_FDS, f"{before[1]} descriptors, then {after[1]}"
    if judged:
        assert after[0] - before[0] <= GROWTH_BYTES, f"{before[0]} bytes resident, then {after[0]}"


def fill_the_pool(daemon, nginx):
    """Has more rounds in flight at once than the pool keeps handles of, so that what is kept stays
    the same from here on: the server answers nobody for a while, shorter than the timeout."""
    full = min(2 * SITES // 3, 80)
    nginx.process.send_signal(signal.SIGSTOP)
    try:
        daemon.wait_for(lambda: daemon.fds() >= (2 + SAMPLES) * full, f"{full} rounds in flight")
    finally:
        nginx.process.send_signal(signal.SIGCONT)


def look(daemon, seconds):
    """The least of resident memory and of descriptors, in ten looks over a time."""
    seen = []
    for _ in range(10):
        target = len(daemon.reports()) + max(1, int(SITES * seconds / INTERVAL / 10))
        daemon.wait_for(lambda target=target: len(daemon.reports()) >= target, "more reports")
        seen.append((daemon.rss_bytes(), daemon.fds()))
    return tuple(map(min, zip(*seen)))


main()
