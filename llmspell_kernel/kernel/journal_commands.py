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


def _target(words: Sequence[str], notebook: Any) -> tuple[str, str]:
    """Language and state that are meant: named, or the only ones there are."""
    if len(words) > 2:
        raise ConfigError(f"too many words: '{' '.join(words)}'; after the command stand a language and a state's name")
    if words:
        return notebook.engines.get(words[0]).name, words[1] if len(words) > 1 else "main"
    engines = {engine for _, engine, _ in notebook.states}
    if len(engines) != 1:
        raise ConfigError(f"which language? There are states of {', '.join(sorted(engines)) or 'none'}")
    return engines.pop(), "main"


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
    engine, state = _target(line.words, notebook)
    restored = await notebook.session.go_back(state, engine, to=_number(line.options["to"], "--to"))
    print(_told(restored, notebook, engine))


async def fork(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    line = parse(words, ["at"])
    if not line.words:
        raise ConfigError("what is the new state called? Write: %llmspell fork NEW [ENGINE [NAME]] [--at N]")
    engine, state = _target(line.words[1:], notebook)
    at = _number(line.options["at"], "--at") if "at" in line.options else None
    restored = await notebook.session.fork(line.words[0], engine, state=state, at=at)
    print(f"{_told(restored, notebook, engine)}; use it with --state {line.words[0]}")


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
