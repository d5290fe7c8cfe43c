"""The rows of a name's addresses: in every format, for all samples, and from round to round."""

from lab import (PATIENT, Daemon, Dnsmasq, Nginx, Origin, case, check_log, configuration, counts,
                 cut, main, parse_json, parse_line, parse_text, run_tallyd)

GOOD, REFUSING, HOLE = "127.0.3.1", "127.0.3.2", "127.0.3.3"
SILENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Name:
    """A name with a good address, one that refuses, and one that swallows what it gets."""

    def __init__(self, lab, name="shop.test"):
        self._lab = lab
        self.nginx = Nginx(lab, addresses=["127.0.0.1", GOOD])
        Origin(lab, cut(SILENT, 0, "stall"), address=HOLE, port=self.nginx.port)
        self.dns = Dnsmasq(lab, {name: [GOOD, REFUSING, HOLE]})
        self.url = f"http://{name}:{self.nginx.port}/200"

    def configuration(self, **settings):
        site = {"name": "shop", "url": self.url, "spread": "0s", "timeout": PATIENT, **settings}
        return configuration([site], {"interval": "30s", "samples": 4, "concurrency": 2},
                             resolver={"servers": [self.dns.address]})

    def report(self, **settings):
        daemon = Daemon(self._lab, self.configuration(**settings))
        report = daemon.first_report()
        check_log(daemon.stop())
        return report


def rows(report):
    return {address: counts(row) for address, row in report["addresses"].items()}


@case
def with_each_every_address_gets_all_samples_and_the_good_one_is_as_quick_as_ever(lab):
    report = Name(lab).report(addresses="each")
    assert report["planned"] == 12, report
    assert rows(report) == {GOOD: {"200": 4}, REFUSING: {"connect_refused": 4},
                            HOLE: {"first_byte_timeout": 4}}, report
    # two waits of two each at the hole, which nobody else waited for
    assert 8000 <= report["took_ms"] < 30000, report
    assert report["latency_ms"]["max"] < 4000, report
    assert report["addresses"][GOOD]["p50_ms"] < 2000, report
    assert "p50_ms" not in report["addresses"][HOLE], report


@case
def every_format_has_a_row_for_each_address(lab):
    name = Name(lab)
    config = lab.write("once.yaml", name.configuration(addresses="each").replace(
        "{log}", lab.path("log")))
    want = {GOOD: {"200": 2}, REFUSING: {"connect_refused": 2}, HOLE: {"first_byte_timeout": 2}}
    seen = {}
    for kind in ("text", "line", "json", "full"):
        done = run_tallyd("sample", "--site", "shop", "-c", config, "-n", 2, "--format", kind)
        assert done.status == 1 and done.err == "", done
        seen[kind] = done.out
    (report,), (line,) = parse_text(seen["text"]), parse_line(seen["line"])
    assert report.addresses == line["addresses"] == want, seen
    assert rows(parse_json(seen["json"])[0]) == want, seen
    matrix = [row.split() for row in seen["full"].splitlines() if row.startswith("  127.0.3.")]
    assert [[*row[:2], *row[3:]] for row in matrix] == [
        [GOOD, ".", "2", ".", "."], [REFUSING, "2", ".", "2", "."],
        [HOLE, "2", ".", ".", "2"]], seen["full"]


@case
def addresses_that_came_and_went_are_named_once_and_a_failed_lookup_is_no_news(lab):
    first, later = ["127.0.4.1", "127.0.4.2"], ["127.0.4.2", "127.0.4.10", "127.0.4.9"]
    nginx = Nginx(lab, addresses=["127.0.0.1", *first, *later[1:]])
    dns = Dnsmasq(lab, {"wide.test": first})
    daemon = Daemon(lab, configuration({"wide": f"http://wide.test:{nginx.port}/200"},
                                       {"interval": "300ms", "samples": 4},
                                       resolver={"servers": [dns.address]}))
    daemon.wait_for_reports(2)
    dns.change({"else.test": first})
    daemon.wait_for(lambda: "dns_nxdomain" in daemon.reports()[-1]["errors"], "a failed lookup")
    dns.change({"wide.test": later})
    daemon.wait_for(lambda: "appeared" in daemon.reports()[-1], "an address that appeared")
    daemon.wait_for_reports(2)
    log = daemon.stop()
    check_log(log)
    news = [(report.get("appeared"), report.get("gone")) for report in log
            if report["record"] == "report" and ("appeared" in report or "gone" in report)]
    assert news == [(["127.0.4.10", "127.0.4.9"], ["127.0.4.1"])], news


main()
