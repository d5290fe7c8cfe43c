"""Redirects, followed by tallyd from hop to hop: where to, how many, as whom, and where it ends."""

import os
import re
import signal
import socket
import ssl
import threading

from lab import (PATIENT, CertificateAuthority, Daemon, Dnsmasq, Nginx, Origin, Proxy, Recorder,
                 add_case, case, configuration, counts, free_port, main, values)

MARKERS = ("m4rk3r-header", "m4rk3r-bearer", "m4rk3r-body", "m4rk3r-host")


def page(status, *headers, body=b"hello"):
    head = [f"HTTP/1.1 {status} x", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def to(location, status=302):
    return page(status, f"Location: {location}", body=b"moved")


def routes(table):
    """A recorder that answers by the path: bytes, or a function of the request. Others are 404."""
    def answer(request):
        found = table.get(request.target.partition("?")[0], page(404))
        return found(request) if callable(found) else found
    return Recorder(answer)


def targets(recorder):
    return [request.target for request in recorder.requests]


def sampled(lab, url, follow=3, scope="same-origin", resolver=None, samples=2, env=None, **site):
    """The first report of a site that follows."""
    top = {} if resolver is None else {"resolver": {"servers": [resolver]}}
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": url, "redirects": {"follow": follow, "to": scope}, **site}],
        {"interval": "8s", "samples": samples, "spread": "0s"}, **top), env=env)
    report = daemon.first_report()
    daemon.stop()
    return report


def check_words(report, words):
    told = {evidence["words"] for evidence in report["evidence"]}
    assert told == {words}, f"{told}, not {words}"


def refused(lab, url, words, outcome="redirect", **site):
    report = sampled(lab, url, **site)
    assert counts(report) == {outcome: 2} and report["reasons"] == {"error": 2}, report
    check_words(report, words)
    return report


# ---- followed ----

@case
def hops_are_followed_and_the_last_answer_is_the_outcome(lab):
    recorder = routes({"/": to("/a"), "/a": to("b", 307), "/b": page(418)})
    report = sampled(lab, Origin(lab, recorder).url(), expect={"status": 418})
    assert counts(report) == {"418": 2} and report["failed"] == 0, report
    assert sorted(targets(recorder)) == ["/", "/", "/a", "/a", "/b", "/b"], recorder.requests
    assert len({request.connection for request in recorder.requests}) == 6, "a connection for each"


@case
def nginx_sees_every_hop(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    for url in (nginx.url("/302"), nginx.tls_url("/302")):
        report = sampled(lab, url, samples=20, env={"SSL_CERT_FILE": ca.certificate},
                         scope="same-origin")
        assert counts(report) == {"200": 20}, report
    nginx.wait_for_requests({302: 40}, "/302")
    nginx.wait_for_requests({200: 40}, "/200")


@case
def without_the_setting_a_redirect_is_the_outcome(lab):
    recorder = routes({"/": to("/a")})
    report = sampled(lab, Origin(lab, recorder).url(), follow=0)
    assert counts(report) == {"302": 2} and report["failed"] == 0, report
    assert targets(recorder) == ["/", "/"]


@case
def other_statuses_with_a_location_are_the_outcome(lab):
    for status in (201, 300, 305, 399):
        recorder = routes({"/": to("/a", status)})
        report = sampled(lab, Origin(lab, recorder).url())
        assert counts(report) == {str(status): 2}, report


@case
def what_is_expected_is_expected_of_the_last_answer(lab):
    recorder = routes({"/": page(302, "Location: /a", "X-Page: first", body=b"first"),
                       "/a": page(200, "X-Page: last", body=b"last")})
    origin = Origin(lab, recorder)
    report = sampled(lab, origin.url(), expect={"status": 200, "headers": {"X-Page": "last"},
                                                "body_contains": "last"})
    assert report["failed"] == 0, report
    report = sampled(lab, origin.url(), expect={"body_contains": "first"})
    assert report["reasons"] == {"body": 2}, report
    check_words(report, f'hop 1, "{origin.url("/a")}": body: "first" is not in its 4 bytes')


# ---- Location ----

def add_location(name, location, target):
    def run(lab):
        table = {"/dir/start": lambda _: to(location.format(origin.port))}
        recorder = Recorder(lambda request: table.get(request.target, lambda _: page(200))(request))
        origin = Origin(lab, recorder)
        report = sampled(lab, origin.url("/dir/start"))
        assert counts(report) == {"200": 2}, report
        assert targets(recorder)[-1] == target, targets(recorder)
    add_case(f"a Location that is {name} is followed", run)


for name_, location_, target_ in (
        ("absolute", "http://127.0.0.1:{}/x?q=1", "/x?q=1"),
        ("in upper case", "HTTP://127.0.0.1:{}/X", "/X"),
        ("without a scheme", "//127.0.0.1:{}/x", "/x"),
        ("without a path", "http://127.0.0.1:{}", "/"),
        ("a path", "/x/y", "/x/y"),
        ("a relative path", "x", "/dir/x"),
        ("a path upwards", "../../x", "/x"),
        ("a query", "?q=1", "/dir/start?q=1"),
        ("with a fragment", "/x#there", "/x"),
        ("with a space", "/a b", "/a%20b"),
        ("in UTF-8", "/gr\u00c3\u00bc\u00c3\u009fe", "/gr%c3%bc%c3%9fe"),
        ("between spaces", " \t/x \t", "/x")):
    add_location(name_, location_, target_)

ABSURD = {
    "missing": (page(302), "302 with no Location"),
    "empty": (to(""), "302 with an empty Location"),
    "two of them": (page(302, "Location: /a", "Location: /b"), "302 with more than one Location"),
    "endless": (to("/" + "a" * 9000), "302 with a Location of more than 8 KiB"),
    "a control character": (to("/a\x01b"), "302 with a Location that holds a control character: "
                            '"/a\\x01b"'),
    "ftp": (to("ftp://127.0.0.1/x"),
            '302 with a Location that has a scheme that is not http or https: "ftp://127.0.0.1/x"'),
    "a file": (to("file:///etc/passwd"),
               '302 with a Location that has a scheme that is not http or https: '
               '"file:///etc/passwd"'),
    "a password": (to("http://user:s3cr3t@127.0.0.1/"),
                   "302 with a Location that carries a user or password"),
    "port 0": (to("http://127.0.0.1:0/"),
               '302 with a Location that has port 0: "http://127.0.0.1:0/"'),
    "a wrong port": (to("http://127.0.0.1:99999/"),
                     "302 with a Location that has a port that is not a number from 1 to 65535: "
                     '"http://127.0.0.1:99999/"'),
}


def add_absurd(name, answer, words):
    def run(lab):
        recorder = routes({"/": answer})
        refused(lab, Origin(lab, recorder).url(), words, scope="any")
        assert targets(recorder) == ["/", "/"]
    add_case(f"a Location that is absurd ({name}) is class redirect", run)


for name_, (answer_, words_) in ABSURD.items():
    add_absurd(name_, answer_, words_)


# ---- how many ----

@case
def so_many_hops_as_allowed_are_followed_and_not_one_more(lab):
    recorder = routes({"/": to("/1"), "/1": to("/2"), "/2": to("/3"), "/3": page(200)})
    origin = Origin(lab, recorder)
    assert counts(sampled(lab, origin.url(), follow=3)) == {"200": 2}
    del recorder.requests[:]
    refused(lab, origin.url(), f'hop 2, "{origin.url("/2")}": too many redirects: '
            f'302 to "{origin.url("/3")}"', follow=2)
    assert sorted(targets(recorder)) == ["/", "/", "/1", "/1", "/2", "/2"]


@case
def a_loop_is_seen_at_once(lab):
    recorder = routes({"/self": to("/self"), "/a": to("/b"), "/b": to("/a#again")})
    origin = Origin(lab, recorder)
    refused(lab, origin.url("/self"), f'a loop: 302 to "{origin.url("/self")}"', follow=20)
    refused(lab, origin.url("/a"),
            f'hop 1, "{origin.url("/b")}": a loop: 302 to "{origin.url("/a")}"', follow=20)
    assert sorted(targets(recorder)) == ["/a", "/a", "/b", "/b", "/self", "/self"]


@case
def what_a_post_leads_back_to_by_get_is_no_loop(lab):
    recorder = Recorder(lambda request: to("/", 303) if request.method == "POST" else page(200))
    report = sampled(lab, Origin(lab, recorder).url(), request={"body": "x"})
    assert counts(report) == {"200": 2}, report


# ---- scopes ----

@case
def same_origin_is_scheme_host_and_port(lab):
    other = Recorder(page(200))
    elsewhere = Origin(lab, other)
    origin = Origin(lab, routes({"/": to(elsewhere.url("/x?token=1"))}))
    refused(lab, origin.url(), f'302 to "{elsewhere.url("/x")}", another origin')
    assert other.requests == []
    # an address is a site, whatever the port
    assert counts(sampled(lab, origin.url(), scope="same-site")) == {"200": 2}


@case
def same_site_is_what_was_registered(lab):
    dns = Dnsmasq(lab, {"www.shop.test": ["127.0.0.2"], "shop.test": ["127.0.0.3"],
                        "shop.example": ["127.0.0.4"]})
    recorder = routes({"/up": lambda _: to(f"http://shop.test:{origin.port}/end"),
                       "/away": lambda _: to(f"http://shop.example:{origin.port}/end"),
                       "/end": page(200)})
    origin = Origin(lab, recorder, address="0.0.0.0")
    start = f"http://www.shop.test:{origin.port}"
    report = sampled(lab, start + "/up", scope="same-site", resolver=dns.address)
    assert counts(report) == {"200": 2}, report
    refused(lab, start + "/away", f'302 to "http://shop.example:{origin.port}/end", another site',
            scope="same-site", resolver=dns.address)
    report = sampled(lab, start + "/away", scope="any", resolver=dns.address)
    assert counts(report) == {"200": 2}, report


@case
def an_address_of_the_network_at_hand_is_never_where_to(lab):
    origin = Origin(lab, routes({"/": to("http://169.254.169.254/latest/meta-data/")}))
    refused(lab, origin.url(), 'hop 1, "http://169.254.169.254/latest/meta-data/": a redirect to '
            "169.254.169.254, nearer to us than 127.0.0.1", scope="any")


# ---- as whom ----

def leaky(lab, name):
    path = lab.write(name, "m4rk3r-bearer")
    os.chmod(path, 0o600)
    return {"headers": {"X-Key": "m4rk3r-header", "Host": "m4rk3r-host.test"},
            "bearer": {"file": path}}


def marks(request):
    text = repr(request)
    return {marker for marker in MARKERS if marker in text}


def check_no_leak(lab, status, tls):
    """303 turns the body away, so that the redirect may be followed at all."""
    ca = CertificateAuthority(lab)
    certificate = ca.issue("127.0.0.1") if tls else None
    other = routes({"/x": lambda _: to(origin.url("/back"))})
    elsewhere = Origin(lab, other, certificate=certificate)
    own = routes({"/": to("/here", 307), "/here": to(elsewhere.url("/x"), status),
                  "/back": page(200)})
    origin = Origin(lab, own, certificate=certificate)
    request = {**leaky(lab, "token"), **({"body": "m4rk3r-body"} if status == 303 else {})}
    report = sampled(lab, origin.url(), scope="any", request=request, user_agent="our-agent/1",
                     tls={"ca": ca.certificate})
    assert counts(report) == {"200": 2}, report
    whole = set(MARKERS) if status == 303 else set(MARKERS) - {"m4rk3r-body"}
    for request in own.requests:
        # once it has been elsewhere, nobody knows who sent it back
        want = set() if request.target == "/back" else whole
        assert marks(request) == want, request
    assert len(other.requests) == 2
    for request in other.requests:
        assert marks(request) == set(), request
        assert request.method == "GET" and request.body == b"", request
        assert values(request, "user-agent") == ["our-agent/1"], request
        assert values(request, "host") == [f"127.0.0.1:{elsewhere.port}"], request


def add_no_leak(status, tls):
    scheme = "https" if tls else "http"
    add_case(f"what is configured stays at the origin after {status} over {scheme}",
             lambda lab: check_no_leak(lab, status, tls))


for status_ in (301, 303, 308):
    for tls_ in (False, True):
        add_no_leak(status_, tls_)


@case
def the_client_certificate_stays_at_the_origin(lab):
    ca = CertificateAuthority(lab)
    shown = []

    def watched(table):
        """An origin over https that asks for a client certificate, but needs none."""
        recorder = routes(table)

        def behave(connection):
            shown.append((connection.socket.getsockname()[1],
                          connection.socket.getpeercert() is not None))
            recorder(connection)
        origin = Origin(lab, behave, certificate=ca.issue("127.0.0.1"))
        origin.tls_context.verify_mode = ssl.CERT_OPTIONAL
        origin.tls_context.load_verify_locations(ca.certificate)
        return origin

    cert, key = ca.issue("client.test")
    os.chmod(key, 0o600)
    elsewhere = watched({"/": page(200)})
    origin = watched({"/": to("/here"), "/here": to(elsewhere.url())})
    report = sampled(lab, origin.url(), scope="any", tls={"ca": ca.certificate, "cert": cert,
                                                          "key": key})
    assert counts(report) == {"200": 2}, report
    assert sorted(shown) == sorted([(origin.port, True)] * 4 + [(elsewhere.port, False)] * 2), shown


@case
def a_body_never_leaves_the_origin(lab):
    other = Recorder(page(200))
    elsewhere = Origin(lab, other)
    for status in (307, 308):
        origin = Origin(lab, routes({"/": to(elsewhere.url(), status)}))
        refused(lab, origin.url(), f'{status} to "{elsewhere.url()}", another origin, '
                "with the request's body", scope="any", request={"body": "m4rk3r-body"})
    assert other.requests == []


def add_method(status, method, body, next_method, next_body):
    def run(lab):
        recorder = routes({"/": to("/next", status), "/next": page(200)})
        request = {"method": method, "headers": {"X-Key": "1"}}
        if body:
            request["headers"]["Content-Type"] = "text/x-test"
            request["body"] = body
        report = sampled(lab, Origin(lab, recorder).url(), request=request)
        assert counts(report) == {"200": 2}, report
        for got in recorder.requests:
            want = (method, body) if got.target == "/" else (next_method, next_body)
            assert (got.method, got.body.decode()) == want, got
            assert values(got, "x-key") == ["1"], got
            assert values(got, "content-type") == (["text/x-test"] if want[1] else []), got
    add_case(f"{status} to a {method}{' with a body' if body else ''} is followed by "
             f"{next_method}{' with it' if next_body else ''}", run)


for row in ((301, "GET", "", "GET", ""), (301, "POST", "x", "GET", ""),
            (302, "POST", "x", "GET", ""), (302, "PUT", "x", "PUT", "x"),
            (303, "POST", "x", "GET", ""), (303, "DELETE", "", "GET", ""),
            (307, "POST", "x", "POST", "x"), (308, "PUT", "x", "PUT", "x"),
            (308, "DELETE", "", "DELETE", "")):
    add_method(*row)


@case
def head_stays_head(lab):
    def answer(request):
        moved = {"/301": 301, "/302": 302, "/303": 303}.get(request.target)
        head = page(200) if moved is None else to("/next", moved)
        return head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    recorder = Recorder(answer)
    origin = Origin(lab, recorder)
    for status in (301, 302, 303):
        report = sampled(lab, origin.url(f"/{status}"), request={"method": "HEAD"})
        assert counts(report) == {"200": 2}, report
    assert {request.method for request in recorder.requests} == {"HEAD"}


# ---- TLS, names, proxy ----

@case
def from_https_to_http_and_back_needs_a_scope_that_has_both(lab):
    ca = CertificateAuthority(lab)
    plain = routes({"/": lambda _: to(secure.url("/end")), "/end": page(200)})
    inside = routes({"/": lambda _: to(origin.url("/end")), "/end": page(200)})
    origin = Origin(lab, plain)
    secure = Origin(lab, inside, certificate=ca.issue("127.0.0.1"))
    trust = {"tls": {"ca": ca.certificate}}
    for url, end in ((origin.url(), secure.url("/end")), (secure.url(), origin.url("/end"))):
        refused(lab, url, f'302 to "{end}", another origin', **trust)
        report = sampled(lab, url, scope="same-site", **trust)
        assert counts(report) == {"200": 2}, report
        assert report["phases_ms"]["tls"] > 0, report


@case
def the_certificate_of_every_hop_is_checked(lab):
    ca, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    recorder = Recorder(page(200))
    strange = Origin(lab, recorder, certificate=other.issue("127.0.0.1"))
    origin = Origin(lab, routes({"/": to(strange.url())}))
    report = sampled(lab, origin.url(), scope="any", tls={"ca": ca.certificate})
    assert counts(report) == {"tls_verify": 2} and recorder.requests == [], report
    for evidence in report["evidence"]:
        assert evidence["words"].startswith(f'hop 1, "{strange.url()}": '), report


@case
def the_certificate_that_ends_first_is_that_of_the_sample(lab):
    ca = CertificateAuthority(lab)  # whose certificates are valid for 30 days
    secure = Origin(lab, Recorder(page(200)), certificate=ca.issue("127.0.0.1"))
    start = Origin(lab, routes({"/": to(secure.url())}), certificate=ca.issue("127.0.0.1"))
    report = sampled(lab, start.url(), scope="any", tls={"ca": ca.certificate},
                     expect={"certificate": "40d"})
    assert report["reasons"] == {"certificate": 2}, report
    report = sampled(lab, start.url(), scope="any", tls={"ca": ca.certificate},
                     expect={"certificate": "20d"})
    assert report["failed"] == 0, report


@case
def a_hop_to_a_dead_port_says_which(lab):
    dead = f"http://127.0.0.1:{free_port()}/"
    origin = Origin(lab, routes({"/": to(dead)}))
    report = sampled(lab, origin.url(), scope="any")
    assert counts(report) == {"connect_refused": 2}, report
    for evidence in report["evidence"]:
        assert evidence["words"].startswith(f'hop 1, "{dead}": '), report
        assert evidence["address"] == "127.0.0.1" and evidence["local_port"] > 0, report


@case
def another_host_is_looked_up_and_its_addresses_take_turns(lab):
    dns = Dnsmasq(lab, {"site.test": ["127.0.0.1"], "end.test": ["127.0.0.2", "127.0.0.3"]})
    recorder = Recorder(page(200))
    two = Origin(lab, recorder, address="127.0.0.2")
    three = Origin(lab, Recorder(page(200)), address="127.0.0.3", port=two.port)
    origin = Origin(lab, routes({"/": to(f"http://end.test:{two.port}/")}))
    report = sampled(lab, f"http://site.test:{origin.port}/", scope="any", samples=8,
                     resolver=dns.address)
    assert counts(report) == {"200": 8}, report
    assert "addresses" not in report, "rows are those of the site's own"
    assert two.connections == three.connections == 4, (two.connections, three.connections)


@case
def a_host_that_does_not_exist_is_dns_nxdomain(lab):
    dns = Dnsmasq(lab, {"site.test": ["127.0.0.1"]})
    origin = Origin(lab, routes({"/": to("http://gone.test/x?y")}))
    report = sampled(lab, f"http://site.test:{origin.port}/", scope="any", resolver=dns.address)
    assert counts(report) == {"dns_nxdomain": 2}, report
    for evidence in report["evidence"]:
        assert evidence["words"].startswith('hop 1, "http://gone.test/x": '), report


@case
def connect_to_holds_for_the_origin_alone(lab):
    dns = Dnsmasq(lab, {"away.test": ["127.0.0.1"]})
    recorder, other = routes({}), Recorder(page(200))
    elsewhere = Origin(lab, other)
    recorder = routes({"/": to("/here"), "/here": to(f"http://away.test:{elsewhere.port}/")})
    origin = Origin(lab, recorder)
    report = sampled(lab, "http://site.test/", scope="any", resolver=dns.address,
                     connect_to=f"127.0.0.1:{origin.port}")
    assert counts(report) == {"200": 2}, report
    assert sorted(targets(recorder)) == ["/", "/", "/here", "/here"], recorder.requests
    assert len(other.requests) == 2


@case
def the_proxy_is_the_way_to_every_hop(lab):
    proxy, other = Proxy(), Recorder(page(200))
    elsewhere = Origin(lab, other)
    origin = Origin(lab, routes({"/": to(elsewhere.url("/x"))}))
    report = sampled(lab, origin.url(), scope="any",
                     request={"proxy": Origin(lab, proxy).url(), "headers": {"X-Key": "m4rk3r-x"}})
    assert counts(report) == {"200": 2}, report
    asked = [request.target for request in proxy.requests]
    assert sorted(asked) == sorted([origin.url(), elsewhere.url("/x")] * 2), asked
    for request in proxy.requests:
        assert values(request, "x-key") == (["m4rk3r-x"] if request.target == origin.url()
                                            else []), request
    assert len(other.requests) == 2


@case
def connections_are_kept_to_the_origin_alone(lab):
    own, other = routes({}), Recorder(page(200))
    elsewhere = Origin(lab, other)
    own = routes({"/": to("/here"), "/here": to(elsewhere.url())})
    origin = Origin(lab, own)
    report = sampled(lab, origin.url(), scope="any", samples=10, concurrency=1, connection="reuse")
    assert counts(report) == {"200": 10} and report.get("repeated", 0) == 0, report
    assert origin.connections == 1 and len(own.requests) == 20, origin.connections
    assert elsewhere.connections == len(other.requests) == 10, elsewhere.connections


# ---- time ----

def slow_start(elsewhere):
    """An origin's behaviour: 600 ms, then a redirect."""
    def behave(connection):
        if connection.read_request() and connection.pause(2):
            connection.send(to(elsewhere))
            connection.finish()
    return behave


@case
def one_timeout_covers_all_hops(lab):
    silent = Origin(lab, lambda connection: connection.read_request() and connection.stall())
    origin = Origin(lab, slow_start(silent.url()))
    report = sampled(lab, origin.url(), scope="any", timeout=PATIENT)
    assert counts(report) == {"first_byte_timeout": 2}, report
    assert report["took_ms"] < 6000, "the second hop began anew"
    for evidence in report["evidence"]:
        assert re.fullmatch(r'hop 1, "http://[^"]*/": no byte of the answer after '
                            r"[1-4]\d{3}\.\d ms \(timeout\)", evidence["words"]), report


class HalfDns:
    """A name server that knows site.test, and is silent about all others."""

    def __init__(self, lab):
        self.asked = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        lab.callback(self._socket.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, client = self._socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            self.asked.add(".".join(labels))
            if labels == ["site", "test"]:
                is_a = query[at + 2] == 1
                record = b"\xc0\x0c\x00\x01\x00\x01\0\0\0\0\x00\x04\x7f\0\0\x01" if is_a else b""
                self._socket.sendto(query[:2] + b"\x81\x80\0\x01\0" + bytes([is_a]) + b"\0\0\0\0" +
                                    query[12:at + 5] + record, client)


@case
def a_lookup_between_hops_ends_with_the_timeout(lab):
    dns = HalfDns(lab)
    origin = Origin(lab, slow_start("http://dark.test/x"))
    report = sampled(lab, f"http://site.test:{origin.port}/", scope="any", resolver=dns.address,
                     timeout=PATIENT)
    assert counts(report) == {"dns_timeout": 2}, report
    assert report["took_ms"] < 6000, report
    for evidence in report["evidence"]:
        assert evidence["words"].startswith('hop 1, "http://dark.test/x": '), report


@case
def a_deadline_ends_a_lookup_between_hops(lab):
    dns = HalfDns(lab)
    origin = Origin(lab, routes({"/": to("http://dark.test/x")}))
    # the second of two samples, one after the other, has three seconds left
    report = sampled(lab, f"http://site.test:{origin.port}/", scope="any", resolver=dns.address,
                     timeout=PATIENT, deadline="7s", concurrency=1)
    assert counts(report) == {"dns_timeout": 2}, report
    assert report["took_ms"] < 8000, report
    assert {evidence["words"].endswith("(the round's deadline)")
            for evidence in report["evidence"]} == {True, False}, report


@case
def a_stop_ends_a_lookup_between_hops(lab):
    dns = HalfDns(lab)
    origin = Origin(lab, routes({"/": to("http://dark.test/x")}))
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": f"http://site.test:{origin.port}/", "timeout": "20s",
          "redirects": {"follow": 1, "to": "any"}}],
        {"interval": "60s", "samples": 1, "dns_timeout": "15s"},
        resolver={"servers": [dns.address], "timeout": "10s"}))
    daemon.wait_for(lambda: "dark.test" in dns.asked, "the second lookup")
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_words("stopping")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.err()
    assert counts(daemon.reports()[-1]) == {"aborted": 1}, daemon.reports()


@case
def latency_is_that_of_all_hops(lab):
    origin = Origin(lab, routes({"/x": page(200)}))
    first = Origin(lab, slow_start(origin.url("/x")))
    report = sampled(lab, first.url(), scope="any", expect={"latency": "500ms"})
    assert report["reasons"] == {"latency": 2} and report["latency_ms"]["min"] >= 2000, report
    for evidence in report["evidence"]:
        told = re.fullmatch(r"latency: ([0-9.]+) ms, not under 500 ms", evidence["words"])
        assert float(told[1]) >= 2000, report


@case
def a_hop_that_is_cut_is_truncated_wherever_it_led(lab):
    origin = Origin(lab, lambda connection: connection.read_request() and (
        connection.send(to("/next")[:-2]), connection.finish()))
    report = sampled(lab, origin.url())
    assert counts(report) == {"truncated": 2}, report
    assert origin.requests == 2


main()
