"""`python -m tests.snapshot`: what changed in the public names; with `--write` the change is accepted."""

from __future__ import annotations

import sys

from .record import FILE, differences, names_now, names_settled, write

if __name__ == "__main__":
    names = names_now()
    print("\n".join(differences(names_settled() if FILE.exists() else {}, names)) or "no public name has changed")
    if sys.argv[1:] == ["--write"]:
        write(names)
