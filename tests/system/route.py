"""A machine without a way to go blames nobody; one that says so of another network does."""

import subprocess

from lab import (Daemon, Nginx, case, check_log, configuration, counts, main, troubles)
from lab import network
from lab.dns import NO_ERROR, Dns

THERE, OTHER = "10.9.2.1", "10.9.2.2"  # ours too, as long as they are there
FAST = {"interval": "500ms", "samples": 10, "concurrency": 10, "timeout": "400ms", "spread": "0s",
        "dns_timeout": "400ms"}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def changes(records):
    return [(record["site"], record["from"], record["to"]) for record in records
            if record["record"] == "event" and "site" in record]


def lose_and_find(lab, daemon, sites, address):
    """The address, and with it the only way to it, goes and comes back; returns the log."""
    def ours():
        return {report["site"] for report in daemon.reports() if report.get("ours") == "no_route"}

    def last(site):
        return daemon.reports(site)[-1]
    daemon.wait_for(lambda: all(daemon.reports(site) and last(site)["state"] == "up"
                                for site in [*sites, "here"]), "all up")
    ip("addr", "del", address + "/32", "dev", "lo")
    try:
        daemon.wait_for(lambda: ours() == set(sites), "rounds of ours")
        n = {site: len(daemon.reports(site)) for site in sites}
        daemon.wait_for(lambda: all(len(daemon.reports(site)) > n[site] + 2 for site in sites),
                        "more rounds of ours")
    finally:
        ip("addr", "add", address + "/32", "dev", "lo")
    daemon.wait_for(lambda: len(troubles(daemon.records())) == 2, "the end of it")
    log = daemon.stop()
    check_log(log)
    assert troubles(log) == [("ok", "impaired", "no_route"), ("impaired", "ok", "no_route")], log
    assert daemon.err().count("this machine has no route") == 2, daemon.err()
    assert changes(log) == [], changes(log)
    assert all("ours" not in r and r["judged"] == 10 for r in log if r.get("site") == "here")
    return [r for r in log if r.get("ours") == "no_route" and r["record"] == "report"]


@case
def without_a_route_no_state_changes(lab):
    ip("addr", "add", THERE + "/32", "dev", "lo")
    lab.callback(lambda: subprocess.run(["ip", "addr", "del", THERE + "/32", "dev", "lo"],
                                        check=False, capture_output=True))
    nginx = Nginx(lab, addresses=["127.0.0.1", THERE])
    dns = Dns(lab, NO_ERROR, address=THERE)
    daemon = Daemon(lab, configuration(
        {"literal": f"http://{THERE}:{nginx.port}/200",
         "named": f"http://shop.test:{nginx.port}/200", "here": nginx.url()}, FAST,
        resolver={"servers": [dns.address], "timeout": "100ms", "tries": 2}))
    reports = lose_and_find(lab, daemon, ["literal", "named"], THERE)
    assert any(counts(r) == {"connect_unreachable": 10} for r in reports), reports


@case
def without_a_route_to_the_name_servers_no_state_changes(lab):
    ip("addr", "add", OTHER + "/32", "dev", "lo")
    lab.callback(lambda: subprocess.run(["ip", "addr", "del", OTHER + "/32", "dev", "lo"],
                                        check=False, capture_output=True))
    nginx = Nginx(lab)
    dns = Dns(lab, NO_ERROR, address="127.0.0.1", listen=OTHER)
    daemon = Daemon(lab, configuration(
        {"a": f"http://a.test:{nginx.port}/200", "b": f"http://b.test:{nginx.port}/200",
         "here": nginx.url()}, FAST,
        resolver={"servers": [dns.address], "timeout": "100ms", "tries": 2}))
    lose_and_find(lab, daemon, ["a", "b"], OTHER)


@case
def a_host_of_which_the_network_says_that_it_is_unreachable_is_down(lab):
    address = network.BLACK_HOLE + "7"
    network.Wire(lab, address, network.to_syn(network.unreachable(1)))
    nginx = Nginx(lab)
    daemon = Daemon(lab, configuration({"gone": f"http://{address}:9/", "here": nginx.url()}, FAST))
    daemon.wait_for(lambda: changes(daemon.records()), "a site down")
    log = daemon.stop()
    check_log(log)
    assert changes(log) == [("gone", "unknown", "down")] and troubles(log) == [], log
    seen = [counts(r) for r in log if r.get("site") == "gone" and r["record"] == "report"]
    assert all(set(one) == {"connect_unreachable"} for one in seen), seen


@case
def where_there_is_a_way_out_one_that_leads_nowhere_is_the_sites(lab):
    ip("route", "add", "default", "dev", "lo", "src", network.HERE)
    lab.callback(lambda: ip("route", "del", "default"))
    nginx = Nginx(lab)
    daemon = Daemon(lab, configuration(
        {"gone": f"http://{network.UNREACHABLE}:9/", "here": nginx.url()}, FAST))
    daemon.wait_for(lambda: changes(daemon.records()), "a site down")
    log = daemon.stop()
    check_log(log)
    assert changes(log) == [("gone", "unknown", "down")] and troubles(log) == [], log


if __name__ == "__main__":
    network.own_network()
    main()
