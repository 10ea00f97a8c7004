"""A cassette on disk: read with a size cap, written line by line while a recording goes on, put in order at its end.

Rules
- A line is in the file before the script gets its answer, so a kernel that is killed loses no answer that a script has seen.  The file is
  flushed to the disk at the end of each cell (`sync`) and of the recording: a machine that loses its power may lose the cell it was in.
- The old cassette is there until the first call of the new recording is written; from then on the file is a whole one at every moment.
- Mode 0600: answers may be private.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import LoadError
from .cassette import MAX_CASSETTE_BYTES, Entry, header, line_of, read, text_of

MODE = 0o600


def load_cassette(file: Path) -> list[Entry]:
    """Raises LoadError naming the file, and the line where one is wrong."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_CASSETTE_BYTES + 1)
    except FileNotFoundError:
        raise LoadError("there is no such cassette; record one first", file=str(file)) from None
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}", file=str(file)) from None
    return read(data, file.name)


class CassetteFile:
    """One recording.  Raises OSError where the disk refuses; what was written before stays readable."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None

    def append(self, entry: Entry) -> None:
        """Adds a line; the first one replaces the old cassette."""
        line = line_of(entry)
        if self._descriptor is None:
            self._descriptor = self._replace(header() + line)
        else:
            self._write(self._descriptor, line)

    def sync(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def finish(self, entries: Sequence[Entry]) -> None:
        """The whole recording in its lasting order; with no entries too, as a recording without calls is one."""
        os.close(self._replace(text_of(entries)))
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _replace(self, text: bytes) -> int:
        """A new file in place of the old one; its descriptor, to append to."""
        new = self.file.with_name(f".{self.file.name}.{os.getpid()}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        try:
            self._write(descriptor, text)
            os.fsync(descriptor)
            new.replace(self.file)
            self._sync_folder()
        except BaseException:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        return descriptor

    def _sync_folder(self) -> None:
        folder = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # some file systems cannot; the file itself is there
                os.fsync(folder)
        finally:
            os.close(folder)

    @staticmethod
    def _write(descriptor: int, text: bytes) -> None:
        """All of it or an error: where the disk is full in the middle of a line, what was written of it is taken back."""
        start = os.fstat(descriptor).st_size
        left = memoryview(text)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, start)
            raise
