"""Completion in bash and zsh."""

import os

from lab import TALLYD, case, main
from lab.shells import bash_offers, zsh_offers

COMMANDS = ["sample", "run", "status", "check", "demo"]

SITES = """sites:
  - https://a.example.org/
  - { name: my shop, url: "http://b.example.org/" }
  - { name: shop, url: "http://c.example.org/" }
"""


@case
def commands_come_first(lab):
    assert bash_offers(TALLYD, "") == [*COMMANDS, "--help", "--version"]
    assert bash_offers(TALLYD, "s") == ["sample", "status"]
    offers = zsh_offers(TALLYD, "")
    assert [offer.split(":")[0] for offer in offers if ":" in offer] == COMMANDS, offers


@case
def bash_completes_values_of_options(lab):
    assert bash_offers(TALLYD, "sample", "--format", "") == ["text", "line", "json", "full"]
    assert bash_offers(TALLYD, "sample", "--format=") == ["text", "line", "json", "full"]
    assert bash_offers(TALLYD, "sample", "--format=j") == ["json"]
    assert bash_offers(TALLYD, "sample", "-X", "P") == ["POST", "PUT", "PATCH"]
    assert bash_offers(TALLYD, "sample", "--addresses", "e") == ["each"]
    assert bash_offers(TALLYD, "sample", "-n", "") == []
    assert bash_offers(TALLYD, "sample", "https://a.example.org/", "") == []


@case
def bash_completes_files(lab):
    path = lab.write("tallyd.yaml", SITES)
    begun = path[:-len("yaml")]
    assert bash_offers(TALLYD, "check", "-c", begun) == [path]
    assert bash_offers(TALLYD, "sample", "--config=" + begun) == [path]
    assert bash_offers(TALLYD, "sample", "-d", "@" + begun) == ["@" + path]
    assert bash_offers(TALLYD, "sample", "-d", begun) == []


@case
def bash_completes_the_sites_of_the_configuration(lab):
    path = lab.write("tallyd.yaml", SITES)
    begin = [TALLYD, "sample", "-c", path, "--site"]
    assert bash_offers(*begin, "") == ["https://a.example.org/", r"my\ shop", "shop"]
    assert bash_offers(*begin, "s") == ["shop"]
    assert bash_offers(*begin, "https:") == ["//a.example.org/"]
    assert bash_offers(*begin, "https://a") == ["//a.example.org/"]
    assert bash_offers(*begin, "my\\ s") == [r"my\ shop"]
    assert bash_offers(TALLYD, "status", "-c", path, "s") == ["shop"]
    # without a configuration, or with a bad one, there are none, and no words on the terminal
    assert bash_offers(TALLYD, "sample", "--site", "") == []
    assert bash_offers(TALLYD, "sample", "-c", os.devnull, "--site", "") == []


@case
def zsh_completes_the_sites_of_the_configuration(lab):
    path = lab.write("tallyd.yaml", SITES)
    offers = zsh_offers("sites", TALLYD, "sample", "-c", path, "--site", "")
    assert offers == ["https://a.example.org/", "my shop", "shop"], offers


main()
