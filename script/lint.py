#!/usr/bin/env python3
"""What can be checked by reading the tree, each as a TAP case. Run from the top of the tree."""

import os
import re
import shutil
import subprocess
import sys

# Data moves down this list: a file includes from its own folder or from one further up. Only what
# stands above the folders, and wires them, sees all.
FOLDERS = ["base", "config", "probe", "sampling", "report", "output", "service"]
ONLY_BASE = "service"  # knows nothing of what is served
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def tree():
    """Files that are in git or could be added to it; all but builds where there is no git."""
    try:
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others",
             "--exclude-standard"], capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = []
        for folder, folders, names in os.walk("."):
            folders[:] = [name for name in folders
                          if name not in (".git", "__pycache__") and not name.startswith("build")]
            listed += [os.path.relpath(os.path.join(folder, name)) for name in names]
    return sorted(path for path in set(listed) if os.path.isfile(path))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def of_kind(files, *ends):
    return [path for path in files if path.endswith(ends)]


def is_shell(path):
    with open(path, "rb") as file:
        return re.match(rb"#!.*\b(ba)?sh\b", file.readline()) is not None


def the_text_is_laid_out_by_clang_format(files):
    sources = of_kind(files, ".c", ".h")
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None:
        return ["clang-format is not installed"]
    done = subprocess.run([tool, "--dry-run", "--Werror", *sources], capture_output=True,
                          text=True, check=False)
    found = [line for line in done.stderr.splitlines() if "error:" in line]
    return found or ([done.stderr] if done.returncode else [])


def includes_point_up_the_list_of_folders(files):
    wrong = []
    for path in of_kind(files, ".c", ".h"):
        parts = path.split("/")
        if parts[0] != "daemon" or len(parts) == 2:
            continue
        if len(parts) != 3 or parts[1] not in FOLDERS:
            wrong.append(f"{path}: in no folder of the list")
            continue
        folder = parts[1]
        allowed = {"base", folder} if folder == ONLY_BASE \
            else set(FOLDERS[:FOLDERS.index(folder) + 1])
        for kind, name in INCLUDE.findall(read(path)):
            if kind == '"' and name.split("/")[0] not in allowed:
                wrong.append(f"{path}: includes {name}")
    return wrong


def includes_name_folder_and_file(files):
    return [f"{path}: {name}"
            for path in of_kind(files, ".c", ".h") if path.startswith("daemon/")
            for kind, name in INCLUDE.findall(read(path))
            if kind == '"' and not os.path.isfile("daemon/" + name)]


def a_source_includes_its_own_header_first(files):
    wrong = []
    for path in of_kind(files, ".c"):
        header = path[:-2] + ".h"
        if not path.startswith("daemon/") or not os.path.isfile(header):
            continue
        first = INCLUDE.search(read(path))
        if first is None or "daemon/" + first.group(2) != header:
            wrong.append(path)
    return wrong


def a_library_is_known_in_one_place(files):
    """Its folders, or single files where they are the place."""
    places = {"curl/": ("daemon/probe/", "daemon/base/url.c", "daemon/main.c",
                        "daemon/ask.c"),
              "openssl/": ("daemon/probe/",), "ares.h": ("daemon/probe/",),
              "yaml.h": ("daemon/config/",), "systemd/": ("daemon/service/notify.c",),
              "jansson.h": ("daemon/output/", "daemon/report/snapshot.c", "daemon/ask.c",
                            "daemon/ask_evidence.c")}
    return [f"{path}: includes {name}"
            for path in of_kind(files, ".c", ".h") if path.startswith("daemon/")
            for kind, name in INCLUDE.findall(read(path))
            for library, allowed in places.items()
            if kind == "<" and name.startswith(library) and not path.startswith(allowed)]


def sources_name_no_path_of_one_machine(files):
    machine = re.compile(r"(?<![\w.])/(?:home|root|work|Users|mnt|opt)/\w")
    return [f"{path}:{number}: {line.strip()}"
            for path in of_kind(files, ".c", ".h", ".py", ".build", ".md", ".yaml")
            if path != "script/lint.py"
            for number, line in enumerate(read(path).splitlines(), 1) if machine.search(line)]


def nothing_is_left_over(files):
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    return [f"{path}:{number}: {line.strip()}"
            for path in files if not path.endswith((".pem", ".key"))
            for number, line in enumerate(
                open(path, encoding="utf-8", errors="replace").read().splitlines(), 1)
            if marks.search(line)]


def no_structs_hide_behind_a_typedef(files):
    return [f"{path}: {found}" for path in of_kind(files, ".c", ".h")
            for found in re.findall(r"typedef\s+(?:struct|union|enum)\b.*", read(path))]


def shell_scripts_parse(files):
    wrong = []
    for path in files:
        if is_shell(path):
            done = subprocess.run(["bash", "-n", path], capture_output=True, text=True,
                                  check=False)
            if done.returncode:
                wrong.append(done.stderr.strip())
    return wrong


def python_scripts_parse(files):
    wrong = []
    for path in of_kind(files, ".py"):
        try:
            compile(read(path), path, "exec")
        except SyntaxError as error:
            wrong.append(f"{path}: {error}")
    return wrong


def every_source_and_test_is_in_meson_build(files):
    """The other way round meson itself sees to it."""
    text = read("meson.build")
    shapes = (r"(daemon/.+\.c)", r"tests/unit/test_(\w+)\.c", r"tests/system/(\w+)\.py",
              r"tests/script/test_(\w+)\.py", r"tests/fuzz/fuzz_(\w+)\.c")
    wrong = []
    for path in files:
        for shape in shapes:
            found = re.fullmatch(shape, path)
            if found and f"'{found.group(1)}'" not in text:
                wrong.append(f"{path} is not in meson.build")
    return wrong


def scripts_are_at_most_100_columns_wide_and_lines_end_cleanly(files):
    """What clang-format sees to elsewhere."""
    wrong = []
    for path in of_kind(files, ".py") + [path for path in files if is_shell(path)]:
        text = read(path)
        if not text.endswith("\n"):
            wrong.append(f"{path}: no newline at its end")
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > 100:
                wrong.append(f"{path}:{number}: {len(line)} columns")
            if line != line.rstrip() or "\t" in line:
                wrong.append(f"{path}:{number}: white space")
    return wrong


LINTS = [
    the_text_is_laid_out_by_clang_format, includes_point_up_the_list_of_folders,
    includes_name_folder_and_file, a_source_includes_its_own_header_first,
    a_library_is_known_in_one_place, sources_name_no_path_of_one_machine, nothing_is_left_over,
    no_structs_hide_behind_a_typedef, shell_scripts_parse, python_scripts_parse,
    every_source_and_test_is_in_meson_build,
    scripts_are_at_most_100_columns_wide_and_lines_end_cleanly,
]


def main():
    files = tree()
    print(f"1..{len(LINTS)}")
    failed = 0
    for number, lint in enumerate(LINTS, 1):
        wrong = lint(files)
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {number} - {lint.__name__.replace('_', ' ')}")
        for line in "\n".join(wrong[:50]).splitlines():
            print("# " + line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
