"""A session's cassette: calls are written on it, or answered from it.

Rules
- Policy comes first: what is denied stays denied in a replay.  A replayed call reaches no bridge, asks nobody and costs nothing.
- A method that only shows or computes (`replay="call"`) is called again and is not on the cassette.
- In a strict replay a call that is not on the cassette is an error; with `auto` it is made, and added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ..bridges._declaration import MethodDeclaration
from ..errors import BridgeError
from ..journal.cassette import Entry
from ..journal.cassette_file import CassetteFile, load_cassette
from ..protocol.steps import Effect
from ..values import Value
from .playback import Playback
from .transcript import THING, Made, Transcript, whole

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext

Mode = Literal["record", "replay", "auto"]
MODES: tuple[Mode, ...] = ("record", "replay", "auto")


class Taping:
    """One recording or replay, until its `close`.  `recorded` counts calls, `known` those that were on the cassette.

    Raises LoadError where a cassette that is to be played cannot be read.
    """

    def __init__(self, mode: Mode, file: Path) -> None:
        self.mode = mode
        self.file = file
        plays = mode == "replay" or (mode == "auto" and file.exists())
        self._kept: Sequence[Entry] = load_cassette(file) if plays else ()
        self.playback = Playback(self._kept, f"the cassette {file.name}")
        self.known = len(self._kept)
        self._writer = CassetteFile(file) if mode != "replay" else None
        self._transcript = Transcript(self.playback.tape.counts())
        self._opened: dict[tuple[str, str], int] = {}
        self._recorded: list[tuple[Made, Entry]] = []

    @property
    def played(self) -> int:
        return self.playback.played

    @property
    def recorded(self) -> int:
        return len(self._recorded)

    @staticmethod
    def takes(method: MethodDeclaration) -> bool:
        return method.replay == "answer"

    async def answer(self, run: CellRun, context: EffectContext, effect: Effect, written: bytes) -> tuple[Value, bytes] | None:
        """What the cassette has for a call; None where it is to be made.  Raises what the call raised, and ScriptError in a strict replay."""
        if self.mode == "record":
            return None
        position = self.playback.find(run, effect, written)
        if position is not None:
            return await self.playback.play(run, context, effect, written, position)
        if self.mode == "replay":
            raise self.playback.missing(effect, written)
        return None

    def entropy(self, seed: int, engine: str, state: str) -> str:
        """What the ids of a state are made from, 32 hex digits: the same in a recording and its replay, and another after a reset."""
        opened = self._opened[engine, state] = self._opened.get((engine, state), 0) + 1
        return hashlib.sha256(f"{seed}\0{engine}\0{state}\0{opened}".encode()).hexdigest()[:32]

    def asked(self, made: Made) -> None:
        self._transcript.asked(made)

    def ended(self, made: Made) -> None:
        """Writes a call down, before anyone learns of its answer.  Raises BridgeError where the disk refuses."""
        entry = self._transcript.entry(made)
        self._recorded.append((made, entry))
        assert self._writer is not None
        try:
            self._writer.append(entry)
        except OSError as error:
            raise BridgeError(
                f"{made.call} was called, and could not be recorded in {self.file.name}: {error.strerror or error}", code="not_recorded"
            ) from error

    def cell_ended(self) -> None:
        """What the cell recorded is safe on the disk from now on."""
        if self._writer is not None:
            with suppress(OSError):  # it was told at the call
                self._writer.sync()

    def close(self) -> None:
        """Puts the recording in its lasting order, that in which calls were asked.  Raises OSError; the file then stays as it was written."""
        if self._writer is not None and (self._recorded or self.mode == "record"):
            new = sorted(self._recorded, key=lambda one: one[0].place)
            self._writer.finish([*self._kept, *(_with_use(made, entry) for made, entry in new)])


def _with_use(made: Made, entry: Entry) -> Entry:
    """What a stream used is known only once it has ended, after the call that opened it."""
    return msgspec.structs.replace(entry, used=whole(made.used)) if THING in made.answer else entry
