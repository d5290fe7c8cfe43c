"""The manual: it is well formed, it says what the program says, and its examples are true."""

import os
import re
import subprocess

from lab import case, main, run_tallyd

PAGES = os.environ.get("TALLYD_PAGES") or os.path.dirname(
    os.environ.get("TALLYD", "build/gcc/tallyd"))
NAMES = ("tallyd.yaml.5",)


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


@case
def every_configuration_in_the_manual_is_one(lab):
    for path in ("secrets/shop-key", "shop-password", "ping.json"):
        write_secret(lab, path)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=lab", "-keyout",
                    lab.path("client.key"), "-out", lab.path("client.pem")],
                   check=True, capture_output=True)
    with open(lab.path("client.pem"), encoding="ascii") as file:
        lab.write("ca.pem", file.read())
    examples = [text for name, section in (("tallyd.yaml.5", "DESCRIPTION"),
                                           ("tallyd.yaml.5", "EXAMPLES"))
                for text in literals(name, section)]
    assert len(examples) == 4, examples
    for text in examples:
        path = lab.write("tallyd.yaml", text)
        done = run_tallyd("check", "-c", path, env={**os.environ, "CREDENTIALS_DIRECTORY": lab.dir})
        assert done.status == 0, (text, done)


main()
