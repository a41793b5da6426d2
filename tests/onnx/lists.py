#!/usr/bin/env python3
"""The lists of passing cases may only grow: no name that any commit had is missing now, and each list
is sorted, without repetition. Without the project's history there is nothing to compare with."""

import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent


def names_ever(path):
    """Every name that the file had in a commit, or None without a history."""
    log = subprocess.run(["git", "log", "-p", "--no-renames", "--format=", "--", path.name],
                         cwd=FOLDER, capture_output=True, text=True, check=False)
    if log.returncode != 0:
        return None
    return {line[1:].strip() for line in log.stdout.splitlines()
            if line[:1] in "+-" and not line.startswith(("+++", "---"))} - {""}


def main():
    wrong = []
    for path in sorted(FOLDER.glob("passing-*.txt")):
        names = path.read_text().split()
        if names != sorted(set(names)):
            wrong.append(f"{path.name}: not sorted, or a name stands twice")
        ever = names_ever(path)
        if ever is None:
            print("skip: no history here to compare with")
            return 0
        wrong += [f"{path.name}: {name} passed once, and is gone"
                  for name in sorted(ever - set(names))]
    print("\n".join(wrong) or "nothing is gone")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
