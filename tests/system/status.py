"""`tallyd status`, and a reload that starts, moves and ends the status server."""

import json
import os
import re
import signal
import stat

from lab import (Daemon, Nginx, Origin, answer, case, configuration, main, process,
                 run_tallyd)
from lab.web import get, is_served


def status(daemon, *arguments):
    return run_tallyd("status", *arguments, "-c", daemon.config_path)


def text(nginx, listen=None, **bad):
    top = {} if listen is None else {"status": {"listen": listen}}
    sites = [{"name": "fine one", "url": nginx.url("/200")},
             {"name": "bad", "url": nginx.url("/503"), **bad}]
    return configuration(sites, {"interval": "300ms", "samples": 12}, **top)


def reload(daemon, config):
    at = len(daemon.err())
    daemon.write_config(config)
    daemon.signal(signal.SIGHUP)
    return daemon.wait_for_words("reload", after=at)


@case
def the_table_has_the_worst_first_and_the_exit_status_says_whether_all_are_up(lab):
    nginx, port = Nginx(lab), process.free_port()
    daemon = Daemon(lab, text(nginx, f"127.0.0.1:{port}"))
    daemon.wait_for(lambda: "down" in status(daemon, "bad").out, "it to be down")
    done = status(daemon)
    assert done.status == 1 and done.err == "", done
    head, first, second, _, last = done.out.splitlines()
    assert head.startswith("state") and max(map(len, done.out.splitlines())) <= 80, done
    assert first.startswith("down ") and first.endswith("  bad") and "12x503" in first, done
    assert second.startswith("up ") and second.endswith("  fine one"), done
    assert last == "2 sites: 1 down, 1 up", done
    one = status(daemon, "bad")
    assert one.status == 1 and one.out.count("503 was not expected") == 1, one
    told = one.out[one.out.index("\n  503, failed for its status:\n"):]
    assert len(re.findall(r"\n    at [0-9.]+ ms +127\.0\.0\.1 port [0-9]+ took [0-9.]+ ms:",
                          told)) == 3, one
    assert told.count("first_byte") == 3 and told.count("\n    curl ") == 1, one
    assert status(daemon, "fine one").status == 0
    assert json.loads(status(daemon, "fine one", "--json").out)["site"]["state"] == "up"
    assert len(json.loads(status(daemon, "--json").out)["sites"]) == 2
    unknown = status(daemon, "nobody")
    assert unknown.status == 2 and "no site 'nobody'; `tallyd status`" in unknown.err, unknown
    mistyped = status(daemon, "bda")
    assert mistyped.status == 2 and "no site 'bda'; is it 'bad'?" in mistyped.err, mistyped
    assert "reloaded: " in reload(daemon, text(nginx, f"127.0.0.1:{port}", enabled=False))
    daemon.wait_for(lambda: status(daemon).status == 0, "what is paused to be no matter")
    assert "1 up, 1 paused" in status(daemon).out
    daemon.stop()
    gone = status(daemon)
    assert gone.status == 3 and f"127.0.0.1:{port}" in gone.err and "does tallyd run" in gone.err


@case
def who_asks_needs_no_secret_of_the_daemon_s(lab):
    nginx, port = Nginx(lab), process.free_port()
    for name in ("token", "key"):
        os.chmod(lab.write(name, "x\n"), 0o600)
    sites = [{"name": "shop", "url": nginx.url("/200"),
              "request": {"bearer": {"credential": "token"},
                          "headers": {"X-Key": {"file": lab.path("key")}}}}]
    daemon = Daemon(lab, configuration(sites, {"interval": "300ms", "samples": 12},
                                       status={"listen": f"127.0.0.1:{port}"}),
                    env={**os.environ, "CREDENTIALS_DIRECTORY": lab.dir})
    daemon.wait_for_reports(1)
    os.unlink(lab.path("key"))
    environment = {name: value for name, value in os.environ.items()
                   if name != "CREDENTIALS_DIRECTORY"}
    done = run_tallyd("status", "-c", daemon.config_path, env=environment)
    assert "  shop\n" in done.out and done.err == "", done
    assert run_tallyd("sample", "--site", "shop", "-c", daemon.config_path,
                      env=environment).status == 2  # who sends does


@case
def a_site_that_the_daemon_has_not_read_yet_wants_a_reload(lab):
    nginx, port = Nginx(lab), process.free_port()
    daemon = Daemon(lab, text(nginx, f"127.0.0.1:{port}"))
    daemon.wait_for_reports(1)
    daemon.write_config(text(nginx, f"127.0.0.1:{port}", name="new"))
    done = status(daemon, "new")
    assert done.status == 2 and "no site 'new' yet: send it SIGHUP" in done.err, done


@case
def what_its_arguments_lack_is_said_in_a_line(_lab):
    for arguments, words in (((), "tallyd status -c /etc/tallyd/tallyd.yaml"),
                             (("a", "b", "-c", "none.yaml"), "tallyd status --help")):
        done = run_tallyd("status", *arguments)
        assert done.status == 2 and done.out == "", done
        assert words in done.err and len(done.err.splitlines()) == 1, done
    unknown = run_tallyd("status", "--none")
    assert unknown.status == 2 and len(unknown.err.splitlines()) == 2, unknown


@case
def what_moves_the_cursor_is_not_tallyd_and_not_shown(lab):
    site = {"site": "shop", "state": "up", "url": "https://shop.example.org/", "codes": {"200": 4}}

    def served(told):
        body = (told if isinstance(told, str) else json.dumps(told)).encode()
        origin = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) +
                                    body))
        return lab.write("c.yaml", f"status: {{ listen: '127.0.0.1:{origin.port}' }}\n"
                                   "sites: [ https://shop.example.org/ ]\n")
    for odd in "a\x1b[2J", "a\nroot: up", "a\u009b2J", "a\u202eb":
        twice = json.dumps({"sites": [{**site, "x": odd}]}, ensure_ascii=False)
        for told, *name in (({"sites": [{**site, "site": odd}]},), ({"sites": [{odd: 1}]},),
                            (twice.replace('"x"', '"url"'),),
                            ({"site": {**site, "state": odd}}, "shop"),
                            ({"site": site, "last": {"evidence": [{"words": odd}]}}, "shop")):
            for form in (), ("--json",):
                done = run_tallyd("status", "-c", served(told), *name, *form)
                assert done.status == 3 and done.out == "", (told, done)
                assert done.err == "tallyd: error: what answers there is not tallyd\n", done
    done = run_tallyd("status", "-c", served({"sites": [site]}))
    assert done.status == 0 and "shop" in done.out, done


@case
def a_reload_starts_moves_and_ends_it_or_is_refused_whole(lab):
    nginx, port = Nginx(lab), process.free_port()
    path = lab.path("s.sock")
    daemon = Daemon(lab, text(nginx))
    daemon.first_report()
    unsaid = status(daemon)
    assert unsaid.status == 2 and "status: { listen:" in unsaid.err, unsaid
    assert "reloaded: " in reload(daemon, text(nginx, f"127.0.0.1:{port}"))
    daemon.wait_for(lambda: get(port, "/healthz")[0] == 200, "the server")
    assert "reloaded: " in reload(daemon, text(nginx, f"unix:{path}"))
    daemon.wait_for(lambda: not is_served(port), "the old place closed")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert "2 sites: " in status(daemon).out
    busy = Daemon(lab, text(nginx, f"127.0.0.1:{port}"), name="other")
    busy.first_report()
    words = reload(daemon, text(nginx, f"127.0.0.1:{port}"))
    assert "reload refused, the old configuration stays: status: " in words, words
    daemon.write_config(text(nginx, f"unix:{path}"))
    assert "2 sites: " in status(daemon).out  # where it was
    os.unlink(path)
    assert "reloaded: " in reload(daemon, text(nginx, f"unix:{path}"))
    daemon.wait_for(lambda: "2 sites: " in status(daemon).out, "a new socket for one that went")
    assert "reloaded: " in reload(daemon, text(nginx))
    daemon.wait_for(lambda: not os.path.exists(path), "the socket gone")


main()
