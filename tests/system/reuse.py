"""Connections that a site keeps: what is counted stays true, whatever becomes of them."""

import collections
import os
import signal
import threading

from lab import (OK, CertificateAuthority, Daemon, Nginx, Origin, Recorder, case, check_log,
                 configuration, counts, main, wait_for)
from lab.process import established
from lab.records import NOT_JUDGED

INTERVAL = "300ms"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"


def started(lab, *rows, samples=4, interval=INTERVAL, concurrency=2, **settings):
    return Daemon(lab, configuration(
        [{"connection": "reuse", **row} for row in rows],
        {"interval": interval, "samples": samples, "spread": "0s", "concurrency": concurrency,
         **settings}))


def totals(log):
    """Samples with a status, those whose answer a busy machine missed, and repetitions, of all
    reports; every other outcome is a fault."""
    reports = [record for record in log if record["record"] == "report"]
    total = collections.Counter()
    for report in reports:
        total.update(counts(report))
    assert set(total) <= {"200", *NOT_JUDGED}, reports
    return (total["200"], total["local_resource"],
            sum(report.get("repeated", 0) for report in reports))


def check_totals(log, recorder):
    """Of an origin that answers once a connection: what it saw are samples and repetitions."""
    samples, missed, repeated = totals(log)
    # after one that was missed, its connection has gone
    assert repeated >= samples - 1 - missed > 0, (samples, missed, repeated)
    assert 0 <= len(recorder.requests) - samples - repeated <= missed, (len(recorder.requests), log)


def over_both(lab):
    """(settings of a site, certificate of its origin): plain, and TLS."""
    ca = CertificateAuthority(lab)
    return (({}, None), ({"tls": {"ca": ca.certificate}}, ca.issue("127.0.0.1")))


@case
def connections_stay_from_sample_to_sample_and_from_round_to_round(lab):
    for settings, certificate in over_both(lab):
        recorder = Recorder()
        origin = Origin(lab, recorder, certificate=certificate)
        daemon = started(lab, {"name": "site", "url": origin.url(), **settings})
        daemon.wait_for_reports(5)
        log = daemon.stop()[-6:]
        os.unlink(daemon.log_path)
        check_log(log if certificate is None else [])
        # two in flight at the most, and never one more connection
        assert origin.connections == 2, origin.connections
        assert len(recorder.requests) >= 20
        last = [record for record in log if record["record"] == "report"][-2]
        # a sample on a kept connection has no connect and no handshake of its own
        assert set(last["phases_ms"]) == {"first_byte", "transfer"}, last
        assert last.get("repeated", 0) == 0, last


@case
def a_fresh_site_keeps_none(lab):
    recorder = Recorder()
    origin = Origin(lab, recorder)
    daemon = started(lab, {"name": "site", "url": origin.url(), "connection": "fresh"})
    daemon.wait_for_reports(3)
    daemon.stop()
    assert origin.connections == len(recorder.requests) >= 12


@case
def requests_seen_are_samples_and_repetitions_when_kept_connections_are_closed(lab):
    # it reads the second request of each connection, and closes without a word: libcurl asks again
    for settings, certificate in over_both(lab):
        asked, lock = {}, threading.Lock()

        def answer(request):
            with lock:
                asked[request.connection] = asked.get(request.connection, 0) + 1
                return OK if asked[request.connection] == 1 else None
        recorder = Recorder(answer)
        origin = Origin(lab, recorder, certificate=certificate)
        daemon = started(lab, {"name": "site", "url": origin.url(), **settings}, concurrency=1)
        daemon.wait_for_reports(5)
        log = daemon.stop()
        os.unlink(daemon.log_path)
        check_totals(log, recorder)


@case
def the_same_by_reset(lab):
    class Resetting(Recorder):
        def __call__(self, connection):
            self.connection = connection
            super().__call__(connection)

    def answer(request):
        if sum(r.connection == request.connection for r in recorder.requests) > 1:
            recorder.connection.reset()
        return OK
    recorder = Resetting(answer)
    origin = Origin(lab, recorder)
    daemon = started(lab, {"name": "site", "url": origin.url()}, concurrency=1)
    daemon.wait_for_reports(5)
    check_totals(daemon.stop(), recorder)


@case
def what_ends_the_first_attempt_says_nothing_of_the_second(lab):
    # the kept connection is reset, and the new one closed without a word: empty_reply, not reset
    for settings, certificate in over_both(lab):
        def behave(connection):
            for _ in range(2):
                if not connection.read_request():
                    return
                if connection.number % 2 == 0:
                    connection.finish()
                    return
                if _ == 1:
                    connection.reset()
                    return
                connection.send(OK)
        origin = Origin(lab, behave, certificate=certificate)
        daemon = started(lab, {"name": "site", "url": origin.url(), **settings}, concurrency=1,
                         samples=2)
        daemon.wait_for_reports(4)
        log = [record for record in daemon.stop() if record["record"] == "report"][-5:-1]
        os.unlink(daemon.log_path)
        for report in log:
            assert counts(report) == {"200": 1, "empty_reply": 1}, report
            assert report["repeated"] == 1, report


@case
def nothing_is_repeated_on_a_connection_that_is_new(lab):
    recorder = Recorder(lambda request: None)
    origin = Origin(lab, recorder)
    daemon = started(lab, {"name": "site", "url": origin.url()})
    report = daemon.first_report()
    assert counts(report) == {"empty_reply": 4} and report.get("repeated", 0) == 0, report
    daemon.stop()
    assert len(recorder.requests) == origin.connections


@case
def a_half_answer_on_a_kept_connection_is_not_asked_again(lab):
    seen = []

    def answer(request):
        seen.append(request.connection)
        return OK if seen.count(request.connection) == 1 else OK[:20]
    recorder = Recorder(answer)

    class Half(Recorder):
        def __call__(self, connection):
            try:
                recorder(connection)
            finally:
                connection.socket.close()
    origin = Origin(lab, lambda connection: recorder(_Closing(connection, seen)))
    daemon = started(lab, {"name": "site", "url": origin.url()}, concurrency=1, samples=2)
    daemon.wait_for_reports(3)
    log = [r for r in daemon.stop() if r["record"] == "report"]
    assert all(counts(r) == {"200": 1, "truncated": 1} for r in log[:3]), log
    assert all(r.get("repeated", 0) == 0 for r in log), log


class _Closing:
    """A connection that ends after its second answer."""

    def __init__(self, connection, seen):
        self._connection, self._seen = connection, seen
        self.socket, self.number = connection.socket, connection.number

    def send(self, data):
        self._connection.send(data)
        if self._seen.count(self.number) > 1:
            self._connection.finish()


@case
def nginx_counts_as_we_do_whether_it_closes_after_three_or_is_restarted(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"), extra="keepalive_requests 3;")
    daemon = started(lab, {"name": "plain", "url": nginx.url()},
                     {"name": "tls", "url": nginx.tls_url(), "tls": {"ca": ca.certificate}},
                     samples=10)
    daemon.wait_for_reports(10)
    samples, missed, repeated = totals(daemon.stop())
    assert repeated == 0, repeated  # it says that it closes, and is believed
    wait_for(lambda: sum(nginx.requests().values()) >= samples, f"{samples} requests")
    assert sum(nginx.requests().values()) <= samples + missed, (nginx.requests(), samples, missed)


@case
def a_server_that_is_restarted_between_rounds_is_no_failure(lab):
    nginx = Nginx(lab)
    daemon = started(lab, {"name": "site", "url": nginx.url()}, interval="1s", samples=2)
    daemon.wait_for_reports(2)
    for _ in range(3):
        daemon.wait_for_reports(1)
        nginx.restart()
        daemon.wait_for_reports(1)
    samples, missed, repeated = totals(daemon.stop())
    # what was asked of a process that had gone did not get an answer from it
    seen = sum(nginx.requests().values())
    assert samples <= seen <= samples + missed + repeated, (samples, missed, repeated, seen)


@case
def each_address_has_connections_of_its_own(lab):
    recorders = [Recorder(), Recorder()]
    first = Origin(lab, recorders[0])
    second = Origin(lab, recorders[1], address="127.0.0.2", port=first.port)
    daemon = started(lab, {"name": "one", "url": first.url()},
                     {"name": "two", "url": second.url()})
    daemon.wait_for_reports(10)
    log = daemon.stop()
    for site, recorder, origin in (("one", recorders[0], first), ("two", recorders[1], second)):
        samples, missed, _ = totals([r for r in log if r.get("site") == site])
        assert 0 <= len(recorder.requests) - samples <= missed, (site, samples, missed)
        assert 0 <= origin.connections - 2 <= missed, (site, origin.connections, missed)


# ---- reloads, bounds ----

def hup(daemon):
    before = len(daemon.err())
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("reloaded: ", after=before)


@case
def a_ca_that_sighup_took_out_ends_connections_that_it_had_verified(lab):
    ca, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    recorder = Recorder()
    origin = Origin(lab, recorder, certificate=ca.issue("127.0.0.1"))
    with open(ca.certificate, encoding="ascii") as file:
        bundle = lab.write("bundle.pem", file.read())
    daemon = started(lab, {"name": "site", "url": origin.url(), "tls": {"ca": bundle}})
    daemon.wait_for_reports(3)
    hup(daemon)  # nothing has changed, and nothing is closed
    daemon.wait_for_reports(3)
    assert origin.connections == 2
    with open(other.certificate, encoding="ascii") as file:
        lab.write("bundle.pem", file.read())
    hup(daemon)
    daemon.wait_for_reports(1)  # one may have ended before
    before = len(recorder.requests)
    daemon.wait_for_reports(3)
    assert len(recorder.requests) == before, "a connection was used that nobody vouches for"
    assert counts(daemon.reports()[-1]) == {"tls_verify": 4}
    daemon.stop()


@case
def a_ca_that_goes_in_mid_round_is_not_trusted_by_a_kept_connection(lab):
    ca, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    recorder = Recorder()
    origin = Origin(lab, recorder, certificate=ca.issue("127.0.0.1"))
    with open(ca.certificate, encoding="ascii") as file:
        bundle = lab.write("bundle.pem", file.read())
    daemon = started(lab, {"name": "site", "url": origin.url(), "tls": {"ca": bundle}},
                     interval="5s", samples=20, spread="2s")
    daemon.wait_for(lambda: len(recorder.requests) >= 5, "five samples")
    with open(other.certificate, encoding="ascii") as file:
        lab.write("bundle.pem", file.read())
    hup(daemon)
    report = daemon.first_report()
    assert set(counts(report)) == {"200", "tls_verify"}, report
    assert report["codes"]["200"] == len(recorder.requests) <= 12, report
    daemon.stop()


@case
def what_a_site_keeps_is_closed_when_it_goes_or_changes(lab):
    recorder = Recorder()
    origin = Origin(lab, recorder)
    settings = {"interval": INTERVAL, "samples": 4, "spread": "0s", "concurrency": 2}
    row = {"name": "site", "url": origin.url(), "connection": "reuse"}
    other = {"name": "other", "url": Origin(lab, Recorder()).url()}
    daemon = Daemon(lab, configuration([row, other], settings))
    pid = daemon.process.pid
    daemon.wait_for_reports(2, "site")
    assert established(pid, origin.port) == 2
    for change in ([{**row, "connection": "fresh"}, other], [{**row, "url": origin.url("/x")},
                   other], [{**row, "enabled": False}, other], [other]):
        daemon.write_config(configuration([row, other], settings))
        hup(daemon)
        daemon.wait_for_reports(2, "site")
        assert established(pid, origin.port) == 2
        before, connections = established(pid, origin.port), origin.connections
        daemon.write_config(configuration(change, settings))
        hup(daemon)
        if change[0].get("connection") == "reuse" and change[0].get("enabled", True):
            daemon.wait_for(lambda: origin.connections > connections, "new connections")
            daemon.wait_for_reports(2, "site")
            assert established(pid, origin.port) == 2, before
        else:
            daemon.wait_for(lambda: established(pid, origin.port) == 0, "connections closed")
    daemon.stop()


@case
def many_sites_together_keep_a_bounded_number_of_descriptors(lab):
    recorder = Recorder()
    origin = Origin(lab, recorder)
    daemon = started(lab, *({"name": f"s{i}", "url": origin.url(f"/{i}")} for i in range(400)),
                     interval="2s", samples=2)
    daemon.wait_for(lambda: len({r["site"] for r in daemon.reports()}) == 400, "all", 60)
    daemon.wait_for_reports(400)
    # CONNECTIONS_KEPT_MOST, and what else there is; beside what is in flight at the moment
    daemon.wait_for(lambda: 300 < daemon.fds() < 512 + 100,
                    lambda: f"not too many descriptors, which are {daemon.fds()}")
    totals(daemon.stop())


main()
