"""What the completions of bash and zsh offer, asked of the shells themselves."""

import os
import re
import subprocess

from .tallyd import TALLYD

FOLDER = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../config/completion"))

_BASH = r"""
source "$1"
shift
COMP_LINE=$1
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_tallyd
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""

# zsh's own helpers draw on a terminal; what they are asked for is printed instead
_ZSH = r"""
_arguments() { print -rl -- "$@" }
_describe() { print -rl -- ${(P)4} }
_call_program() { shift; eval "$*" }
compadd() { shift; print -rl -- "$@" }
words=("${@[2,-1]}")
CURRENT=$#words
if [[ $words[1] == sites ]]; then
    shift words
    tallyd=$words[1]
    functions[_whole]="$(<$1)"
    _whole >/dev/null
    _tallyd_sites
else
    source $1
fi
"""


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=30)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout.splitlines()


def _cut(word):
    """As bash cuts a word of a line."""
    return re.findall(r"[=:]+|(?:[^=:])+", word) or [""]


def bash_offers(*words):
    """For a line that the last of `words` ends: what bash would put in the place of its last
    piece. The words are as they are typed."""
    line = " ".join(words)
    pieces = [piece for word in words for piece in _cut(word)]
    return _run("bash", "--norc", "--noprofile", "-c", _BASH, "bash",
                os.path.join(FOLDER, "tallyd.bash"), line, *pieces)


def zsh_offers(*words):
    """What zsh's helpers are asked to offer."""
    return _run("zsh", "-f", "-c", _ZSH, "zsh", os.path.join(FOLDER, "_tallyd"), *words)


def _options(texts):
    return {option for text in texts
            for option in re.findall(r"(?<![\w-])--?[A-Za-z0-9][a-z0-9-]*", text)}


def bash_options(command):
    return {offer for offer in bash_offers(TALLYD, command, "-") if offer.startswith("-")}


def zsh_options(command):
    """Of specifications such as (-n --samples)-n+[words]:name."""
    specs = [spec for spec in zsh_offers(TALLYD, command, "-") if re.match(r"[*(]|-", spec)]
    return _options(re.sub(r"[\[:].*", "", re.sub(r"^\(.*?\)", "", spec)).rstrip("+=")
                    for spec in specs if spec not in ("-s", "-S"))
