"""A cassette on disk: read with a size cap, written line by line while a recording goes on, put in order at its end.

Rules
- A line is in the file before the script gets its answer, so a kernel that is killed loses no answer that a script has seen.  The file is
  flushed to the disk at the end of each cell (`sync`) and of the recording: a machine that loses its power may lose the cell it was in.
- The old cassette is there until the first call of the new recording is written; from then on the file is a whole one at every moment.
- What is kept of the old one (`kept`) is in the new one from its first call on: no kill can take it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .cassette import Cassette, Entry, line_of, read, text_of
from .whole_files import read_capped, replace_file, write_whole


def load_cassette(file: Path) -> Cassette:
    """Raises LoadError naming the file, and the line where one is wrong."""
    return read(read_capped(file, "there is no such cassette; record one first"), file.name)


class CassetteFile:
    """One recording.  Raises OSError where the disk refuses; what was written before stays readable."""

    def __init__(self, file: Path, clock_s: float, kept: Sequence[Entry] = ()) -> None:
        self.file = file
        self._clock_s = clock_s
        self._kept = kept
        self._descriptor: int | None = None

    def append(self, entry: Entry) -> None:
        """Adds a line; the first one replaces the old cassette."""
        if self._descriptor is None:
            self._descriptor = replace_file(self.file, text_of(self._clock_s, [*self._kept, entry]))
        else:
            write_whole(self._descriptor, line_of(entry))

    def sync(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def finish(self, entries: Sequence[Entry]) -> None:
        """The whole recording in its lasting order; with no entries too, as a recording without calls is one."""
        try:
            os.close(replace_file(self.file, text_of(self._clock_s, entries)))
        finally:
            self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
