"""Names, through a DNS server of the test's own."""

import socket

from lab import Daemon, Dnsmasq, Nginx, case, configuration, counts, free_port, main


def daemon_for(lab, server, sites, defaults=None, **resolver):
    return Daemon(lab, configuration(sites, defaults, resolver={"servers": [server], **resolver}))


def address_counts(reports):
    """{address: {outcome: count}} over several reports."""
    sums = {}
    for report in reports:
        for address, tally in report["addresses"].items():
            row = sums.setdefault(address, {})
            for outcome, n in counts(tally).items():
                row[outcome] = row.get(outcome, 0) + n
    return sums


@case
def the_address_that_refuses_is_named(lab):
    good = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    nginx = Nginx(lab, addresses=["127.0.0.1", *good])
    dns = Dnsmasq(lab, {"shop.test": [*good, "127.0.0.5"]})
    daemon = daemon_for(lab, dns.address, {"shop": f"http://shop.test:{nginx.port}/200"},
                        {"samples": 20})
    report = daemon.first_report()
    assert counts(report) == {"200": 15, "connect_refused": 5}, report
    assert address_counts([report]) == {
        **{address: {"200": 5} for address in good}, "127.0.0.5": {"connect_refused": 5}}, report
    assert {e["address"] for e in report["evidence"]} == {"127.0.0.5"}, report
    assert report["phases_ms"]["dns"] > 0, report
    daemon.stop()


@case
def thirty_addresses_are_all_reached_in_two_rounds_of_twenty(lab):
    addresses = [f"127.0.1.{i}" for i in range(1, 31)]
    nginx = Nginx(lab, addresses=["127.0.0.1", *addresses])
    dns = Dnsmasq(lab, {"wide.test": addresses})
    daemon = daemon_for(lab, dns.address, {"wide": f"http://wide.test:{nginx.port}/200"},
                        {"samples": 20})
    reports = daemon.wait_for_reports(2)[:2]
    sums = {address: row.get("200", 0) for address, row in address_counts(reports).items()}
    assert set(sums) == set(addresses) and all(1 <= n <= 2 for n in sums.values()), sums
    assert sum(sums.values()) == 40
    daemon.stop()


@case
def a_name_that_does_not_exist_is_dns_nxdomain(lab):
    dns = Dnsmasq(lab, {})
    daemon = daemon_for(lab, dns.address, {"gone": "http://gone.test/"})
    report = daemon.first_report()
    assert counts(report) == {"dns_nxdomain": 4}, report
    assert report["judged"] == report["failed"] == 4 and report["reasons"] == {"error": 4}, report
    daemon.stop()


@case
def a_silent_server_is_dns_timeout_and_delays_no_other_site(lab):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    lab.callback(silent.close)
    silent.bind(("127.0.0.1", 0))
    nginx = Nginx(lab)
    daemon = daemon_for(lab, f"127.0.0.1:{silent.getsockname()[1]}",
                        [{"name": "dark", "url": "http://dark.test/", "interval": "2s"},
                         {"name": "light", "url": nginx.url()}],
                        {"interval": "300ms", "dns_timeout": "1s"}, timeout="200ms", tries=2)
    report = daemon.wait_for_reports(1, "dark")[0]
    assert counts(report) == {"dns_timeout": 4}, report
    assert len(daemon.reports("light")) >= 2, "the other site waited"
    assert all(counts(r) == {"200": 4} for r in daemon.reports("light"))
    daemon.stop()


@case
def a_closed_port_is_dns_failure(lab):
    daemon = daemon_for(lab, f"127.0.0.1:{free_port()}", {"blind": "http://blind.test/"})
    assert counts(daemon.first_report()) == {"dns_failure": 4}
    daemon.stop()


@case
def a_literal_address_asks_nobody(lab):
    nginx = Nginx(lab)
    dns = Dnsmasq(lab, {"shop.test": ["127.0.0.1"]})
    daemon = daemon_for(lab, dns.address, {"literal": nginx.url()})
    daemon.wait_for_reports(2)
    daemon.stop()
    assert dns.queries() == [], dns.queries()


@case
def a_name_is_looked_up_once_a_round(lab):
    nginx = Nginx(lab)
    dns = Dnsmasq(lab, {"shop.test": ["127.0.0.1"]})
    daemon = daemon_for(lab, dns.address, {"shop": f"http://shop.test:{nginx.port}/200"},
                        {"samples": 20})
    daemon.wait_for_reports(3)
    log = daemon.stop()
    rounds = sum(1 for record in log if record["record"] == "report")
    asked = [line for line in dns.queries() if "query[A]" in line]
    assert len(asked) == rounds, (rounds, asked)


main()
