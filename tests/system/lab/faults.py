"""Every way that we know in which a server, or the network before it, can make a sample fail; and
which class that is. One table for several scenarios, so that one of them can say which rows of
tallyd's own table have a test in which a real socket brings them about."""

import collections
import itertools
import os
import socket
import ssl
import time

from . import network
from .cases import add_case
from .origin import Origin, answer, cut
from .process import free_port
from .records import NOT_JUDGED, counts
from .servers import CertificateAuthority
from .tallyd import Daemon, Running, configuration

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TIMES = int(os.environ.get("TALLYD_SAMPLES", "100"))  # a multiple of 10
IN_FLIGHT = (1, 50)
PACE_S = 0.05  # from one of many processes to the next, so that their starting delays none of them

# `origin`, if there is one, counts its connections: one a sample. `settings` are a site's, for what
# no argument can say. Where samples only wait, `processes` share those that are alone in theirs.
Target = collections.namedtuple("Target", "url arguments origin settings processes",
                                defaults=[(), None, None, 5])
Fault = collections.namedtuple("Fault", "name make plain tls rows scenario")
FAULTS = []


def fault(name, make, plain, tls, *names, scenario="classes"):
    """`plain` and `tls` are the classes over HTTP and over HTTPS, None where it cannot be; `names`
    are the rows of the table in classify.c that it brings about."""
    FAULTS.append(Fault(name, make, plain, tls, names, scenario))


def of(scenario):
    return [one for one in FAULTS if one.scenario == scenario]


# ---- servers ----

def served(behave, **options):
    """A server whose TLS is in order, and which fails later."""
    def make(lab, tls):
        if not tls:
            origin = Origin(lab, behave)
            return Target(origin.url(), (), origin)
        ca = CertificateAuthority(lab)
        origin = Origin(lab, behave, certificate=ca.issue("127.0.0.1"), **options)
        return Target(origin.url(), ("--cacert", ca.certificate), origin)
    return make


def raw(behave):
    """A server that does no TLS of its own accord."""
    def make(lab, tls):
        origin = Origin(lab, behave)
        url = origin.url()
        return Target(url.replace("http:", "https:") if tls else url, (), origin)
    return make


def at(address, port=None):
    """A URL where there is no server."""
    def make(_, tls):
        number = "" if port is None else f":{port}"
        return Target(f"{'https' if tls else 'http'}://{address}{number}/")
    return make


def on_port(choose):
    return lambda lab, tls: at("127.0.0.1", choose(lab))(lab, tls)


def said(data, how="close"):
    return served(cut(data, len(data), how))


def asked(behave, counted=True, **settings):
    """A server that is asked as a site's settings say."""
    def make(lab, tls):
        target = served(behave)(lab, tls)
        # its arguments are none, or --cacert and a file
        trust = {"tls": {"ca": target.arguments[1]}} if tls else {}
        return target._replace(arguments=(), settings={**settings, **trust},
                               origin=target.origin if counted else None)
    return make


def through(proxy):
    """A site behind a proxy that is `proxy(lab)`, a port."""
    def make(lab, tls):
        settings = {"request": {"proxy": f"http://127.0.0.1:{proxy(lab)}"}}
        return at("127.0.0.1", free_port())(lab, tls)._replace(settings=settings)
    return make


def hello_then(act):
    """Reads the first bytes, which are the ClientHello, then `act`."""
    def behave(connection):
        connection.socket.recv(65536)
        act(connection)
    return raw(behave)


def with_certificate(*names, trusted=True, **options):
    def make(lab, _):
        ca = CertificateAuthority(lab)
        other = ca if trusted else CertificateAuthority(lab, "other")
        origin = Origin(lab, answer(ANSWER), certificate=ca.issue(*names, **options))
        return Target(origin.url(), ("--cacert", other.certificate), origin)
    return make


def with_context(change):
    """A server whose TLS is as `change(context, ca)` makes it."""
    def make(lab, _):
        ca = CertificateAuthority(lab)
        origin = Origin(lab, answer(ANSWER), certificate=ca.issue("127.0.0.1"),
                        change_context=lambda context: change(context, ca))
        return Target(origin.url(), ("--cacert", ca.certificate), origin)
    return make


def only_tls_1_1(context, _):
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def only_tls_1_2(context):
    """The server's word ends the handshake: what it does next is there before the request is."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def wants_a_client(version):
    def change(context, ca):
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca.certificate)
    return change


def alert(description):
    """A fatal alert of TLS, in the clear."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([description])


def trickle(connection):
    if connection.read_request():
        connection.send(b"HTTP/1.1 200 OK\r\nX: ")
        while connection.pause(0.02):
            connection.send(b"y")


# ---- what needs no network of its own ----

def _on_loopback():
    fault("a closed port", on_port(lambda lab: free_port()), "connect_refused", "connect_refused",
          "COULDNT_CONNECT ECONNREFUSED")
    fault("a connection reset as soon as it is accepted", raw(lambda c: c.reset()),
          "reset", "tls_handshake", "RECV_ERROR ECONNRESET", "SSL_CONNECT_ERROR")
    # all the way: with a request unread, close() would reset it
    fault("a connection closed as soon as it is accepted", raw(lambda c: c.finish()),
          "empty_reply", "tls_handshake", "GOT_NOTHING", "SSL_CONNECT_ERROR")
    _handshakes()
    _certificates()
    _ends()
    _malformed()


def _handshakes():
    row = "SSL_CONNECT_ERROR"
    fault("a connection closed after ClientHello", hello_then(lambda c: c.finish()),
          None, "tls_handshake", row)
    fault("a connection reset after ClientHello", hello_then(lambda c: c.reset()),
          None, "tls_handshake", row)
    fault("garbage after ClientHello", hello_then(lambda c: (
        c.send(b"\x16\x03\x01\xff\xff" + bytes(range(256)) * 8), c.finish())),
        None, "tls_handshake", row)
    fault("plain HTTP on a TLS port", hello_then(lambda c: (c.send(ANSWER), c.finish())),
          None, "tls_handshake", row)
    fault("the alert that there is no such name", hello_then(
        lambda c: (c.send(alert(112)), c.finish())), None, "tls_handshake", row)
    fault("the alert that a certificate is wanted", hello_then(
        lambda c: (c.send(alert(116)), c.finish())), None, "tls_handshake", "SSL_CLIENTCERT")
    fault("a server of TLS 1.1 only", with_context(only_tls_1_1), None, "tls_handshake", row)
    fault("a server that wants a client's certificate, TLS 1.2",
          with_context(wants_a_client(ssl.TLSVersion.TLSv1_2)), None, "tls_handshake", row)
    fault("a server that wants a client's certificate, TLS 1.3",
          with_context(wants_a_client(ssl.TLSVersion.TLSv1_3)), None, "tls_handshake",
          "RECV_ERROR TLS|REQUEST NO_ERROR ONLY_TLS")
    fault("a connection reset right after the handshake",
          served(lambda c: c.reset(), change_context=only_tls_1_2), None, "reset", "SEND_ERROR")
    fault("a connection closed and reset right after the handshake",
          served(lambda c: c.close_and_reset(), change_context=only_tls_1_2), None, "empty_reply",
          "SEND_ERROR REQUEST EPIPE")


def _certificates():
    row = "PEER_FAILED_VERIFICATION"
    for name, make in (
            ("a certificate of an unknown CA", with_certificate("127.0.0.1", trusted=False)),
            ("a self-signed certificate", with_certificate("127.0.0.1", self_signed=True)),
            ("a certificate of another name", with_certificate("shop.example.org")),
            ("an expired certificate", with_certificate("127.0.0.1", expired=True))):
        fault(name, make, None, "tls_verify", row)


def _ends():
    """The connection ends where the answer does not."""
    fault("closed without an answer", served(cut(ANSWER, 0, "close")),
          "empty_reply", "empty_reply", "GOT_NOTHING")
    fault("closed in the status line", served(cut(ANSWER, 8, "close")),
          "truncated", "truncated", "GOT_NOTHING ANSWER")
    fault("closed in the head", served(cut(ANSWER, 25, "close")), "truncated", "truncated",
          "OK, the head is not complete")
    fault("closed in the body", served(cut(ANSWER, len(ANSWER) - 2, "close")),
          "truncated", "truncated", "PARTIAL_FILE")
    for where, offset in (("without an answer", 0), ("in the head", 25),
                          ("in the body", len(ANSWER) - 2)):
        fault(f"reset {where}", served(cut(ANSWER, offset, "reset")), "reset", "reset",
              "RECV_ERROR ECONNRESET")
        of_end = "empty_reply" if offset == 0 else "truncated"
        fault(f"closed and then reset {where}", served(cut(ANSWER, offset, "close_and_reset")),
              of_end, of_end)


def _malformed():
    empty = b"\r\nContent-Length: 0\r\n\r\n"
    fault("a status line that is none", said(b"HTTP/1.1 abc OK" + empty), "protocol", "protocol",
          "UNSUPPORTED_PROTOCOL")
    fault("an SSH banner", said(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), "protocol", "protocol",
          "UNSUPPORTED_PROTOCOL")
    fault("a negative length", said(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
          "protocol", "protocol", "WEIRD_SERVER_REPLY")
    fault("a bad chunk size", said(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"), "protocol", "protocol",
          "RECV_ERROR CONNECT|TLS|REQUEST|ANSWER NO_ERROR")
    fault("101 unasked", said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
          "protocol", "protocol", "unasked 101")
    fault("a head of 70,000 bytes",
          said(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 12000 + b"\r\n"), "too_large", "too_large",
          "more head than we read")
    fault("one header of 300,000 bytes",
          said(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300000 + b"\r\n\r\n"), "too_large", "too_large",
          "OUT_OF_MEMORY REQUEST|ANSWER")
    fault("a trailer without a colon", said(CHUNKED + b"5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
          "protocol", "protocol", "BAD_FUNCTION_ARGUMENT")
    fault("trailers of 70,000 bytes",
          said(CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 12000 + b"\r\n"),
          "too_large", "too_large", "more head than we read")
    fault("a body that is longer than we read, and cut",
          said(b"HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000),
          "503", "503", "more body than we read")


def _as_settings_say():
    """Compression, proxies and redirects."""
    fault("a body that is not what its coding says", asked(cut(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 1000,
        "close"), request={"compressed": True}), "protocol", "protocol", "BAD_CONTENT_ENCODING")
    # what a proxy answers to a request without a tunnel cannot be told from what the site answers
    fault("a proxy that is not there", through(lambda lab: free_port()), "proxy", "proxy")
    refusal = b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"
    for name, data, how, plain in (
            ("a proxy that refuses", refusal, "close", "502"),
            ("a proxy that closes", b"", "close", "empty_reply"),
            ("a proxy that resets", b"", "reset", "reset"),
            ("a proxy that is none", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "close", "protocol")):
        fault(name, through(lambda lab, data=data, how=how:
                            Origin(lab, cut(data, len(data), how)).port), plain, "proxy")
    for name, location in (
            ("to itself", b"Location: /\r\n"), ("to nowhere", b""),
            ("to another origin", b"Location: http://127.0.0.1:1/\r\n"),
            ("to another protocol", b"Location: ftp://127.0.0.1/\r\n")):
        fault(f"a redirect {name}", asked(answer(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n" + location + b"\r\n"), counted=False,
            redirects={"follow": 3}), "redirect", "redirect")


# ---- what needs a network of its own ----

def wire(number, act):
    """An address of the black hole, for which `act` answers."""
    def make(lab, tls):
        address = network.BLACK_HOLE + str(number)
        network.Wire(lab, address, act)
        return at(address)(lab, tls)
    return make


def without_ports(lab, tls):
    """A server to which every local port has a connection already."""
    origin = Origin(lab, answer(ANSWER), address=network.HERE, port=free_port())
    first = 40010 if tls else 40000
    for port in range(first, first + 4):
        client = socket.create_connection((origin.address, origin.port),
                                          source_address=(network.HERE, port))
        lab.callback(client.close)
    network.sysctl("ip_local_port_range", first, first + 3)
    lab.callback(network.sysctl, "ip_local_port_range", 32768, 60999)
    return at(origin.address, origin.port)(lab, tls)


def _on_the_network():
    def add(name, make, outcome, *names, tls=None):
        fault(name, make, outcome, tls or outcome, *names, scenario="network")
    add("a net without a route", at(network.NO_ROUTE), "connect_unreachable",
        "COULDNT_CONNECT ENETUNREACH")
    add("a route that says unreachable", at(network.UNREACHABLE), "connect_unreachable",
        "COULDNT_CONNECT EHOSTUNREACH")
    add("a route that says prohibited", at(network.PROHIBITED), "connect_unreachable",
        "COULDNT_CONNECT EACCES")
    add("a route that discards", at(network.DISCARDED), "connect_failure", "COULDNT_CONNECT")
    for code, words, outcome, row in (
            (0, "net unreachable", "connect_unreachable", "COULDNT_CONNECT ENETUNREACH"),
            (1, "host unreachable", "connect_unreachable", "COULDNT_CONNECT EHOSTUNREACH"),
            (2, "protocol unreachable", "connect_failure", "COULDNT_CONNECT"),
            (3, "port unreachable", "connect_refused", "COULDNT_CONNECT ECONNREFUSED"),
            (7, "host unknown", "connect_unreachable", "COULDNT_CONNECT EHOSTDOWN"),
            (8, "host isolated", "connect_failure", "COULDNT_CONNECT"),
            (13, "administratively prohibited", "connect_unreachable",
             "COULDNT_CONNECT EHOSTUNREACH")):
        answer_syn = network.to_syn(network.unreachable(code))
        add(f"a router that says {words}", wire(10 + code, answer_syn), outcome, row)
    reset = network.accept_and_end(network.RST)
    add("a connection that is reset in its first moments", wire(30, network.to_syn(reset)),
        "reset", "COULDNT_CONNECT ECONNRESET ONLY_TLS", "COULDNT_CONNECT ECONNRESET",
        tls="tls_handshake")
    closed = network.accept_and_end(network.FIN_ACK, network.RST)
    add("a connection that is closed and reset in its first moments",
        wire(31, network.to_syn(closed)), "empty_reply",
        "COULDNT_CONNECT EPIPE ONLY_TLS", "COULDNT_CONNECT EPIPE", tls="tls_handshake")
    add("no local port left", without_ports, "local_resource", "COULDNT_CONNECT EADDRNOTAVAIL")


# ---- what takes its time ----

def silent(data=None):
    """Silence, after `data` if there is some; over TLS a handshake comes before it."""
    return served(cut(data or b"", len(data or b""), "stall"))


def deaf(address, data):
    """A server that hears no request, and sends `data` nevertheless: TCP gives up."""
    def make_tls(lab):
        ca = CertificateAuthority(lab)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*ca.issue(address))
        only_tls_1_2(context)

        def behave(connection):
            coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(coming, going, server_side=True)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.send(going.read())
                    coming.write(connection.socket.recv(65536))
            network.deafen(connection.socket)
            if data:
                tls.write(data)
            connection.send(going.read())
            connection.stall()
        origin = Origin(lab, behave, address=address)
        return Target(origin.url().replace("http:", "https:"), ("--cacert", ca.certificate),
                      origin)

    def make(lab, tls):
        if tls:
            return make_tls(lab)
        origin = Origin(lab, lambda c: (c.send(data), c.stall()), address=address,
                        change_listener=network.deafen)
        return Target(origin.url(), (), origin)
    return make


def with_wire(address, act, make):
    def made(lab, tls):
        network.Wire(lab, address, act)
        return make(lab, tls)
    return made


def with_timeout(limit, processes, make):
    def made(lab, tls):
        target = make(lab, tls)
        return target._replace(arguments=("--timeout", limit, *target.arguments),
                               processes=processes)
    return made


def _that_wait():
    def add(limit, name, make, plain, tls, *names, processes=5):
        fault(name, with_timeout(limit, processes, make), plain, tls, *names, scenario="silence")
    # long enough that a machine that is busy elsewhere does not make it our own fault
    limit, never = "1500ms", "20s"
    head = ANSWER[:25]
    add(limit, "a SYN that is never answered", at(network.BLACK_HOLE + "1"),
        "connect_timeout", "connect_timeout", "OPERATION_TIMEDOUT CONNECT")
    add(limit, "silence instead of a handshake", raw(lambda c: c.stall()),
        None, "tls_timeout", "OPERATION_TIMEDOUT TLS")
    add(limit, "silence before the first byte", silent(),
        "first_byte_timeout", "first_byte_timeout", "OPERATION_TIMEDOUT REQUEST")
    add(limit, "silence in the head", silent(head),
        "transfer_timeout", "transfer_timeout", "OPERATION_TIMEDOUT ANSWER")
    add(never, "a SYN that TCP has given up", at(network.BLACK_HOLE + "2"),
        "connect_timeout", "connect_timeout", "OPERATION_TIMEDOUT CONNECT", processes=10)
    add(never, "a request that TCP has given up", deaf("127.0.0.2", b""),
        "first_byte_timeout", "first_byte_timeout", "RECV_ERROR REQUEST ETIMEDOUT")
    add(never, "a request that TCP has given up in the midst of the answer",
        deaf("127.0.0.3", head), "transfer_timeout", "transfer_timeout",
        "RECV_ERROR ANSWER ETIMEDOUT")
    gone = network.to_data(network.unreachable(1))
    add(never, "a host that became unreachable before the answer",
        with_wire("127.0.0.4", gone, deaf("127.0.0.4", b"")), "empty_reply", "empty_reply",
        "RECV_ERROR")
    add(never, "a host that became unreachable in the midst of the answer",
        with_wire("127.0.0.5", gone, deaf("127.0.0.5", head)), "truncated", "truncated",
        "RECV_ERROR ANSWER")


# ---- the same answer every time ----

def check_sameness(report, outcome, times, what, missed=0):
    """That all samples of a report came to the same, and that it tells of it as it should; but for
    those that tallyd says it missed."""
    what = f"{what}: {report}"
    times -= missed
    ours = {"local_resource": missed} if missed else {}
    assert counts(report) == {outcome: times, **ours}, f"not always {outcome}: {what}"
    is_ours, is_error = outcome in NOT_JUDGED, not outcome.isdigit()
    assert report["judged"] == report["failed"] == (0 if is_ours else times), what
    assert report["reasons"] == ({} if is_ours else {"error" if is_error else "status": times}), \
        what
    evidence = [e for e in report.get("evidence", []) if not missed or e["outcome"] not in ours]
    assert len(evidence) <= 3 and all(e["outcome"] == outcome for e in evidence), what
    assert evidence or is_ours, f"no evidence: {what}"
    assert not is_error or all(e["words"] for e in evidence), f"nothing is said of it: {what}"


_numbers = itertools.count()


class _Round:
    """As Running, a daemon's first round."""

    def __init__(self, lab, target, times, in_flight):
        self._daemon = Daemon(lab, configuration(
            [{"name": "site", "url": target.url, **target.settings}],
            {"interval": "60s", "samples": times, "concurrency": in_flight, "spread": "0s"}),
            name=f"tallyd-{next(_numbers)}")

    def wait(self, limit):
        self.reports = [self._daemon.first_report(limit=limit)]
        self._daemon.stop()
        return self


class _Hundred:
    """A fault over one scheme, TIMES samples for each number in flight. If it only takes time,
    those that are alone in their process are shared by several, and begin at once."""

    def __init__(self, lab, one, tls, together):
        self._lab, self._target, self._together = lab, one.make(lab, tls), together
        self._outcome, self._repeated = one.tls if tls else one.plain, 0
        processes = self._target.processes if together else 1
        self._alone = [(TIMES // processes, 1)] * processes
        self._running = [(part, self._start(part)) for part in self._alone] if together else []

    def _start(self, part):
        times, in_flight = part
        if self._target.settings is not None:
            return _Round(self._lab, self._target, times, in_flight)
        if self._together:
            time.sleep(PACE_S)
        return Running(self._lab, "-n", times, "-j", in_flight, "--max-in-flight", in_flight,
                       *self._target.arguments, self._target.url)

    def start_rest(self):
        """What begins only when the case runs, where the machine has little else to do."""
        part = (TIMES, max(IN_FLIGHT))
        self._running.append((part, self._start(part)))

    def check(self):
        for part in () if self._together else self._alone:
            self._check([(part, self._start(part))])
        if not self._together:
            self.start_rest()
        self._check(self._running)
        if self._target.origin is not None:
            connections = self._target.origin.connections
            assert connections == TIMES * len(IN_FLIGHT) + self._repeated, \
                f"{connections} connections: a sample that is not one"

    def _check(self, running, tries=8):
        """Samples that tallyd missed are made again: they are no test of the site."""
        again = []
        for (times, in_flight), run in running:
            report = run.wait(120).reports[0]
            missed = report["errors"].get("local_resource", 0) \
                if tries > 1 and was_away(report) else 0
            if missed < times:
                check_sameness(report, self._outcome, times,
                               f"{self._target.url}, {in_flight} in flight", missed)
            if missed:
                again.append((missed, in_flight))
        if again:
            self._repeated += sum(missed for missed, _ in again)
            self._check([(part, self._start(part)) for part in again], tries - 1)


def was_away(report):
    """Whether tallyd says of samples that a busy machine kept it from listening."""
    return any(evidence["outcome"] == "local_resource" and "our own loop" in evidence["words"]
               for evidence in report.get("evidence", []))


def add_sameness(one, together=False):
    """A case: the fault, over what it can be over, at 1 and at 50 in flight. `together`: it takes
    time, but no work, so that all such cases begin at once."""
    schemes = [tls for tls, outcome in ((False, one.plain), (True, one.tls)) if outcome]

    def begin(lab):
        return [_Hundred(lab, one, tls, True) for tls in schemes]

    def run(lab, begun=()):
        for hundred in begun:
            hundred.start_rest()
        for hundred in begun or (_Hundred(lab, one, tls, False) for tls in schemes):
            hundred.check()
    outcomes = " or ".join(dict.fromkeys(o for o in (one.plain, one.tls) if o))
    over = " and ".join("HTTPS" if tls else "HTTP" for tls in schemes)
    add_case(f"{one.name} is {outcomes} every time, over {over}", run, begin if together else None)


# ---- what is left ----

# Decisions of classify() that stand before its table, named as in the lists of rows above.
BEFORE_THE_TABLE = {"OK, the head is not complete", "unasked 101", "more head than we read",
                    "more body than we read"}

# Rows of the table that no socket can bring about here, by the reason.
NO_SOCKET = {
    "Linux says it only to a socket that is bound to an interface": [
        "COULDNT_CONNECT ENETDOWN"],
    "needs a BPF program or a seccomp filter that refuses connect()": [
        "COULDNT_CONNECT EPERM"],
    "needs a kernel without that family, or a seccomp filter": [
        "COULDNT_CONNECT EAFNOSUPPORT"],
    "libcurl itself makes OPERATION_TIMEDOUT of that errno": ["COULDNT_CONNECT ETIMEDOUT"],
    "is the whole machine's limit, not a process's or a network's": ["COULDNT_CONNECT ENFILE"],
    "the kernel's own memory would have to run out": [
        "COULDNT_CONNECT ENOMEM", "COULDNT_CONNECT ENOBUFS"],
    "only older kernels say it when ports run out": ["COULDNT_CONNECT EAGAIN"],
    "only a socket with a port of its own choice; ours have none": ["COULDNT_CONNECT EADDRINUSE"],
    "needs an option that is not used: issuer, OCSP, pins, CRL, ciphers, engines": [
        "SSL_ISSUER_ERROR", "SSL_INVALIDCERTSTATUS", "SSL_PINNEDPUBKEYNOTMATCH", "SSL_CRL_BADFILE",
        "SSL_CIPHER", "SSL_ENGINE_NOTFOUND", "SSL_ENGINE_SETFAILED", "SSL_ENGINE_INITFAILED"],
    "the CAs and the client's certificate are read before any sample, not by libcurl": [
        "SSL_CACERT_BADFILE", "SSL_CERTPROBLEM"],
    "another protocol's: FTP, LDAP, SMTP, …": [
        "SSL_SHUTDOWN_FAILED", "USE_SSL_FAILED", "REMOTE_ACCESS_DENIED", "REMOTE_FILE_NOT_FOUND",
        "CHUNK_FAILED", "UPLOAD_FAILED", "AUTH_ERROR", "LOGIN_DENIED"],
    "this libcurl says RECV_ERROR when a read fails; these follow a read that found the end": [
        "GOT_NOTHING ECONNRESET", "PARTIAL_FILE ECONNRESET"],
    "no read fails so": ["RECV_ERROR EPIPE"],
    "libcurl reads before it writes, and so hears of it first": [
        "SEND_ERROR ETIMEDOUT", "SEND_ERROR REQUEST NO_ERROR ONLY_TLS"],
    "HTTP/1.1 alone is spoken": ["HTTP2", "HTTP2_STREAM", "HTTP3", "QUIC_CONNECT_ERROR"],
    "libcurl is not told to resume, to limit a file, to fail on a status or to send a form": [
        "RANGE_ERROR", "BAD_DOWNLOAD_RESUME", "HTTP_RETURNED_ERROR", "HTTP_POST_ERROR",
        "FILESIZE_EXCEEDED"],
    "libcurl repeats no request on a connection of its own": ["SEND_FAIL_REWIND"],
    "libcurl follows no redirect, looks up no name and speaks no SOCKS": [
        "TOO_MANY_REDIRECTS", "COULDNT_RESOLVE_PROXY", "PROXY", "COULDNT_RESOLVE_HOST"],
    "our own allocator would have to fail (unit tests let it)": ["OUT_OF_MEMORY"],
    "only a mistake of our own": [
        "FAILED_INIT", "URL_MALFORMAT", "NOT_BUILT_IN", "WRITE_ERROR", "READ_ERROR",
        "FILE_COULDNT_READ_FILE", "FUNCTION_NOT_FOUND", "ABORTED_BY_CALLBACK", "INTERFACE_FAILED",
        "UNKNOWN_OPTION", "SETOPT_OPTION_SYNTAX", "NO_CONNECTION_AVAILABLE",
        "RECURSIVE_API_CALL", "AGAIN", "UNRECOVERABLE_POLL"],
}

_on_loopback()
_as_settings_say()
_on_the_network()
_that_wait()
