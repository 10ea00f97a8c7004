"""The samples of a page: fenced blocks with what the page says of them, and a notebook's shell and folder that run them in order.

What a page may say of a block, in an HTML comment on the line above it:

- `not run: REASON`   it is there to be read
- `file: NAME`        it is written into the page's folder under that name (`~/` is the user's home), for the samples that follow
- `fails`             it ends with an error; the output that follows says which
"""

from __future__ import annotations

import io
import os
import re
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from textwrap import dedent
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from llmspell_kernel.kernel.extension import load_ipython_extension, unload_ipython_extension

MAGICS = {"lua": "%%lua", "js": "%%js"}
EXPECTED = "text"
_MADE = re.compile(r"<!-- made: .*?<!-- end of what is made -->", re.DOTALL)
_FENCE = re.compile(r"^```(\w*)$")
_COMMENT = re.compile(r"^<!-- (.*) -->$")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Block:
    """`line` is that of the fence; `says` the comment above it; `expected` the text block that follows it with nothing between them."""

    page: str
    line: int
    language: str
    text: str
    says: str = ""
    expected: str | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_only_read(self) -> bool:
        return self.says.startswith("not run: ")


def blocks(path: Path) -> list[Block]:
    """The blocks of a page in order, but for what is made from the code; expected output is part of the block before it."""
    found: list[Block] = []
    written = path.read_text(encoding="utf-8")
    lines = _MADE.sub(lambda part: "\n" * part[0].count("\n"), written).splitlines()
    at = 0
    end_of_last = -1
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        end = lines.index("```", at + 1)
        text = "\n".join(lines[at + 1 : end]) + "\n"
        above = _COMMENT.match(lines[at - 1]) if at else None
        follows = not any(line.strip() for line in lines[end_of_last + 1 : at])
        if fence[1] == EXPECTED and found and follows and found[-1].expected is None and not found[-1].is_only_read:
            found[-1].expected = text
        else:
            found.append(Block(path.name, at + 1, fence[1], text, above[1] if above else ""))
        at = end_of_last = end
        at += 1
    return found


class _Displays(DisplayPublisher):
    """Displays as a terminal shows them; what an update replaces was never final."""

    def publish(self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any) -> None:
        if not update and "text/plain" in data:
            print(data["text/plain"])


class _Results(DisplayHook):
    def write_output_prompt(self) -> None:
        """Without `Out[1]: `."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        print(format_dict["text/plain"])


class _Shell(InteractiveShell):
    display_pub_class = Type(_Displays)
    displayhook_class = Type(_Results)


class Page:
    """A folder, and a shell with the extension loaded whose working directory it is.  The caller sets the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Path(os.environ["HOME"])
        self.shell = _Shell(config=Config({"HistoryManager": {"enabled": False}}))
        load_ipython_extension(self.shell)

    def close(self) -> None:
        unload_ipython_extension(self.shell)
        InteractiveShell.clear_instance()

    def run(self, block: Block) -> str | None:
        """What the block printed and showed, with its error's text; None for one that is not run.  Raises AssertionError where it fails."""
        if block.is_only_read:
            return None
        what, _, name = block.says.partition(": ")
        if what == "file":
            target = self.home / name[2:] if name.startswith("~/") else self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
            return None
        assert what in ("", "fails"), f"{block.place}: <!-- {block.says} --> is not known"
        printed, failed = self._command(block.text) if block.language == "sh" else self._cell(block)
        assert failed is (what == "fails"), f"{block.place}: {'failed' if failed else 'did not fail'}:\n{printed}"
        return printed

    def _cell(self, block: Block) -> tuple[str, bool]:
        if block.language == "python" or block.text.startswith("%%"):
            code = block.text
        else:
            assert block.language in MAGICS, f"{block.place}: nothing runs '{block.language}'"
            code = f"{MAGICS[block.language]}\n{block.text}"
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            ran = self.shell.run_cell(code, store_history=True)
        error = ran.error_in_exec or ran.error_before_exec
        return _COLOURS.sub("", out.getvalue()), error is not None

    def _command(self, text: str) -> tuple[str, bool]:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        return ran.stdout, ran.returncode != 0


def agrees(expected: str, printed: str) -> bool:
    """`...` in what is expected stands for anything."""
    return OutputChecker().check_output(_tidy(expected), _tidy(printed), ELLIPSIS)


def _tidy(text: str) -> str:
    return dedent("\n".join(line.rstrip() for line in text.splitlines())).strip("\n") + "\n"
