"""Makes tutorials' cassettes and saved outputs anew: each is run on the model that its readers have, then once more from what was recorded."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import nbformat
from conftest import PLAIN, environment_of
from nbclient import NotebookClient

CELL_TIMEOUT_S = 600


def run(notebook: Path, environment: dict[str, str]) -> nbformat.NotebookNode:
    os.environ.update(environment)
    read = nbformat.read(notebook, as_version=4)
    NotebookClient(read, timeout=CELL_TIMEOUT_S, kernel_name="llmspell", resources={"metadata": {"path": str(notebook.parent)}}).execute()
    for cell in read.cells:
        cell.metadata.pop("execution", None)  # times of day, which differ from run to run
    return read


def record(notebook: Path) -> None:
    tested = environment_of(notebook)
    if tested["LLMSPELL_JOURNAL"] != PLAIN["LLMSPELL_JOURNAL"]:
        run(notebook, {**tested, "LLMSPELL_JOURNAL": "record"})
    nbformat.write(run(notebook, tested), notebook)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path, help="one whose cassette is there, be it empty, is recorded; any other only run")
    for notebook in parser.parse_args().notebooks:
        record(notebook.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
