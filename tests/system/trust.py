"""The trust store, read again at SIGHUP: what was taken out of it no longer verifies."""

import os
import signal

from lab import (CertificateAuthority, Daemon, Nginx, case, configuration, counts, main,
                 run_tallyd)
from lab.records import NOT_JUDGED

INTERVAL = 0.3


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class Trust:
    """A TLS nginx, a bundle of two CAs, and a daemon that samples with it."""

    def __init__(self, lab):
        self.ours, self.other = CertificateAuthority(lab), CertificateAuthority(lab, "other")
        self.nginx = Nginx(lab, certificate=self.ours.issue("127.0.0.1"))
        self._lab = lab
        self.bundle = lab.path("bundle.pem")
        self.put(read(self.ours.certificate) + read(self.other.certificate))
        self.daemon = Daemon(lab, configuration({"shop": self.nginx.tls_url()},
                                                {"interval": f"{INTERVAL}s", "samples": 2}),
                             env={"SSL_CERT_FILE": self.bundle})
        self.wait_for_outcome("200")

    def put(self, text):
        self._lab.write(os.path.basename(self.bundle), text)

    def hup(self):
        self.daemon.signal(signal.SIGHUP)

    def wait_for_outcome(self, outcome):
        self.daemon.wait_for(lambda: self.last() == {outcome: 2}, f"a report of only {outcome}")

    def last(self):
        reports = self.daemon.reports()
        return counts(reports[-1]) if reports else None

    def outcomes(self):
        """The outcomes of all reports, runs of the same taken together."""
        runs = []
        for report in self.daemon.reports():
            for outcome in counts(report):
                # a busy machine may take a sample's turn
                if outcome not in NOT_JUDGED and (not runs or runs[-1] != outcome):
                    runs.append(outcome)
        return runs


@case
def a_ca_that_sighup_took_out_no_longer_verifies_and_put_back_does(lab):
    trust = Trust(lab)
    for _ in range(3):
        trust.put(read(trust.other.certificate))
        trust.hup()
        trust.wait_for_outcome("tls_verify")
        before = sum(trust.nginx.requests().values())
        trust.daemon.wait_for_reports(3)
        assert sum(trust.nginx.requests().values()) == before, "a request arrived all the same"
        trust.put(read(trust.ours.certificate) + read(trust.other.certificate))
        trust.hup()
        trust.wait_for_outcome("200")
        trust.daemon.wait_for_reports(3)
    trust.daemon.stop()
    # from one to the other and not back and forth: no store but the newest was ever used again
    assert trust.outcomes() == ["200", "tls_verify"] * 3 + ["200"], trust.outcomes()


@case
def without_a_sighup_the_store_stays(lab):
    trust = Trust(lab)
    trust.put(read(trust.other.certificate))
    trust.daemon.wait_for_reports(3)
    assert trust.outcomes() == ["200"]


def keeps_the_old_store(lab, text):
    trust = Trust(lab)
    if text is None:
        os.unlink(trust.bundle)
    else:
        trust.put(text(read(trust.ours.certificate)))
    before = len(trust.daemon.err())
    trust.hup()
    trust.daemon.wait_for_words(trust.bundle, after=before)
    trust.daemon.wait_for_reports(3)
    assert trust.outcomes() == ["200"], trust.outcomes()
    trust.daemon.stop()


@case
def a_bundle_cut_in_half_at_sighup_leaves_the_old_store_and_is_named(lab):
    keeps_the_old_store(lab, lambda pem: pem[:len(pem) // 2])


@case
def a_bundle_of_garbage_at_sighup_leaves_the_old_store_and_is_named(lab):
    keeps_the_old_store(lab, lambda _: "garbage\n")


@case
def an_empty_bundle_at_sighup_leaves_the_old_store_and_is_named(lab):
    keeps_the_old_store(lab, lambda _: "")


@case
def a_bundle_that_is_gone_at_sighup_leaves_the_old_store_and_is_named(lab):
    keeps_the_old_store(lab, None)


@case
def a_broken_bundle_at_the_start_is_refused_and_named(lab):
    config = lab.write("tallyd.yaml", configuration({"shop": "https://127.0.0.1:1/"})
                       .replace("{log}", lab.path("log")))
    broken = lab.write("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n")
    for bundle in (broken, lab.path("missing.pem")):
        done = run_tallyd("run", "-c", config, env={"SSL_CERT_FILE": bundle})
        assert done.status in (2, 3) and bundle in done.err, done


main()
