"""The commands of `%llmspell` that look at what happened, play it again, and go back to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, nearest
from ..journal.difference import difference
from ..journal.event_file import load_events
from ..journal.events import AnyEvent, CellStarted
from ..journal.spending import BY, By, csv_text, rows, total
from ..journal.user_files import write_file
from ..render.text import clean_line, plural
from ..session.recovery import Restored

SHOWN_CHARS = 500


class Line(NamedTuple):
    """Words of a command, and its options by name."""

    words: Sequence[str]
    options: Mapping[str, str]


def parse(words: Sequence[str], known: Sequence[str]) -> Line:
    """Raises ConfigError for an option that is not known, or has no value."""
    plain: list[str] = []
    options: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            plain.append(word)
            continue
        name, joined, value = word[2:].partition("=")
        if name not in known:
            raise ConfigError(f"there is no option '--{name}'{nearest(name, known)}")
        if not joined and not left:
            raise ConfigError(f"--{name} needs a value after it")
        options[name] = value if joined else left.pop(0)
    return Line(plain, options)


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"{what} must be the number of a cell, as in [3], and is '{text}'")
    return int(text)


class _Target(NamedTuple):
    """A state, and the cell up to which it is meant; None where none was named."""

    engine: str
    state: str
    cell: int | None


def _target(words: Sequence[str], line: Line, option: str, notebook: Any, example: Callable[[str], str]) -> _Target:
    """What is meant: the language that is named, that the cell is in, or the only one there is.

    `words` may name language and state, and `line.options[option]` a cell; `example` is the command with the language, for who must name one.
    """
    if len(words) > 2:
        raise ConfigError(f"too many words: '{' '.join(words)}'; after the command stand a language and a state's name")
    cell = _number(line.options[option], f"--{option}") if option in line.options else None
    if words:
        engine, state = notebook.engines.get(words[0]).name, words[1] if len(words) > 1 else "main"
    else:
        engine, state = _engine_of(cell, notebook, example), "main"
    if cell is not None:
        _refuse_later(cell, engine, state, notebook)
    return _Target(engine, state, cell)


def _engine_of(cell: int | None, notebook: Any, example: Callable[[str], str]) -> str:
    states = [(state, engine) for state, engine, _ in notebook.states]
    there = sorted({engine for _, engine in states})
    chosen = sorted({key[1] for key in states if cell in notebook.session.states[key].history.numbers}) or there
    if not chosen:
        raise ConfigError("there is no state yet; the first script cell makes one")
    if len(chosen) > 1:
        raise ConfigError(f"which language? There are states of {', '.join(there)}; name one: {example(there[-1])}")
    return str(chosen[0])


def _refuse_later(cell: int, engine: str, state: str, notebook: Any) -> None:
    """The number of a cell that is yet to come is a slip.  One of Python is fine, and so are those of a state that came from a file."""
    script = notebook.session.states.get((state, engine))
    ran = script.history.numbers if script is not None else []
    newest = max(notebook.cell_number, *ran, 0)
    if cell > newest:
        has = f"the {engine} state '{state}' ran {', '.join(f'[{number}]' for number in ran)}" if ran else "no cell of that state is kept"
        raise ConfigError(f"there is no cell [{cell}] yet, the newest is [{newest}]; {has}")


def record(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    _tape("record", words, notebook)


def replay(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    auto = bool(words) and words[0] == "auto"
    _tape("auto" if auto else "replay", words[1:] if auto else words, notebook)


def _tape(mode: str, words: Sequence[str], notebook: Any) -> None:
    if list(words) == ["off"]:
        print(_ended(notebook.end_taping()))
    elif len(words) <= 1:
        print(_began(notebook.tape(mode, *words), bool(notebook.states)))
    else:
        raise ConfigError(f"%llmspell {mode} takes one file, or 'off'")


def _began(taping: Any, has_states: bool) -> str:
    name = taping.file.name
    match taping.mode:
        case "record":
            said = f"From the next cell on, calls are recorded in {name}."
        case "replay":
            said = f"From the next cell on, calls are answered from {name}: {taping.known:,} are recorded, and none is made."
        case _:
            said = f"From the next cell on, calls are answered from {name} ({taping.known:,} are recorded); others are made and added."
    if has_states:
        said += "\nThe states that are there went through cells without it; a cassette for the whole notebook begins in a fresh kernel."
    return said


def _ended(taping: Any) -> str:
    if taping is None:
        return "Nothing is recorded or replayed."
    counts = [f"{plural(taping.played, 'call')} replayed"] if taping.mode != "record" else []
    counts += [f"{taping.recorded:,} recorded"] if taping.mode != "replay" else []
    return f"Ended: {', '.join(counts)} ({taping.file.name})."


async def restart_state(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    line = parse(words, ["to"])
    if "to" not in line.options:
        raise ConfigError("after which cell? Write: %llmspell restart-state --to N")
    target = _target(line.words, line, "to", notebook, lambda engine: f"%llmspell restart-state {engine} --to {line.options['to']}")
    restored = await notebook.session.go_back(target.state, target.engine, to=target.cell)
    print(_told(restored, notebook, target.engine))


async def fork(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    line = parse(words, ["at"])
    if not line.words:
        raise ConfigError("what is the new state called? Write: %llmspell fork NEW [ENGINE [NAME]] [--at N]")
    new, *words = line.words
    at = f" --at {line.options['at']}" if "at" in line.options else ""
    target = _target(words, line, "at", notebook, lambda engine: f"%llmspell fork {new} {engine}{at}")
    restored = await notebook.session.fork(new, target.engine, state=target.state, at=target.cell)
    print(f"{_told(restored, notebook, target.engine)}; use it with --state {new}")


def save(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    file = notebook.states_file(*_one(words, "save"))
    try:
        cells = notebook.session.save(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from None
    print(f"Saved: {plural(cells, 'cell')} of {plural(len(notebook.states), 'state')}, in {file.name}; %llmspell resume makes them again.")


async def resume(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    file = notebook.states_file(*_one(words, "resume"))
    for (state, engine), restored in (await notebook.session.resume(file)).items():
        print(f"'{clean_line(state, SHOWN_CHARS)}': {_told(restored, notebook, engine)}")


def _told(restored: Restored, notebook: Any, engine: str) -> str:
    """Names of cells and messages of scripts may come from a file, and so from anybody: each is shown on its line."""
    left_out = [(clean_line(chunk, SHOWN_CHARS), clean_line(why, SHOWN_CHARS)) for chunk, why in restored.left_out]
    return restored._replace(left_out=left_out).told(notebook.engines.titles()[engine])


def trace(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..render.journal import painted, trace_text

    (number,) = (*_one(words, "trace"), "")[:1]
    if not number and (gone := _gone(notebook)):
        print(f"This is a part: {gone}.", file=sys.stderr)
    events = _of_cell(notebook, number) if number else list(notebook.session.recorder)
    print(trace_text(events, painted))


def cost(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..shown import Table

    line = parse(words, ["by", "csv"])
    by = _groups(line.options.get("by", "cell,model"))
    lines = notebook.ledger(by)
    if "csv" in line.options:
        file = Path(line.options["csv"])
        write_file(file, csv_text(lines, by))
        print(f"written: {file}")
    elif lines:
        named = [*rows(lines), {**dict.fromkeys(lines[0].group, ""), next(iter(lines[0].group)): "all", **total(lines)._asdict()}]
        show(Table(named))
    else:
        print("No model was used.")


def _groups(text: str) -> list[By]:
    found = text.split(",")
    for name in found:
        if name not in BY:
            raise ConfigError(f"--by takes {', '.join(BY)}, and not '{name}'{nearest(name, BY)}")
    return [name for name in BY if name in found]


def diff(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    from ..render.journal import difference_text, painted

    if len(words) != 2:
        raise ConfigError("%llmspell diff needs two: numbers of cells, or files of journals")
    before, after = (_of_cell(notebook, word) if word.isdecimal() else load_events(Path(word)).events for word in words)
    print(difference_text(difference(before, after), painted))


def _of_cell(notebook: Any, number: str) -> list[AnyEvent]:
    """The last run of the cell that the notebook shows with that number: all of it, as the oldest events go first, and its beginning is there."""
    chunk = f"cell[{_number(number, 'it')}]"
    runs = [event.cell for event in notebook.session.recorder if isinstance(event, CellStarted) and event.chunk == chunk]
    if not runs:
        raise ConfigError("; ".join(part for part in (f"no script cell has the number {number}", _gone(notebook)) if part))
    return notebook.session.recorder.of_cell(runs[-1])  # type: ignore[no-any-return]


def _gone(notebook: Any) -> str:
    """What of the session memory holds no longer, and where it is; "" where it holds all."""
    if not (dropped := notebook.session.recorder.dropped):
        return ""
    where = "with keep_journal = true, `llmspell trace` finds them in .llmspell/journal"
    return f"the oldest {plural(dropped, 'event')} of this session are no longer in memory; {where}"


def _one(words: Sequence[str], command: str) -> Sequence[str]:
    if len(words) > 1:
        raise ConfigError(f"%llmspell {command} takes one word, not '{' '.join(words)}'")
    return words
