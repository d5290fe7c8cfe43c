"""Through an HTTP proxy: https in a tunnel, http in absolute form, and whose fault is what."""

import os

from lab import (OK, PATIENT, CertificateAuthority, Daemon, Dnsmasq, Origin, Proxy, Recorder, case,
                 configuration, counts, cut, free_port, full_backlog, main, sample, values)


def sampled(lab, url, proxy, env=None, resolver=None, **site):
    request = {**site.pop("request", {}), "proxy": proxy}
    top = {} if resolver is None else {"resolver": {"servers": [resolver]}}
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": url, "request": request, **site}],
        {"interval": "5s", "samples": 4, "spread": "0s"}, **top), env=env)
    report = daemon.first_report()
    daemon.stop()
    return report


class Tls:
    """An origin over https, and the settings that trust it."""

    def __init__(self, lab, behave=None, name="127.0.0.1"):
        self.ca = CertificateAuthority(lab)
        self.recorder = behave or Recorder()
        self.origin = Origin(lab, self.recorder, certificate=self.ca.issue(name))
        self.settings = {"tls": {"ca": self.ca.certificate}}


def secret(lab, name, text):
    path = lab.write(name, text)
    os.chmod(path, 0o600)
    return {"file": path}


@case
def http_goes_in_absolute_form_and_never_in_a_tunnel(lab):
    recorder, proxy = Recorder(), Proxy()
    origin, via = Origin(lab, recorder), Origin(lab, proxy)
    report = sampled(lab, origin.url("/a?b"), via.url())
    assert counts(report) == {"200": 4}, report
    assert [r.target for r in proxy.requests] == [origin.url("/a?b")] * 4, proxy.requests
    assert values(recorder.one(), "host") == [f"127.0.0.1:{origin.port}"]
    assert via.connections == 4


@case
def https_goes_through_a_tunnel_with_what_is_asked_inside(lab):
    site, proxy = Tls(lab), Proxy()
    via = Origin(lab, proxy)
    report = sampled(lab, site.origin.url(), via.url(), **site.settings, request={
        "bearer": secret(lab, "token", "tell-nobody"), "headers": {"X-Own": "to the site alone"}})
    assert counts(report) == {"200": 4}, report
    assert "tls" in report["phases_ms"], report
    assert values(site.recorder.one(), "authorization") == ["Bearer tell-nobody"]
    for request in proxy.requests:
        assert (request.method, request.target) == ("CONNECT", f"127.0.0.1:{site.origin.port}")
        assert values(request, "authorization") == values(request, "x-own") == [], request


@case
def the_proxy_is_looked_up_and_the_site_is_not(lab):
    recorder, proxy = Recorder(), Proxy()
    origin, via = Origin(lab, recorder), Origin(lab, proxy)
    dns = Dnsmasq(lab, {"proxy.test": ["127.0.0.1"]})
    proxy.refuse = OK  # it could not find it either
    report = sampled(lab, "http://site.test/", f"http://proxy.test:{via.port}",
                     resolver=dns.address)
    assert counts(report) == {"200": 4}, report
    assert proxy.requests[0].target == "http://site.test/", proxy.requests
    assert dns.queries() and not any("site.test" in query for query in dns.queries())
    report = sampled(lab, origin.url(), f"http://missing.test:{via.port}", resolver=dns.address)
    assert counts(report) == {"dns_nxdomain": 4}, report


@case
def a_server_name_is_inside_the_tunnel_only(lab):
    site, proxy = Tls(lab, name="shop.example.org"), Proxy()
    via = Origin(lab, proxy)
    report = sampled(lab, site.origin.url(), via.url(),
                     tls={"ca": site.ca.certificate, "server_name": "shop.example.org"})
    assert counts(report) == {"200": 4}, report
    assert {r.target for r in proxy.requests} == {f"127.0.0.1:{site.origin.port}"}, proxy.requests
    assert values(site.recorder.one(), "host") == [f"127.0.0.1:{site.origin.port}"]


@case
def the_environment_names_no_proxy_and_no_exception_from_one(lab):
    recorder, proxy = Recorder(), Proxy()
    origin, via = Origin(lab, recorder), Origin(lab, proxy)
    names = {name: via.url() for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")}
    done = sample("-n", 4, origin.url(), env=names, status=0)
    assert counts(done.reports[0]) == {"200": 4} and proxy.requests == []
    report = sampled(lab, origin.url(), via.url(), env={"no_proxy": "*", "NO_PROXY": "*"})
    assert counts(report) == {"200": 4} and len(proxy.requests) == 4, (report, proxy.requests)


@case
def what_the_site_answers_through_a_proxy_is_the_sites(lab):
    via = Origin(lab, Proxy())
    answers = ((b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "503"),
               (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "truncated"))
    for answer, outcome in answers:
        origin = Origin(lab, cut(answer, len(answer), "close"))
        assert counts(sampled(lab, origin.url(), via.url())) == {outcome: 4}
        site = Tls(lab, cut(answer, len(answer), "close"))
        assert counts(sampled(lab, site.origin.url(), via.url(), **site.settings)) == {outcome: 4}
    site = Tls(lab, name="other.example.org")
    report = sampled(lab, site.origin.url(), via.url(), **site.settings)
    assert counts(report) == {"tls_verify": 4}, report


@case
def what_a_proxy_answers_in_the_place_of_a_plain_site_is_the_answer(lab):
    via = Origin(lab, Proxy(refuse=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    assert counts(sampled(lab, "http://127.0.0.1:1/", via.url())) == {"403": 4}


@case
def a_proxy_that_cannot_be_reached_is_proxy(lab):
    site = Tls(lab)
    for url, settings in ((site.origin.url(), site.settings), ("http://127.0.0.1:1/", {})):
        report = sampled(lab, url, f"http://127.0.0.1:{free_port()}", **settings)
        assert counts(report) == {"proxy": 4}, report
        assert report["judged"] == report["failed"] == 4, report
        report = sampled(lab, url, f"http://127.0.0.1:{full_backlog(lab)}", timeout=PATIENT,
                         **settings)
        assert counts(report) == {"proxy": 4}, report
    assert site.recorder.requests == []


@case
def a_proxy_that_opens_no_tunnel_is_proxy(lab):
    site = Tls(lab)
    refusals = [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\n"
                b"Content-Length: 0\r\n\r\n",
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
                b"HTTP/1.1 502 Bad\r\n\r\n<html>no</html>",
                b"", b"\0\1\2 no HTTP\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200000, b"HTTP/1.1 200 OK\r\n"]
    for refusal in refusals:
        via = Origin(lab, Proxy(refuse=refusal))
        report = sampled(lab, site.origin.url(), via.url(), **site.settings)
        assert counts(report) == {"proxy": 4}, (refusal[:60], report)
        assert report["reasons"] == {"error": 4}, report
        assert report["evidence"][0]["words"], report
    for how in ("reset", "stall"):
        via = Origin(lab, cut(b"HTTP/1.1 200 OK\r\n", 10, how))
        report = sampled(lab, site.origin.url(), via.url(), timeout=PATIENT, **site.settings)
        assert counts(report) == {"proxy": 4}, (how, report)
    assert site.recorder.requests == []


def endless(head, piece):
    """A proxy that never stops to answer."""
    def behave(connection):
        if connection.read_request():
            connection.send(head)
            while connection.pause(0):
                connection.send(piece * 1000)
    return behave


@case
def an_endless_answer_to_connect_holds_up_nobody(lab):
    site, other = Tls(lab), Origin(lab, Recorder())
    login = b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\n"
    for behave in (endless(login + b"Content-Length: 99999999999\r\n\r\n", b"x" * 100),
                   endless(login + b"Transfer-Encoding: chunked\r\n\r\n", b"1;e\r\nx\r\n"),
                   endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
                   endless(b"HTTP/1.1 200 OK\r\nX: ", b"y")):
        daemon = Daemon(lab, configuration(
            [{"name": "site", "url": site.origin.url(), **site.settings, "samples": 1,
              "request": {"proxy": Origin(lab, behave).url()}},
             {"name": "other", "url": other.url()}], {"interval": "4s", "spread": "0s"}))
        daemon.wait_for_reports(1, "site", limit=20)
        daemon.wait_for_reports(1, "other", limit=20)
        report = daemon.reports("site")[-1]
        assert counts(report) == {"proxy": 1}, report
        assert report["took_ms"] < 2000, report
        daemon.stop()


@case
def addresses_are_the_proxys(lab):
    recorder, proxy = Recorder(), Proxy()
    origin = Origin(lab, recorder)
    via = [Origin(lab, proxy, address="127.0.0.1")]
    via.append(Origin(lab, proxy, address="127.0.0.2", port=via[0].port))
    dns = Dnsmasq(lab, {"proxy.test": ["127.0.0.1", "127.0.0.2"]})
    report = sampled(lab, origin.url(), f"http://proxy.test:{via[0].port}", resolver=dns.address)
    assert {a: counts(t) for a, t in report["addresses"].items()} == \
        {"127.0.0.1": {"200": 2}, "127.0.0.2": {"200": 2}}, report
    assert [v.connections for v in via] == [2, 2]


main()
