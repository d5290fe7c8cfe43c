"""`tallyd check`: the plan of a good file, every error of a bad one."""

import os
import re

from lab import case, main, run_tallyd


def check(lab, text):
    path = lab.write("tallyd.yaml", text)
    return path, run_tallyd("check", "-c", path)


GOOD = """defaults: { interval: 60s, samples: 20, concurrency: 5 }
sites:
  - http://127.0.0.1/
  - name: shop
    url: https://shop.example.org/health
    samples: 50
    concurrency: 20
    labels: { team: web }
    expect: { status: [200, 204] }
"""


@case
def a_good_file_gives_a_plan_on_stdout_and_status_0(lab):
    _, done = check(lab, GOOD)
    assert done.status == 0 and done.err == "", done
    assert "shop" in done.out and "http://127.0.0.1/" in done.out, done


@case
def the_page_tells_how_soon_a_bad_backend_is_found_and_false_alarms(lab):
    _, done = check(lab, GOOD + "  - http://127.0.0.2/\n  - {name: idle, url: 'http://d/', "
                                "enabled: no}\n  - {name: soon, url: 'http://c/', "
                                "health: {degraded_at: 1}}\n")
    assert done.status == 0, done
    rows = [line.split() for line in done.out.splitlines()[-12:]]
    row = next(row for row in rows if row[-3:] == ["and", "1", "more"])
    # 20 samples a minute: the table of the design
    assert row[:6] == ["20", "1m", "2/2", "2/3", "4/6", "7/15"], done.out
    assert row[7:10] == ["0.00034", "5.6", "http://127.0.0.1/"], done.out
    assert [row[:2] for row in rows if row[-1:] == ["shop"]] == [["50", "1m"]], done.out
    soon = next(row for row in rows if row[-1:] == ["soon"])
    assert float(soon[8]) > 100, done.out
    assert not any(row[-1:] == ["idle"] for row in rows), done.out
    total = next(row for row in rows if row[:1] == ["total"])
    assert abs(float(total[2]) - (2 * 5.57 + 0.75 + float(soon[8]))) <= 1, done.out


@case
def a_hundred_thousand_sites_are_worked_out_once(lab):
    sites = "".join(f"  - http://127.0.0.1/{i}\n" for i in range(100000))
    _, done = check(lab, "sites:\n" + sites)
    assert done.status == 0 and "http://127.0.0.1/0 and 99999 more\n" in done.out, done


@case
def more_kinds_of_sites_than_have_room_are_counted(lab):
    sites = "".join(f"  - {{ url: 'http://127.0.0.1/{i}', samples: {i // 2 + 1} }}\n"
                    for i in range(50))
    _, done = check(lab, "sites:\n" + sites)
    assert done.status == 0 and "and 10 more sites, with settings of yet other" in done.out, done
    assert "http://127.0.0.1/38 and 1 more\n" in done.out, done
    assert "http://127.0.0.1/40 " not in done.out.split("false alarms/year")[1], done


@case
def the_names_of_all_sites_are_told_in_their_order(lab):
    path = lab.write("tallyd.yaml", GOOD + "  - { name: off and on, url: 'http://a/', "
                                           "enabled: no }\n")
    done = run_tallyd("check", "--names", "-c", path)
    assert done.out == "http://127.0.0.1/\nshop\noff and on\n", done
    assert done.status == 0 and done.err == "", done
    done = run_tallyd("check", "--names", "-c", lab.write("bad.yaml", "sites: []\n"))
    assert done.status == 2 and done.out == "" and done.err != "", done
    done = run_tallyd("run", "--names", "-c", path)
    assert done.status == 2 and "names" in done.err, done


@case
def every_error_is_told_on_stderr_with_its_place(lab):
    path, done = check(lab, "defaults:\n  intervall: 5s\n  samples: many\nsites:\n"
                            "  - ftp://127.0.0.1/\n  - name: x\n    url: http://127.0.0.1/\n"
                            "    timeout: 5 s\n")
    assert done.status == 2 and done.out == "", done
    for line in (2, 3, 5, 8):
        assert f"{path}:{line}:" in done.err, (line, done)
    assert "intervall: 5s" in done.err, "the line is not shown"
    assert "interval" in done.err.replace("intervall", ""), "the nearest key is not named"


@case
def warnings_alone_leave_status_0(lab):
    _, done = check(lab, GOOD.rstrip("\n"))
    assert done.status == 0 and "warning" in done.err, done
    # a site that hangs could not send all its samples within its interval
    _, done = check(lab, "defaults: {interval: 2s, samples: 20, concurrency: 1}\n"
                         "sites: [http://127.0.0.1/]\n")
    assert done.status == 0 and "warning" in done.err and "concurrency" in done.err, done


@case
def what_cannot_be_is_refused(lab):
    for text in (
            "", "# nothing\n", "sites: []\n", "sites: [http://127.0.0.1/, http://127.0.0.1/]\n",
            "sites: [http://127.0.0.1/]\nsites: [http://127.0.0.1/]\n", "sites: [\n",
            "sites: [http://user:secret@127.0.0.1/]\n", "[" * 100000,
            "sites: [&a http://127.0.0.1/, *a]\n", "sites: [http://127.0.0.1/]\n---\na: b\n",
            "defaults: {interval: 1s, timeout: 2s}\nsites: [http://127.0.0.1/]\n",
            "defaults: {samples: 0}\nsites: [http://127.0.0.1/]\n",
            "defaults: {interval: 50ms}\nsites: [http://127.0.0.1/]\n"):
        _, done = check(lab, text)
        assert done.status == 2 and done.err != "" and done.out == "", (text[:80], done)
        assert "secret" not in done.err, done


@case
def a_file_that_cannot_be_read_is_named(lab):
    for path in (lab.path("missing.yaml"), lab.dir, "/dev/zero"):
        done = run_tallyd("check", "-c", path, limit=10)
        assert done.status == 2 and path in done.err and done.out == "", done
    assert run_tallyd("check").status == 2


@case
def a_file_cut_at_any_byte_but_a_line_s_end_does_not_pass_unnoticed(lab):
    lines = GOOD.splitlines(keepends=True)
    for n in range(len(GOOD)):
        _, done = check(lab, GOOD[:n])
        assert done.status in (0, 2), (n, done)
        whole_lines = GOOD[:n] == "".join(lines[:GOOD[:n].count("\n")])
        assert done.status == 2 or whole_lines or "warning" in done.err, (n, done)


@case
def includes_are_read_and_errors_in_them_have_their_place(lab):
    os.mkdir(lab.path("sites.d"))
    lab.write("sites.d/a.yaml", "sites:\n  - {name: a, url: 'http://127.0.0.1/a'}\n")
    path, done = check(lab, "include: [ sites.d/*.yaml ]\n")
    assert done.status == 0 and re.search(r"(?m)^a ", done.out), done
    bad = lab.write("sites.d/b.yaml", "sites:\n  - {name: b, url: 'gopher://127.0.0.1/'}\n")
    path, done = check(lab, "include: [ sites.d/*.yaml ]\n")
    assert done.status == 2 and f"{bad}:2:" in done.err, done


SECRET = "hunter2-never-seen"


def private(lab, name, text, mode=0o600):
    path = lab.write(name, text)
    os.chmod(path, mode)
    return path


@case
def a_site_that_asks_with_secrets_shows_none(lab):
    private(lab, "secret", SECRET + "\n")
    text = """sites:
  - name: shop
    url: https://shop.example.org/
    request:
      headers: { X-Key: { file: secret } }
      basic: { user: probe, password: { credential: secret } }
    expect: { status: not 5xx, body_matches: '^ok', latency: 500ms, certificate: 14d }
    redirects: { follow: 2 }
"""
    path = lab.write("tallyd.yaml", text)
    done = run_tallyd("check", "-c", path, env={**os.environ, "CREDENTIALS_DIRECTORY": lab.dir})
    assert done.status == 0 and done.err == "" and "shop" in done.out, done
    assert SECRET not in done.out, done
    environment = {name: value for name, value in os.environ.items()
                   if name != "CREDENTIALS_DIRECTORY"}
    done = run_tallyd("check", "-c", path, env=environment)
    assert done.status == 2 and "CREDENTIALS_DIRECTORY is not set" in done.err, done
    names = run_tallyd("check", "--names", "-c", path, env=environment)
    assert names.status == 0 and names.out == "shop\n" and names.err == "", names


@case
def a_secret_that_is_none_is_refused_and_not_shown(lab):
    for login, mode, word in (("{ file: secret }", 0o644, "open to everybody"),
                              ("{ file: . }", 0o600, "is a directory"),
                              ("{ file: missing }", 0o600, "No such file"),
                              (SECRET, 0o600, "plain text")):
        private(lab, "secret", SECRET, mode)
        path, done = check(lab, "sites:\n  - url: https://127.0.0.1/\n"
                                f"    request: {{ bearer: {login} }}\n")
        assert done.status == 2 and done.out == "" and word in done.err, (login, done)
        assert f"{path}:3:" in done.err and SECRET not in done.err, (login, done)


@case
def a_site_that_is_not_verified_is_told_with_its_line(lab):
    path, done = check(lab, "sites:\n  - url: https://127.0.0.1/\n    tls: { verify: no }\n")
    assert done.status == 0 and f"{path}:3:20: warning: " in done.err, done
    assert "NOT verified" in done.err, done


@case
def a_pattern_that_does_not_compile_has_its_place(lab):
    path, done = check(lab, "sites:\n  - url: https://127.0.0.1/\n"
                            "    expect: { body_matches: 'a(b' }\n")
    assert done.status == 2 and f"{path}:3:33: error: " in done.err, done
    assert "closing parenthesis" in done.err, done


@case
def a_log_that_cannot_be_written_is_a_warning(lab):
    path = lab.path("none/reports.log")
    _, done = check(lab, f"reports: [ {{ to: file, path: {path} }} ]\n"
                         "sites: [ http://127.0.0.1/ ]\n")
    assert done.status == 0 and done.out != "", done
    says = f"the log {path} cannot be written by this user: its directory does not exist"
    assert says in done.err, done


main()
