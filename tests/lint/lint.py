#!/usr/bin/env python3
"""House rules that a compiler does not check. Prints one line per breach; exit status 1 if any."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 800
BANNED = re.compile(
    r"\b(strcpy|strcat|strncat|sprintf|vsprintf|gets|alloca|atoi|atol|atof|strtok|system|popen)\s*\(")
LIBRARY_HOMES = {
    "sodium.h": "crypto/",
    "sqlite3.h": "store/",
    "civetweb.h": "server/front/",
    "cblas.h": "engine/kernels/",
    "cyaml/cyaml.h": ("base/", "bundle/"),
    "yaml.h": ("base/", "tenancy/"),
    "seccomp.h": "base/",
    "jpeglib.h": "engine/image/",
    "png.h": "engine/image/",
    "webp/decode.h": "engine/image/",
    "tiffio.h": "engine/image/",
    "openjpeg.h": "engine/image/",
}
breaches = []


def tracked(*patterns):
    """Files under version control, and new ones that are not ignored."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in sorted(set(out.split("\n"))) if name and (ROOT / name).is_file()]


def include_table():
    """folder -> folders it may include, from the table of docs/ARCHITECTURE.md."""
    table = {}
    for line in (ROOT / "docs/ARCHITECTURE.md").read_text().splitlines():
        match = re.match(r"\| ([a-z/]+/) \|[^|]*\| ([a-z/, ]+) \|$", line)
        if match:
            table[match[1]] = {name.strip() + "/" for name in match[2].split(",")}
    return table


def folder_of(name, table):
    """The most specific folder of the table that `name` lies in."""
    best = [folder for folder in table if name.startswith(folder)]
    return max(best, key=len) if best else None


def check_includes(table):
    seen = set()
    for name in tracked("*.c", "*.h"):
        home = folder_of(name, table)
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            kind, target = match.groups()
            where = LIBRARY_HOMES.get(target, ())
            where = (where,) if isinstance(where, str) else where
            if where and not name.startswith((*where, "tests/", "bench/", "cmake/")):
                breaches.append(f"{name}:{number}: {target} may be included by {', '.join(where)} only")
            if kind != '"' or home is None:
                continue
            goal = folder_of(target, table)
            if goal is None and (ROOT / target).exists():
                breaches.append(f"{name}:{number}: {target} is in no folder of the include table")
            elif goal is not None and goal != home and goal not in table[home]:
                breaches.append(f"{name}:{number}: {home} may not include {target}")
            elif goal is None and not target.endswith(".inc"):
                breaches.append(f'{name}:{number}: "{target}" is not relative to the root')
            seen.add((home, goal))
    return seen


def check_sources():
    for name in tracked("*.c", "*.h"):
        lines = (ROOT / name).read_text().splitlines()
        if len(lines) > LINES_MAX:
            breaches.append(f"{name}: {len(lines)} lines, at most {LINES_MAX}")
        for number, line in enumerate(lines, 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
            if BANNED.search(code) and not re.match(r"\s*(/?\*)", line):
                breaches.append(f"{name}:{number}: banned call: {line.strip()}")


def check_text():
    """Nothing in the project speaks of one machine or of a registry's host."""
    words = re.compile(r"/(work|farm)/|deb\.debian\.org|pypi\.org|registry\.npmjs|\bT" + r"ODO\b|\bF" + r"IXME\b")
    for name in tracked("*.c", "*.h", "*.md", "*.sh", "*.py", "*.cmake", "*.txt", "*.yaml", "*.policy"):
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            if words.search(line) and name != "tests/lint/lint.py":
                breaches.append(f"{name}:{number}: {line.strip()[:100]}")


def check_format():
    sources = tracked("*.c", "*.h")
    result = subprocess.run(["clang-format-14", "--dry-run", *sources], cwd=ROOT,
                            capture_output=True, text=True)
    for name in sorted(set(re.findall(r"^([^:\n]+\.[ch]):", result.stderr, re.M))):
        breaches.append(f"{name}: not formatted as .clang-format says")


def main():
    table = include_table()
    if len(table) < 10:
        breaches.append("docs/ARCHITECTURE.md: the include table was not found")
    edges = check_includes(table)
    check_sources()
    check_text()
    check_format()
    for breach in breaches:
        print(breach)
    print(f"{len(table)} folders, {len(edges)} include edges, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
