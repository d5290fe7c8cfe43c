"""TLS as a site wants it: whom to trust, who we are, under which name, and how old it may be."""

import os
import signal
import ssl
import subprocess

from lab import (OK, CertificateAuthority, Daemon, Nginx, Origin, Recorder, case, configuration,
                 counts, free_port, main, run_tallyd, start, values, wait_for)


def sites(*rows):
    return configuration(list(rows), {"interval": "5s", "samples": 4, "spread": "0s"})


def sampled(lab, url, tls, **site):
    daemon = Daemon(lab, sites({"name": "site", "url": url, "tls": tls, **site}))
    report = daemon.first_report()
    daemon.stop()
    return report


def served(lab, certificate, tls, behave=None, **site):
    """Outcomes of samples of an origin with this certificate."""
    origin = Origin(lab, behave or Recorder(), certificate=certificate)
    return counts(sampled(lab, origin.url(), tls, **site))


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


@case
def what_is_wrong_with_a_certificate_is_accepted_with_verify_no_alone(lab):
    ca = CertificateAuthority(lab)
    for certificate in (ca.issue("127.0.0.1", self_signed=True), ca.issue("shop.example.org"),
                        ca.issue("127.0.0.1", expired=True)):
        for verify, outcome in ((True, "tls_verify"), (False, "200")):
            assert served(lab, certificate, {"ca": ca.certificate, "verify": verify}) == \
                {outcome: 4}, (certificate, verify)
    assert served(lab, ca.issue("127.0.0.1"), {"ca": ca.certificate}) == {"200": 4}


@case
def verify_no_needs_no_bundle_and_is_said_loudly(lab):
    ca = CertificateAuthority(lab)
    origin = Origin(lab, Recorder(), certificate=ca.issue("127.0.0.1"))
    config = lab.write("check.yaml", sites({"name": "shop", "url": origin.url(),
                                            "tls": {"verify": False}}).replace("{log}", "log"))
    done = run_tallyd("check", "-c", config, env={"SSL_CERT_FILE": lab.path("missing.pem")})
    assert done.status == 0 and "shop" in done.err and "NOT verified" in done.err, done


@case
def each_site_trusts_its_own_authority_and_no_other(lab):
    ours, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    urls = {ca: Origin(lab, Recorder(), certificate=ca.issue("127.0.0.1")).url()
            for ca in (ours, other)}
    daemon = Daemon(lab, sites(*(
        {"name": f"{i}{j}", "url": urls[server], "tls": {"ca": trusted.certificate}}
        for i, server in enumerate((ours, other)) for j, trusted in enumerate((ours, other)))))
    daemon.wait_for_reports(4)
    log = {report["site"]: counts(report) for report in daemon.reports()}
    assert log == {"00": {"200": 4}, "11": {"200": 4}, "01": {"tls_verify": 4},
                   "10": {"tls_verify": 4}}, log
    daemon.stop()


@case
def a_server_name_is_asked_for_and_verified_and_host_stays_the_urls(lab):
    ca = CertificateAuthority(lab)
    recorder, names = Recorder(), []
    origin = Origin(lab, recorder, certificate=ca.issue("shop.example.org"))
    origin.tls_context.sni_callback = lambda _, name, __: names.append(name)
    tls = {"ca": ca.certificate, "server_name": "shop.example.org"}
    report = sampled(lab, origin.url("/a?b"), tls)
    assert counts(report) == {"200": 4} and names == ["shop.example.org"] * 4, (report, names)
    request = recorder.one()
    assert values(request, "host") == [f"127.0.0.1:{origin.port}"], request
    assert request.target == "/a?b", request
    report = sampled(lab, origin.url(), tls, request={"headers": {"Host": "third.example.org"}})
    assert values(recorder.requests[-1], "host") == ["third.example.org"], recorder.requests
    report = sampled(lab, origin.url(), {**tls, "server_name": "other.example.org"})
    assert counts(report) == {"tls_verify": 4}, report


# ---- who we are ----

def nginx_with_clients(lab, ours, clients):
    """Answers 200 to who shows a certificate of `clients`, and to others 400."""
    return Nginx(lab, certificate=ours.issue("127.0.0.1"),
                 extra=f"ssl_client_certificate {clients.certificate}; ssl_verify_client on;"
                       " ssl_verify_depth 3;")


@case
def nginx_lets_in_who_shows_a_certificate_of_the_right_authority(lab):
    ours, clients = CertificateAuthority(lab), CertificateAuthority(lab, "clients")
    nginx = nginx_with_clients(lab, ours, clients)
    for issuer, outcome in ((clients, "200"), (ours, "400"), (None, "400")):
        tls = {"ca": ours.certificate}
        if issuer is not None:
            tls["cert"], tls["key"] = issuer.issue("tallyd")
        report = sampled(lab, nginx.tls_url(), tls)
        assert counts(report) == {outcome: 4}, (outcome, report)
    nginx.wait_for_requests({"200": 4, "400": 8})


@case
def paths_of_the_command_line_are_those_of_its_directory(lab):
    ours, clients = CertificateAuthority(lab), CertificateAuthority(lab, "clients")
    nginx = nginx_with_clients(lab, ours, clients)
    lab.write("ping", "ping")
    files = [os.path.basename(path) for path in (ours.certificate, *clients.issue("tallyd"))]
    done = run_tallyd("sample", "-n", 2, "--cacert", files[0], "--cert", files[1], "--key",
                      files[2], "--data-binary", "@ping", nginx.tls_url(), cwd=lab.dir)
    assert done.status == 0 and done.err == "", done
    nginx.wait_for_requests({"200": 2})


@case
def a_certificate_is_shown_with_its_chain(lab):
    ours, clients = CertificateAuthority(lab), CertificateAuthority(lab, "clients")
    between = clients.authority("between")
    nginx = nginx_with_clients(lab, ours, clients)
    cert, key = between.issue("tallyd")
    report = sampled(lab, nginx.tls_url(), {"ca": ours.certificate, "cert": cert, "key": key})
    assert counts(report) == {"400": 4}, report
    # one file for all three may do
    whole = lab.write("whole.pem", read(cert) + read(between.certificate) + read(key))
    os.chmod(whole, 0o600)
    report = sampled(lab, nginx.tls_url(), {"ca": ours.certificate, "cert": whole, "key": whole})
    assert counts(report) == {"200": 4}, report


@case
def a_server_that_ends_the_handshake_over_our_certificate_is_tls_handshake(lab):
    ours, clients = CertificateAuthority(lab), CertificateAuthority(lab, "clients")
    for version in ("TLSv1_2", "TLSv1_3"):
        recorder = Recorder()
        origin = Origin(lab, recorder, certificate=ours.issue("127.0.0.1"))
        context = origin.tls_context
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.certificate)
        context.maximum_version = context.minimum_version = getattr(ssl.TLSVersion, version)
        cert, key = ours.issue("tallyd")
        for tls in ({"cert": cert, "key": key}, {}):
            report = sampled(lab, origin.url(), {"ca": ours.certificate, **tls})
            assert report["codes"] == {} and set(report["errors"]) <= {"tls_handshake", "reset"}, \
                (version, report)
        assert recorder.requests == []
        cert, key = clients.issue("tallyd")
        report = sampled(lab, origin.url(), {"ca": ours.certificate, "cert": cert, "key": key})
        assert counts(report) == {"200": 4}, (version, report)


def refused(lab, tls, *words, url="https://127.0.0.1:1/"):
    """By `check` and `run` alike, with the words."""
    path = lab.write("refused.yaml", sites({"name": "site", "url": url, "tls": tls})
                     .replace("{log}", lab.path("log")))
    for command in ("check", "run"):
        done = run_tallyd(command, "-c", path)
        assert done.status == 2 and done.out == "", (tls, done)
        for word in words:
            assert word in done.err, (tls, word, done)
    assert not os.path.exists(lab.path("log"))


@case
def files_that_cannot_be_used_are_refused_and_named(lab):
    ca = CertificateAuthority(lab)
    cert, key = ca.issue("tallyd")
    cert2, key2 = ca.issue("another")
    broken = lab.write("broken.pem", read(ca.certificate)[:-40])
    empty = lab.write("empty.pem", "")
    refused(lab, {"ca": broken}, broken, "certificate 1 is damaged")
    refused(lab, {"ca": empty}, empty, "holds no certificate")
    refused(lab, {"ca": lab.path("missing.pem")}, lab.path("missing.pem"), "No such file")
    refused(lab, {"ca": lab.dir}, lab.dir, "is a directory")
    refused(lab, {"ca": broken}, broken, url="http://127.0.0.1:1/")  # used or not
    refused(lab, {"cert": cert, "key": key2}, cert, key2, "do not belong together")
    refused(lab, {"cert": cert2, "key": key}, cert2, key, "do not belong together")
    refused(lab, {"cert": broken, "key": key}, broken, "is damaged")
    refused(lab, {"cert": key, "key": key}, key, "holds no certificate")
    half = lab.write("half.key", read(key)[:100])
    os.chmod(half, 0o600)
    refused(lab, {"cert": cert, "key": half}, half, "is damaged")
    os.chmod(empty, 0o600)
    refused(lab, {"cert": cert, "key": empty}, empty, "holds no private key")
    locked = lab.path("locked.key")
    subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", locked],
                   check=True, capture_output=True)
    os.chmod(locked, 0o600)
    refused(lab, {"cert": cert, "key": locked}, locked, "encrypted")
    os.chmod(key, 0o644)
    refused(lab, {"cert": cert, "key": key}, key, "open to everybody")
    # all that is wrong at once
    os.chmod(key, 0o600)
    config = lab.write("two.yaml", sites(
        {"name": "a", "url": "https://127.0.0.1:1/", "tls": {"ca": broken}},
        {"name": "b", "url": "https://127.0.0.1:1/", "tls": {"cert": cert, "key": key2}}))
    done = run_tallyd("check", "-c", config)
    assert done.status == 2 and broken in done.err and key2 in done.err, done


# ---- versions ----

class OpenSsl:
    """`openssl s_server` that speaks one version."""

    def __init__(self, lab, certificate, *options):
        self.port = free_port()
        self._log = open(lab.path(f"s_server-{self.port}"), "w+b")
        lab.callback(self._log.close)
        child = start(["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert",
                       certificate[0], "-key", certificate[1], "-www", "-quiet", *options],
                      stdout=self._log, stderr=self._log)
        lab.callback(child.wait)
        lab.callback(child.kill)
        wait_for(self._accepts, "openssl s_server")

    def _accepts(self):
        with open("/proc/net/tcp", encoding="ascii") as file:
            return f"0100007F:{self.port:04X} 00000000:0000 0A" in file.read()

    def url(self):
        return f"https://127.0.0.1:{self.port}/"


OLD = ("-cipher", "ALL:@SECLEVEL=0")
VERSIONS = {"1.0": ("-tls1", *OLD), "1.1": ("-tls1_1", *OLD), "1.2": ("-tls1_2",),
            "1.3": ("-tls1_3",)}


@case
def nothing_older_than_min_version_is_spoken_and_all_from_there_on(lab):
    ca = CertificateAuthority(lab)
    certificate = ca.issue("127.0.0.1")
    servers = {version: OpenSsl(lab, certificate, *options)
               for version, options in VERSIONS.items()}
    rows = []
    for least in (None, *VERSIONS):
        for version, server in servers.items():
            tls = {"ca": ca.certificate, **({} if least is None else {"min_version": least})}
            rows.append({"name": f"{least}-{version}", "url": server.url(), "tls": tls})
    daemon = Daemon(lab, configuration(rows, {"interval": "4s", "samples": 1, "spread": "0s"}))
    daemon.wait_for(lambda: len({r["site"] for r in daemon.reports()}) == len(rows), "all", 60)
    log = {report["site"]: counts(report) for report in daemon.reports()}
    for least in (None, *VERSIONS):
        for version in VERSIONS:
            wanted = "200" if version >= (least or "1.2") else "tls_handshake"
            assert log[f"{least}-{version}"] == {wanted: 1}, (least, version, log)
    daemon.stop()


# ---- reloads ----

class Reloading:
    """A daemon whose files change."""

    def __init__(self, lab, rows, spread="0s", interval="300ms", samples=2, env=None):
        self._lab, self._settings = lab, {"interval": interval, "samples": samples,
                                          "spread": spread, "concurrency": 1}
        self.daemon = Daemon(lab, configuration(rows, self._settings), env=env)

    def hup(self, words, rows=None):
        """Until the words are there; returns what was said."""
        if rows is not None:
            self.daemon.write_config(configuration(rows, self._settings))
        before = len(self.daemon.err())
        self.daemon.signal(signal.SIGHUP)
        return self.daemon.wait_for_words(words, after=before)

    def last(self, site):
        reports = self.daemon.reports(site)
        return counts(reports[-1]) if reports else None

    def wait_for(self, site, outcome):
        self.daemon.wait_for(lambda: self.last(site) == {outcome: 2}, f"{site} {outcome}")


def put(lab, path, text):
    lab.write(os.path.basename(path), text)
    os.chmod(path, 0o600)


@case
def at_sighup_a_broken_bundle_stays_as_it_was_and_the_rest_goes_on(lab):
    ours, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    urls = [Origin(lab, Recorder(), certificate=ca.issue("127.0.0.1")).url()
            for ca in (ours, other)]
    bundle = lab.write("bundle.pem", read(ours.certificate))
    rows = [{"name": "ours", "url": urls[0], "tls": {"ca": bundle}}]
    run = Reloading(lab, rows)
    run.wait_for("ours", "200")
    put(lab, bundle, "garbage\n")
    rows.append({"name": "other", "url": urls[1], "tls": {"ca": other.certificate}})
    said = run.hup("reloaded: ", rows)
    assert bundle in said and "what was read of it before stays in use" in said, said
    run.wait_for("other", "200")
    run.daemon.wait_for_reports(3, "ours")
    assert run.last("ours") == {"200": 2}
    # a bundle that is new has nothing that could stay
    missing = lab.path("missing.pem")
    rows.append({"name": "third", "url": urls[1], "tls": {"ca": missing}})
    said = run.hup("reload refused", rows)
    assert missing in said, said
    # and it is not worn out: still there after any number of them
    rows.pop()
    for _ in range(3):
        said = run.hup("reloaded: ", rows)
        assert bundle in said, said
    run.daemon.wait_for_reports(3, "ours")
    assert run.last("ours") == {"200": 2}
    put(lab, bundle, read(other.certificate))
    run.hup("reloaded: ")
    run.wait_for("ours", "tls_verify")
    assert all(set(counts(r)) == {"200"} for r in run.daemon.reports("other"))
    run.daemon.stop()


@case
def at_sighup_a_new_client_certificate_is_shown_and_one_that_does_not_fit_is_not(lab):
    ours, clients = CertificateAuthority(lab), CertificateAuthority(lab, "clients")
    nginx = nginx_with_clients(lab, ours, clients)
    cert, key = lab.path("client.pem"), lab.path("client.key")

    def show(pair):
        put(lab, cert, read(pair[0]))
        put(lab, key, read(pair[1]))
    show(clients.issue("tallyd"))
    run = Reloading(lab, [{"name": "site", "url": nginx.tls_url(),
                           "tls": {"ca": ours.certificate, "cert": cert, "key": key}}])
    run.wait_for("site", "200")
    show(ours.issue("tallyd"))
    run.hup("reloaded: ")
    run.wait_for("site", "400")
    show(clients.issue("tallyd"))
    run.hup("reloaded: ")
    run.wait_for("site", "200")
    # half of the new pair, as while it is being put there
    put(lab, cert, read(ours.issue("tallyd")[0]))
    said = run.hup("reloaded: ")
    assert cert in said and key in said and "do not belong together" in said, said
    assert "what was read of it before stays in use" in said, said
    run.daemon.wait_for_reports(3)
    assert run.last("site") == {"200": 2}
    run.daemon.stop()


@case
def credentials_are_authority_certificate_and_key_and_read_again_at_sighup(lab):
    ours, clients = CertificateAuthority(lab), CertificateAuthority(lab, "clients")
    nginx = nginx_with_clients(lab, ours, clients)
    directory = lab.path("credentials")
    os.mkdir(directory)

    def hand_over(**files):
        for name, path in files.items():
            with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                file.write(read(path))
            os.chmod(file.name, 0o400)
    cert, key = clients.issue("tallyd")
    hand_over(ca=ours.certificate, cert=cert, key=key)
    run = Reloading(lab, [{"name": "site", "url": nginx.tls_url(),
                           "tls": {name: {"credential": name} for name in ("ca", "cert", "key")}}],
                    env={"CREDENTIALS_DIRECTORY": directory})
    run.wait_for("site", "200")
    cert, key = ours.issue("tallyd")
    hand_over(cert=cert, key=key)
    run.hup("reloaded: ")
    run.wait_for("site", "400")
    hand_over(ca=clients.certificate)
    run.hup("reloaded: ")
    run.wait_for("site", "tls_verify")
    os.unlink(os.path.join(directory, "key"))
    assert "LoadCredential=" in run.hup("reload refused")
    run.daemon.stop()


@case
def a_round_under_way_does_not_trust_what_sighup_took_out(lab):
    ours, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    recorder = Recorder()
    origin = Origin(lab, recorder, certificate=ours.issue("127.0.0.1"))
    bundle = lab.write("bundle.pem", read(ours.certificate))
    run = Reloading(lab, [{"name": "site", "url": origin.url(), "tls": {"ca": bundle}}],
                    interval="10s", spread="4s", samples=20)
    wait_for(lambda: len(recorder.requests) >= 5, "five samples")
    put(lab, bundle, read(other.certificate))
    run.hup("reloaded: ")
    report = run.daemon.first_report()
    assert set(counts(report)) == {"200", "tls_verify"} and report["round"] == 1, report
    assert report["codes"]["200"] == len(recorder.requests) <= 12, report
    run.daemon.stop()


@case
def a_round_under_way_ends_with_the_bundle_that_is_named_no_more(lab):
    ours, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    recorder = Recorder()
    origin = Origin(lab, recorder, certificate=ours.issue("127.0.0.1"))
    bundle = lab.write("bundle.pem", read(ours.certificate))
    row = {"name": "site", "url": origin.url(), "tls": {"ca": bundle}}
    run = Reloading(lab, [row], interval="5s", spread="2s", samples=20)
    wait_for(lambda: len(recorder.requests) >= 5, "five samples")
    os.unlink(bundle)
    run.hup("reloaded: ", [{**row, "tls": {"ca": other.certificate}}])
    assert len(recorder.requests) < 20, "the round had ended before"
    first, second = run.daemon.wait_for_reports(2)[:2]
    assert counts(first) == {"200": 20} and counts(second) == {"tls_verify": 20}, (first, second)
    run.daemon.stop()


main()
