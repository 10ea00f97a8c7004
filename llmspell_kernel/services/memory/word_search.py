"""Finds texts by their words, with SQLite's FTS5.

The index is kept in memory and made of the texts, so that nothing but them is kept on the disk, and nothing in a stranger's database is ever run.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from typing import NamedTuple

from llmspell_kernel.errors import BridgeError

MOST_WORDS = 32
"""Of a query; the rest of it is left out."""
MOST_WORD_CHARS = 100


class Hit(NamedTuple):
    number: int
    score: float
    """By bm25; higher is better, and says nothing by itself."""


class WordIndex:
    """Texts by number.  May be used in any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        try:
            self._connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2')")
        except sqlite3.OperationalError as error:
            raise BridgeError(
                "this Python's SQLite was built without FTS5, so nothing can be searched by words", code="no_search"
            ) from error

    def add(self, texts: Iterable[tuple[int, str]]) -> None:
        with self._turn:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", texts)
            self._connection.execute("COMMIT")

    def find(self, query: str, most: int) -> list[Hit]:
        """Those that have any of the query's words, the likeliest first."""
        if not (wanted := expression(query)):
            return []
        with self._turn:
            rows = self._connection.execute(
                "SELECT rowid, bm25(texts) FROM texts WHERE texts MATCH ? ORDER BY bm25(texts), rowid DESC LIMIT ?", (wanted, most)
            )
            return [Hit(number, round(-rank, 6)) for number, rank in rows]

    def close(self) -> None:
        with self._turn:
            self._connection.close()


def expression(query: str) -> str:
    """Any of the words, each quoted: FTS5 has a language of its own, and nobody's text is to speak it."""
    words = "".join(character if character.isalnum() else " " for character in query).split()
    chosen = list(dict.fromkeys(word[:MOST_WORD_CHARS] for word in words))[:MOST_WORDS]
    return " OR ".join(f'"{word}"' for word in chosen)
