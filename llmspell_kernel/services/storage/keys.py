"""Values by key, which outlive the kernel: one database in the session's folder, for all kernels that work there.

Rules
- A call that returned is on the disk; a call that failed changed nothing.
- A change is one transaction, so two kernels lose no update of each other: `increment` adds inside it, `replace` compares first.
- A value is read back as it was kept or not at all (kept_values.checksum).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.values import Value

from .database import SHOWN, SIZE, Damaged, Database, Opened, outside_faults, seen_as_damage
from .kept_values import checksum, packed, sum_of, unpacked

if TYPE_CHECKING:
    from llmspell_kernel.policy.files import FilePolicy

T = TypeVar("T")
SPACE = "scripts"
"""The keys of scripts; others who keep something in the same database name a space of their own."""
BUSY_S = 10.0
"""How long another process is waited for."""

ROOM_FOR_PAGES = 4
"""So many times larger than its values the file may be: half of a page may be empty, and pages once used stay in it."""
ROOM_FOR_LOG_BYTES = 64 * 1024 * 1024
"""And for SQLite's own files, also where the limit was higher when the values were kept."""


class Entry(NamedTuple):
    """A kept value and its written form, by which `replace` knows it again; None for a key that is not there."""

    value: Value
    text: bytes | None


class KeyStore:
    """`folder` is the session's; `rules` gives the policy that holds now.  All methods block, and may be called in any thread."""

    def __init__(self, folder: Path, rules: Callable[[], FilePolicy], *, space: str = SPACE, busy_s: float = BUSY_S) -> None:
        self._rules = rules
        self._space = space
        self._database = Database(folder, busy_s, self._check_files)
        self._turn = threading.Lock()
        self._opened: Opened | None = None

    def get(self, key: str, default: Value = None) -> Value:
        entry = self.entry(key)
        return default if entry.text is None else entry.value

    def entry(self, key: str) -> Entry:
        """Raises BridgeError where the database cannot be read."""
        self._rules().check_key(key)
        text = self._do(lambda connection: self._text(connection, key), None, make=False)
        return Entry(None, None) if text is None else Entry(unpacked(text), text)

    def has(self, key: str) -> bool:
        return self.entry(key).text is not None

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin so, sorted.  Raises LimitError where there are too many to list."""
        rules = self._rules()

        def find(connection: sqlite3.Connection) -> list[str]:
            where, values = self._beginning(prefix)
            most = rules.max_listing + 1
            return [key for (key,) in connection.execute(f"SELECT key FROM entries {where} ORDER BY key LIMIT ?", (*values, most))]  # noqa: S608

        nothing: list[str] = []
        found = self._do(find, nothing, make=False)
        if len(found) > rules.max_listing:
            raise rules.exceeded("max_listing", len(found), "there are more keys than can be listed; give a longer prefix")
        return found

    def set(self, key: str, value: Value) -> None:
        """Raises ValueCrossingError for what is no data, LimitError for the quotas, BridgeError where it cannot be written."""
        self._change(key, lambda _: packed(value))

    def delete(self, key: str) -> bool:
        """Was it there?"""
        rules = self._writable(key)

        def drop(connection: sqlite3.Connection) -> bool:
            old = self._text(connection, key)
            if old is not None:
                connection.execute("DELETE FROM entries WHERE space = ? AND key = ?", (self._space, key))
                self._account(connection, rules, -1, -_size(key, old))
            return old is not None

        return self._do(lambda connection: self._within(connection, drop), False, make=False)

    def clear(self, prefix: str) -> int:
        """Deletes the keys that begin so, all for ""; how many were they?"""
        rules = self._rules()
        rules.check_writable()
        where, values = self._beginning(prefix)

        def drop(connection: sqlite3.Connection) -> int:
            count, size = connection.execute(f"SELECT count(*), coalesce(sum({SIZE}), 0) FROM entries {where}", values).fetchone()  # noqa: S608
            connection.execute(f"DELETE FROM entries {where}", values)  # noqa: S608
            self._account(connection, rules, -count, -size)
            return int(count)

        return self._do(lambda connection: self._within(connection, drop), 0, make=False)

    def increment(self, key: str, by: int | float = 1) -> int | float:
        """Adds to the number that is kept, 0 where there is none, and gives the sum."""
        called = self._rules().called(key)
        sums: list[int | float] = []

        def add(old: bytes | None) -> bytes:
            sums[:] = [sum_of(None if old is None else unpacked(old), by, called)]
            return packed(sums[0])

        self._change(key, add)
        return sums[0]

    def replace(self, key: str, expected: bytes | None, value: Value) -> bool:
        """Keeps the value where the key still holds what `entry` gave, or nothing where that was None.  Else False, and nothing is changed."""
        text = packed(value)
        return self._change(key, lambda old: text if old == expected else None)

    def add(self, prefix: str, values: Sequence[Value]) -> int:
        """Keeps each value under the prefix and a number, the next ones in order from the greatest there; all of them or none.

        Gives the greatest number.  Raises as `set`.
        """
        rules = self._writable(f"{prefix}{_numbered(0)}")
        texts = [packed(value) for value in values]
        for text in texts:
            if len(text) > rules.max_value_bytes:
                raise rules.exceeded("max_value_bytes", len(text), f"a value under {rules.called(prefix)} has {len(text)} bytes")

        def put(connection: sqlite3.Connection) -> int:
            where, bounds = self._beginning(prefix)
            last = connection.execute(f"SELECT key FROM entries {where} ORDER BY key DESC LIMIT 1", bounds).fetchone()  # noqa: S608
            number = 0 if last is None else number_of(last[0])
            rows = [(self._space, f"{prefix}{_numbered(number + more)}", text) for more, text in enumerate(texts, 1)]
            connection.executemany(
                "INSERT INTO entries (space, key, value, checksum) VALUES (?, ?, ?, ?)", [(*row, checksum(*row)) for row in rows]
            )
            self._account(connection, rules, len(rows), sum(_size(key, text) for _, key, text in rows))
            return number + len(rows)

        return self._do(lambda connection: self._within(connection, put), 0, make=True)

    def values(self, prefix: str, *, after: int = 0, before: int = 10**10, most: int, newest: bool = False) -> list[tuple[int, Value]]:
        """What `add` keeps between two numbers, in their order: the first ones of it, or the newest."""
        self._rules().check_key(f"{prefix}{_numbered(0)}")
        order = "DESC" if newest else "ASC"
        bounds = (self._space, f"{prefix}{_numbered(after)}", f"{prefix}{_numbered(before)}", most)

        def find(connection: sqlite3.Connection) -> list[tuple[int, Value]]:
            where = "WHERE space = ? AND key > ? AND key < ?"
            rows = connection.execute(f"SELECT key, value, checksum FROM entries {where} ORDER BY key {order} LIMIT ?", bounds)  # noqa: S608
            return [(number_of(key), unpacked(self._known(key, text, known))) for key, text, known in rows]

        nothing: list[tuple[int, Value]] = []
        found = self._do(find, nothing, make=False)
        return found[::-1] if newest else found

    def count(self, prefix: str) -> int:
        """How many keys begin so."""
        where, values = self._beginning(prefix)
        query = f"SELECT count(*) FROM entries {where}"  # noqa: S608
        return self._do(lambda connection: int(connection.execute(query, values).fetchone()[0]), 0, make=False)

    def counts(self, prefix: str) -> dict[str, int]:
        """How many keys there are below each next name: of `m/a/1` and `m/a/2` with `m/`, two of `a`."""
        rules = self._rules()

        def find(connection: sqlite3.Connection) -> dict[str, int]:
            where, values = self._beginning(prefix)
            rest = f"substr(key, {len(prefix) + 1})"
            name = f"substr({rest}, 1, instr({rest} || '/', '/') - 1)"
            rows = connection.execute(
                f"SELECT {name} AS name, count(*) FROM entries {where} GROUP BY name ORDER BY name LIMIT ?",  # noqa: S608
                (*values, rules.max_listing + 1),
            )
            return dict(rows.fetchall())

        nothing: dict[str, int] = {}
        found = self._do(find, nothing, make=False)
        if len(found) > rules.max_listing:
            raise rules.exceeded("max_listing", len(found), "there are more names than can be listed")
        return found

    def take_warnings(self) -> list[str]:
        """What the user should be told, once."""
        warnings, self._database.warnings = self._database.warnings, []
        return warnings

    def close(self) -> None:
        """Lets go of the database.  A later call opens it again."""
        with self._turn:
            self._leave()

    def _change(self, key: str, make_text: Callable[[bytes | None], bytes | None]) -> bool:
        """Keeps what `make_text` makes of the old written form; None leaves it."""
        rules = self._writable(key)

        def put(connection: sqlite3.Connection) -> bool:
            old = self._text(connection, key)
            text = make_text(old)
            if text is None:
                return False
            if len(text) > rules.max_value_bytes:
                raise rules.exceeded("max_value_bytes", len(text), f"the value of {rules.called(key)} has {len(text)} bytes")
            connection.execute(
                "INSERT OR REPLACE INTO entries (space, key, value, checksum) VALUES (?, ?, ?, ?)",
                (self._space, key, text, checksum(self._space, key, text)),
            )
            self._account(connection, rules, int(old is None), _size(key, text) - (0 if old is None else _size(key, old)))
            return True

        return self._do(lambda connection: self._within(connection, put), False, make=True)

    def _check_files(self, size: int) -> None:
        rules = self._rules()
        if size > ROOM_FOR_PAGES * rules.max_store_bytes + ROOM_FOR_LOG_BYTES:
            raise rules.exceeded("max_store_bytes", size, f"{SHOWN} has {size:,} bytes, more than kept values can take, and is not read")

    def _writable(self, key: str) -> FilePolicy:
        rules = self._rules()
        rules.check_writable()
        rules.check_key(key)
        return rules

    def _text(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        row = connection.execute("SELECT value, checksum FROM entries WHERE space = ? AND key = ?", (self._space, key)).fetchone()
        if row is None:
            return None
        return self._known(key, *row)

    def _known(self, key: str, text: object, known: int) -> bytes:
        if not isinstance(text, bytes) or checksum(self._space, key, text) != known:
            raise Damaged("a value in it is not what was kept")
        return text

    def _account(self, connection: sqlite3.Connection, rules: FilePolicy, keys: int, size: int) -> None:
        """Counts a change.  Raises LimitError, by which the whole change is undone."""
        row = connection.execute("SELECT keys, bytes FROM totals WHERE space = ?", (self._space,)).fetchone()
        keys_now, bytes_now = (row[0] + keys, row[1] + size) if row else (keys, size)
        if keys > 0 and keys_now > rules.max_keys:
            raise rules.exceeded("max_keys", keys_now, "there would be too many keys")
        if size > 0 and bytes_now > rules.max_store_bytes:
            raise rules.exceeded("max_store_bytes", bytes_now, "the kept keys and values would grow too large")
        connection.execute("INSERT OR REPLACE INTO totals (space, keys, bytes) VALUES (?, ?, ?)", (self._space, keys_now, bytes_now))

    def _beginning(self, prefix: str) -> tuple[str, tuple[str, ...]]:
        if prefix:
            self._rules().check_key(prefix)
        end = _after(prefix)
        if end is None:
            return "WHERE space = ? AND key >= ?", (self._space, prefix)
        return "WHERE space = ? AND key >= ? AND key < ?", (self._space, prefix, end)

    @staticmethod
    def _within(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        """One transaction; what the work raises undoes it."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            value = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk may have ended it already
                connection.execute("ROLLBACK")
            raise
        return value

    def _do(self, work: Callable[[sqlite3.Connection], T], absent: T, *, make: bool) -> T:
        """The work on the open database; once more on what takes the place of one that turns out damaged."""
        with self._turn, outside_faults():
            try:
                return self._once(work, absent, make)
            except Damaged:
                self._leave()
            try:
                return self._once(work, absent, make)
            except Damaged as damage:
                raise BridgeError(f"{SHOWN} is damaged: {damage}", code="damaged") from damage

    def _once(self, work: Callable[[sqlite3.Connection], T], absent: T, make: bool) -> T:
        with self._leaving_on_failure():
            if self._opened is not None and self._database.identity() != self._opened.identity:
                self._leave()  # another kernel has set it aside, or the user has removed it
            self._opened = self._opened or self._database.open(make=make)
            if self._opened is None:
                return absent
            with seen_as_damage():
                return work(self._opened.connection)

    @contextmanager
    def _leaving_on_failure(self) -> Iterator[None]:
        """A connection that met an error of the disk is not used again."""
        try:
            yield
        except sqlite3.Error:
            self._leave()
            raise

    def _leave(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            with suppress(sqlite3.Error):
                opened.connection.close()


def _size(key: str, text: bytes) -> int:
    return len(key.encode()) + len(text)


def _after(prefix: str) -> str | None:
    """The first text behind all that begin so, in the order of code points, which is SQLite's; None where there is none."""
    while prefix:
        last = ord(prefix[-1]) + 1
        if last <= 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last == 0xD800 else last)  # there are no texts with surrogates
        prefix = prefix[:-1]
    return None


NUMBER_DIGITS = 10


def _numbered(number: int) -> str:
    """So written, keys have the order of their numbers."""
    return f"{number:0{NUMBER_DIGITS}d}"


def number_of(key: str) -> int:
    """Raises Damaged for a key that `add` never made."""
    digits = key[-NUMBER_DIGITS:]
    if not (digits.isascii() and digits.isdigit()):
        raise Damaged("a key in it has no number")
    return int(digits)
