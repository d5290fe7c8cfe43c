"""What a report keeps of single samples that failed; and its curl lines, pasted into a shell, which
make the very request at the very address and see the same failure."""

import os
import socket
import subprocess
import time

from lab import (PATIENT, CertificateAuthority, Daemon, Dnsmasq, Nginx, Origin, Proxy, Recorder,
                 Skip, add_case, answer, case, configuration, counts, cut, free_port,
                 full_backlog, main, sample)

SECRET = "s3cr3t'\"$x`\\ end"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: yes\r\n\r\nhello"


class Pasted:
    """What came of a line in a shell."""

    def __init__(self, line, env=None):
        began = time.monotonic()
        done = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, check=False, env={**os.environ, **(env or {})})
        self.seconds = time.monotonic() - began
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr.decode()
        self.status = self.out.split(b" ", 2)[1].decode() if self.out.startswith(b"HTTP/") else None

    def __repr__(self):
        return f"curl ended with {self.code}: {self.out!r} {self.err}"


def secret(lab, name="secret", text=SECRET + "\n"):
    path = lab.write(name, text)
    os.chmod(path, 0o600)
    return {"file": path}


def was_held_up(report):
    """Its loop did not run for a while, on a machine with too much to do: that says nothing."""
    return any("our own loop" in item.get("words", "") for item in report.get("evidence", []))


def sampled(lab, url, resolver=None, samples=4, **site):
    """The report of a round of a site, by itself; the log shows no secret."""
    top = {} if resolver is None else {"resolver": {"servers": [resolver]}}
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": url, **site}],
        {"interval": "9s", "samples": samples, "spread": "0s"}, **top))
    report = daemon.first_report(suits=lambda report: not was_held_up(report))
    daemon.stop()
    with open(daemon.log_path, encoding="utf-8") as log:
        assert "s3cr3t" not in log.read(), report
    return report


def line_of(report, outcome, reason="error"):
    """The curl line of the only kind of failure."""
    assert set(counts(report)) == {outcome} and report["reasons"].keys() == {reason}, report
    lines = {item["curl"] for item in report["evidence"]}
    assert len(lines) == 1 and len(report["evidence"]) == 3, report
    return lines.pop()


# ---- the same failure ----

def seen_again(lab, outcome, url, code, status=None, reason="error", contains=b"", **site):
    pasted = Pasted(line_of(sampled(lab, url, **site), outcome, reason))
    assert pasted.code == code and pasted.status == status and contains in pasted.out, pasted
    return pasted


def untrusted(lab):
    return Nginx(lab, certificate=CertificateAuthority(lab).issue("127.0.0.1")).tls_url()


def no_tls(connection):
    connection.send(b"220 mail.test ready\r\n")
    connection.finish()


FAILURES = {
    "503": lambda lab: seen_again(lab, "503", Nginx(lab).url("/503"), 0, "503", "status"),
    "a status that was not expected": lambda lab: seen_again(
        lab, "200", Nginx(lab).url("/200"), 0, "200", "status", expect={"status": [204]}),
    "a redirect that is not followed": lambda lab: seen_again(
        lab, "302", Nginx(lab).url("/302"), 0, "302", "status", expect={"status": ["2xx"]}),
    "connect_refused": lambda lab: seen_again(
        lab, "connect_refused", f"http://127.0.0.1:{free_port()}/", 7),
    "connect_timeout": lambda lab: seen_again(
        lab, "connect_timeout", f"http://127.0.0.1:{full_backlog(lab)}/", 28, timeout=PATIENT),
    "tls_verify": lambda lab: seen_again(lab, "tls_verify", untrusted(lab), 60),
    "tls_handshake": lambda lab: seen_again(
        lab, "tls_handshake", Origin(lab, no_tls).url().replace("http:", "https:"), 35),
    "empty_reply": lambda lab: seen_again(
        lab, "empty_reply", Origin(lab, cut(PAGE, 0, "close")).url(), 52),
    "reset": lambda lab: seen_again(
        lab, "reset", Origin(lab, cut(PAGE, 0, "reset")).url(), 56),
    "truncated": lambda lab: seen_again(
        lab, "truncated", Origin(lab, cut(PAGE, len(PAGE) - 2, "close")).url(), 18, "200"),
    "transfer_timeout": lambda lab: seen_again(
        lab, "transfer_timeout", Origin(lab, cut(PAGE, len(PAGE) - 2, "stall")).url(), 28, "200",
        timeout=PATIENT),
    "protocol": lambda lab: seen_again(
        lab, "protocol", Origin(lab, answer(b"SSH-2.0-OpenSSH_9.2\r\n")).url(), 1),
    "a header that is missing": lambda lab: seen_again(
        lab, "200", Origin(lab, answer(PAGE)).url(), 0, "200", "header", b"X-Seen: yes",
        expect={"headers": {"X-None": {"present": True}}}),
    "a body that is not as expected": lambda lab: seen_again(
        lab, "200", Origin(lab, answer(PAGE)).url(), 0, "200", "body", b"hello",
        expect={"body_contains": "good bye"}),
}
for name, failure in FAILURES.items():
    add_case(f"{name} is seen again by the line", failure)


@case
def a_first_byte_timeout_is_seen_again_and_takes_as_long(lab):
    pasted = seen_again(lab, "first_byte_timeout", Origin(lab, cut(PAGE, 0, "stall")).url(), 28,
                        timeout=PATIENT)
    assert 3.9 < pasted.seconds < 20, pasted.seconds


@case
def an_answer_that_was_too_slow_comes_again_as_slowly(lab):
    origin = Origin(lab, answer(PAGE, delay=0.3))
    pasted = seen_again(lab, "200", origin.url(), 0, "200", "latency", b"hello",
                        expect={"latency": "100ms"})
    assert pasted.seconds >= 0.3, pasted.seconds


# ---- the very request, at the very address ----

def asked_again(lab, url_of=None, address="127.0.0.1", certificate=None, tls=None, status=b"503",
                resolver=None, **request):
    """What a sample and its line ask are one."""
    recorder = Recorder(b"HTTP/1.1 " + status + b" No\r\nContent-Length: 0\r\n\r\n")
    origin = Origin(lab, recorder, certificate=certificate, address=address)
    url = url_of(origin) if url_of else origin.url("/a%20b?c=[1-3]&d={e,f};g")
    report = sampled(lab, url, resolver=resolver, request=request, **({"tls": tls} if tls else {}))
    line = line_of(report, status.decode(), "status")
    assert "s3cr3t" not in line, line
    first = recorder.one()
    before = len(recorder.requests)
    pasted = Pasted(line)
    assert pasted.code == 0 and pasted.status == status.decode(), (line, pasted)
    assert len(recorder.requests) == before + 1, line
    again = recorder.requests[-1]._replace(connection=0)
    # curl has a place of its own for a login among its headers
    assert again._replace(headers=sorted(again.headers)) == \
        first._replace(headers=sorted(first.headers)), (first, again)
    return first, line


REQUESTS = {
    "a plain GET": lambda lab: {},
    "headers, an empty one too": lambda lab: {
        "headers": {"X-A": "it's \"1\" $HOME `id`", "X-Empty": "", "Accept": "text/html"}},
    "a header that is a secret": lambda lab: {"headers": {"X-Key": secret(lab)}},
    "a login": lambda lab: {"basic": {"user": "o'neil", "password": secret(lab)}},
    "a bearer": lambda lab: {"bearer": secret(lab, text="s3cr3t.token")},
    "a method of its own": lambda lab: {"method": "PURGE"},
    "HEAD": lambda lab: {"method": "HEAD"},
    "a body": lambda lab: {"body": "a=1&b='2'", "headers": {"Content-Type": "text/plain"}},
    "a body of lines": lambda lab: {"body": "{\n\t\"a\": \"100%\\n\"\n}\n"},
    "a body that begins with an at": lambda lab: {"body": "@/etc/passwd"},
    "a PUT with a file": lambda lab: {
        "method": "PUT", "body_file": lab.write("a body", bytes(range(256)))},
    "a POST of nothing": lambda lab: {"method": "POST"},
    "compression": lambda lab: {"compressed": True},
}
for name, request_of in REQUESTS.items():
    add_case(f"{name} is asked again as it was",
             lambda lab, request_of=request_of: asked_again(lab, **request_of(lab)))


@case
def a_name_that_only_the_sample_could_look_up_is_asked_at_its_address(lab):
    dns = Dnsmasq(lab, {"shop.test": ["127.0.0.7"]})
    request, line = asked_again(lab, lambda origin: f"http://shop.test:{origin.port}/",
                                address="127.0.0.7", resolver=dns.address)
    assert dict(request.headers)["Host"].startswith("shop.test:"), request
    assert "--connect-to ::127.0.0.7:" in line, line


@case
def an_ipv6_address_is_asked_at_its_address_too(lab):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as why:
        raise Skip(f"no IPv6 on loopback: {why}") from None
    nginx = Nginx(lab, addresses=["127.0.0.1", "[::1]"])
    dns = Dnsmasq(lab, {"six.test": ["::1"]})
    for url in (f"http://[::1]:{nginx.port}/503", f"http://six.test:{nginx.port}/503"):
        report = sampled(lab, url, resolver=dns.address)
        pasted = Pasted(line_of(report, "503", "status"))
        assert pasted.code == 0 and pasted.status == "503", (report, pasted)
        assert report["evidence"][0]["address"] == "::1", report
    assert "--connect-to '::[::1]:" in report["evidence"][0]["curl"], report


@case
def a_server_name_a_ca_and_a_minimum_version_are_as_they_were(lab):
    ca = CertificateAuthority(lab)
    request, line = asked_again(
        lab, certificate=ca.issue("shop.test"),
        tls={"ca": ca.certificate, "server_name": "shop.test", "min_version": "1.3"})
    assert dict(request.headers)["Host"].startswith("127.0.0.1:"), request
    assert "--tlsv1.3" in line, line


@case
def a_certificate_that_was_not_verified_is_not_verified(lab):
    asked_again(lab, certificate=CertificateAuthority(lab).issue("127.0.0.1"),
                tls={"verify": False})


@case
def the_words_of_a_refusal_say_that_it_is_one(lab):
    report = sample("-n", 1, f"http://127.0.0.1:{free_port()}/").reports[0]
    assert report["evidence"][0]["words"].endswith("Connection refused"), report


@case
def a_certificate_for_another_name_is_refused_again(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("other.test"))
    seen_again(lab, "tls_verify", nginx.tls_url(), 60, tls={"ca": ca.certificate})


@case
def through_a_proxy_the_line_goes_through_it_too(lab):
    ca = CertificateAuthority(lab)
    for certificate, tls in ((None, None), (ca.issue("127.0.0.1"), {"ca": ca.certificate})):
        proxy = Proxy()
        via = Origin(lab, proxy)
        asked_again(lab, certificate=certificate, tls=tls, proxy=via.url())
        assert len(proxy.requests) == 5, proxy.requests  # four samples, and the line


@case
def neither_the_environment_nor_a_curlrc_changes_what_it_does(lab):
    origin = Origin(lab, cut(PAGE, 0, "close"))
    line = line_of(sampled(lab, origin.url()), "empty_reply")
    dead = f"http://127.0.0.1:{free_port()}"
    lab.write(".curlrc", f"proxy = {dead}\nlocation\nfail\n")
    pasted = Pasted(line, {"HOME": lab.dir, "http_proxy": dead, "ALL_PROXY": dead, "no_proxy": ""})
    assert pasted.code == 52, pasted


@case
def of_a_redirect_that_was_followed_the_first_request_is_repeated(lab):
    origin = Origin(lab, answer(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n"
                                b"Content-Length: 0\r\n\r\n"))
    report = sampled(lab, origin.url("/here"), redirects={"follow": 2})
    line = line_of(report, "redirect")
    assert line.endswith("/here") and Pasted(line).status == "302", line


# ---- what is kept ----

@case
def three_samples_of_each_outcome_and_reason_are_kept(lab):
    count = iter(range(1000))

    def behave(connection):
        answers = {0: PAGE, 1: PAGE.replace(b"200 OK", b"503 No"), 2: b"",
                   3: PAGE.replace(b"hello", b"other")}
        if connection.read_request():
            connection.send(answers[next(count) % 4])
            connection.finish()
    origin = Origin(lab, behave)
    report = sampled(lab, origin.url(), samples=40, concurrency=1,
                     expect={"status": [200], "body_contains": "hello"})
    assert counts(report) == {"200": 20, "503": 10, "empty_reply": 10}, report
    kept = {}
    for item in report["evidence"]:
        kept.setdefault((item["outcome"], item["reason"]), []).append(item)
    assert {kind: len(items) for kind, items in kept.items()} == {
        ("200", "body"): 3, ("503", "status"): 3, ("empty_reply", "error"): 3}, report
    for item in report["evidence"]:
        assert item["address"] == "127.0.0.1" and item["local_port"] > 0 and item["words"], item
        assert item["took_ms"] > 0 and item["phases_ms"]["connect"] > 0, item
    starts = [item["at_ms"] for item in report["evidence"]]
    assert starts == sorted(starts) and starts[-1] <= report["took_ms"], starts


@case
def a_name_that_does_not_exist_has_words_and_no_line(lab):
    dns = Dnsmasq(lab, {})
    report = sampled(lab, "http://gone.test/", resolver=dns.address)
    assert counts(report) == {"dns_nxdomain": 4}, report
    assert report["evidence"] == [{"outcome": "dns_nxdomain", "reason": "error",
                                   "words": "no such name"}] * 3, report


main()
