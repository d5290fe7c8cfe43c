"""What the system tests stand on: real servers on loopback, the program itself, and the checks that
hold for every log. Standard library only. A test is

    from lab import case, main

    @case
    def counts_equal_the_access_log(lab):
        ...

    main()

Each case has a directory and servers of its own, so that any number of them may run at a time."""

from .cases import Skip, add_case, case, main
from .origin import Origin, answer, cut, full_backlog
from .process import free_port, start, wait_for
from .recorder import OK, Proxy, Recorder, values
from .records import (check_log, check_report, counts, parse_json, parse_line, parse_text, slots,
                      troubles)
from .servers import CertificateAuthority, Dnsmasq, Haproxy, Nginx
from .tallyd import (PATIENT, TALLYD, Daemon, Running, check_words, configuration, run_tallyd,
                     sample)

__all__ = [
    "CertificateAuthority", "Daemon", "Dnsmasq", "Haproxy", "Nginx", "OK", "Origin", "PATIENT",
    "Proxy", "Recorder", "Running", "Skip", "TALLYD", "add_case", "answer", "case", "check_log",
    "check_report", "check_words", "configuration", "counts", "cut", "free_port", "full_backlog",
    "main", "parse_json", "parse_line", "parse_text", "run_tallyd", "sample", "slots", "start",
    "troubles", "values", "wait_for",
]
