"""What all sessions of a user have used, day by day: one small database that they share.

Rules
- A reservation is one transaction that reads the day's sums, lets the caller decide, and writes them: two processes cannot both get the last
  part of a budget.
- The sums hold what is reserved as well as what is used; a settlement adds the difference.  A process that dies between the two leaves its
  reservation counted: it may have used as much, and nobody is left who knows.
- What cannot be read is set aside under another name, never deleted, and counting starts anew; whoever finds it says so.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

FILE = "budgets.sqlite"
WAIT_S = 5.0
"""For another process's transaction, which takes a millisecond."""
LOG_TRANSACTIONS = 200
"""After so many what is in sqlite's log is written into the database, which waits for the disk.  Its own way is to do that in whatever
transaction comes next."""
COMPANIONS = ("", "-wal", "-shm", "-journal")
"""Endings of the files that sqlite keeps beside a database."""
Sums = tuple[int, ...]


NONE: Mapping[str, Sequence[int]] = MappingProxyType({})


class LedgerError(Exception):
    """The ledger cannot be used; the message says why, without a path."""


class LedgerBusy(LedgerError):
    """It cannot be used without a wait."""


class Ledger:
    """`columns` name the amounts, in the order in which they are given.  Used by one thread at a time; `clock` gives Unix seconds.

    Made without touching the disk; the folder and the file are made by the first use, for this user alone.  Its methods raise LedgerError.
    """

    def __init__(self, folder: Path, columns: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._file = folder / FILE
        self._columns = tuple(columns)
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._waits_s = WAIT_S
        self._logged = 0
        """Transactions since the log was written into the database."""
        self.set_aside: str = ""
        """The name that an unreadable file was given."""

    def reserve(self, decide: Callable[[Sums], Sequence[int]]) -> tuple[str, Sums, Sums]:
        """Adds what `decide` makes of the day's sums; the day, what was added, the sums before.  What it raises is raised, and nothing added."""
        day, (outcome,) = self.reserve_all([decide])
        if isinstance(outcome, Exception):
            raise outcome
        return day, *outcome

    def reserve_all(
        self, decides: Sequence[Callable[[Sums], Sequence[int]]], owed: Mapping[str, Sequence[int]] = NONE, *, wait: bool = True
    ) -> tuple[str, list[tuple[Sums, Sums] | Exception]]:
        """The same for many in turn, written at once: the day, and of each what was added and the sums before it, or what it raised.

        `owed` are changes that are made first, by day, "" for this one.  Without `wait`, LedgerBusy is raised where it would have to wait for
        another process or for the disk, and nothing is changed.
        """
        day = self._today()
        outcomes: list[tuple[Sums, Sums] | Exception] = []
        with self._transaction(wait=wait) as connection:
            for at, by in owed.items():
                self._change(connection, at or day, by)
            sums = self._sums(connection, day)
            for decide in decides:
                try:
                    added = tuple(decide(sums))
                except Exception as error:  # it is its asker's
                    outcomes.append(error)
                    continue
                outcomes.append((added, sums))
                sums = tuple(a + b for a, b in zip(sums, added, strict=True))
            self._put(connection, day, sums)
        return day, outcomes

    def change(self, day: str, by: Sequence[int]) -> str:
        """Adds to the sums of a day, "" for this one; a difference may be negative.  The day."""
        day = day or self._today()
        with self._transaction() as connection:
            self._change(connection, day, by)
        return day

    def _change(self, connection: sqlite3.Connection, day: str, by: Sequence[int]) -> None:
        self._put(connection, day, [a + b for a, b in zip(self._sums(connection, day), by, strict=True)])

    def today(self) -> tuple[str, Sums]:
        """This day and its sums; nothing is written."""
        day = self._today()
        with self._transaction() as connection:
            return day, self._sums(connection, day)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).date().isoformat()

    def _sums(self, connection: sqlite3.Connection, day: str) -> Sums:
        row = connection.execute(f"SELECT {', '.join(self._columns)} FROM days WHERE day = ?", (day,)).fetchone()  # noqa: S608
        return tuple(row) if row is not None else (0,) * len(self._columns)

    def _put(self, connection: sqlite3.Connection, day: str, sums: Sequence[int]) -> None:
        marks = ", ".join("?" for _ in sums)
        connection.execute(f"REPLACE INTO days (day, {', '.join(self._columns)}) VALUES (?, {marks})", (day, *sums))  # noqa: S608

    @contextmanager
    def _transaction(self, *, wait: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._open() if wait else self._ready()
            self._wait_s(connection, WAIT_S if wait else 0.0)
            connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            if not wait and isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise LedgerBusy("another process uses it") from error
            raise self._failed(error) from error
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if isinstance(error, (sqlite3.Error, OverflowError)):
                raise self._failed(error) from error
            raise
        self._logged += 1
        if wait and self._logged >= LOG_TRANSACTIONS:
            self._logged = 0
            with suppress(sqlite3.Error):  # the sums are safe in the log, which the next one finds
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _wait_s(self, connection: sqlite3.Connection, seconds: float) -> None:
        """How long it waits for another process from now on."""
        if seconds != self._waits_s:
            connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1_000)}")
            self._waits_s = seconds

    def _ready(self) -> sqlite3.Connection:
        """The open connection, for a transaction that waits for nobody.  Raises LedgerBusy."""
        if self._connection is None or self._logged >= LOG_TRANSACTIONS:
            raise LedgerBusy("it is not open, or its log is to be written first")
        return self._connection

    def _failed(self, error: Exception) -> LedgerError:
        self.close()
        return LedgerError(error.strerror or str(error) if isinstance(error, OSError) else str(error))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._connection = self._connect_alone()
            except sqlite3.DatabaseError as error:
                if not _is_unreadable(error):
                    raise
                self._put_aside()
                self._connection = self._connect_alone()
        return self._connection

    def _connect_alone(self) -> sqlite3.Connection:
        """Of two processes that switch a new file to its log at once, SQLite refuses one without a wait."""
        with closing(self._lock()):
            return self._connect()

    def _lock(self) -> _Lock:
        return _Lock(self._file.with_suffix(".lock"))

    def _connect(self) -> sqlite3.Connection:
        with suppress(FileExistsError):
            os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(self._file, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        self._waits_s = WAIT_S
        try:
            # a committed sum then outlives its process without a wait for the disk; a power cut may lose the last ones, and damages nothing
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            fields = ", ".join(f"{column} INTEGER NOT NULL DEFAULT 0" for column in self._columns)
            connection.execute(f"CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, {fields}) WITHOUT ROWID")
            self._sums(connection, "")
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise _Damaged
        except BaseException:
            connection.close()
            raise
        return connection

    def _put_aside(self) -> None:
        """Two processes may find it at the same time: the second must not put aside what the first has made anew."""
        with closing(self._lock()):
            try:
                self._connect().close()
                return
            except sqlite3.DatabaseError as error:
                if not _is_unreadable(error):
                    raise
            stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%d-%H%M%S")
            self.set_aside = f"{self._file.name}.unreadable-{stamp}"
            for ending in COMPANIONS:
                with suppress(FileNotFoundError):
                    Path(f"{self._file}{ending}").rename(self._file.with_name(f"{self.set_aside}{ending}"))


class _Damaged(sqlite3.DatabaseError):
    """sqlite opens it, and finds pages in it that make no sense."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class _Lock:
    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        os.close(self._descriptor)


def _is_unreadable(error: sqlite3.DatabaseError) -> bool:
    """Is it the file itself that is damaged, or of another make?  A lock or a full disk passes."""
    return error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
