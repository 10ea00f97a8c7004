"""Cassettes that were damaged, or whose recording was killed, as a whole session meets them: never another answer, never one that is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from llmspell_kernel.errors import LoadError
from llmspell_kernel.journal.cassette_file import load_cassette

from .test_taping import SEVERAL, play
from .world import ENGINES


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "n.cassette.jsonl"


def check_flips(file: Path, engine: str, count: int) -> None:
    """Flips one bit after the other, the end of the last line first."""
    recorded = play("record", file, engine, *SEVERAL[engine])
    assert recorded.errors == [None] * len(recorded.errors)
    text, draw = file.read_bytes(), random.Random(11)
    for at in [len(text) - 1, *(draw.randrange(len(text)) for _ in range(count - 1))]:
        file.write_bytes(text[:at] + bytes([text[at] ^ 1 << draw.randrange(8)]) + text[at + 1 :])
        try:
            replayed = play("replay", file, engine, *SEVERAL[engine])
        except LoadError as error:
            assert error.file == file.name, at
            continue
        assert replayed.calls == []
        found = next((place for place, error in enumerate(replayed.errors) if error is not None), len(replayed.errors))
        assert replayed.values[:found] == recorded.values[:found], at
        if found == len(replayed.errors):
            assert replayed.printed == recorded.printed
        else:
            told = replayed.errors[found]
            assert told is not None and (type(told).__name__, told.code) == ("ReplayError", "replay") and file.name in told.message, at


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flipped_byte_is_an_error_that_names_the_file_or_changes_nothing(file: Path, engine: str) -> None:
    check_flips(file, engine, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_two_hundred_flipped_bytes_are_never_another_answer(file: Path, engine: str) -> None:
    check_flips(file, engine, 200)


RECORDER = """
import asyncio, sys
from pathlib import Path
from tests.session.test_taping import Counted, Session

class Out:
    def write(self, stream, text):
        sys.stdout.write(text)
        sys.stdout.flush()

CODE = {
    "lua": "for i = 1, 100000 do print(counted.number('call ' .. i)) end",
    "javascript": "for (let i = 1; i <= 100000; i++) console.log(await counted.number('call ' + i))",
}

async def run():
    async with Session(bridges=[Counted()], sink=Out()) as session:
        session.tape("record", Path(sys.argv[2]))
        await session.run(CODE[sys.argv[1]], engine=sys.argv[1])

asyncio.run(run())
"""


def check_kill(file: Path, engine: str, count: int) -> None:
    """Kills a recording once its script has printed so many answers."""
    recorder = subprocess.Popen([sys.executable, "-c", RECORDER, engine, str(file)], stdout=subprocess.PIPE, text=True)
    with recorder:
        assert recorder.stdout is not None
        said = [recorder.stdout.readline() for _ in range(count)]
        recorder.send_signal(signal.SIGKILL)
        said += recorder.stdout.readlines()
    printed = [int(line) for line in said if line.endswith("\n")]
    assert len(printed) >= count
    answers = [msgspec.json.decode(entry.answer) for entry in load_cassette(file).entries]
    assert answers[: len(printed)] == printed == list(range(1, len(printed) + 1))


@pytest.mark.parametrize(("engine", "count"), [(engine, count) for engine in ENGINES for count in (1, 2, 30)])
def test_a_killed_session_has_recorded_every_answer_that_its_script_has_printed(file: Path, engine: str, count: int) -> None:
    check_kill(file, engine, count)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_hundreds_of_kills_lose_no_answer_that_was_printed(file: Path, engine: str) -> None:
    for number in range(250):
        check_kill(file, engine, 1 + number * 7 % 60)
