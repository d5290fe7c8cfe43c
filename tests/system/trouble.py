"""What this machine cannot see is not held against its sites: whatever happens to us, none changes
its state; it is said once with its cause, and once when it is over; and what is a site's own fault
beside it stays the site's."""

import re
import resource
import signal
import ssl
import time
import urllib.request

from lab import (CertificateAuthority, Daemon, Dnsmasq, Nginx, Origin, Skip, case, check_log,
                 configuration, counts, free_port, main, troubles, wait_for)
from lab.dns import NO_ERROR, REFUSED, Dns
from lab.network import has_way_out
from lab.records import parse_time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
FAST = {"interval": "500ms", "samples": 10, "concurrency": 10, "timeout": "400ms", "spread": "0s",
        "dns_timeout": "400ms"}
RESOLVER = {"timeout": "100ms", "tries": 2}


def wants_a_way_out():
    if not has_way_out():
        raise Skip("this machine has no default route: what fails is that")


def changes(records):
    """[(site, from, to)]"""
    return [(record["site"], record["from"], record["to"]) for record in records
            if record["record"] == "event" and "site" in record]


def ours(records, which):
    """Reports that are ours for that trouble."""
    return [record for record in records if record.get("ours") == which
            and record["record"] == "report"]


def once(which):
    return [("ok", "impaired", which), ("impaired", "ok", which)]


def all_up(daemon):
    """Every site has a state, and it is good."""
    state = {report["site"]: report["state"] for report in daemon.reports()}
    return state and set(state.values()) == {"up"}


def wait_for_trouble(daemon, which, to):
    daemon.wait_for(lambda: any(event[1:] == (to, which) for event in troubles(daemon.records())),
                    f"{which}: {to}")


def check_told_once(daemon, log, which, words):
    """In the log of records, and in the words of the process."""
    assert troubles(log) == once(which), troubles(log)
    err = daemon.err()
    assert err.count("what samples see meanwhile is ours") == 1, err
    assert err.count("over after ") == 1 and err.count(words) == 2, err
    assert ours(log, which), "no round was ours"
    check_log(log)


class Switched:
    """Answers, or resets each connection while it is off."""

    def __init__(self, lab):
        self.on = True
        self._origin = Origin(lab, self._behave)
        self.url = self._origin.url()

    def _behave(self, connection):
        if connection.read_request():
            if self.on:
                connection.send(OK)
                connection.finish()
            else:
                connection.reset()


# ---- a process that was stopped ----

def impatient(context):
    """Takes its time, and then gives a client half a second to do its part of the handshake."""
    def behave(connection):
        connection.pause(0.15)
        connection.socket.settimeout(0.5)
        with context.wrap_socket(connection.socket.dup(), server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(OK)
    return behave


def late(*pauses):
    """Sends its answer in pieces, each after a pause."""
    step = len(OK) // len(pauses) + 1

    def behave(connection):
        if connection.read_request():
            for number, pause in enumerate(pauses):
                connection.pause(pause)
                connection.send(OK[number * step:(number + 1) * step])
            connection.finish()
    return behave


@case
def a_process_that_was_stopped_in_any_phase_changes_no_sites_state(lab):
    ca = CertificateAuthority(lab)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue("127.0.0.1"))
    dns = Dns(lab, NO_ERROR, address="127.0.0.1", delay=0.2)
    shaking = Origin(lab, impatient(context)).url().replace("http:", "https:")
    quick, slow = Origin(lab, late(0)), Origin(lab, late(0.3))
    halting = Origin(lab, late(0.05, 0.25))
    sites = {}
    for i in range(6):
        sites |= {f"name{i}": quick.url(host=f"n{i}.test"), f"tls{i}": f"{shaking}?{i}",
                  f"quick{i}": quick.url(f"/{i}"), f"slow{i}": slow.url(f"/{i}"),
                  f"halting{i}": halting.url(f"/{i}")}
    daemon = Daemon(lab, configuration(sites, {
        "interval": "2s", "samples": 6, "concurrency": 3, "timeout": "1.5s"},
        resolver={"servers": [dns.address], **RESOLVER, "timeout": "300ms"}),
        env={"SSL_CERT_FILE": ca.certificate})
    daemon.wait_for(lambda: all_up(daemon) and len(daemon.reports()) > len(sites), "all sites up")
    stopped = time.time()
    daemon.signal(signal.SIGSTOP)
    time.sleep(5)
    went_on = time.time()
    daemon.signal(signal.SIGCONT)
    wait_for_trouble(daemon, "lag", "ok")
    log = daemon.stop()
    check_told_once(daemon, log, "lag", "tallyd itself was not running")
    assert changes(log) == [], changes(log)
    # those that began or ended a moment before or after may have been slow by themselves
    blamed = [r for r in log if r["record"] == "report" and r["failed"] > 0
              and parse_time(r["time"]) < went_on - 0.1
              and parse_time(r["time"]) + r["took_ms"] / 1000 > stopped + 0.1]
    assert not blamed, blamed
    # that the server had given up would have been held against it
    touched = ours(log, "lag")
    assert any(set(counts(r)) - {"200", "local_resource", "not_sent"} for r in touched), touched


# ---- descriptors ----

@case
def a_process_without_descriptors_changes_no_sites_state(lab):
    nginx = Nginx(lab)
    dns = Dnsmasq(lab, {"shop.test": ["127.0.0.1"]})
    daemon = Daemon(lab, configuration(
        {"literal": nginx.url(), "named": f"http://shop.test:{nginx.port}/200"}, FAST,
        resolver={"servers": [dns.address], **RESOLVER}))
    daemon.wait_for(lambda: all_up(daemon), "both up")
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    daemon.wait_for(lambda: len(ours(daemon.records(), "resources")) >= 6, "rounds of ours")
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_for_trouble(daemon, "resources", "ok")
    log = daemon.stop()
    check_told_once(daemon, log, "resources", "descriptors, memory or ports ran out")
    assert changes(log) == [], changes(log)
    assert {r["site"] for r in ours(log, "resources")} == {"literal", "named"}


# ---- names ----

def check_a_resolver_that_is_gone(lab, names, stop, go_on, address, outcome):
    wants_a_way_out()
    nginx, port = Nginx(lab), free_port()
    sites = {name: f"http://{name}.test:{nginx.port}/200" for name in names}
    daemon = Daemon(lab, configuration({**sites, "literal": nginx.url()}, FAST,
                                       resolver={"servers": [address], **RESOLVER},
                                       status={"listen": f"127.0.0.1:{port}"}))

    def metric(name):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
            text = page.read().decode()
        return int(re.search(rf'^{name}{{ours="no_resolver"}} (\d+)$', text, re.MULTILINE)[1])
    daemon.wait_for(lambda: all_up(daemon), "all up")
    assert metric("tallyd_trouble") == metric("tallyd_trouble_rounds_total") == 0
    stop()
    daemon.wait_for(lambda: len(ours(daemon.records(), "no_resolver")) >= 4 * len(names),
                    "rounds of ours")
    daemon.wait_for(lambda: metric("tallyd_trouble") == 1, "the trouble among the metrics")
    go_on()
    wait_for_trouble(daemon, "no_resolver", "ok")
    daemon.wait_for(lambda: metric("tallyd_trouble") == 0, "its end among the metrics")
    assert metric("tallyd_trouble_rounds_total") == len(ours(daemon.records(), "no_resolver"))
    log = daemon.stop()
    check_told_once(daemon, log, "no_resolver", "no DNS server answers")
    assert changes(log) == [], changes(log)
    assert all(set(counts(r)) == {outcome} for r in ours(log, "no_resolver")), log
    literal = [r for r in log if r.get("site") == "literal"]
    assert all(r["judged"] == 10 and "ours" not in r for r in literal), "it needs no name"


@case
def servers_that_fell_silent_are_no_sites_fault(lab):
    names = ["a", "b", "c", "d"]
    dns = Dnsmasq(lab, {f"{name}.test": ["127.0.0.1"] for name in names})
    check_a_resolver_that_is_gone(
        lab, names, lambda: dns.process.send_signal(signal.SIGSTOP),
        lambda: dns.process.send_signal(signal.SIGCONT), dns.address, "dns_timeout")


@case
def servers_that_fell_silent_are_not_the_only_sites_fault_either(lab):
    dns = Dns(lab, NO_ERROR, address="127.0.0.1")

    def silence(silent):
        dns.silent = silent
    check_a_resolver_that_is_gone(lab, ["only"], lambda: silence(True), lambda: silence(False),
                                  dns.address, "dns_timeout")


@case
def a_name_that_nobody_answers_for_is_the_sites_fault(lab):
    wants_a_way_out()
    nginx = Nginx(lab)
    dns = Dns(lab, NO_ERROR, address="127.0.0.1", ignored=("dead.test",))
    daemon = Daemon(lab, configuration(
        {name: f"http://{name}.test:{nginx.port}/200" for name in ("a", "dead", "b")}, FAST,
        resolver={"servers": [dns.address], **RESOLVER}))
    daemon.wait_for(lambda: ("dead", "unknown", "down") in changes(daemon.records()), "dead: down")
    log = daemon.stop()
    check_log(log)
    assert troubles(log) == [] and changes(log) == [("dead", "unknown", "down")], log


@case
def a_name_that_nobody_answers_for_is_its_fault_also_where_it_is_the_only_one(lab):
    wants_a_way_out()
    for code in (NO_ERROR, REFUSED):
        dns = Dns(lab, code, ignored=("dead.test",))
        daemon = Daemon(lab, configuration({"dead": f"http://dead.test:{free_port()}/"}, FAST,
                                           resolver={"servers": [dns.address], **RESOLVER}),
                        name=f"tallyd{code}")
        daemon.wait_for(lambda: changes(daemon.records()), "dead: down")
        log = daemon.stop()
        assert troubles(log) == [] and changes(log) == [("dead", "unknown", "down")], log


# ---- the canary ----

def canary_daemon(lab):
    canary, others = Switched(lab), Switched(lab)
    sites = [{"name": "canary", "url": canary.url, "interval": "200ms", "timeout": "150ms",
              "samples": 3}]
    sites += [{"name": name, "url": others.url + name} for name in "abc"]
    daemon = Daemon(lab, configuration(sites, FAST, canary="canary"))
    daemon.wait_for(lambda: all_up(daemon) and len(daemon.reports()) > 10, "all up")
    return daemon, canary, others


@case
def what_fails_while_the_canary_fails_changes_no_other_sites_state(lab):
    daemon, canary, others = canary_daemon(lab)
    canary.on = others.on = False
    daemon.wait_for(lambda: len(ours(daemon.records(), "canary")) >= 9, "rounds of ours")
    others.on = True  # in this order, for the others must not fail when the canary does not
    daemon.wait_for(lambda: all(daemon.reports(site)[-1]["failed"] == 0
                                and "ours" not in daemon.reports(site)[-1] for site in "abc"),
                    "others that are well")
    canary.on = True
    wait_for_trouble(daemon, "canary", "ok")
    log = daemon.stop()
    check_told_once(daemon, log, "canary", "the canary fails too")
    assert {site for site, _, _ in changes(log)} == {"canary"}, changes(log)
    assert all("ours" not in r for r in log if r.get("site") == "canary"), "it is judged"


@case
def what_fails_while_the_canary_is_well_is_the_sites_fault(lab):
    daemon, _, others = canary_daemon(lab)
    others.on = False
    wait_for(lambda: len(changes(daemon.records())) == 3, "three sites down")
    log = daemon.stop()
    check_log(log)
    assert sorted(changes(log)) == [(site, "up", "down") for site in "abc"], changes(log)
    assert troubles(log) == []


@case
def a_canary_that_fails_alone_is_a_site_like_others(lab):
    daemon, canary, _ = canary_daemon(lab)
    canary.on = False
    daemon.wait_for(lambda: ("canary", "degraded", "down") in changes(daemon.records())
                    or ("canary", "up", "down") in changes(daemon.records()), "the canary down")
    daemon.wait_for_reports(6)
    log = daemon.stop()
    check_log(log)
    assert troubles(log) == [] and {site for site, _, _ in changes(log)} == {"canary"}, log


@case
def what_waits_for_the_canary_leaves_when_the_canary_goes_or_the_daemon_stops(lab):
    others = Switched(lab)
    others.on = False
    silent = Origin(lab, lambda connection: connection.stall())
    sites = [{"name": "canary", "url": silent.url(), "interval": "1h", "timeout": "1h",
              "dns_timeout": "1s"},
             {"name": "a", "url": others.url}]
    config = configuration(sites, FAST, canary="canary")
    daemon = Daemon(lab, config)
    wait_for(lambda: silent.connections > 0, "the canary under way")
    time.sleep(1)  # whatever would come
    assert daemon.reports() == [], "nobody has said anything"
    daemon.write_config(configuration(sites, FAST))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: ("a", "unknown", "down") in changes(daemon.records()), "a: down")
    daemon.write_config(config)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.err().count("reloaded: ") == 2, "two reloads")
    n = len(daemon.reports("a"))
    time.sleep(1)
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_words("stopping: ")
    log = daemon.stop()  # at once: the canary's samples have an hour
    check_log(log, {"a": 0.5})
    assert len([r for r in log if r.get("site") == "a" and r["record"] == "report"]) > n, log


main()
