"""The cases as data: what a file in `cases/` may say, read once and checked.

    [a-case-is-named-by-what-it-guarantees]
    lua = "probe.echo(1)"                 # one cell, or a list of cells; one key for each engine
    javascript = ["x = 1", "x"]
    absent.tengo = "why this engine has no such thing"
    value = 1                             # what the last cell gives; the same for all engines ...
    instead.lua.value = 1.0               # ... but where the value table says that they differ

Expectations: `value` (one result), `values` (all results), `error`, `output` (stdout, stderr and, as text, what was shown, in order),
`stdout`, `stderr`, `chunks` (of answers in progress) and `found` (the globals named by `outputs`).  An error has any of `kind`, `code`,
`name`, `message` (a regular expression), `retryable`, `frames` (innermost first, `cell[7]:2`) and `column` (of the innermost frame, where
the engine has columns).  In what was shown, NOTHING stands for the word of the language.

Around the code: `cells` (numbers of the cells, 1 2 3 ... if not said), `states` (a state's name for each cell), `inputs` and `outputs` (of
the last cell), `modules` (by language: sources by name), `line_offset` (of the last cell) and
`failing` (positions, from 1, of the earlier cells that are meant to fail).

What TOML has no word for is a table with the key "$": see `value_of`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmspell_kernel.values import Callback, Opaque, Value

from .engines import CASES_OF, spelled

EXPECTATIONS = {"value", "values", "error", "output", "stdout", "stderr", "chunks", "found"}
AROUND = {"cells", "states", "inputs", "outputs", "modules", "line_offset", "failing"}
OTHER = {"absent", "instead"}
FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """One case; `raw` is its table in the file."""

    name: str
    file: str
    raw: Mapping[str, Any]

    def code(self, engine: str) -> Sequence[str]:
        found = self.raw[CASES_OF.get(engine, engine)]
        return [spelled(cell, engine) for cell in ([found] if isinstance(found, str) else found)]

    def modules(self, engine: str) -> Mapping[str, str]:
        return dict(self.raw.get("modules", {}).get(CASES_OF.get(engine, engine), {}))

    def absent(self, engine: str) -> str:
        return str(self.raw.get("absent", {}).get(CASES_OF.get(engine, engine), ""))

    def expected(self, engine: str) -> Mapping[str, Any]:
        shared = {key: self.raw[key] for key in EXPECTATIONS & self.raw.keys()}
        own = self.raw.get("instead", {}).get(CASES_OF.get(engine, engine), {})
        if "value" in own or "values" in own or "error" in own:
            shared = {key: item for key, item in shared.items() if key not in ("value", "values", "error")}
        return {**shared, **own}

    def chunks(self, count: int) -> Sequence[str]:
        return [f"cell[{number}]" for number in self.raw.get("cells", range(1, count + 1))]


def read_cases() -> list[Case]:
    return [case for path in sorted(FOLDER.glob("*.toml")) for case in _read(path)]


def _read(path: Path) -> Iterator[Case]:
    for name, raw in tomllib.loads(path.read_text("utf-8")).items():
        yield Case(name, path.stem, raw)


def value_of(written: Any) -> Value:
    """The value behind TOML data: `{"$" = "null"}`, `bytes` (hex), `function`, `shown` (a result that can only be shown), `repeat` (an item
    `times`), `text` (likewise, joined), `range` (1 to `to`), `nest` (lists inside each other, `depth` in all) and `data` (an object with a
    key "$", in `of`)."""
    if isinstance(written, list):
        return [value_of(item) for item in written]
    if not isinstance(written, dict):
        return written
    match written.get("$"):
        case None:
            return {key: value_of(item) for key, item in written.items()}
        case "null":
            return None
        case "bytes":
            return bytes.fromhex(written["hex"])
        case "function":
            return Callback(0)
        case "shown":
            return Opaque(written.get("text", ""))
        case "repeat":
            return [value_of(written["item"])] * written["times"]
        case "text":
            return written["item"] * written["times"]
        case "range":
            return list(range(1, written["to"] + 1))
        case "nest":
            return _nested(written["depth"])
        case "data":
            return {key: value_of(item) for key, item in written["of"].items()}
        case unknown:
            raise ValueError(f"unknown tag {unknown!r}")


def _nested(depth: int) -> Value:
    value: Value = []
    for _ in range(depth - 1):
        value = [value]
    return value
