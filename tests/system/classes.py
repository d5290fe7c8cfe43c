"""Each way to fail that a server on loopback can bring about comes to the same class, 100 times of
100: see lab/faults.py, of which network.py and silence.py take the other parts. And what names,
stops and descriptors do. At its end it says how much of the tables in classify.c and outcome.c a
real socket brings about."""

import signal

from lab import (Daemon, Dnsmasq, Origin, Running, Skip, add_case, answer, case, configuration,
                 counts, cut, dns, main, rows, sample, wait_for)
from lab.faults import (ANSWER, BEFORE_THE_TABLE, FAULTS, IN_FLIGHT, NO_SOCKET, TIMES, Target,
                        add_sameness, check_sameness, of, served)
from lab.network import has_way_out

for fault in of("classes"):
    add_sameness(fault)


# ---- what no HTTP server does ----

def add_lookup(name, outcome, serve):
    """`serve(lab)` is a DNS server."""
    def run(lab):
        if outcome != "dns_nxdomain" and not has_way_out():
            raise Skip("this machine has no default route: what fails is that")
        server = serve(lab)
        for in_flight in IN_FLIGHT:
            for scheme in ("http", "https"):
                what = f"{scheme}-{in_flight}"
                daemon = Daemon(lab, configuration(
                    {"shop": f"{scheme}://shop.test/"},
                    {"interval": "30s", "samples": TIMES, "concurrency": in_flight,
                     "dns_timeout": "1s"},
                    resolver={"servers": [server.address], "timeout": "200ms", "tries": 2}),
                    name=what)
                check_sameness(daemon.first_report(), outcome, TIMES, what)
                daemon.stop()
    add_case(f"{name} is {outcome} every time", run)


def add_lookups():
    add_lookup("a name that does not exist", "dns_nxdomain", lambda lab: Dnsmasq(lab, {}))
    for code, words in ((dns.NO_ERROR, "that there is no address"), (dns.FORMERR, "FORMERR"),
                        (dns.SERVFAIL, "SERVFAIL"), (dns.REFUSED, "REFUSED")):
        add_lookup(f"a DNS server that says {words}", "dns_failure",
                   lambda lab, code=code: dns.Dns(lab, code))
    # of this name: one that says nothing at all is no site's fault, see trouble.py
    add_lookup("a DNS server that says nothing", "dns_timeout",
               lambda lab: dns.Dns(lab, dns.NO_ERROR, ignored=("shop.test",)))


add_lookups()


@case
def a_stop_that_does_not_wait_is_aborted_every_time_and_not_judged(lab):
    origin = Origin(lab, cut(ANSWER, 0, "stall"))
    for in_flight in IN_FLIGHT:
        before = origin.connections
        running = Running(lab, "-n", TIMES, "-j", in_flight, "--timeout", "60s", origin.url())
        wait_for(lambda due=before + in_flight: origin.connections == due, "samples under way")
        for _ in range(2):  # the second does not wait for them
            running.signal(signal.SIGTERM)
        done = running.wait()
        assert done.status == 3, done
        check_sameness(done.reports[0], "aborted", TIMES, f"{in_flight} in flight")


@case
def samples_without_a_turn_before_the_deadline_are_not_sent_every_time_and_not_judged(lab):
    origin = Origin(lab, cut(ANSWER, 0, "stall"))
    # three at a time fit into the interval, the last cut by the deadline, which is a timeout of its
    # phase
    for in_flight in IN_FLIGHT:
        samples, ended = TIMES + 3 * in_flight, 3 * in_flight
        daemon = Daemon(lab, configuration(
            {"slow": origin.url()},
            {"interval": "4s", "samples": samples, "concurrency": in_flight, "timeout": "1600ms",
             "spread": "0s"}), name=f"slow{in_flight}")
        report = daemon.first_report()
        assert counts(report) == {"first_byte_timeout": ended, "not_sent": TIMES}, report
        assert report["judged"] == report["failed"] == ended, report
        daemon.stop()


def sample_within(lab, limit, in_flight, target):
    running = Running(lab, "-n", TIMES, "-j", in_flight, *target.arguments, target.url,
                      prefix=["prlimit", f"--nofile={limit}:{limit}"])
    return running.wait()


@case
def without_a_descriptor_for_a_socket_it_is_local_resource_every_time_and_not_judged(lab):
    targets = [served(answer(ANSWER))(lab, tls) for tls in (False, True)]
    # the least with which it begins leaves none
    limit = next(limit for limit in range(8, 64)
                 if sample_within(lab, limit, 1, targets[0]).reports)
    for target in targets:
        for in_flight in IN_FLIGHT:
            report = sample_within(lab, limit, in_flight, target).reports[0]
            check_sameness(report, "local_resource", TIMES, f"{target.url}, {in_flight} in flight")
        assert target.origin.connections == 0


@case
def with_few_descriptors_what_fails_is_our_own_fault(lab):
    held = Origin(lab, answer(ANSWER, delay=0.2))
    done = sample_within(lab, 40, 100, Target(held.url()))
    report = done.reports[0]
    # either it knows its limit and takes fewer at a time, or says whose fault it is
    assert done.status == 0 and report["failed"] == 0 and report["planned"] == TIMES, done
    assert set(counts(report)) <= {"200", "local_resource"}, done


@case
def a_hostile_neighbour_does_not_change_what_a_healthy_site_gets(lab):
    healthy = Origin(lab, answer(ANSWER))
    hostile = [cut(ANSWER, 0, "reset"), cut(ANSWER, 10, "stall"), cut(ANSWER, 20, "close"),
               cut(b"\0" * 100000, 100000, "close")]
    urls = []
    for behave in hostile:
        urls += [Origin(lab, behave).url(), healthy.url()]
    done = sample("-n", 20, "--timeout", "1500ms", *urls, status=1)
    for report in done.reports[1::2]:
        assert counts(report) == {"200": 20}, report
    for report in done.reports[::2]:
        assert report["codes"] == {}, report
    assert healthy.requests == 20 * len(hostile)


# ---- how much that is ----

# Rows and classes that cases of this file and of others bring about, beside those of faults.py.
ROWS_HERE = {"COULDNT_CONNECT EMFILE"}
CLASSES_HERE = {"dns_nxdomain", "dns_failure", "dns_timeout", "aborted", "not_sent",
                "local_resource"}


@case
def every_row_and_every_class_has_a_test_or_a_reason_for_none(_):
    table, classes = rows.table_rows(), set(rows.classes())
    tested = ROWS_HERE.union(*(fault.rows for fault in FAULTS)) - BEFORE_THE_TABLE
    without = [row for of_reason in NO_SOCKET.values() for row in of_reason]
    assert len(without) == len(set(without)), "a row with two reasons"
    assert tested.isdisjoint(without), f"reasons and a test: {tested.intersection(without)}"
    known = tested.union(without)
    assert known == set(table), f"neither: {set(table) - known}, no row: {known - set(table)}"
    for fault in FAULTS:
        expected = {fault.plain, fault.tls}
        assert all(table[row] in expected for row in fault.rows if row in table), fault
    seen = CLASSES_HERE.union(*({fault.plain, fault.tls} for fault in FAULTS))
    assert seen & classes == classes, f"no test brings about {classes - seen}"
    print(f"# {len(table)} rows in the class table: {len(tested)} with a socket test, "
          f"{len(without)} that no socket brings about; {len(BEFORE_THE_TABLE)} of 4 decisions "
          f"before it; all {len(classes)} classes", flush=True)


main()
