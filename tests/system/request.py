"""What a sample asks, as the server gets it: to the byte, plain and over TLS."""

import base64
import gzip
import os
import signal
import zlib

from lab import (OK, CertificateAuthority, Daemon, Nginx, Origin, Recorder, add_case, case,
                 configuration, counts, main, values)

ALL_BYTES = bytes(range(256))


def secret(lab, name, text):
    path = lab.write(name, text)
    os.chmod(path, 0o600)
    return {"file": path}


def sampled(lab, url, samples=4, **site):
    """The first report of that site."""
    daemon = Daemon(lab, configuration([{"name": "site", "url": url, **site}],
                                       {"interval": "5s", "samples": samples, "spread": "0s"}))
    report = daemon.first_report()
    daemon.stop()
    return report


def asked(lab, request, certificate=None, tls=None, status="200", answer=OK):
    """The one request that samples with these settings make."""
    recorder = Recorder(answer)
    origin = Origin(lab, recorder, certificate=certificate)
    report = sampled(lab, origin.url("/path?query=1"), request=request, **(tls or {}))
    assert counts(report) == {status: 4}, report
    assert len(recorder.requests) == 4 and origin.connections == 4, recorder.requests
    return recorder.one(), origin


def add_both(name, function):
    """A case over HTTP, and the same over HTTPS."""
    def over_tls(lab):
        ca = CertificateAuthority(lab)
        function(lab, certificate=ca.issue("127.0.0.1"),
                 tls={"tls": {"ca": ca.certificate}})
    add_case(name, function)
    add_case(name + ", over https", over_tls)


def plain_get(lab, **how):
    request, origin = asked(lab, {}, **how)
    assert request.method == "GET" and request.target == "/path?query=1", request
    assert request.version == "HTTP/1.1" and request.body == b"", request
    names = [name for name, _ in request.headers]
    assert names == ["Host", "User-Agent", "Accept"], request
    assert values(request, "host") == [f"127.0.0.1:{origin.port}"], request


def post(lab, **how):
    body = lab.write("body", ALL_BYTES)
    request, _ = asked(lab, {"body_file": body}, **how)
    assert request.method == "POST" and request.body == ALL_BYTES, request
    assert values(request, "content-length") == ["256"], request
    # nothing is invented, and nobody waits for "100 Continue"
    assert values(request, "content-type") == values(request, "expect") == [], request


def large_post(lab, **how):
    content = os.urandom(1 << 20)  # as much as may be; libcurl would say "Expect" from here on
    request, _ = asked(lab, {"body_file": lab.write("body", content)}, **how)
    assert request.method == "POST" and request.body == content, len(request.body)
    assert values(request, "expect") == [], request.headers


def put(lab, **how):
    request, _ = asked(lab, {"method": "PUT", "body": "{\"a\": 1}\n",
                             "headers": {"Content-Type": "application/json"}}, **how)
    assert request.method == "PUT" and request.body == b"{\"a\": 1}\n", request
    assert values(request, "content-type") == ["application/json"], request


def headers(lab, **how):
    request, _ = asked(lab, {"headers": {
        "Host": "shop.example.org", "X-Empty": "", "X-Key": secret(lab, "key", "s3cr3t, really\n"),
        "Accept": "text/html", "Cookie": "a=b; c=d"}}, **how)
    for name, value in (("Host", "shop.example.org"), ("X-Empty", ""), ("X-Key", "s3cr3t, really"),
                        ("Accept", "text/html"), ("Cookie", "a=b; c=d")):
        assert values(request, name) == [value], (name, request)


def basic(lab, **how):
    password = "p: ä\"\\ word"
    request, _ = asked(lab, {"basic": {"user": "Ali Baba",
                                       "password": secret(lab, "password", password)}}, **how)
    coded = base64.b64encode(b"Ali Baba:" + password.encode()).decode()
    assert values(request, "authorization") == ["Basic " + coded], request


def bearer(lab, **how):
    request, _ = asked(lab, {"bearer": secret(lab, "token", "abc.def-123\n")}, **how)
    assert values(request, "authorization") == ["Bearer abc.def-123"], request


def head(lab, **how):
    # a length, and no byte of it: whoever waits for the body waits in vain
    request, _ = asked(lab, {"method": "HEAD"}, **how,
                       answer=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert request.method == "HEAD" and request.body == b"", request


for title, function in (("a plain sample asks as little as can be", plain_get),
                        ("a body arrives to the byte", post),
                        ("a large body arrives to the byte", large_post),
                        ("a method may have a body", put),
                        ("headers arrive as they are written", headers),
                        ("basic authentication is sent unasked", basic),
                        ("a bearer token is sent unasked", bearer),
                        ("a head does not wait for a body", head)):
    add_both(title, function)


@case
def methods_arrive_as_they_are_written(lab):
    for method, length in (("DELETE", []), ("OPTIONS", []), ("PURGE", []), ("POST", ["0"]),
                           ("PUT", ["0"]), ("PATCH", ["0"])):
        request, _ = asked(lab, {"method": method})
        assert request.method == method and request.body == b"", request
        assert values(request, "content-length") == length, request


@case
def nginx_lets_in_who_knows_the_password_and_nobody_else(lab):
    users = lab.write("users", "ali:{PLAIN}sesame\n")
    nginx = Nginx(lab, extra=f"location = /closed {{ auth_basic x; auth_basic_user_file {users};"
                             " try_files /body =500; }")
    for password, status in (("sesame", "200"), ("Sesame", "401")):
        login = {"basic": {"user": "ali", "password": secret(lab, "password", password)}}
        report = sampled(lab, nginx.url("/closed"), request=login)
        assert counts(report) == {status: 4}, report
        # one request a sample: a 401 does not make us ask again
        nginx.wait_for_requests({status: 4}, "/closed" if status == "401" else "/body")
    report = sampled(lab, nginx.url("/closed"))
    assert counts(report) == {"401": 4}, report


@case
def a_secret_is_read_again_at_sighup(lab):
    recorder = Recorder()
    origin = Origin(lab, recorder)
    token = secret(lab, "token", "first")
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": origin.url(), "request": {"bearer": token}}],
        {"interval": "300ms", "samples": 1}))

    def last():
        return values(recorder.requests[-1], "authorization") if recorder.requests else None
    daemon.wait_for(lambda: last() == ["Bearer first"], "the first")
    secret(lab, "token", "second")
    daemon.wait_for_reports(2)
    assert last() == ["Bearer first"]
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: last() == ["Bearer second"], "the second")
    # one that everybody may read is not taken, and the old one stays
    os.chmod(secret(lab, "token", "third")["file"], 0o644)
    before = len(daemon.err())
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("reload refused", after=before)
    daemon.wait_for_reports(2)
    assert last() == ["Bearer second"]
    daemon.stop()
    seen = [values(request, "authorization")[0] for request in recorder.requests]
    assert seen == sorted(seen), seen  # from the first to the second, and never back


def coded(coding, body):
    return (f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


@case
def nothing_compressed_is_asked_for_by_itself(lab):
    request, _ = asked(lab, {}, answer=coded("gzip", b"this is no gzip"))  # and none unpacked
    assert values(request, "accept-encoding") == [], request


@case
def a_compressed_answer_is_asked_for_and_unpacked(lab):
    request, _ = asked(lab, {"compressed": True}, answer=coded("gzip", gzip.compress(b"hello")))
    accepted = values(request, "accept-encoding")
    assert len(accepted) == 1 and "gzip" in accepted[0], request
    # what does not unpack is malformed: so it was unpacked
    for body in (b"this is no gzip", gzip.compress(b"hello")[:-9] + b"xxxxxxxxx"):
        asked(lab, {"compressed": True}, answer=coded("gzip", body), status="protocol")


@case
def nginx_compresses_for_us(lab):
    nginx = Nginx(lab, extra="location = /packed { gzip on; gzip_types *; gzip_min_length 1;"
                             " try_files /body =500; }")
    report = sampled(lab, nginx.url("/packed"), request={"compressed": True})
    assert counts(report) == {"200": 4}, report


@case
def a_bomb_ends_at_the_limit_of_the_body(lab):
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(500)) + bomb.flush()
    recorder = Recorder(coded("gzip", packed))
    origin = Origin(lab, recorder)
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": origin.url(), "request": {"compressed": True}}],
        {"interval": "5s", "samples": 20, "spread": "0s"}))
    report = daemon.first_report()
    assert counts(report) == {"200": 20}, report
    assert daemon.cpu_seconds() < 2, daemon.cpu_seconds()
    assert daemon.rss_bytes() < 100 << 20, daemon.rss_bytes()
    daemon.stop()


@case
def codings_upon_codings_are_not_undone(lab):
    # 300 MB of empty blocks between the wire and a body of nothing
    inner = b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\0\0\0\xff\xff" * (60 << 20)
    packed = gzip.compress(inner, 1)
    for head_lines in (b"Content-Encoding: gzip, gzip\r\n",
                       b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
                       b"Content-Encoding: gzip\r\nTransfer-Encoding: gzip\r\n"):
        answer = b"HTTP/1.1 200 OK\r\n" + head_lines + b"Connection: close\r\n\r\n" + packed
        recorder = Recorder(answer)
        origin = Origin(lab, recorder)
        daemon = Daemon(lab, configuration(
            [{"name": "site", "url": origin.url(), "request": {"compressed": True}}],
            {"interval": "5s", "samples": 4, "spread": "0s"}), name=f"tallyd{origin.port}")
        report = daemon.first_report()
        assert counts(report) == {"protocol": 4}, report
        assert daemon.cpu_seconds() < 0.5, daemon.cpu_seconds()
        assert "more than once" in report["evidence"][0]["words"], report
        daemon.stop()


@case
def connect_to_leads_elsewhere_and_changes_nothing_else(lab):
    recorder = Recorder()
    origin = Origin(lab, recorder, address="127.0.0.2")
    report = sampled(lab, "http://nowhere.example.org:81/path",
                     connect_to=f"127.0.0.2:{origin.port}")
    assert counts(report) == {"200": 4}, report
    request = recorder.one()
    assert values(request, "host") == ["nowhere.example.org:81"], request
    assert request.target == "/path", request


@case
def connect_to_keeps_name_and_verification_of_the_url(lab):
    ca = CertificateAuthority(lab)
    for name, status in (("shop.example.org", "200"), ("other.example.org", "tls_verify")):
        recorder = Recorder()
        origin = Origin(lab, recorder, certificate=ca.issue(name))
        report = sampled(lab, "https://shop.example.org/",
                         connect_to=f"127.0.0.1:{origin.port}", tls={"ca": ca.certificate})
        assert counts(report) == {status: 4}, report
        if status == "200":
            assert values(recorder.one(), "host") == ["shop.example.org"], recorder.requests
        else:
            assert recorder.requests == []


@case
def a_name_in_connect_to_is_what_is_looked_up(lab):
    recorder = Recorder()
    origin = Origin(lab, recorder)
    report = sampled(lab, "http://nowhere.example.org/", connect_to=f"localhost:{origin.port}",
                     family="ipv4")
    assert counts(report) == {"200": 4}, report
    report = sampled(lab, origin.url(), connect_to="nowhere.invalid")
    assert set(report["errors"]) <= {"dns_nxdomain", "dns_failure", "dns_timeout"}, report


main()
