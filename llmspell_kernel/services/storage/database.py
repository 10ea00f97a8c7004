"""The database of kept values: made, opened, checked, and set aside where it is damaged.

Rules
- What is acknowledged is on the disk: write-ahead log, synchronous FULL.
- It is made under another name and renamed, so under its own name there is never a half-made one.
- It is trusted no further than its bytes prove: a project's folder may come from a stranger.  Neither it nor its folder may be a link, it has
  exactly our tables and no trigger or view, and each value has a checksum; all of that is looked at whenever it is opened.  One whose files
  are larger than what may be kept can make them is not looked at: it is left as it is, and nothing is read.
- One that is damaged is renamed to NAME.corrupt-TIMESTAMP with its log, never deleted and never written again; a new one takes its place.
- Two kernels do all this one after the other, by a lock on the folder.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing as closing_object
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_kernel.errors import BridgeError, SpellError

from .faults import kind_of, no_plain_file, told_to_scripts
from .folders import closing, open_below
from .kept_values import checksum
from .locks import held

FOLDER = ".llmspell"
NAME = "storage.sqlite"
SHOWN = f"{FOLDER}/{NAME}"
BESIDE = ("-wal", "-shm", "-journal")
"""How the names of SQLite's own files end, which belong to one database each."""
UNFINISHED = f"{NAME}.new-"
APPLICATION_ID = 0x6C6C7370  # "llsp"
VERSION = 1
SCHEMA = (
    "CREATE TABLE entries (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, checksum INTEGER NOT NULL, "
    "PRIMARY KEY (space, key)) WITHOUT ROWID",
    "CREATE TABLE totals (space TEXT PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID",
)
SIZE = "length(CAST(key AS BLOB)) + length(value)"
_SHORT_READ = sqlite3.SQLITE_IOERR_SHORT_READ
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SHUT = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_OUTSIDE = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOLFS}


class Damaged(Exception):
    """Says what is wrong with the database."""


class Opened(NamedTuple):
    connection: sqlite3.Connection
    identity: tuple[int, int] | None
    """Which file it is a connection to."""


class Database:
    """Opens the one database of a folder; `warnings` gathers what the user should be told.  `check_size` raises where its files are too large."""

    def __init__(self, folder: Path, busy_s: float, check_size: Callable[[int], None]) -> None:
        self._folder = folder
        self._check_size = check_size
        self._busy_s = busy_s
        self.path = folder / FOLDER / NAME
        self.warnings: list[str] = []

    def open(self, *, make: bool) -> Opened | None:
        """None where there is none and none is to be made.  Raises BridgeError or DeniedError."""
        with told_to_scripts(f"database {SHOWN}"):
            try:
                home = open_below(self._folder, (FOLDER,), mode=0o700 if make else None)
            except FileNotFoundError:
                return None
            with closing(home), held(home, SHOWN, self._busy_s), outside_faults():
                connection = self._open(home, make)
                return None if connection is None else Opened(connection, self.identity())

    def identity(self) -> tuple[int, int] | None:
        """Which file has the name now; a connection to another one is to be left."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _open(self, home: int, make: bool) -> sqlite3.Connection | None:
        names = [f"{NAME}{end}" for end in ("", *BESIDE)]
        there = [name for name in names if _is_there(home, name)]
        self._check_size(sum(_size(self.path.with_name(name)) for name in there))
        if NAME not in there:
            if not make:
                return None
            self._set_aside(home, there, "its main file is gone")
            self._make(home)
            return self._checked(self._connect())
        if not os.access(".", os.W_OK, dir_fd=home):
            return self._read_only()
        try:
            return self._checked(self._connect())
        except Damaged as damage:
            self._set_aside(home, [name for name in names if _is_there(home, name)], str(damage))
            self._make(home)
            return self._checked(self._connect())

    def _read_only(self) -> sqlite3.Connection:
        try:
            try:
                return self._checked(self._connect(how="mode=ro"), is_read_only=True)
            except sqlite3.Error:
                # there is no place for the log's index; without a log, the file alone is all there is, and nobody can change it
                if _size(self.path.with_name(f"{NAME}-wal")):
                    raise
            return self._checked(self._connect(how="mode=ro&immutable=1"), is_read_only=True)
        except Damaged as damage:
            raise BridgeError(f"{SHOWN} is damaged ({damage}), and its folder cannot be written", code="damaged") from damage

    def _make(self, home: int) -> None:
        """An empty database, whole before it has its name."""
        for name in os.listdir(home):
            if name.startswith(UNFINISHED):  # of a kernel that died: nobody else makes one while we hold the lock
                os.unlink(name, dir_fd=home)
        unfinished = f"{UNFINISHED}{os.getpid()}"
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=home))
        try:
            with closing_object(self._connect(unfinished)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN")
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute("COMMIT")
            os.rename(unfinished, NAME, src_dir_fd=home, dst_dir_fd=home)
            os.fsync(home)
        except BaseException:
            for end in ("", *BESIDE):
                with suppress(OSError):
                    os.unlink(f"{unfinished}{end}", dir_fd=home)
            raise

    def _set_aside(self, home: int, names: list[str], why: str) -> None:
        if not names:
            return
        stamp = f"{NAME}.corrupt-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        aside = next(name for number in range(1, 1000) if not _is_there(home, name := f"{stamp}-{number}" if number > 1 else stamp))
        for name in names:
            os.rename(name, aside + name.removeprefix(NAME), src_dir_fd=home, dst_dir_fd=home)
        os.fsync(home)
        self.warnings.append(f"the kept values could not be read ({why}); {SHOWN} was set aside as {aside}, and an empty one begun")

    def _connect(self, name: str = NAME, how: str = "mode=rw") -> sqlite3.Connection:
        address = f"{self.path.with_name(name).absolute().as_uri()}?{how}"
        return sqlite3.connect(address, uri=True, timeout=self._busy_s, isolation_level=None, check_same_thread=False)

    @staticmethod
    def _checked(connection: sqlite3.Connection, *, is_read_only: bool = False) -> sqlite3.Connection:
        try:
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "fullfsync = ON", "checkpoint_fullfsync = ON"):
                connection.execute(f"PRAGMA {pragma}")
            with seen_as_damage():
                connection.execute("BEGIN")  # all of it as it is at one moment, whatever another kernel writes meanwhile
                check(connection)
                connection.execute("COMMIT")
            if not is_read_only:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                # where a file system has no shared memory, SQLite keeps its older kind of log, which needs more to be as safe
                connection.execute(f"PRAGMA synchronous = {'FULL' if mode == 'wal' else 'EXTRA'}")
                connection.execute("PRAGMA journal_size_limit = 4194304")
        except BaseException:
            connection.close()
            raise
        return connection


def check(connection: sqlite3.Connection) -> None:
    """Raises Damaged, or the sqlite3.Error of a database that cannot be read."""
    if _one(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise Damaged("it is not a database of llmspell")
    if (version := _one(connection, "PRAGMA user_version")) != VERSION:
        raise Damaged(f"it has version {version}, this llmspell reads version {VERSION}")
    if {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema")} != set(SCHEMA):
        raise Damaged("its tables are not those of llmspell")
    if (told := _one(connection, "PRAGMA quick_check(1)")) != "ok":
        raise Damaged(str(told).splitlines()[-1][:200])
    totals: dict[str, tuple[int, int]] = {}
    for space, key, value, known, size in connection.execute(f"SELECT space, key, value, checksum, {SIZE} FROM entries"):  # noqa: S608
        if not isinstance(value, bytes) or checksum(space, key, value) != known:
            raise Damaged("a value in it is not what was kept")
        keys, held_bytes = totals.get(space, (0, 0))
        totals[space] = keys + 1, held_bytes + size
    told_totals = {space: (keys, held_bytes) for space, keys, held_bytes in connection.execute("SELECT space, keys, bytes FROM totals")}
    if {space: found for space, found in told_totals.items() if found != (0, 0)} != totals:
        raise Damaged("some of its values are missing")


@contextmanager
def seen_as_damage() -> Iterator[None]:
    """What SQLite or Python cannot read, and no one outside is to blame for, is Damaged."""
    try:
        yield
    except sqlite3.Error as error:
        if _is_outside(error):
            raise
        raise Damaged(str(error)) from error
    except (UnicodeDecodeError, OverflowError, TypeError, AttributeError) as error:  # texts and numbers that are none
        raise Damaged(f"{type(error).__name__} while reading it") from error


@contextmanager
def outside_faults() -> Iterator[None]:
    """What the disk or another process is to blame for, as an error that a script can use."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(error) from error


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 1 where it says none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _is_outside(error: sqlite3.Error) -> bool:
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return True  # of our own doing
    return code_of(error) in {*_FULL, *_BUSY, *_SHUT, *_OUTSIDE} and getattr(error, "sqlite_errorcode", 0) != _SHORT_READ


def _told(error: sqlite3.Error) -> SpellError:
    code = code_of(error)
    if code in _FULL:
        return BridgeError(f"{SHOWN} could not be written: the disk is full; what was kept before is unchanged", code="disk_full")
    if code in _BUSY:
        return BridgeError(f"{SHOWN}: another process has been writing for too long; try again", code="busy", retryable=True)
    if code in _SHUT:
        return BridgeError(f"{SHOWN} cannot be written: it, or its folder, is closed to this user", code="read_only")
    name = getattr(error, "sqlite_errorname", "")
    return BridgeError(
        f"{SHOWN} failed: {error} ({name}); what was kept before is unchanged", code="disk", retryable=code != sqlite3.SQLITE_ERROR
    )


def _is_there(home: int, name: str) -> bool:
    """Raises DeniedError for what is no plain file: a stranger's folder may have a link in its place."""
    try:
        status = os.stat(name, dir_fd=home, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise no_plain_file(f"{FOLDER}/{name}", kind_of(status.st_mode))
    if status.st_nlink > 1:
        raise no_plain_file(f"{FOLDER}/{name}", "has more than one name (a hard link)")
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _one(connection: sqlite3.Connection, question: str) -> Any:
    row = connection.execute(question).fetchone()
    return row[0] if row else None
