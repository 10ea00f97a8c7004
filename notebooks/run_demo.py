"""The demo: runs 01-first-spell.ipynb in the real kernel on spell/local, prints it as it happens, and leaves an HTML page.

Fails unless the answers came from spell/local, by what the kernel wrote into the outputs' metadata, and no cell had an unexpected error.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

HERE = Path(__file__).parent
MODEL = "spell/local"
CELL_TIMEOUT_S = 120
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LIVE_VIEW = "application/vnd.jupyter.widget-view+json"


class PrintingClient(NotebookClient):
    """Runs a notebook and prints each output in the moment the kernel sends it, the model's words among them."""

    at_line_start = True
    pane = 0

    def process_message(self, msg: dict[str, Any], cell: nbformat.NotebookNode, cell_index: int) -> Any:
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            self.show(content["text"])
        elif kind == "comm_msg":
            self.show_live(content["data"].get("content", {}))
        elif kind == "update_display_data":  # the whole answer, whose words were shown as they came
            self.end_line()
        elif kind in ("display_data", "execute_result") and LIVE_VIEW not in content["data"]:
            self.show(content["data"].get("text/plain", "") + "\n")
        elif kind == "error":
            self.show("\n".join(content["traceback"]) + "\n")
        return super().process_message(msg, cell, cell_index)

    def show_live(self, content: dict[str, Any]) -> None:
        """What the live view is told: a pane for each call, then its text piece by piece."""
        for change in content.get("batch", []):
            if change["op"] == "pane":
                self.end_line()
                self.show(f"[{change['title']}]\n")
            elif change["op"] == "text":
                if change["id"] != self.pane:  # calls at the same time take turns, each on lines of its own
                    self.end_line()
                self.pane = change["id"]
                self.show(change["text"])

    def show(self, text: str) -> None:
        if not sys.stdout.isatty():
            text = COLOURS.sub("", text)
        for line in text.splitlines(keepends=True):
            sys.stdout.write(("    " if self.at_line_start else "") + line)
            self.at_line_start = line.endswith("\n")
        sys.stdout.flush()

    def end_line(self) -> None:
        if not self.at_line_start:
            self.show("\n")


def announce(cell: nbformat.NotebookNode, **_: Any) -> None:
    """What the reader sees before a cell runs: its text."""
    if cell.cell_type == "code":
        print(f"\n\N{BLACK RIGHT-POINTING SMALL TRIANGLE} {cell.source.strip()}".replace("\n", "\n  "), flush=True)
    elif cell.cell_type == "markdown":
        print(f"\n{cell.source.strip()}", flush=True)


def run(notebook: Path) -> nbformat.NotebookNode:
    """The executed notebook.  Raises CellExecutionError for an error in a cell that is not tagged `raises-exception`."""
    os.environ.update(LLMSPELL_MODEL=MODEL, LLMSPELL_DISPLAY="live")
    node = nbformat.read(notebook, as_version=4)
    PrintingClient(
        node,
        timeout=CELL_TIMEOUT_S,
        kernel_name="llmspell",
        resources={"metadata": {"path": str(notebook.parent)}},
        on_cell_start=announce,
        store_widget_state=False,  # the kernel replaces each live view by what a notebook keeps
        extra_arguments=["--log-level=ERROR"],  # else it warns of unencrypted sockets, which stay on this machine
    ).execute()
    return node


def models_of(node: nbformat.NotebookNode) -> set[str]:
    """The models that answered, by the kernel's own account in the outputs' metadata."""
    return {model for details in _details(node) for model in details.get("models", [])}


def _details(node: nbformat.NotebookNode) -> Iterator[dict[str, Any]]:
    for cell in node.cells:
        for output in cell.get("outputs", []):
            yield output.get("metadata", {}).get("llmspell", {})


def write_page(node: nbformat.NotebookNode, page: Path) -> None:
    page.parent.mkdir(exist_ok=True)
    html, _ = HTMLExporter().from_notebook_node(node, resources={"metadata": {"name": "My first spell"}})
    page.write_text(html, encoding="utf-8")


def disk_bytes(folder: Path) -> int:
    """Space on the disk, each file counted once however many names it has."""
    seen = {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in (path.lstat() for path in folder.rglob("*"))}
    return sum(seen.values())


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--started", type=float, default=time.time(), help="Unix time at which everything began, installation included")
    started = options.parse_args().started
    try:
        node = run(HERE / "01-first-spell.ipynb")
    except CellExecutionError as error:
        print(f"\nThe demo failed: a cell raised {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    page = HERE.parent / "demo" / "01-first-spell.html"
    write_page(node, page)
    answered = models_of(node)
    print(f"\nModels that answered: {', '.join(sorted(answered)) or 'none'}")
    print(f"The notebook as a page: {page}")
    print(f"Disk space of {sys.prefix}: {disk_bytes(Path(sys.prefix)) / 1e6:.0f} MB")
    print(f"Time: {time.time() - started:.0f} s")
    if answered != {MODEL}:
        print(f"The demo failed: the answers should have come from {MODEL} alone.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
