"""Answers that are cut, malformed or without end: no status that was not earned, over plain HTTP
and over TLS, and bounded memory."""

from lab import (PATIENT, CertificateAuthority, Origin, Running, add_case, case, counts, cut, main,
                 sample)
from lab.faults import was_away

HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nX-Last: yes\r\n\r\n"
ANSWER = HEAD + b"hello"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = 64 * 1024 * 1024  # more than anyone may read


class Whole:
    """An answer, its status, and from which offset on it is whole: its end, or, for a connection
    that is closed, `when_closed`. `by_close`: it is whole by that alone."""

    def __init__(self, name, data, status="200", when_closed=None, by_close=False, method="GET"):
        self.name, self.data, self.status, self.by_close = name, data, status, by_close
        self.method = method
        self.when_closed = len(data) if when_closed is None else when_closed

    def after_cut(self, offset, how):
        """The outcome that is right when it is cut there."""
        whole = self.when_closed if how == "close" else len(self.data)
        if offset >= whole and (how == "close" or not self.by_close):
            return self.status
        if how == "reset":
            return "reset"
        if how == "stall":
            return "first_byte_timeout" if offset == 0 else "transfer_timeout"
        return "empty_reply" if offset == 0 else "truncated"


CHUNKED = CHUNKED_HEAD + b"5\r\nhello\r\n0\r\n\r\n"
CLOSED_HEAD = b"HTTP/1.0 200 OK\r\nX-Last: yes\r\n\r\n"
ANSWERS_TO_CUT = [
    Whole("an answer with a length", ANSWER),
    # libcurl takes the last chunk as its end one byte early: only a LF is missing
    Whole("an answer in chunks", CHUNKED, when_closed=len(CHUNKED) - 1),
    Whole("an answer without a length", CLOSED_HEAD + b"hello", when_closed=len(CLOSED_HEAD),
          by_close=True),
    Whole("an answer without a body", b"HTTP/1.1 204 No Content\r\nX-Last: yes\r\n\r\n", "204"),
    Whole("an answer with a length but no body",
          b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nX-Last: yes\r\n\r\n", "304"),
    Whole("an answer to HEAD", HEAD, method="HEAD"),
]
TIMEOUT_MS = 3000
AT_ONCE_MS = 50  # a timeout is not longer than that late
IN_FLIGHT = 32  # of a sweep: all of them at once would wait for one another's handshakes
ALONE = 3  # samples of an offset that find silence, one after the other
swept = []  # offsets


def cutting(data, how):
    """Cuts at the offset that the path names."""
    def behave(connection):
        if connection.read_request():
            offset = int(connection.path[1:])
            cut(data, offset, how)(AlreadyRead(connection))
    return behave


class AlreadyRead:
    """A connection whose request has been read."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)

    @staticmethod
    def read_request():
        return True


def origin_for(lab, behave, tls):
    """The origin and the arguments that trust it."""
    if not tls:
        return Origin(lab, behave), []
    ca = CertificateAuthority(lab)
    return (Origin(lab, behave, certificate=ca.issue("127.0.0.1")), ["--cacert", ca.certificate])


class Sweep:
    """An answer that is cut at every offset, by one way to end and over one scheme: a site for each
    offset. It begins at once."""

    def __init__(self, lab, whole, how, tls):
        self.lab, self.whole, self.how = lab, whole, how
        self.samples, self.requests = ALONE if how == "stall" else 1, 0
        self.origin, self.trust = origin_for(lab, cutting(whole.data, how), tls)
        self.offsets = list(range(len(whole.data) + 1))
        self.running = self._start(self.offsets)

    def _start(self, offsets):
        timeout = f"{TIMEOUT_MS}ms" if self.how == "stall" else "20s"
        self.requests += len(offsets) * self.samples
        return Running(self.lab, "-n", self.samples, "-j", 1, "--max-in-flight", IN_FLIGHT,
                       "--timeout", timeout, "-X", self.whole.method, *self.trust,
                       *[self.origin.url(f"/{offset}") for offset in offsets])

    def reports(self):
        """{offset: its report}. Where a busy machine kept tallyd from listening, or made each of
        its samples late, from a later run, in which it has fewer beside it."""
        reports, offsets, running = {}, self.offsets, self.running
        for _ in range(4):
            told = running.wait(120).reports
            assert len(told) == len(offsets), f"{len(told)} reports"
            reports.update(zip(offsets, told))
            offsets = [offset for offset in offsets
                       if was_away(reports[offset]) or is_late(reports[offset])]
            if not offsets:
                break
            running = self._start(offsets)
        assert self.origin.requests == self.requests, "a sample that is not a request"
        swept.extend(reports)
        return reports

    def check(self):
        wrong = []
        for offset, report in self.reports().items():
            outcome = self.whole.after_cut(offset, self.how)
            told, took = counts(report), times(report)
            if told != {outcome: self.samples}:
                before = self.whole.data[max(0, offset - 10):offset]
                wrong.append(f"offset {offset} after {before!r}: {told}, not {outcome}: {report}")
            elif is_late(report) or (took and min(took) < TIMEOUT_MS):
                wrong.append(f"offset {offset}: ended after {took} ms, not {TIMEOUT_MS}")
        assert not wrong, "\n".join(wrong)


def times(report):
    """How long samples took that ended by their timeout."""
    return [evidence["took_ms"] for evidence in report.get("evidence", [])
            if evidence["outcome"] in ("first_byte_timeout", "transfer_timeout")]


def is_late(report):
    """Silence ends at the timeout. A busy machine may be late with one sample, but not with each of
    several that come one after the other: the least of them counts."""
    return min(times(report), default=0) > TIMEOUT_MS + AT_ONCE_MS


def add_sweep(whole, how, tls):
    verb = {"close": "closed", "reset": "reset", "stall": "silent"}[how]
    name = (f"{whole.name} that is {verb} at every offset has no status that it did not earn, over "
            f"{'HTTPS' if tls else 'HTTP'}")
    if how == "stall":  # all of which wait together
        add_case(name, lambda lab, sweep: sweep.check(), lambda lab: Sweep(lab, whole, how, tls))
    else:
        add_case(name, lambda lab: Sweep(lab, whole, how, tls).check())


for whole_ in ANSWERS_TO_CUT:
    for how_ in ("close", "reset", "stall"):
        for tls_ in (False, True):
            add_sweep(whole_, how_, tls_)


@case
def a_body_cut_beyond_the_body_limit_keeps_its_status(lab):
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000
    origin = Origin(lab, cut(data, len(data), "close"))
    done = sample("-n", 4, origin.url(), status=0)
    assert counts(done.reports[0]) == {"200": 4}, done


STATUS = b"\r\nContent-Length: 0\r\n\r\n"
PROTOCOL = ("protocol",)
# what is sent: the outcomes that are right; several where a fault may show in more than one way
ANSWERS = {
    "000": (b"HTTP/1.1 000 OK" + STATUS, PROTOCOL),
    "099": (b"HTTP/1.1 099 OK" + STATUS, PROTOCOL),
    "99": (b"HTTP/1.1 99 OK" + STATUS, PROTOCOL),
    "20": (b"HTTP/1.1 20 OK" + STATUS, PROTOCOL),
    "1000": (b"HTTP/1.1 1000 OK" + STATUS, PROTOCOL),
    "65736": (b"HTTP/1.1 65736 OK" + STATUS, PROTOCOL),
    "minus 12": (b"HTTP/1.1 -12 OK" + STATUS, PROTOCOL),
    "letters": (b"HTTP/1.1 abc OK" + STATUS, PROTOCOL),
    "200": (b"HTTP/1.1 200" + STATUS, ("200",)),
    "299": (b"HTTP/1.1 299 Odd" + STATUS, ("299",)),
    "451": (b"HTTP/1.1 451 Law" + STATUS, ("451",)),
    "600": (b"HTTP/1.1 600 Odd" + STATUS, ("600",)),
    "999": (b"HTTP/1.1 999 Odd" + STATUS, ("999",)),
    "HTTP 0.9": (b"<html>hello</html>\n", PROTOCOL),
    "an SSH banner": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", PROTOCOL),
    "an SMTP banner": (b"220 mail.example.org ESMTP\r\n", PROTOCOL),
    "ICY": (b"ICY 200 OK\r\n\r\n", PROTOCOL),
    "zeros": (b"\0" * 200, PROTOCOL),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", PROTOCOL),
    "the last of two lengths holds, a body that is short of it":
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
         ("truncated",)),
    "a bad chunk size": (CHUNKED_HEAD + b"zz\r\nhello\r\n0\r\n\r\n", PROTOCOL),
    "an overflowing chunk size": (CHUNKED_HEAD + b"f" * 40 + b"\r\nhello", PROTOCOL),
    "ten interim answers, then 200":
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 10 + ANSWER, ("200",)),
    "interim answers only, then the end":
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3, ("truncated", "empty_reply", "protocol")),
    "100,000 interim answers, then 200":
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100000 + ANSWER, ("too_large",)),
    "100,000 headers":
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100000 + b"\r\n", ("too_large",)),
    "a reason of 70,000 bytes": (b"HTTP/1.1 200 " + b"x" * 70000 + STATUS, ("too_large",)),
    "one header of 300,000 bytes":
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300000 + b"\r\n\r\n", ("too_large",)),
    "a second answer unasked": (ANSWER + ANSWER, ("200",)),
    "a body after 204": (b"HTTP/1.1 204 No Content\r\n\r\nhello", ("204",)),
    "control characters in the reason": (b"HTTP/1.1 503 \x1b[31mno" + STATUS, ("503",)),
}


def add_answer(name, data, right, tls):
    def run(lab):
        origin, trust = origin_for(lab, cut(data, len(data), "close"), tls)
        done = sample("-n", 6, *trust, origin.url(), origin.url())
        outcomes = [counts(report) for report in done.reports]
        assert outcomes[0] == outcomes[1] and len(outcomes[0]) == 1, f"not always the same: {done}"
        (outcome, n), = outcomes[0].items()
        assert outcome in right and n == 6, f"{outcome}, not {right}: {done}"
        assert "\x1b" not in done.out + done.err
    add_case(f"{name} is {' or '.join(right)}{' over HTTPS' if tls else ''}", run)


for name_, (data_, right_) in ANSWERS.items():
    add_answer(name_, data_, right_, False)
for name_ in ("letters", "zeros", "100,000 headers", "ten interim answers, then 200"):
    add_answer(name_, *ANSWERS[name_], True)


@case
def interim_answers_and_then_silence_are_first_byte_timeout(lab):
    data = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3
    origin = Origin(lab, cut(data, len(data), "stall"))
    done = sample("-n", 2, "--timeout", PATIENT, origin.url(), status=1)
    assert counts(done.reports[0]) == {"first_byte_timeout": 2}, done


def endless(begin, unit):
    """Sends for ever, or until the client has had enough."""
    def behave(connection):
        if not connection.read_request():
            return
        connection.send(begin)
        block = unit * (65536 // len(unit))
        for _ in range(ENDLESS // len(block)):
            connection.send(block)
        connection.stall()
    return behave


def add_endless(name, begin, unit, outcome, tls):
    def run(lab):
        origin, trust = origin_for(lab, endless(begin, unit), tls)
        done = sample("-n", 4, *trust, origin.url())
        assert counts(done.reports[0]) == {outcome: 4}, done
        assert done.max_rss_bytes < 3 * ENDLESS, "it keeps what it reads"
    add_case(f"{name} is {outcome} and costs little{' over HTTPS' if tls else ''}", run)


for tls_ in (False, True):
    add_endless("a head without end", b"HTTP/1.1 200 OK\r\n", b"X-Header: yes\r\n", "too_large",
                tls_)
    add_endless("a header without end", b"HTTP/1.1 200 OK\r\nX: ", b"y", "too_large", tls_)
    add_endless("a body without end", b"HTTP/1.1 200 OK\r\n\r\n", b"x", "200", tls_)
    add_endless("trailers without end",
                CHUNKED_HEAD + b"5\r\nhello\r\n0\r\n", b"X-Trailer: yes\r\n", "too_large", tls_)
    add_endless("interim answers without end", b"", b"HTTP/1.1 103 Early Hints\r\n\r\n",
                "too_large", tls_)

main(lambda: f"{len(swept)} byte offsets swept")
