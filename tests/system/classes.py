"""Every error class that a real socket can bring about, and whose fault it is."""

import os

from lab import (CertificateAuthority, Daemon, Origin, add_case, answer, case, configuration,
                 counts, cut, free_port, full_backlog, main, sample, start, TALLYD)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def add_class(name, outcome, make, *arguments):
    """`make(lab)` is a URL, or a URL and a CA file."""
    def run(lab):
        made = make(lab)
        url, trust = (made, []) if isinstance(made, str) else (made[0], ["--cacert", made[1]])
        done = sample("-n", 4, *arguments, *trust, url, status=1)
        report = done.reports[0]
        assert counts(report) == {outcome: 4}, done
        assert report["judged"] == report["failed"] == 4, report
        assert report["reasons"] == {"error": 4}, report
        evidence = report["evidence"]
        assert 1 <= len(evidence) <= 3, report
        assert all(e["outcome"] == outcome and e["address"] == "127.0.0.1" for e in evidence)
    add_case(f"{name} is {outcome}", run)


def hello_then(act):
    """Reads the first bytes, which are the ClientHello, then `act`."""
    def behave(connection):
        connection.socket.recv(65536)
        act(connection)
    return behave


def raw_tls(lab, behave):
    """An https URL whose server never does TLS."""
    return Origin(lab, behave).url().replace("http:", "https:")


def with_certificate(names, trusted=True, **options):
    def make(lab):
        ca = CertificateAuthority(lab)
        origin = Origin(lab, answer(ANSWER), certificate=ca.issue(*names, **options))
        return origin.url(), ca.certificate if trusted else \
            CertificateAuthority(lab, "other").certificate
    return make


def garbage(connection):
    connection.send(b"\x16\x03\x01\xff\xff" + bytes(range(256)) * 8)
    connection.finish()


SHORT = ("--timeout", "1500ms")
add_class("a closed port", "connect_refused", lambda lab: f"http://127.0.0.1:{free_port()}/")
add_class("a SYN that is never answered", "connect_timeout",
          lambda lab: f"http://127.0.0.1:{full_backlog(lab)}/", *SHORT)
add_class("a closed port over TLS", "connect_refused",
          lambda lab: f"https://127.0.0.1:{free_port()}/")
add_class("no answer to ClientHello", "tls_timeout",
          lambda lab: raw_tls(lab, lambda c: c.stall()), *SHORT)
add_class("a connection closed after ClientHello", "tls_handshake",
          lambda lab: raw_tls(lab, hello_then(lambda c: c.finish())))
add_class("a connection reset after ClientHello", "tls_handshake",
          lambda lab: raw_tls(lab, hello_then(lambda c: c.reset())))
add_class("garbage after ClientHello", "tls_handshake",
          lambda lab: raw_tls(lab, hello_then(garbage)))
add_class("plain HTTP on a TLS port", "tls_handshake",
          lambda lab: raw_tls(lab, hello_then(lambda c: (c.send(ANSWER), c.finish()))))
add_class("a certificate of an unknown CA", "tls_verify",
          with_certificate(["127.0.0.1"], trusted=False))
add_class("a self-signed certificate", "tls_verify",
          with_certificate(["127.0.0.1"], self_signed=True))
add_class("a certificate of another name", "tls_verify", with_certificate(["shop.example.org"]))
add_class("an expired certificate", "tls_verify", with_certificate(["127.0.0.1"], expired=True))
add_class("a connection closed without an answer", "empty_reply",
          lambda lab: Origin(lab, cut(ANSWER, 0, "close")).url())
add_class("a connection reset without an answer", "reset",
          lambda lab: Origin(lab, cut(ANSWER, 0, "reset")).url())
add_class("a connection reset in the body", "reset",
          lambda lab: Origin(lab, cut(ANSWER, len(ANSWER) - 2, "reset")).url())
add_class("a body that stops short", "truncated",
          lambda lab: Origin(lab, cut(ANSWER, len(ANSWER) - 2, "close")).url())
add_class("silence before the first byte", "first_byte_timeout",
          lambda lab: Origin(lab, cut(ANSWER, 0, "stall")).url(), *SHORT)
add_class("silence after the first byte", "transfer_timeout",
          lambda lab: Origin(lab, cut(ANSWER, 1, "stall")).url(), *SHORT)
add_class("a body that stalls", "transfer_timeout",
          lambda lab: Origin(lab, cut(ANSWER, len(ANSWER) - 2, "stall")).url(), *SHORT)


@case
def what_trickles_for_ever_is_transfer_timeout(lab):
    def trickle(connection):
        if connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nX: ")
            while connection.pause(0.02):
                connection.send(b"y")
    done = sample("-n", 4, *SHORT, Origin(lab, trickle).url(), status=1)
    assert counts(done.reports[0]) == {"transfer_timeout": 4}, done


@case
def no_route_is_connect_unreachable(lab):
    # an empty network of its own: not even loopback is up
    alone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--net"]
    probe = start([*alone, "true"])
    assert probe.wait(10) == 0, "this machine lets a test have no network of its own"
    path = lab.path("out")
    with open(path, "wb") as out:
        child = start([*alone, TALLYD, "sample", "-n", "3", "--format", "line",
                       "http://192.0.2.1/"], stdout=out)
    assert child.wait(30) == 1
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert " connect_unreachable=3 " in text, text


@case
def samples_without_a_turn_before_the_deadline_are_not_sent_and_not_judged(lab):
    origin = Origin(lab, cut(ANSWER, 0, "stall"))
    daemon = Daemon(lab, configuration(
        {"slow": origin.url()},
        {"interval": "3s", "samples": 10, "concurrency": 1, "timeout": "1200ms"}))
    report = daemon.wait_for_reports(1)[0]
    outcomes = counts(report)
    assert set(outcomes) == {"first_byte_timeout", "not_sent"}, report
    # three fit into the interval, the last cut by the deadline, which is a timeout of its phase
    assert outcomes["first_byte_timeout"] == report["judged"] == report["failed"] == 3, report
    daemon.stop()


@case
def descriptors_that_run_out_are_our_own_fault(lab):
    held = Origin(lab, lambda connection: connection.read_request() and connection.pause(0.5)
                  and (connection.send(ANSWER), connection.finish()))
    path = lab.path("out")
    with open(path, "wb") as out:
        child = start(["prlimit", "--nofile=40:40", TALLYD, "sample", "-n", "100", "-j", "100",
                       "--format", "line", held.url()], stdout=out)
    status = child.wait(60)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    # either it knows its limit and takes fewer at a time, or says whose fault it is
    assert status == 0 and " failed=0 " in text and " planned=100 " in text, (status, text)


@case
def a_hostile_neighbour_does_not_change_what_a_healthy_site_gets(lab):
    healthy = Origin(lab, answer(ANSWER))
    hostile = [cut(ANSWER, 0, "reset"), cut(ANSWER, 10, "stall"), cut(ANSWER, 20, "close"),
               cut(b"\0" * 100000, 100000, "close")]
    urls = []
    for behave in hostile:
        urls += [Origin(lab, behave).url(), healthy.url()]
    done = sample("-n", 20, *SHORT, *urls, status=1)
    for report in done.reports[1::2]:
        assert counts(report) == {"200": 20}, report
    for report in done.reports[::2]:
        assert report["codes"] == {}, report
    assert healthy.requests == 20 * len(hostile)


main()
