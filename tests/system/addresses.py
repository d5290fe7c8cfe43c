"""A name with three addresses, one good, one that refuses and one that is a black hole: each has
its row, none hides another, and the good one is as quick as it is alone."""

from lab import (Daemon, Dnsmasq, Origin, answer, case, check_log, configuration, counts, free_port,
                 main)
from lab.faults import was_away
from lab.network import BLACK_HOLE, own_network

own_network()
GOOD, REFUSING, DARK = "127.0.0.2", "127.0.0.3", BLACK_HOLE + "9"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SAMPLES = 30
TIMEOUT_MS = 2000


class Shop:
    """A server at the good address, and a round to the name, in which the machine was not so busy
    that tallyd missed what came."""

    def __init__(self, lab, of_name, **settings):
        self.origin = Origin(lab, answer(OK), address=GOOD, port=free_port(GOOD))
        names = Dnsmasq(lab, {"shop.test": of_name})
        daemon = Daemon(lab, configuration(
            {"shop": self.origin.url(host="shop.test")},
            {"interval": "60s", "samples": SAMPLES, "concurrency": SAMPLES, "spread": "0s",
             "timeout": f"{TIMEOUT_MS}ms", **settings},
            resolver={"servers": [names.address]}), name=f"shop-{self.origin.port}")
        self.report = daemon.first_report()
        check_log(daemon.stop())

    def rows(self):
        return {address: counts(row) for address, row in self.report["addresses"].items()}


def sampled(lab, *arguments, **settings):
    """A shop whose round was not spoilt by a machine so busy that tallyd missed what came."""
    for _ in range(3):
        shop = Shop(lab, *arguments, **settings)
        if not was_away(shop.report):
            break
    return shop


def check_evidence(report):
    """Each failure names the address that it was at, as it is, in its words and in its command."""
    failed = {"connect_refused": REFUSING, "connect_timeout": DARK}
    assert {(e["outcome"], e["address"]) for e in report["evidence"]} == set(failed.items()), report
    for evidence in report["evidence"]:
        assert f"--connect-to ::{evidence['address']}:" in evidence["curl"], evidence
        took = evidence["took_ms"]
        assert (took >= TIMEOUT_MS) == (evidence["outcome"] == "connect_timeout"), evidence


@case
def each_address_has_a_row_and_none_hides_another(lab):
    shop = sampled(lab, [GOOD, REFUSING, DARK])
    each = SAMPLES // 3
    assert shop.rows() == {GOOD: {"200": each}, REFUSING: {"connect_refused": each},
                           DARK: {"connect_timeout": each}}, shop.report
    assert shop.report["judged"] == SAMPLES and shop.report["failed"] == 2 * each, shop.report
    # a sample that failed elsewhere first would be one more
    assert shop.origin.connections == shop.origin.requests == each
    check_evidence(shop.report)


@case
def the_bad_addresses_do_not_make_the_good_one_slower(lab):
    # one that tried another address first would have waited for it, for half of its time at least.
    # A busy machine can make a round slow: the quickest of three counts
    with_bad = [sampled(lab, [GOOD, REFUSING, DARK]).report for _ in range(3)]
    alone = [sampled(lab, [GOOD], samples=SAMPLES // 3).report for _ in range(3)]
    for report in with_bad:
        assert report["codes"] == {"200": SAMPLES // 3}, report
        assert report["addresses"][GOOD]["p50_ms"] == report["latency_ms"]["p50"], report
        assert all("p50_ms" not in report["addresses"][bad] for bad in (REFUSING, DARK)), report
    quickest = [min(report["latency_ms"]["p50"] for report in reports)
                for reports in (with_bad, alone)]
    assert quickest[0] < quickest[1] + 50, (with_bad, alone)


@case
def each_address_gets_all_samples_if_asked_for(lab):
    shop = sampled(lab, [GOOD, REFUSING, DARK], samples=10, addresses="each")
    assert shop.rows() == {GOOD: {"200": 10}, REFUSING: {"connect_refused": 10},
                           DARK: {"connect_timeout": 10}}, shop.report
    assert shop.report["planned"] == 30 and shop.origin.connections == 10, shop.report
    check_evidence(shop.report)


@case
def the_first_address_is_never_swapped_for_a_better_one(lab):
    # the first by its bytes is the black hole
    shop = sampled(lab, [GOOD, REFUSING, DARK], addresses="first")
    assert counts(shop.report) == {"connect_timeout": SAMPLES}, shop.report
    assert shop.origin.connections == 0


@case
def only_the_good_address_is_left_to_ipv4(lab):
    shop = sampled(lab, [GOOD, REFUSING, "::1"], family="ipv4")
    assert shop.rows() == {GOOD: {"200": 15}, REFUSING: {"connect_refused": 15}}, shop.report


@case
def an_ipv6_address_has_its_row_beside_those_of_ipv4(lab):
    shop = sampled(lab, [GOOD, REFUSING, "::1"])
    assert shop.rows() == {GOOD: {"200": 10}, REFUSING: {"connect_refused": 10},
                           "::1": {"connect_refused": 10}}, shop.report


main()
