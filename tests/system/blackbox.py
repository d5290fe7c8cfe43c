"""What the suite of prometheus's blackbox_exporter asks of an HTTP probe, subject by subject, asked
of tallyd in its own terms. Where a subject has no counterpart, its case says what holds instead:
HTTP/1.1 alone is spoken, a URL's scheme says whether TLS is, and no cookie is ever kept."""

import base64
import gzip
import itertools
import os
import zlib

from lab import (CertificateAuthority, Daemon, Nginx, Origin, Recorder, case, configuration, counts,
                 free_port, main, run_tallyd, values)

SAMPLES = 4
numbers = itertools.count()  # of daemons


def page(status=200, *headers, body=b"hello world"):
    lines = [f"HTTP/1.1 {status} x", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def server(lab, answer, certificate=None):
    """Its URL; `answer` is bytes, {path: bytes} or a function of the request. All it was asked is
    in the second value."""
    table = answer if isinstance(answer, dict) else None
    recorder = Recorder(answer if table is None else
                        lambda request: table.get(request.target, page(404)))
    return Origin(lab, recorder, certificate=certificate).url().rstrip("/"), recorder


def reports_of(lab, sites):
    """{name: its first report}, of {name: settings}."""
    daemon = Daemon(lab, configuration(
        [{"name": name, **site} for name, site in sites.items()],
        {"interval": "2s", "samples": SAMPLES, "concurrency": SAMPLES, "spread": "0s"}),
        name=f"tallyd-{next(numbers)}")
    reports = {name: daemon.first_report(name) for name in sites}
    daemon.stop()
    return reports


def check(lab, sites):
    """Of {name: (settings, outcome, reason)}: all samples came to the outcome and, where there is a
    reason, failed for it. Returns the reports."""
    reports = reports_of(lab, {name: site for name, (site, _, _) in sites.items()})
    for name, (_, outcome, reason) in sites.items():
        report = reports[name]
        assert counts(report) == {outcome: SAMPLES}, f"{name}: {report}"
        assert report["reasons"] == ({reason: SAMPLES} if reason else {}), f"{name}: {report}"
        assert report["failed"] == (SAMPLES if reason else 0), f"{name}: {report}"
    return reports


def secret(lab, name, text):
    path = lab.write(name, text)
    os.chmod(path, 0o600)
    return {"file": path}


@case
def status_codes(lab):
    url, _ = server(lab, {f"/{status}": page(status) for status in (200, 201, 299, 300, 404)})
    met, unmet = None, "status"
    check(lab, {f"{status} of {wanted}": (
        {"url": f"{url}/{status}", **({"expect": {"status": wanted}} if wanted else {})},
        str(status), reason) for status, wanted, reason in (
            (200, None, met), (201, None, met), (299, None, met), (300, None, met),
            (404, None, unmet), (404, [200, 404], met), (200, [200, 404], met),
            (201, [200, 404], unmet), (404, 404, met), (200, 404, unmet), (300, "2xx", unmet),
            (299, "2xx", met), (201, "not 200", met), (200, "not 200", unmet))})


@case
def http_versions(lab):
    url, recorder = server(lab, {f"/{version}": page().replace(b"1.1", version.encode())
                                 for version in ("1.0", "1.1", "2", "4.2")})
    # libcurl knows of a version 2, though nobody asked for it, but not of a version 4.2
    check(lab, {path: ({"url": url + path}, outcome, reason) for path, outcome, reason in (
        ("/1.0", "200", None), ("/1.1", "200", None), ("/2", "200", None),
        ("/4.2", "protocol", "error"))})
    assert {request.version for request in recorder.requests} == {"HTTP/1.1"}


@case
def content_lengths(lab):
    text = b"hello world" * 10
    chunked = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))
    url, _ = server(lab, {
        "/identity": page(200, "Content-Encoding: identity", body=text), "/plain": page(body=text),
        "/unknown": page(200, "Content-Encoding: xxx", body=text), "/404": page(404, body=text),
        "/chunked": chunked, "/empty": page(body=b""),
        "/packed": page(200, "Content-Encoding: gzip", body=gzip.compress(text))})
    whole = {"body_matches": "\\A(hello world){10}\\z"}
    nothing = {"body_matches": "\\A\\z"}
    rows = (("/identity", whole, "200", None), ("/plain", whole, "200", None),
            ("/unknown", whole, "200", None), ("/404", whole, "404", None),
            ("/chunked", whole, "200", None), ("/empty", whole, "200", "body"),
            ("/empty", nothing, "200", None), ("/packed", whole, "200", "body"))
    check(lab, {f"{i}": ({"url": url + path, "expect": {"status": "200-499", **expect}}, outcome,
                         reason) for i, (path, expect, outcome, reason) in enumerate(rows)})


@case
def compression(lab):
    text = b"hello world" * 10
    raw = zlib.compressobj(wbits=-15)
    answers = {"/gzip": ("gzip", gzip.compress(text)), "/deflate": ("deflate", zlib.compress(text)),
               "/raw": ("deflate", raw.compress(text) + raw.flush()),
               "/identity": ("identity", text),
               "/mismatch": ("deflate", gzip.compress(text)),
               "/short": ("gzip", gzip.compress(text)[:-9]), "/no": ("gzip", text)}
    url, recorder = server(lab, {path: page(200, "Content-Encoding: " + coding, body=body)
                                 for path, (coding, body) in answers.items()})
    whole = {"body_matches": "\\A(hello world){10}\\z"}
    asked = {"compressed": True}
    check(lab, {f"{path} {bool(request)}": (
        {"url": url + path, "request": request, "expect": whole}, outcome, reason)
        for path, request, outcome, reason in (
            ("/gzip", asked, "200", None), ("/deflate", asked, "200", None),
            ("/raw", asked, "200", None), ("/identity", asked, "200", None),
            ("/mismatch", asked, "protocol", "error"), ("/no", asked, "protocol", "error"),
            ("/gzip", {}, "200", "body"), ("/identity", {}, "200", None))})
    for request in recorder.requests:
        coding = values(request, "accept-encoding")
        assert coding == [] or "gzip" in coding[0], request
    # a header of one's own asks, but unpacks nothing
    own = {"headers": {"Accept-Encoding": "gzip"}}
    check(lab, {"own": ({"url": url + "/gzip", "request": own, "expect": whole}, "200", "body")})


@case
def response_limits(lab):
    packed = gzip.compress(b"x" * 1000000 + b"end")
    url, _ = server(lab, {
        "/small": page(body=b"x" * 100), "/large": page(body=b"x" * 100000 + b"end"),
        "/packed": page(200, "Content-Encoding: gzip", body=packed)})
    end = {"body_contains": "end"}
    check(lab, {
        "below": ({"url": url + "/small", "body_limit": "1KiB"}, "200", None),
        "above": ({"url": url + "/large", "body_limit": "1KiB"}, "200", None),
        "end, above": ({"url": url + "/large", "body_limit": "1KiB", "expect": end}, "200", "body"),
        "end, below": ({"url": url + "/large", "body_limit": "1MiB", "expect": end}, "200", None),
        "end, unpacked": ({"url": url + "/packed", "body_limit": "16KiB", "expect": end,
                           "request": {"compressed": True}}, "200", "body")})


@case
def redirects_not_followed_followed_and_limited(lab):
    url, recorder = server(lab, {
        "/": page(302, "Location: /1"), "/1": page(301, "Location: /2"),
        "/2": page(307, "Location: /3"), "/3": page()})
    limit = {f"follow {n}": ({"url": url + "/", "redirects": {"follow": n}}, outcome, reason)
             for n, outcome, reason in ((1, "redirect", "error"), (2, "redirect", "error"),
                                        (3, "200", None), (10, "200", None))}
    check(lab, {
        "by default": ({"url": url + "/"}, "302", None),
        "not wanted": ({"url": url + "/", "expect": {"status": 200}}, "302", "status"), **limit})
    assert all(request.method == "GET" for request in recorder.requests)


@case
def a_redirect_to_https_is_followed_where_it_may_be_and_only_there(lab):
    ca = CertificateAuthority(lab)
    secure, _ = server(lab, page(), certificate=ca.issue("127.0.0.1"))
    url, _ = server(lab, page(302, f"Location: {secure}/"))
    site = {"url": url + "/", "tls": {"ca": ca.certificate}}
    check(lab, {
        "any": ({**site, "redirects": {"follow": 1, "to": "any"}}, "200", None),
        "same origin": ({**site, "redirects": {"follow": 1}}, "redirect", "error"),
        "untrusted": ({"url": url + "/", "redirects": {"follow": 1, "to": "any"}},
                      "tls_verify", "error")})


@case
def no_cookie_is_kept_from_hop_to_hop_or_from_sample_to_sample(lab):
    url, recorder = server(lab, {
        "/": page(302, "Set-Cookie: chocolate=chip; Path=/", "Location: /2"),
        "/2": page(200, "Set-Cookie: oat=meal")})
    check(lab, {"fresh": ({"url": url + "/", "redirects": {"follow": 2}}, "200", None),
                "kept": ({"url": url + "/2", "connection": "reuse"}, "200", None)})
    assert all(values(request, "cookie") == [] for request in recorder.requests)


@case
def post_and_body(lab):
    def wanting(request):
        ok = request.method == "POST" and request.body == b"beware of \xe2\x80\xa6\n"
        return page(200 if ok else 400)
    url, _ = server(lab, wanting)
    text = "beware of \u2026\n"
    check(lab, {
        "POST": ({"url": url, "request": {"method": "POST", "body": text}}, "200", None),
        "by the body": ({"url": url, "request": {"body": text}}, "200", None),
        "from a file": ({"url": url, "request": {"body_file": lab.write("body", text)}},
                        "200", None),
        "another": ({"url": url, "request": {"body": "beware"}}, "400", "status"),
        "PUT": ({"url": url, "request": {"method": "PUT", "body": text}}, "400", "status"),
        "GET": ({"url": url}, "400", "status")})


@case
def basic_authentication_and_a_bearer_token(lab):
    right = "Basic " + base64.b64encode(b"admin:42=s\xc3\xa9cret").decode()

    def guarded(request):
        return page(200 if values(request, "authorization") in ([right], ["Bearer t0ken"]) else 401)
    url, _ = server(lab, guarded)

    def basic(name, word):
        return {"basic": {"user": "admin", "password": secret(lab, name, word)}}
    check(lab, {
        "no login": ({"url": url}, "401", "status"),
        "login": ({"url": url, "request": basic("right", "42=s\u00e9cret")}, "200", None),
        "wrong": ({"url": url, "request": basic("wrong", "guess")}, "401", "status"),
        "token": ({"url": url, "request": {"bearer": secret(lab, "token", "t0ken")}}, "200", None),
        "wrong token": ({"url": url, "request": {"bearer": secret(lab, "old", "0ld")}},
                        "401", "status")})


@case
def with_and_without_tls_as_the_url_says(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    tls = {"tls": {"ca": ca.certificate}}
    check(lab, {
        "http": ({"url": nginx.url()}, "200", None),
        "https": ({"url": nginx.tls_url(), **tls}, "200", None),
        # nothing is tried the other way round
        "https where there is none": ({"url": nginx.url().replace("http:", "https:"), **tls},
                                      "tls_handshake", "error"),
        # which nginx itself answers
        "http where TLS is": ({"url": nginx.tls_url().replace("https:", "http:")},
                              "400", "status")})


@case
def settings_of_tls_do_not_matter_to_plain_http(lab):
    url, _ = server(lab, page())
    ca = CertificateAuthority(lab)
    check(lab, {"with them": ({"url": url, "tls": {"ca": ca.certificate, "server_name": "x.test"}},
                              "200", None)})


@case
def body_matches_and_does_not_match(lab):
    url, _ = server(lab, {"/ok": page(body=b"Backend is up\nin maintenance\n"),
                          "/down": page(503, body=b"Bad news: could not connect to database")})
    met, unmet = None, "body"
    rows = (("/ok", {"body_matches": "is (up|fine)"}, "200", met),
            ("/ok", {"body_matches": "could not connect"}, "200", unmet),
            ("/ok", {"body_matches": ["Backend", "maintenance$"]}, "200", met),
            ("/ok", {"body_matches": ["Backend", "Frontend"]}, "200", unmet),
            ("/ok", {"body_not_matches": "could not connect"}, "200", met),
            ("/ok", {"body_not_matches": ["no such", "^in maint"]}, "200", unmet),
            ("/ok", {"body_contains": "is up"}, "200", met),
            ("/ok", {"body_contains": "is (up|fine)"}, "200", unmet),
            ("/down", {"status": 503, "body_not_matches": "could not connect"}, "503", unmet),
            ("/down", {"body_matches": "Bad news"}, "503", "status"))
    check(lab, {f"{i}": ({"url": url + path, "expect": expect}, outcome, reason)
                for i, (path, expect, outcome, reason) in enumerate(rows)})


@case
def headers_match_and_do_not_match(lab):
    url, _ = server(lab, {"/": page(200, "Content-Type: text/html; charset=utf-8",
                                    "Date: Sat, 22 Nov 2026 10:06:00 GMT",
                                    "Set-Cookie: a=1", "Set-Cookie: b=2")})
    met, unmet = None, "header"
    rows = (({"Content-Type": {"matches": "text/html"}}, met),
            ({"Content-Type": {"matches": "text/javascript"}}, unmet),
            ({"Content-Type": {"not_matches": "text/javascript"}}, met),
            ({"Content-Type": {"not_matches": "text/html"}}, unmet),
            ({"content-type": "text/html; charset=utf-8"}, met),
            ({"Content-Type": "text/html"}, unmet),
            ({"X-None": {"matches": "."}}, unmet), ({"X-None": {"present": False}}, met),
            # any of several; none of several
            ({"Set-Cookie": {"matches": "b=2"}}, met), ({"Set-Cookie": {"matches": "c="}}, unmet),
            ({"Set-Cookie": {"not_matches": "b=2"}}, unmet),
            ({"Date": {"present": True}, "Content-Type": {"contains": "html"}}, met),
            ({"Date": {"present": True}, "Content-Type": {"contains": "json"}}, unmet))
    check(lab, {f"{i}": ({"url": url, "expect": {"headers": rule}}, "200", reason)
                for i, (rule, reason) in enumerate(rows)})


@case
def headers_that_are_sent(lab):
    wanted = {"Host": "my-secret-vhost.test", "Accept-Language": "en-US", "X-Empty": ""}
    url, recorder = server(lab, page())
    check(lab, {"headers": ({"url": url, "request": {"headers": wanted},
                             "user_agent": "unsuspicious user"}, "200", None)})
    wanted["User-Agent"] = "unsuspicious user"
    request = recorder.one()
    for name, value in wanted.items():
        assert values(request, name) == [value], (name, request)


@case
def a_self_signed_certificate_fails_unless_it_is_trusted_or_nothing_is_verified(lab):
    certificate, key = CertificateAuthority(lab).issue("127.0.0.1", self_signed=True)
    url, _ = server(lab, page(), certificate=(certificate, key))
    check(lab, {
        "by default": ({"url": url}, "tls_verify", "error"),
        "another CA": ({"url": url, "tls": {"ca": CertificateAuthority(lab, "other").certificate}},
                       "tls_verify", "error"),
        "trusted": ({"url": url, "tls": {"ca": certificate}}, "200", None),
        "not verified": ({"url": url, "tls": {"verify": False}}, "200", None)})


@case
def the_urls_host_is_the_servers_name_unless_there_is_one(lab):
    ca = CertificateAuthority(lab)
    here, _ = server(lab, page(), certificate=ca.issue("127.0.0.1"))
    shop, _ = server(lab, page(), certificate=ca.issue("shop.test"))
    tls = {"ca": ca.certificate}
    check(lab, {
        "as the URL": ({"url": here, "tls": tls}, "200", None),
        "not as the URL": ({"url": shop, "tls": tls}, "tls_verify", "error"),
        "as it says": ({"url": shop, "tls": {**tls, "server_name": "shop.test"}}, "200", None),
        "not as it says": ({"url": here, "tls": {**tls, "server_name": "shop.test"}},
                           "tls_verify", "error")})


@case
def phases(lab):
    ca = CertificateAuthority(lab)
    secure, _ = server(lab, page(), certificate=ca.issue("127.0.0.1"))
    url, _ = server(lab, {"/": page(302, f"Location: {secure}/"), "/ok": page()})
    reports = check(lab, {
        "http": ({"url": url + "/ok"}, "200", None),
        "https": ({"url": secure, "tls": {"ca": ca.certificate}}, "200", None),
        "redirect": ({"url": url + "/", "tls": {"ca": ca.certificate},
                      "redirects": {"follow": 1, "to": "any"}}, "200", None),
        "closed": ({"url": f"http://127.0.0.1:{free_port()}/"}, "connect_refused", "error")})
    # a literal address is not looked up
    seen = {name: set(report.get("phases_ms", {})) for name, report in reports.items()}
    assert seen["http"] == {"connect", "first_byte", "transfer"}, reports["http"]
    assert seen["https"] == {"connect", "tls", "first_byte", "transfer"}, reports["https"]
    assert seen["redirect"] >= {"connect", "first_byte", "transfer"}, reports["redirect"]
    assert seen["closed"] == set(), reports["closed"]
    for name in ("http", "https", "redirect"):
        assert all(ms >= 0 for ms in reports[name]["phases_ms"].values()), reports[name]


@case
def the_scheme_of_a_url(lab):
    url, _ = server(lab, page())
    check(lab, {"upper": ({"url": url.replace("http:", "HTTP:")}, "200", None),
                "mixed": ({"url": url.replace("http:", "hTTp:")}, "200", None)})
    for text in (url.replace("http:", "ftp:"), url.replace("http://", ""), "//" + url[7:],
                 url.replace("http:", "file:")):
        done = run_tallyd("sample", "-n", 1, text)
        assert done.status == 2 and done.out == "" and "scheme" in done.err, (text, done)


main()
