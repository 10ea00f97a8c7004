"""A journal on disk: every event comes back, whole lines are read whatever happened to the file, and no cell fails for it."""

from __future__ import annotations

import os
import random
import stat
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_kernel.errors import LoadError
from llmspell_kernel.journal import event_file
from llmspell_kernel.journal.event_file import FOLDER, EventFile, journals_in, load_events
from llmspell_kernel.journal.event_text import header, line_of, read
from llmspell_kernel.journal.events import (
    BudgetRefused,
    BudgetWarned,
    CallAsked,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    InitStarted,
    Logged,
    ResourceClosed,
    Retried,
    StateOpened,
    StateRestored,
    WorkerWasLost,
)
from llmspell_kernel.values import EMPTY_TABLE, Callback, Opaque, ResourceRef

EVENTS = [
    StateOpened(1, 1.0, "lua", "main", 0, "ab"),
    CellStarted(1, 1.0, "lua", "main", "cell[1]", "return 1"),
    InitStarted(1, 1.05, "lua", "main", "init.lua", "x = 1"),
    CallStarted(1, 1.1, 1, "llm", "chat", ["hi", {"a": [1, 2.5, None, True], "b": b"\x00\xff"}, Callback(3), EMPTY_TABLE]),
    CallChunk(1, 1.2, 1, "tea\n\u2028"),
    CallUsage(1, 1.3, 1, "spell/echo", 1, 2, 0, 0.25, 2, "stop"),
    Retried(1, 1.3, 1, 2, 3, 0.5, "rate_limit", "too many requests"),
    BudgetWarned(1, 1.3, "budgets.cell_requests", 4.0, 5.0),
    BudgetRefused(1, 1.3, 1, "budgets.cell_cost_usd", 9.75, 10.0),
    CallFinished(1, 1.4, 1, ResourceRef(5, "llm.stream"), 0.3),
    CallFailed(1, 1.5, 2, "timeout", "too late", 1.0, True),
    CallDenied(1, 1.5, 3, "http", "get", [Opaque("[large]"), {"$": 1}], "denied", "no"),
    CallAsked(1, 1.55, 4, "storage.set", True, 2.5, "storage.set('a', 1)"),
    Logged(1, 1.6, "info", "said", {"n": 2**60}),
    ResourceClosed(1, 1.7, "main", 5, "llm.stream", "closed", "lua"),
    WorkerWasLost(1, 1.8, "main", "signal SIGKILL", "lua"),
    StateRestored(2, 1.9, "main", 3, 0.1, [["cell[2]", "it was stopped"]], "lua"),
    CellFinished(1, 2.0, "ok", 1.0, "", 0.5, 10),
]


def test_there_is_an_example_of_every_event() -> None:
    from typing import get_args

    from llmspell_kernel.journal.events import AnyEvent

    assert {type(event) for event in EVENTS} == set(get_args(AnyEvent))


def test_every_event_comes_back_as_it_was() -> None:
    found = read(header("1", 5.0) + b"".join(map(line_of, EVENTS)), "x")
    assert found == (EVENTS, 0, 5.0)


def test_the_first_version_that_was_released_is_still_read() -> None:
    """These lines stay as they are, whatever the events become: newer ones have more fields, and there are more of them."""
    text = Path(__file__).with_name("journal_format_1.jsonl").read_bytes()
    found = read(text, "x")
    lines = [msgspec.json.decode(line) for line in text.splitlines()[1:]]
    assert found.unreadable == 0 and [type(event).__name__ for event in found.events] == [line["event"] for line in lines]
    events = {type(event): event for event in EVENTS}
    for line, event in zip(lines, found.events, strict=True):
        written = set(line) - {"event"}
        assert {name: getattr(event, name) for name in written} == {name: getattr(events[type(event)], name) for name in written}


def keep(folder: Path, events: Any = EVENTS) -> tuple[EventFile, list[str]]:
    told: list[str] = []
    file = EventFile(folder, "1", told.append)
    for event in events:
        file(event)
    return file, told


def test_events_are_on_the_disk_at_the_end_of_their_cell_and_the_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / FOLDER
    file, told = keep(tmp_path / "a")
    assert file.file is not None and load_events(file.file).events == EVENTS and told == []
    assert stat.S_IMODE(file.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    file.close()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
def test_only_a_plain_file_is_read_as_a_journal(tmp_path: Path, kind: str) -> None:
    """A folder of journals may be a stranger's, with links to its reader's other files in it; a pipe would never end."""
    journal = tmp_path / "one.journal.jsonl"
    match kind:
        case "link":
            keep(tmp_path / "a")[0].close()
            (kept,) = journals_in(tmp_path / "a")
            journal.symlink_to(kept)
        case "pipe":
            os.mkfifo(journal)
        case "folder":
            journal.mkdir()
        case "device":
            journal = Path("/dev/zero")
    said = {"link": "is a link, and only a plain file is read: name the one that it leads to", "folder": "cannot be read: Is a directory"}
    with pytest.raises(LoadError, match=said.get(kind, "is no plain file, and nothing else is read")):
        load_events(journal)


@pytest.mark.parametrize("link", [".llmspell", ".llmspell/journal"])
def test_no_journals_are_found_through_a_link_of_a_strangers_project(tmp_path: Path, link: str) -> None:
    keep(tmp_path / "elsewhere")[0].close()
    (tmp_path / "project" / link).parent.mkdir(parents=True)
    (tmp_path / "project" / link).symlink_to(tmp_path / "elsewhere" / link)
    assert len(journals_in(tmp_path / "elsewhere")) == 1
    assert journals_in(tmp_path / "project") == []


def test_a_session_without_events_leaves_nothing(tmp_path: Path) -> None:
    file, _ = keep(tmp_path, [])
    file.close()
    assert os.listdir(tmp_path) == []


def test_the_oldest_journals_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "MOST_FILES", 3)
    folder = old_journals(tmp_path)
    keep(tmp_path)[0].close()
    names = sorted(path.name for path in folder.glob("*.jsonl"))
    assert len(names) == 3 and names[0].startswith("2000-01-04")


def old_journals(start: Path, age_s: float = event_file.YOUNG_S + 60) -> Path:
    folder = start / FOLDER
    folder.mkdir(parents=True)
    for day in range(1, 6):
        old = folder / f"2000-01-0{day}T00-00-00-1{event_file.ENDING}"
        old.write_text("")
        os.utime(old, (time.time() - age_s,) * 2)
    return folder


def test_journals_that_another_session_may_still_write_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "MOST_FILES", 3)
    folder = old_journals(tmp_path, age_s=60)
    keep(tmp_path)[0].close()
    assert len(list(folder.glob("*.jsonl"))) == 6


def test_a_given_journal_that_cannot_be_written_is_told_with_its_own_place(tmp_path: Path) -> None:
    told: list[str] = []
    given = tmp_path / "nope" / "one.journal.jsonl"
    file = EventFile(tmp_path, "1", told.append, given)
    for event in EVENTS:
        file(event)
    assert told == [f"no journal is kept any more: No such file or directory ({given})"]


@pytest.mark.parametrize("link", [".llmspell", ".llmspell/journal"])
def test_nothing_is_written_or_deleted_through_a_link_of_a_strangers_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    monkeypatch.setattr(event_file, "MOST_FILES", 1)
    elsewhere = old_journals(tmp_path / "elsewhere")
    project = tmp_path / "project"
    (project / link).parent.mkdir(parents=True)
    (project / link).symlink_to(tmp_path / "elsewhere" / link)
    before = sorted(elsewhere.iterdir())
    file, told = keep(project, EVENTS * 2)
    file.close()
    assert sorted(elsewhere.iterdir()) == before
    assert len(told) == 1 and "is a link, and nothing is written through one" in told[0]


def test_a_link_in_place_of_the_gitignore_or_a_journal_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "MOST_FILES", 1)
    folder, mine = old_journals(tmp_path), tmp_path / "mine"
    (folder / ".gitignore").symlink_to(mine)
    file, told = keep(tmp_path)
    file.close()
    assert told == [] and not mine.exists()


def test_a_journal_that_cannot_be_written_says_so_once_and_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / ".llmspell").write_text("")
    file, told = keep(tmp_path, EVENTS * 3)
    assert len(told) == 1 and "no journal is kept any more: Not a directory" in told[0]
    file.close()


SURROGATE = "a\ud800b"


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (CellStarted(1, 1.0, "lua", "main", "cell", SURROGATE), "code"),
        (CallChunk(1, 1.0, 1, SURROGATE), "text"),
        (CallFailed(1, 1.0, 1, "bridge", SURROGATE, 0.1, False), "message"),
        (Logged(1, 1.0, "info", SURROGATE, {}), "message"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_lone_surrogate_is_written_as_its_escape(event: Any, shown: str) -> None:
    [found] = read(header("1", 5.0) + line_of(event), "x").events
    assert getattr(found, shown) == "a\\ud800b"


@pytest.mark.parametrize("value", [SURROGATE, {SURROGATE: 1}, [{SURROGATE: SURROGATE}], {"deep": {SURROGATE: object()}}])
def test_a_value_that_cannot_be_written_is_told_in_its_place(value: Any) -> None:
    [found] = read(header("1", 5.0) + line_of(CallFinished(1, 1.0, 1, value, 0.1)), "x").events
    assert isinstance(found, CallFinished) and "cannot be written" in str(found.value)


def test_an_event_that_cannot_be_written_at_all_stops_the_journal_alone(tmp_path: Path) -> None:
    file, told = keep(tmp_path, [*EVENTS, CellStarted(2, 1.0, object(), "main", "cell", ""), *EVENTS])  # type: ignore[arg-type]
    file.close()
    assert len(told) == 1 and "no journal is kept any more: CellStarted cannot be written: TypeError" in told[0]
    assert file.file is not None and load_events(file.file).events == EVENTS


def test_a_journal_that_is_full_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "MAX_FILE_BYTES", 4_000)
    file, told = keep(tmp_path, EVENTS * 20)
    file.close()
    assert len(told) == 1 and "is full" in told[0]
    assert file.file is not None and file.file.stat().st_size <= 4_000
    assert load_events(file.file).unreadable == 0


def test_a_cut_or_damaged_journal_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    text, draw = header("1", 5.0) + b"".join(map(line_of, EVENTS)), random.Random(3)
    ends = [at for at, byte in enumerate(text) if byte == 10]
    for cut in range(ends[0] + 1, len(text)):
        assert read(text[:cut], "x").events == EVENTS[: sum(end < cut for end in ends) - 1]
    for at in range(ends[0] + 1, len(text)):
        damaged = bytearray(text)
        damaged[at] ^= 1 << draw.randrange(8)
        assert len(read(bytes(damaged), "x").events) >= len(EVENTS) - 2


@pytest.mark.parametrize("text", [b"", b"\n", b"{}\n", b"[]\n", b'{"llmspell_journal":99}\n', random.Random(1).randbytes(100)])
def test_what_is_no_journal_is_told(text: bytes) -> None:
    with pytest.raises(LoadError, match="line 1"):
        read(text, "x")
