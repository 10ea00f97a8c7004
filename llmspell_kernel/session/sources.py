"""The texts of the cells that ran, for the code frames of errors."""

from __future__ import annotations

from ..redaction import Redactor

MAX_CHARACTERS = 4_000_000


class Sources(dict[str, str]):
    """Chunk name -> source text.  The oldest go first once all together are over the limit; the newest always stays.

    Secrets are taken out: an author may have pasted one, and errors show lines of the text.
    """

    def __init__(self, limit: int = MAX_CHARACTERS, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or Redactor()
        self._limit = limit
        self._characters = 0

    def __setitem__(self, chunk: str, text: str) -> None:
        if chunk in self:
            del self[chunk]
        text = self._redactor.redact(text)
        super().__setitem__(chunk, text)
        self._characters += len(text)
        while self._characters > self._limit and len(self) > 1:
            del self[next(iter(self))]

    def __delitem__(self, chunk: str) -> None:
        self._characters -= len(self[chunk])
        super().__delitem__(chunk)
