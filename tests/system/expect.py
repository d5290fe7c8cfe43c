"""What an answer must be: every kind of expectation, met and unmet, over HTTP and HTTPS; and no
pattern and no page holds up another site."""

import zlib

from lab import (CertificateAuthority, Daemon, Nginx, Origin, add_case, answer, case, configuration,
                 counts, main)

BODY = b"<html>\r\n<title>Welcome back</title>\r\nGr\xc3\xbc\xc3\x9fe, order 4711\r\n</html>\r\n"
# interim fields and trailers are none of the answer's; a folded one is
PAGE = (b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"X-Twice: one\r\nX-Folded: first\r\n  second\r\nX-Twice: two\r\n"
        b"Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n"
        b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" %
        (20, BODY[:20], len(BODY) - 20, BODY[20:]))
SIZE = len(BODY)

# name: expectation, then the reason and the words, or nothing where it is met
RULES = {
    "status-met": ({"status": "2xx"}, None, None),
    "status": ({"status": "not 200"}, "status", "200 was not expected"),
    "present-met": ({"headers": {"content-TYPE": {"present": True}}}, None, None),
    "present": ({"headers": {"X-None": {"present": True}}}, "header", "header X-None is absent"),
    "absent-met": ({"headers": {"X-None": {"present": False}}}, None, None),
    "absent": ({"headers": {"X-Twice": {"present": False}}}, "header",
               'header X-Twice is present: "one"'),
    "interim": ({"headers": {"X-Early": {"present": True}}}, "header",
                "header X-Early is absent"),
    "trailer": ({"headers": {"X-Trailer": {"present": True}}}, "header",
                "header X-Trailer is absent"),
    "equals-met": ({"headers": {"X-Twice": "two"}}, None, None),
    "equals": ({"headers": {"X-Twice": "three"}}, "header",
               'header X-Twice: "one" is not "three" (the first of 2)'),
    "folded-met": ({"headers": {"X-Folded": {"matches": "^first +second$"}}}, None, None),
    "contains-met": ({"headers": {"Content-Type": {"contains": "utf-8"}}}, None, None),
    "contains": ({"headers": {"Content-Type": {"contains": "json"}}}, "header",
                 'header Content-Type: "text/html; charset=utf-8" does not contain "json"'),
    "matches-met": ({"headers": {"Content-Type": {"matches": "^text/html\\b"}}}, None, None),
    "matches": ({"headers": {"Content-Type": {"matches": "^text/plain"}}}, "header",
                'header Content-Type: "text/html; charset=utf-8" does not match /^text/plain/'),
    "not-matches-met": ({"headers": {"X-Twice": {"not_matches": "three"}}}, None, None),
    "not-matches": ({"headers": {"X-Twice": {"not_matches": "t"}}}, "header",
                    'header X-Twice: "two" matches /t/'),
    "body-contains-met": ({"body_contains": "Gr\u00fc\u00dfe"}, None, None),
    "body-contains": ({"body_contains": ["Welcome", "welcome"]}, "body",
                      f'body: "welcome" is not in its {SIZE} bytes'),
    "body-matches-met": ({"body_matches": "^<title>.*back</title>$"}, None, None),
    "body-matches": ({"body_matches": "order \\d{5}"}, "body",
                     f"body: /order \\d{{5}}/ does not match in its {SIZE} bytes"),
    "body-not-matches-met": ({"body_not_matches": "error|exception"}, None, None),
    "body-not-matches": ({"body_not_matches": "(?i)welcome"}, "body",
                         f"body: /(?i)welcome/ matches at byte {BODY.index(b'Welcome')}"),
    "latency-met": ({"latency": "60s"}, None, None),
    "latency": ({"latency": "1ms"}, "latency", "not under 1 ms"),
    "the-first-of-all": ({"status": 404, "headers": {"X-None": "x"}, "body_contains": "no",
                          "latency": "1ms"}, "status", "200 was not expected"),
    "header-before-body": ({"headers": {"X-None": "x"}, "body_contains": "no", "latency": "1ms"},
                           "header", "header X-None is absent"),
    "body-before-latency": ({"body_contains": "no-such", "latency": "1ms"}, "body",
                            f'body: "no-such" is not in its {SIZE} bytes'),
}


def trusting(lab, names=("127.0.0.1",)):
    """A CA's certificate for an origin, and the environment that trusts it."""
    ca = CertificateAuthority(lab)
    return ca.issue(*names), {"SSL_CERT_FILE": ca.certificate}


def check_rule(report, reason, words):
    assert counts(report) == {"200": 2}, report
    if reason is None:
        assert report["failed"] == 0 and "evidence" not in report, report
        return
    assert report["reasons"] == {reason: 2}, report
    for evidence in report["evidence"]:
        told = evidence["words"]
        assert told == words or (reason == "latency" and told.endswith(words)), (told, words)


def add_rules(scheme):
    def run(lab):
        certificate, env = trusting(lab)
        # late enough for every bound on latency that is to fail
        origin = Origin(lab, answer(PAGE, 0.01), certificate if scheme == "HTTPS" else None)
        sites = [{"name": name, "url": origin.url("/" + name), "expect": expect}
                 for name, (expect, _, _) in RULES.items()]
        daemon = Daemon(lab, configuration(sites, {"interval": "5s", "samples": 2,
                                                   "spread": "0s", "timeout": "4s"}), env=env)
        for name, (_, reason, words) in RULES.items():
            check_rule(daemon.wait_for_reports(1, name)[0], reason, words)
        daemon.stop()
    add_case(f"every expectation is met or gives its one reason over {scheme}", run)


for scheme_ in ("HTTP", "HTTPS"):
    add_rules(scheme_)


def sites_of(url, expectations, **settings):
    return [{"name": name, "url": url, "expect": expect, **settings}
            for name, expect in expectations.items()]


def first_reports(lab, sites, env=None):
    """{name: its first report}"""
    daemon = Daemon(lab, configuration(sites, {"interval": "2s", "samples": 2}), env=env)
    reports = {site["name"]: daemon.wait_for_reports(1, site["name"])[0] for site in sites}
    daemon.stop()
    return reports


@case
def a_body_of_100_kb_is_looked_at_up_to_its_limit(lab):
    certificate, env = trusting(lab)
    nginx = Nginx(lab, certificate=certificate)  # /body has 100,000 times an x
    for url in (nginx.url("/body"), nginx.tls_url("/body")):
        whole = sites_of(url, {"all": {"body_matches": "\\Ax{100}+(?:x{100}+){999}\\z"},
                               "short": {"body_contains": "y"}}, body_limit="200KiB")
        cut = sites_of(url, {"cut-met": {"body_contains": "xxx"},
                             "cut": {"body_contains": "y"}}, body_limit="16KiB")
        reports = first_reports(lab, whole + cut, env)
        check_rule(reports["all"], None, None)
        check_rule(reports["short"], "body", 'body: "y" is not in its 100000 bytes')
        check_rule(reports["cut-met"], None, None)
        check_rule(reports["cut"], "body", 'body: "y" is not in its first 16384 bytes')


@case
def a_certificate_must_be_valid_for_long_enough(lab):
    certificate, env = trusting(lab)  # for 30 days
    origin = Origin(lab, answer(PAGE), certificate)
    reports = first_reports(lab, sites_of(origin.url(), {"met": {"certificate": "29d"},
                                                         "unmet": {"certificate": "31d"}}), env)
    check_rule(reports["met"], None, None)
    assert reports["unmet"]["reasons"] == {"certificate": 2}, reports["unmet"]
    words = {evidence["words"] for evidence in reports["unmet"]["evidence"]}
    assert words <= {"certificate: valid for 30.0 d, not 31 d",
                     "certificate: valid for 30 d, not 31 d"}, words


@case
def a_certificate_that_never_ends_is_valid_for_long_enough(lab):
    # as RFC 5280 writes it, and dates beyond what 64 bits of nanoseconds can count
    for ends in ("99991231235959Z", "27000101000000Z", "23500101000000Z"):
        ca = CertificateAuthority(lab, ends)
        origin = Origin(lab, answer(PAGE), ca.issue("127.0.0.1", ends=ends))
        report = first_reports(lab, sites_of(origin.url(), {"met": {"certificate": "3650d"}}),
                               {"SSL_CERT_FILE": ca.certificate})["met"]
        assert report["failed"] == 0, report


@case
def an_answer_that_is_none_is_no_matter_of_expectation(lab):
    origin = Origin(lab, answer(PAGE[:-5]))
    sites = sites_of(origin.url(), {"cut": {"body_contains": "Welcome"}})
    report = first_reports(lab, sites)["cut"]
    assert report["reasons"] == {"error": 2} and set(counts(report)) == {"truncated"}, report


@case
def what_the_server_says_is_quoted_safely(lab):
    page = (b"HTTP/1.1 200 OK\r\nX-Odd: \x1b]0;owned\x07\xff\xe2\x80\xae\r\n"
            b"Content-Length: 0\r\n\r\n")
    report = first_reports(lab, sites_of(Origin(lab, answer(page)).url(),
                                         {"odd": {"headers": {"X-Odd": "even"}}}))["odd"]
    check_rule(report, "header", 'header X-Odd: "\\x1b]0;owned\\x07\\xff\\xe2\\x80\\xae" '
                                 'is not "even"')


HOSTILE = {
    "nested": ("(a+)+$", b"a" * 100000 + b"b"),
    "reference": ("(a+)\\1+b$", b"a" * 100000 + b"bc"),
    "unlimited": ("a*+b$", b"a" * 100000 + b"bc"),
    "deep": ("(?:a|b)*\\z.", b"ab" * 50000),
}


@case
def no_pattern_and_no_page_holds_up_another_site(lab):
    nginx = Nginx(lab)
    sites = [{"name": "calm", "url": nginx.url(), "interval": "200ms", "timeout": "200ms"}]
    for name, (pattern, page) in HOSTILE.items():
        origin = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) +
                                    page))
        sites.append({"name": name, "url": origin.url(), "body_limit": "200KiB", "samples": 4,
                      "interval": "2s", "expect": {"body_matches": pattern}})
    daemon = Daemon(lab, configuration(sites))
    for name in HOSTILE:
        for report in daemon.wait_for_reports(2, name):
            assert counts(report) == {"200": 4} and report["reasons"] == {"body": 4}, report
            pattern = HOSTILE[name][0]
            for evidence in report["evidence"]:
                assert evidence["words"] == f"body: /{pattern}/ gave up: too costly", report
    calm = daemon.reports("calm")
    assert len(calm) >= 10, "the other site waited"
    # a loop that stalls blames itself; a machine that does, as seldom as it stalls
    disturbed = [report for report in calm if counts(report) != {"200": 4}]
    assert len(disturbed) <= len(calm) / 4, disturbed
    assert all(report["failed"] == 0 for report in disturbed), disturbed
    daemon.stop()


@case
def costly_pages_that_come_at_once_are_searched_one_by_one(lab):
    page = b"a" * 1000000
    origin = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" %
                                (len(page), page)))
    # always one or two in flight, which would take as long as all of the pages together
    calm = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", delay=0.1))
    daemon = Daemon(lab, configuration(
        [{"name": "calm", "url": calm.url(), "samples": 30, "spread": "3s"},
         {"name": "costly", "url": origin.url(), "samples": 30, "concurrency": 30, "spread": "0s",
          "expect": {"body_matches": "a*+[bc]"}}], {"interval": "4s", "timeout": "4s"}))
    costly = daemon.wait_for_reports(1, "costly")[0]
    assert counts(costly) == {"200": 30} and costly["reasons"] == {"body": 30}, costly
    calm = daemon.first_report("calm")
    assert counts(calm) == {"200": 30}, calm
    assert calm["latency_ms"]["max"] < costly["took_ms"] / 2, (calm, costly)
    daemon.stop()


@case
def who_waits_for_another_sites_patterns_is_not_blamed(lab):
    pattern, body = HOSTILE["unlimited"]
    origin = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" %
                                (len(body), body)))
    hostile = {"url": origin.url(), "body_limit": "200KiB", "samples": 50, "concurrency": 50,
               "expect": {"body_matches": pattern}}
    daemon = Daemon(lab, configuration(
        [*({"name": f"hostile{i}", **hostile} for i in range(2)),
         {"name": "calm", "url": Nginx(lab).url()}],
        {"interval": "1s", "deadline": "1s", "timeout": "1s", "spread": "0s"}))
    daemon.wait_for_reports(4, "calm", limit=60)
    reports = [r for r in daemon.stop() if r["record"] == "report" and r["site"] == "calm"]
    for report in reports:
        assert report["failed"] == 0, report


@case
def a_body_that_is_unpacked_beyond_the_timeout_ends_there(lab):
    packed = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packed.compress(bytes(1 << 20)) for _ in range(1000)) + packed.flush()
    origin = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                                b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb))
    daemon = Daemon(lab, configuration(
        [{"name": "site", "url": origin.url(), "body_limit": "1GiB", "samples": 1,
          "request": {"compressed": True}}], {"interval": "20s", "timeout": "200ms"}))
    report = daemon.first_report()
    assert set(counts(report)) <= {"transfer_timeout", "local_resource"}, report
    assert report["took_ms"] < 1000, report
    daemon.stop()


main()
