"""Against nginx, plain and TLS: what is reported is what the access log says."""

import collections
import subprocess

from lab import (TALLYD, CertificateAuthority, Nginx, case, counts, free_port, main, run_tallyd,
                 sample, start)


@case
def counts_equal_the_access_log(lab):
    nginx = Nginx(lab)
    paths = ["/200", "/302", "/404", "/451", "/500", "/503", "/mix", "/body"]
    done = sample("-n", 40, *map(nginx.url, paths), status=1)
    assert [report["url"] for report in done.reports] == [nginx.url(path) for path in paths]
    for path, report in zip(paths, done.reports):
        nginx.wait_for_requests(counts(report), path)
    for path, report in zip(paths[:6], done.reports):
        assert report["codes"] == {path[1:]: 40} and report["errors"] == {}, report
    assert set(done.reports[6]["codes"]) <= {"200", "503"}


@case
def counts_equal_the_access_log_over_tls(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    done = sample("--cacert", ca.certificate, "-n", 20, nginx.tls_url("/mix"),
                  nginx.tls_url("/200"))
    total = collections.Counter()
    for report in done.reports:
        assert report["errors"] == {}, report
        assert report["phases_ms"]["tls"] > 0, report
        total.update(counts(report))
    assert done.reports[1]["codes"] == {"200": 20}
    nginx.wait_for_requests(total)


@case
def ssl_cert_file_names_the_bundle(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    done = sample("-n", 4, nginx.tls_url(), env={"SSL_CERT_FILE": ca.certificate}, status=0)
    assert done.reports[0]["codes"] == {"200": 4}


@case
def cacert_wins_over_ssl_cert_file(lab):
    ca, other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    done = sample("-n", 4, "--cacert", ca.certificate, nginx.tls_url(),
                  env={"SSL_CERT_FILE": other.certificate}, status=0)
    assert done.reports[0]["codes"] == {"200": 4}
    done = sample("-n", 4, "--cacert", other.certificate, nginx.tls_url(),
                  env={"SSL_CERT_FILE": ca.certificate}, status=1)
    assert done.reports[0]["errors"] == {"tls_verify": 4}


@case
def an_unknown_ca_is_tls_verify_and_no_request_arrives(lab):
    ca = CertificateAuthority(lab)
    nginx = Nginx(lab, certificate=ca.issue("127.0.0.1"))
    done = sample("-n", 4, nginx.tls_url(), nginx.url(), status=1)
    assert counts(done.reports[0]) == {"tls_verify": 4}, done
    nginx.wait_for_requests({200: 4})


@case
def status_0_when_all_is_as_expected(lab):
    nginx = Nginx(lab)
    sample("-n", 2, nginx.url("/200"), nginx.url("/302"), nginx.url("/204"), status=0)


@case
def status_1_when_one_site_is_not(lab):
    nginx = Nginx(lab)
    sample("-n", 2, nginx.url("/200"), nginx.url("/503"), status=1)
    sample("-n", 2, f"http://127.0.0.1:{free_port()}/", status=1)


@case
def status_2_for_a_usage_that_is_wrong(lab):
    nginx = Nginx(lab)
    for arguments in (["--no-such-option", nginx.url()], ["-n", "0", nginx.url()],
                      ["-n", "many", nginx.url()], ["--format", "xml", nginx.url()], [],
                      ["--cacert", lab.path("missing.pem"), "https://127.0.0.1/"]):
        done = run_tallyd("sample", *arguments)
        assert done.status == 2 and done.out == "" and done.err != "", (arguments, done)
    assert run_tallyd("no-such-command").status == 2
    assert run_tallyd().status == 2
    assert nginx.requests() == {}


@case
def status_3_when_the_output_fails(lab):
    nginx = Nginx(lab)
    with open("/dev/full", "wb") as full:
        child = start([TALLYD, "sample", "-n", "2", nginx.url()], stdout=full,
                      stderr=subprocess.PIPE, text=True)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 3 and err != "", (child.returncode, err)


main()
