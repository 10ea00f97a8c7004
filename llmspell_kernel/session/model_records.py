"""What the journals of a project say of its models, for the bridge that scripts ask.

Rules
- Journals are read in a thread, one at a time, and each again only once it has grown: a script that asks again and again costs little.
- The newest come first, up to so many bytes; what is no journal, cannot be read or is no plain file is counted and left out.
"""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import LoadError
from ..journal.event_file import journals_in, load_events
from ..journal.performance import ModelCall, calls_of, performance

MOST_BYTES = 128 * 1024 * 1024


class _Read(NamedTuple):
    size: int
    changed_ns: int
    calls: list[ModelCall]
    failed: bool


class ModelRecords:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, _Read] = {}
        self._reading = asyncio.Lock()

    async def performance(self, name: str, since_s: float) -> dict[str, Any]:
        """The figures of journal.performance; `journals` were read, `left_out` were not."""
        async with self._reading:
            return await asyncio.to_thread(self._performance, name, since_s)

    def _performance(self, name: str, since_s: float) -> dict[str, Any]:
        found, left_out = self._journals()
        calls = sorted((call for one in found for call in one.calls), key=lambda call: call.time)
        return {**performance(calls, name, since_s), "journals": len(found), "left_out": left_out}

    def _journals(self) -> tuple[list[_Read], int]:
        known, room, left_out = self._read, MOST_BYTES, 0
        self._read = {}
        for file in reversed(journals_in(self._folder)):
            try:
                status = file.stat()
            except OSError:
                continue  # another session has just taken its oldest away
            room -= status.st_size
            if room < 0 or not stat.S_ISREG(status.st_mode):
                left_out += 1
                continue
            one = known.get(file)
            if one is None or (one.size, one.changed_ns) != (status.st_size, status.st_mtime_ns):
                one = _read(file, status.st_size, status.st_mtime_ns)
            self._read[file] = one
            left_out += one.failed
        return [one for one in self._read.values() if not one.failed], left_out


def _read(file: Path, size: int, changed_ns: int) -> _Read:
    try:
        return _Read(size, changed_ns, calls_of(load_events(file).events), False)
    except LoadError:
        return _Read(size, changed_ns, [], True)
