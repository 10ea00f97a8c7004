"""What language a cell is in, and what its first lines ask for.  Pure: text in, data out."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..errors import ConfigError, nearest
from ..settings import PYTHON
from .around import NAMES
from .cell_options import LISTS, SINGLE


class ScriptCell(NamedTuple):
    """A cell of a script language: `line` is what follows the magic's name, `offset` how many lines stand above `code`.

    `before` are line magics above the code, which IPython runs first; `around` are cell magics above it, by name and line (`%%time`).
    """

    engine: str
    line: str
    code: str
    offset: int
    before: Sequence[str] = ()
    around: Sequence[tuple[str, str]] = ()


class Wanted(NamedTuple):
    """A global that becomes a Python variable, and the name of the type to make of it ("" = plain data): `rows:pandas`."""

    name: str
    type: str = ""


class CellOptions(NamedTuple):
    """What cell_options.OPTIONS are set to."""

    state: str = "main"
    inputs: tuple[str, ...] = ()
    outputs: tuple[Wanted, ...] = ()
    module: str = ""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


def script_cell(text: str, magics: Collection[str], default: str, around: Collection[str] = NAMES) -> ScriptCell | None:
    """The script in a cell, None where it is Python's (or IPython's) own.  Total: any text has an answer.

    `magics` are the engines' names and aliases; `default` is the language of cells without a magic; `around` names cell magics of IPython that
    may stand above a script.
    """
    lines = text.splitlines(keepends=True)
    at = _first(lines, 0)
    wrapped: list[tuple[str, str]] = []
    while at < len(lines) and lines[at].startswith("%%"):
        name, _, rest = lines[at][2:].strip().partition(" ")
        if name not in around:
            break
        wrapped.append((name, rest.strip()))
        at = _first(lines, at + 1)
    cell = _script_from(lines, at, magics, default)
    return cell and cell._replace(around=tuple(wrapped))


def _script_from(lines: Sequence[str], at: int, magics: Collection[str], default: str) -> ScriptCell | None:
    if at == len(lines):
        return None
    if lines[at].startswith("%%"):
        name, _, rest = lines[at][2:].strip().partition(" ")
        if name in magics:
            return ScriptCell(name, rest.strip(), "".join(lines[at + 1 :]), at + 1)
        return None
    if default == PYTHON:
        return None
    code_at = at
    while code_at < len(lines) and (lines[code_at].startswith("%") or not lines[code_at].strip()):
        code_at += 1
    if code_at == len(lines):
        return None
    if lines[code_at].startswith("!") or ("".join(lines).rstrip().endswith("?") and len(lines) == 1):
        return None
    return ScriptCell(default, "", "".join(lines[code_at:]), code_at, [line for line in lines[at:code_at] if line.strip()])


def python_cell(text: str, default: str) -> str | None:
    """The Python code of a `%%python` cell in a kernel whose plain cells are scripts; None for any other cell."""
    if default == PYTHON:
        return None
    lines = text.splitlines(keepends=True)
    at = _first(lines, 0)
    if at < len(lines) and lines[at].split()[0] == "%%python":
        # an empty line keeps Python's line numbers those of the cell
        return "\n" * (at + 1) + "".join(lines[at + 1 :])
    return None


def parse_options(line: str, engine: str) -> CellOptions:
    """The options of a `%%lua` line.  Raises ConfigError naming the wrong word and what is known."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"%%{engine}: {error} in '{line}'") from None
    single = dict(SINGLE)
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    while words:
        name, joined, value = words.pop(0).partition("=")
        if name not in (*single, *lists):
            raise ConfigError(f"%%{engine} has no option '{name}'{nearest(name, [*single, *lists])}")
        if not joined:
            if not words:
                raise ConfigError(f"%%{engine} {name} needs a name after it, as in: %%{engine} {name} rows")
            value = words.pop(0)
        if name in single:
            single[name] = value
            continue
        while words and (value.endswith(",") or words[0].startswith(",")):  # `a, b` and `a ,b` are lists too
            value += words.pop(0)
        lists[name] += [item for item in value.split(",") if item]
    return CellOptions(
        single["--state"],
        tuple(_wanted(item, "--in", engine).name for item in lists["--in"]),
        tuple(_wanted(item, "--out", engine) for item in lists["--out"]),
        single["--module"],
        tuple(lists["--allow"]),
        tuple(lists["--deny"]),
    )


def _wanted(text: str, option: str, engine: str) -> Wanted:
    name, colon, kind = text.partition(":")
    if not name.isidentifier():
        raise ConfigError(f"%%{engine} {option}: '{name}' is not a variable's name")
    if colon and option == "--in":
        raise ConfigError(f"%%{engine} --in {text}: a type can only follow a name of --out; Python's own types are known")
    if colon and not all(part.isidentifier() for part in kind.split(".")):
        raise ConfigError(f"%%{engine} --out {text}: after the colon stands a type's name, as in {name}:pandas or {name}:MyClass")
    return Wanted(name, kind)


def state_of(cell: ScriptCell) -> str:
    """The state that a cell being written names, for completion and help; `main` while its options are wrong."""
    try:
        return parse_options(cell.line, cell.engine).state
    except ConfigError:
        return CellOptions().state


def _first(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at
