"""The manual: it is well formed, it says what the program says, and its examples are true."""

import json
import os
import re
import subprocess

from lab import TALLYD, case, main, run_tallyd
from lab.shells import bash_options, zsh_options

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PAGES = os.environ.get("TALLYD_PAGES") or os.path.dirname(TALLYD)
NAMES = ("tallyd.8", "tallyd.yaml.5")


def source(name):
    with open(os.path.join(PAGES, name), encoding="utf-8") as file:
        return file.read()


def literals(name, section):
    """The literal displays of a section, as they are read."""
    text = re.search(rf"(?ms)^\.Sh {section}\n(.*?)(?=^\.Sh |\Z)", source(name)).group(1)
    for display in re.findall(r"(?ms)^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text):
        for written, read in ((r"\(dq", '"'), (r"\(aq", "'"), (r"\-", "-"), (r"\&", ""),
                              (r"\e", "\\")):
            display = display.replace(written, read)
        yield display


@case
def the_pages_are_well_formed(_lab):
    for name in NAMES:
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                               os.path.join(PAGES, name)], capture_output=True, text=True,
                              check=False)
        assert done.stdout + done.stderr == "" and done.returncode == 0, done


def write_secret(lab, path):
    os.makedirs(os.path.dirname(lab.path(path)), exist_ok=True)
    os.chmod(lab.write(path, "x\n"), 0o600)


def prepare(lab):
    """What the examples name."""
    for path in ("secrets/shop-key", "shop-password", "ping.json"):
        write_secret(lab, path)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=lab", "-keyout",
                    lab.path("client.key"), "-out", lab.path("client.pem")],
                   check=True, capture_output=True)
    os.link(lab.path("client.key"), lab.path("client-key"))
    with open(lab.path("client.pem"), encoding="ascii") as file:
        lab.write("ca.pem", file.read())


def check(lab, text):
    path = lab.write("tallyd.yaml", text)
    done = run_tallyd("check", "-c", path, env={**os.environ, "CREDENTIALS_DIRECTORY": lab.dir})
    assert done.status == 0, (text, done)


@case
def every_configuration_in_the_manual_is_one(lab):
    prepare(lab)
    examples = [text for name, section in (("tallyd.yaml.5", "DESCRIPTION"),
                                           ("tallyd.yaml.5", "EXAMPLES"))
                for text in literals(name, section)]
    assert len(examples) == 4, examples
    for text in examples:
        check(lab, text)


# Where the options of each command are read.
SOURCES = {"sample": "daemon/sample_options.c", "run": "daemon/main.c", "check": "daemon/main.c",
           "status": "daemon/ask.c", "demo": "daemon/demo.c"}


def manual_options(command):
    """Those of the items of the command's section."""
    section = re.search(rf"(?ms)^\.Ss tallyd {command}\n(.*?)(?=^\.S[sh] )",
                        source("tallyd.8")).group(1)
    items = "\n".join(re.findall(r"(?m)^\.It (Fl .*)$", section))
    return {"--" + name for name in re.findall(r"Fl Fl ([a-z0-9-]+)", items)} | \
        {"-" + name for name in re.findall(r"Fl (\w)(?= |$)", items.replace("Fl Fl", ""))}


def help_options(command):
    words = run_tallyd(command, "--help").out
    return set(re.findall(r"(?<![^\s\[])--?[A-Za-z0-9][a-z0-9-]*", words))


@case
def every_option_is_in_help_manual_and_completions_and_no_other(_lab):
    for command, path in SOURCES.items():
        there = help_options(command)
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            taken = {"--" + name for name in
                     re.findall(r'\{"([a-z0-9-]+)", \w+_argument, NULL,', file.read())}
        if command == "run":
            taken -= {"--names"}
        refused = {"-u", "--user"} if command == "sample" else set()
        assert taken - refused == {name for name in there if name.startswith("--")}, \
            (command, taken, there)
        for where, options in (("tallyd(8)", manual_options(command) - refused),
                               ("bash", bash_options(command)), ("zsh", zsh_options(command))):
            assert options == there, (command, where, sorted(options ^ there))


@case
def every_command_is_in_help_and_manual(_lab):
    commands = set(re.findall(r"(?m)^  (\w+)", run_tallyd("--help").out))
    assert commands == set(SOURCES), commands
    sections = set(re.findall(r"(?m)^\.Ss tallyd (\w+)", source("tallyd.8")))
    assert sections == commands, sections
    synopsis = set(re.findall(r"(?m)^\.Cm (\w+)",
                              source("tallyd.8").split(".Sh DESCRIPTION")[0]))
    assert synopsis == commands, synopsis


def names_in(page, section):
    text = re.search(rf"(?ms)^\.Sh {section}\n(.*?)(?=^\.Sh )", source(page)).group(1)
    return set(re.findall(r"\w+", " ".join(re.findall(r"(?m)^\.(?:It )?(?:Cm|Pq Cm) (.*)", text))))


@case
def every_field_of_a_record_is_in_the_manual(_lab):
    fields = set()

    def collect(value):
        for name, inner in value.items():
            if re.fullmatch(r"[a-z]\w*", name):  # not an address
                fields.add(name)
            if name in ("labels", "codes", "errors", "reasons", "backends"):
                continue  # with names of their own
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, dict):
                    collect(one)
    for name in ("log.json", "sample.json"):
        with open(os.path.join(ROOT, "tests/golden", name), encoding="utf-8") as file:
            for line in file:
                collect(json.loads(line))
    missing = fields - names_in("tallyd.8", "RECORDS")
    assert not missing, f"man/tallyd.8.in says nothing of {missing}"
    assert len(fields) > 40, fields


@case
def the_commands_in_the_manual_are_taken(lab):
    """Without a network: whether a site can be reached is not the point, their options are."""
    lab.write("tallyd.yaml", "sites: [ { name: shop, url: 'http://127.0.0.1:1/' } ]\n")
    lab.write("urls.txt", "http://127.0.0.1:1/\n")
    commands = [command for text in literals("tallyd.8", "EXAMPLES")
                for command in text.replace("\\\n", "").splitlines()]
    assert len(commands) >= 8, commands
    for command in commands:
        done = subprocess.run(
            ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "--net", "sh", "-c",
             f"ip link set lo up && {command.replace('tallyd ', TALLYD + ' ', 1)}"],
            cwd=lab.dir, capture_output=True, text=True, check=False, timeout=60)
        quiet = command.startswith(("tallyd check", "tallyd demo"))
        assert done.returncode in ((0,) if quiet else (1, 3)), (command, done)
        assert done.stdout, (command, done)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def literals_of_sources():
    """Every text of the program, with … for what printf puts in."""
    for folder, _, names in os.walk(os.path.join(ROOT, "daemon")):
        for name in names:
            if name.endswith(".c"):
                text = re.sub(r'"\s*PRI\w+\s*"', "u", read(os.path.join(folder, name)))
                text = re.sub(r'"\s*\n\s*"', "", text)
                for found in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text):
                    found = found.replace('\\"', '"').replace("\\n", "\n")
                    yield re.sub(r"%[-+ #0]*[\d.*]*(?:hh?|ll?|z|j)?[a-zA-Z]", "…", found)


@case
def every_message_that_the_readme_quotes_is_one_of_the_program(_lab):
    section = re.search(r"(?ms)^## When something is wrong\n(.*?)^## ", read("README.md")).group(1)
    quoted = [message for row in section.splitlines()[4:] if row.startswith("|")
              for message in re.findall(r"`([^`]+)`", row.split("|")[2])]
    assert len(quoted) >= 15, quoted
    texts = list(literals_of_sources())
    for message in quoted:
        # an example of a value stands for what printf puts in
        pattern = re.sub(r'(?<=")\w+(?=")|\b0\d{3}\b', "…", message)
        assert any(pattern.strip("… ") in text for text in texts), message


@case
def every_configuration_in_the_readme_is_one(lab):
    prepare(lab)
    examples = re.findall(r"(?ms)^```yaml\n(.*?)^```", read("README.md"))
    assert len(examples) >= 2, examples
    for text in examples:
        check(lab, text)


@case
def every_command_is_in_the_readme(_lab):
    section = re.search(r"(?ms)^## Commands\n(.*?)^## ", read("README.md")).group(1)
    assert set(re.findall(r"(?m)^\| `tallyd (\w+)", section)) == set(SOURCES), section


main()
