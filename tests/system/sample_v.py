"""`tallyd sample` with the settings of a configuration: as flags, by --site, explained by -v."""

import os
import re

from lab import (CertificateAuthority, Dnsmasq, Haproxy, Nginx, Origin, Proxy, Recorder, case,
                 configuration, counts, free_port, main, parse_text, run_tallyd, sample, values)

SECRET = "s3cr3t"


def asked(lab, *flags, answer=None):
    """The request that samples with these flags make."""
    recorder = Recorder(answer) if answer else Recorder()
    origin = Origin(lab, recorder)
    done = sample("-n", 2, *flags, origin.url("/a"))
    assert len(recorder.requests) == 2, done
    return recorder.one()


def secret(lab):
    path = lab.write("secret", SECRET + "\n")
    os.chmod(path, 0o600)
    return {"file": path}


def matrix(text):
    """{row: [cell, ...]} of a report with one matrix; the heading's last line is "head"."""
    table = text.split("\n\n")[1].splitlines()
    rows = {}
    for line in table:
        words = line.split()
        if "failed" in words:
            rows["head"] = words
        elif "head" in rows:
            rows[words[0]] = words[1:]
    return rows


# ---- flags ----

@case
def the_flags_of_a_request_are_what_is_asked(lab):
    request = asked(lab, "-X", "PUT", "-H", "X-A: one: two", "-H", "X-Empty;", "-H",
                    "Content-Type: text/plain", "-d", "body", "-A", "me", "--compressed")
    assert (request.method, request.target, request.body) == ("PUT", "/a", b"body"), request
    assert values(request, "x-a") == ["one: two"] and values(request, "x-empty") == [""], request
    assert values(request, "content-type") == ["text/plain"], request
    assert values(request, "user-agent") == ["me"], request
    assert "gzip" in values(request, "accept-encoding")[0], request


@case
def data_is_a_form_as_with_curl(lab):
    path = lab.write("data", "b=2\r\nc=3\n")
    request = asked(lab, "-d", "a=1", "-d", "@" + path)
    assert request.method == "POST" and request.body == b"a=1&b=2c=3", request
    assert values(request, "content-type") == ["application/x-www-form-urlencoded"], request
    request = asked(lab, "-d", "")
    assert request.method == "POST" and request.body == b"", request


@case
def binary_data_is_sent_as_it_is(lab):
    data = bytes(range(256))
    request = asked(lab, "--data-binary", "@" + lab.write("data", data))
    assert request.method == "POST" and request.body == data, request
    assert values(request, "content-type") == [], request
    assert asked(lab, "--data-raw", "@x").body == b"@x"


@case
def expectations_decide(lab):
    nginx = Nginx(lab)
    for flags, status, reasons in (
            (["--expect-status", "404"], 1, {"status": 2}), (["--expect-status", "2xx"], 0, {}),
            (["--expect-status", "404,200"], 0, {}), (["--expect-status", "not 200"], 1,
                                                      {"status": 2}),
            (["--expect-body", "^f[aeiou]ne$"], 0, {}), (["--expect-body", "^ine"], 1, {"body": 2}),
            (["--expect-body-contains", "ine", "--expect-body-contains", "f"], 0, {}),
            (["--expect-body-contains", "ine", "--expect-body-contains", "x"], 1, {"body": 2})):
        done = sample("-n", 2, *flags, nginx.url("/200"), status=status)
        assert done.reports[0]["reasons"] == reasons, (flags, done)
    done = run_tallyd("sample", "-n", 1, "--expect-body", "absent", nginx.url())
    assert done.status == 1 and "-v says what" in done.err, done  # the text alone is "saw 200"
    done = run_tallyd("sample", "-n", 1, "--expect-status", "404", nginx.url())
    assert done.status == 1 and done.err == "", done


@case
def tls_is_as_the_flags_say(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    url = nginx.tls_url()
    assert counts(sample("-n", 2, url, status=1).reports[0]) == {"tls_verify": 2}
    sample("-n", 2, "--cacert", ca.certificate, url, status=0)
    done = sample("-n", 2, "-k", url, status=0)
    assert "--insecure" in done.err and "NOT verified" in done.err, done


@case
def redirects_are_followed_when_asked_for(lab):
    nginx = Nginx(lab)
    assert counts(sample("-n", 2, nginx.url("/302")).reports[0]) == {"302": 2}
    assert counts(sample("-n", 2, "-L", nginx.url("/302")).reports[0]) == {"200": 2}
    loop = Origin(lab, Recorder(b"HTTP/1.1 302 Go\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"))
    done = sample("-n", 2, "--max-redirs", "3", loop.url("/a"), status=1)
    assert counts(done.reports[0]) == {"redirect": 2}, done


@case
def a_connection_goes_where_connect_to_says(lab):
    nginx = Nginx(lab)
    recorder = Recorder()
    origin = Origin(lab, recorder)
    done = sample("-n", 2, "--connect-to", f"shop.test:80:127.0.0.1:{origin.port}",
                  "http://shop.test/", nginx.url(), status=0)
    assert [counts(report) for report in done.reports] == [{"200": 2}, {"200": 2}], done
    assert values(recorder.one(), "host") == ["shop.test"], recorder.requests


@case
def a_proxy_is_used_when_it_is_given(lab):
    proxy = Proxy()
    via = Origin(lab, proxy)
    sample("-n", 2, "-x", via.url().rstrip("/"), Nginx(lab).url(), status=0)
    assert len(proxy.requests) == 2, proxy.requests


@case
def what_is_wrong_with_a_flag_is_said_and_nothing_is_sent(lab):
    nginx = Nginx(lab)
    for flags, words in (
            (["-X", "get"], "--request: error: method"), (["-H", "nonsense"], "--header: error"),
            (["--expect-status", "2000"], "--expect-status: error"),
            (["--expect-body", "("], "--expect-body: error"), (["-x", "socks5://a"], "--proxy"),
            (["--cert", "x"], "--cert: error: a client's cert without a key"),
            (["--addresses", "most"], "rotate, first, each"), (["-d", "@/no/such"], "/no/such"),
            (["-d", "@/dev/zero"], "/dev/zero: is larger than 1 MiB"),
            (["--data-binary", "@/no/such"], "/no/such"), (["--max-redirs", "x"], "--max-redirs"),
            (["--connect-to", "a"], "HOST1:PORT1:HOST2:PORT2"), (["-c", "x"], "--site"),
            (["--format", "xml"], "text, line, json or full"),
            (["-H", "X-A: a\nX-B: b"], "control character")):
        done = run_tallyd("sample", "-n", 2, *flags, nginx.url())
        assert done.status == 2 and done.out == "" and words in done.err, (flags, done)
    assert nginx.requests() == {}, "something was sent"


@case
def a_login_has_no_flag_and_the_error_says_what_to_do(lab):
    for flags in (["-u", f"me:{SECRET}"], ["--user", f"me:{SECRET}"]):
        done = run_tallyd("sample", *flags, "http://127.0.0.1:1/")
        assert done.status == 2 and "--site" in done.err and SECRET not in done.err, done


# ---- -v ----

@case
def one_bad_server_of_three_stands_out(lab):
    bad_port = free_port()
    haproxy = Haproxy(lab, Nginx(lab, ports=2, bad_port=bad_port).ports, bad_port)
    done = run_tallyd("sample", "-v", "-n", 9, "--backend-header", "X-Served-By", haproxy.url())
    assert done.status == 1 and done.err == "", done
    assert parse_text(done.out.split("\n\n")[0] + "\n") == [
        (haproxy.url(), {"200": 6, "503": 3})], done
    rows = matrix(done.out)
    assert rows["head"] == ["backend", "failed", "p50", "ms", "200", "503"], done
    assert {name: row[:1] + row[2:] for name, row in rows.items() if name != "head"} == {
        "s0": [".", "3", "."], "s1": [".", "3", "."], "s2": ["3", ".", "3"],
        "all": ["3", "6", "3"]}, done
    assert done.out.count("503, failed for its status:") == 1, done
    assert done.out.count("from s2") == 3 and done.out.count("    curl -q ") == 1, done
    assert "9 planned, 9 judged, 3 failed: status 3" in done.out, done


@case
def a_body_that_fails_is_told_by_its_row_and_its_words(lab):
    nginx = Nginx(lab)
    done = run_tallyd("sample", "-v", "-n", 3, "--expect-body-contains", "Welcome", nginx.url())
    assert matrix(done.out)["127.0.0.1"][0] == "3", done
    assert "200, failed for its body:" in done.out and '"Welcome" is not in its' in done.out, done


@case
def a_name_that_does_not_exist_is_explained(lab):
    dns = Dnsmasq(lab, {})
    path = lab.write("t.yaml", configuration(
        [{"name": "gone", "url": "http://gone.test/"}], {"interval": "60s"},
        resolver={"servers": [dns.address]}).replace("{log}", lab.path("log")))
    done = run_tallyd("sample", "--site", "gone", "-c", path)
    assert done.status == 1 and "dns_nxdomain:" in done.out and "no such name" in done.out, done
    assert "(no address)" in done.out and "curl" not in done.out, done


@case
def no_line_but_a_curl_line_is_wider_than_80_columns(lab):
    nginx = Nginx(lab, addresses=["127.0.0.1", *(f"127.0.5.{i}" for i in range(1, 31))])
    dns = Dnsmasq(lab, {"wide.test": [f"127.0.5.{i}" for i in range(1, 33)]})
    path = lab.write("t.yaml", configuration(
        [{"name": "wide", "url": f"http://wide.test:{nginx.port}/mix", "addresses": "each"}],
        {"interval": "60s", "samples": 4},
        resolver={"servers": [dns.address]}).replace("{log}", lab.path("log")))
    done = run_tallyd("sample", "--site", "wide", "-c", path)
    wide = [line for line in done.out.splitlines() if len(line) > 80]
    assert all(line.startswith("    curl ") for line in wide), wide
    assert len([line for line in done.out.splitlines()
                if re.match(r"  127\.0\.5\.\d+ ", line)]) == 32, done


# ---- --site ----

@case
def a_site_is_sampled_as_its_configuration_says_and_its_secret_is_not_shown(lab):
    recorder = Recorder(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    origin = Origin(lab, recorder)
    path = lab.write("t.yaml", configuration(
        [{"name": "shop", "url": origin.url("/a"), "enabled": False, "samples": 3,
          "request": {"method": "POST", "body": "x", "bearer": secret(lab)}},
         {"name": "other", "url": origin.url("/b")}],
        {"interval": "60s"}).replace("{log}", lab.path("log")))
    done = run_tallyd("sample", "--site", "shop", "-c", path)
    assert done.status == 1 and "saw 503: 3 times" in done.out, done
    request = recorder.one()
    assert values(request, "authorization") == [f"Bearer {SECRET}"], request
    assert (request.method, request.body) == ("POST", b"x"), request
    assert SECRET not in done.out + done.err, done
    assert "--oauth2-bearer \"$(cat " in done.out, done
    assert not os.path.exists(lab.path("log")), "it wrote to the configuration's log"


@case
def several_sites_come_in_the_order_of_their_names_on_the_command_line(lab):
    nginx = Nginx(lab)
    path = lab.write("t.yaml", configuration(
        {"a": nginx.url("/200"), "b": nginx.url("/503"), "c": nginx.url("/404")},
        {"interval": "60s", "samples": 50}).replace("{log}", lab.path("log")))
    done = run_tallyd("sample", "--site", "c", "-n", 2, "--site", "a", "-c", path, "--format",
                      "text")
    assert done.status == 1, done
    assert parse_text(done.out) == [(nginx.url("/404"), {"404": 2}), (nginx.url(), {"200": 2})]
    assert run_tallyd("sample", "--site", "a", "-c", path).status == 0


@case
def an_unknown_site_is_named_with_the_one_that_was_meant(lab):
    nginx = Nginx(lab)
    path = lab.write("t.yaml", configuration({"shop": nginx.url()}).replace(
        "{log}", lab.path("log")))
    done = run_tallyd("sample", "--site", "shpo", "-c", path)
    assert done.status == 2 and '"shpo"' in done.err and 'is it "shop"?' in done.err, done
    done = run_tallyd("sample", "--site", "entirely-else", "-c", path)
    assert done.status == 2 and "is it" not in done.err, done
    for flags in (["-X", "PUT"], ["--cacert", "x"], [nginx.url()]):
        done = run_tallyd("sample", "--site", "shop", "-c", path, *flags)
        assert done.status == 2 and "--site" in done.err, (flags, done)
    assert run_tallyd("sample", "--site", "shop").status == 2
    done = run_tallyd("sample", "--site", "shop", "-c", lab.path("missing.yaml"))
    assert done.status == 2 and "missing.yaml" in done.err, done
    assert nginx.requests() == {}, "something was sent"


main()
