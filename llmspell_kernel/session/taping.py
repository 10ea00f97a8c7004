"""A session's cassette: calls are written on it, or answered from it.

Rules
- No secret gets on it: calls come here without them, and a line that holds one all the same is refused.
- Policy comes first: what is denied stays denied in a replay.  A replayed call reaches no bridge and costs nothing.
- A strict replay asks nobody, as it makes no call.  With `auto` the user is asked first, also where the answer is there: what is looked for
  without being taken may be taken by another call meanwhile, and then this one would be made unasked.
- A method that only shows or computes (`replay="call"`) is called again and is not on the cassette.
- Clocks of scripts begin with the cassette's time and go on by what is counted: a millisecond a call, what a call was asked to wait, a second
  a cell.  They show a replay what they showed the recording; a cassette that is deleted first begins with the time of day.
- In a strict replay a call that is not on the cassette is an error; with `auto` it is made, and added.
- Background work may outlive the recording that it began under: its calls are then made, and written nowhere.  One that began under a strict
  replay is answered from the cassette to its end, since no call of it may reach the world unseen.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ..bridges._declaration import MethodDeclaration
from ..errors import BridgeError, ConfigError, LoadError
from ..journal.cassette import Cassette, Entry, line_of
from ..journal.cassette_file import CassetteFile, load_cassette
from ..protocol.steps import Effect
from ..redaction import Redactor
from ..values import Value
from .playback import Playback
from .transcript import THING, Made, Transcript, whole

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext

Mode = Literal["record", "replay", "auto"]
MODES: tuple[Mode, ...] = ("record", "replay", "auto")


CALL_S, CELL_S = 0.001, 1.0
"""How long a call and a cell take by the clocks of scripts, while calls are recorded or replayed."""


class Taping:
    """One recording or replay, until its `close`.  `recorded` counts calls, `known` those that were on the cassette.

    Raises LoadError where a cassette that is to be played cannot be read.
    """

    def __init__(self, mode: Mode, file: Path, redactor: Redactor) -> None:
        self.mode = mode
        self._redactor = redactor
        self.file = file
        found = _found(mode, file)
        self._kept: Sequence[Entry] = found.entries if mode != "record" else ()
        self._clock_s = found.clock_s
        self.playback = Playback(self._kept, f"the cassette {file.name}")
        self.known = len(self._kept)
        self._writer = CassetteFile(file, found.clock_s, self._kept) if mode != "replay" else None
        self._closed = False
        self._transcript = Transcript(self.playback.tape.counts())
        self._opened: dict[tuple[str, str], int] = {}
        self._recorded: list[tuple[Made, Entry]] = []

    def is_on(self, file: Path) -> bool:
        """Is that the file of this one, by whatever way to it?"""
        return os.path.realpath(file) == os.path.realpath(self.file)

    @property
    def played(self) -> int:
        return self.playback.played

    @property
    def recorded(self) -> int:
        return len(self._recorded)

    @property
    def _is_over(self) -> bool:
        """Is nothing written any more?"""
        return self._closed and self.mode != "replay"

    @staticmethod
    def takes(method: MethodDeclaration) -> bool:
        return method.replay == "answer"

    async def answer(self, run: CellRun, context: EffectContext, effect: Effect, written: bytes) -> tuple[Value, bytes] | None:
        """What the cassette has for a call; None where it is to be made.  Raises what the call raised, and ReplayError in a strict replay."""
        if self.mode == "record" or self._is_over:
            return None
        position = self.playback.find(run, effect, written)
        if position is not None:
            try:
                return await self.playback.play(run, context, effect, written, position)
            finally:
                context.ended_s = self.pass_time(CALL_S + self.playback.tape[position].passed_s)
        if self.mode == "replay":
            raise self.playback.missing(effect, written)
        return None

    def entropy(self, seed: int, engine: str, state: str) -> str:
        """What the ids of a state are made from, 32 hex digits: the same in a recording and its replay, and another after a reset."""
        opened = self._opened[engine, state] = self._opened.get((engine, state), 0) + 1
        return hashlib.sha256(f"{seed}\0{engine}\0{state}\0{opened}".encode(errors="surrogatepass")).hexdigest()[:32]

    def asked(self, made: Made) -> None:
        if not self._closed:
            self._transcript.asked(made)
            asyncio.get_running_loop().call_soon(self._transcript.name_asked)  # most calls wait then for their answer

    def forget(self, made: Made) -> None:
        """The call was stopped with its cell: a replay, in which nobody stops it, must not wait for it."""
        if not self._closed:
            self._transcript.forget(made)

    def pass_time(self, seconds: float) -> float:
        """What clocks of scripts show after so long: time that can be had again, as it is counted and not measured."""
        self._clock_s = round(self._clock_s + seconds, 3)
        return self._clock_s

    def ended(self, made: Made, context: EffectContext, how: Literal["called", "refused"] = "called") -> None:
        """Writes a call down, before anyone learns of its answer.  Raises BridgeError where the disk refuses."""
        if self._closed:  # the file is finished, and may be another recording's by now
            return
        context.ended_s = self.pass_time(CALL_S + made.passed_s)
        entry = self._transcript.entry(made)
        if self._redactor.active and self._redactor.finds(line_of(entry).decode()):
            raise BridgeError(f"{made.call} was {how}, and is not recorded: a secret is still in it", code="not_recorded")
        self._recorded.append((made, entry))
        assert self._writer is not None
        try:
            self._writer.append(entry)
        except OSError as error:
            raise BridgeError(
                f"{made.call} was {how}, and could not be recorded in {self.file.name}: {error.strerror or error}", code="not_recorded"
            ) from error

    def cell_ended(self) -> None:
        """What the cell recorded is safe on the disk from now on."""
        if self._writer is not None:
            with suppress(OSError):  # it was told at the call
                self._writer.sync()

    def close(self) -> None:
        """Puts the recording in its lasting order, that in which calls were asked; safe to call again.

        Raises ConfigError where the disk refuses; the file then stays as it was written.
        """
        if self._closed:
            return
        self._closed = True
        if self._writer is not None and (self._recorded or self.mode == "record"):
            new = sorted(self._recorded, key=lambda one: one[0].place)
            try:
                self._writer.finish([*self._kept, *(_with_use(made, entry) for made, entry in new)])
            except OSError as error:
                raise ConfigError(
                    f"the recording ended, and could not be put in order: {error.strerror or error}; the file keeps its lines in the order"
                    " in which they were written",
                    file=str(self.file),
                ) from error


def _found(mode: Mode, file: Path) -> Cassette:
    """What is to be played; of a cassette that is recorded anew its clock, so that the same answers give the same bytes."""
    if mode == "replay" or (mode == "auto" and file.exists()):
        return load_cassette(file)
    with suppress(LoadError):
        return load_cassette(file)
    return Cassette(float(int(time.time())), [])


def _with_use(made: Made, entry: Entry) -> Entry:
    """What a stream used is known only once it has ended, after the call that opened it."""
    return msgspec.structs.replace(entry, used=whole(made.used)) if THING in made.answer else entry
