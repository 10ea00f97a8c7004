"""What a guardrail looks for, and what it finds in the texts of a call."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from llmspell_kernel.errors import ArgumentError, nearest

from .personal import KINDS, personal_data, personal_numbers
from .searching import TOTAL_S, Found, check_pattern, found_by, matches
from .secrets import secrets
from .split import BLANK, kinds_across
from .texts import NO_FIXED, Fixed

MAX_CHARS = 1_000_000
"""Of the texts of one call; more is not looked through, and so not let through."""
MAX_PATTERNS = 50
MAX_PATTERN_CHARS = 2_000
MAX_TOPICS = 50
CHARS_A_TOKEN = 4
"""As services.llm.estimate has it."""
Count = Annotated[int, Meta(ge=0)]


class Length(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the texts of a call may be together.  A token is taken for four characters.

    - max_chars: at most so many characters
    - min_chars: at least so many
    - max_tokens: at most so many tokens
    """

    max_chars: Count | None = None
    min_chars: Count | None = None
    max_tokens: Count | None = None


class Topics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Topics that a text must keep to, as a model judges.

    - allowed: in a few words each
    - model: who judges; else the session's
    """

    allowed: list[str]
    model: str | None = None


class Finding(NamedTuple):
    """`places` are found in one text each; `problems` are of all of them together."""

    places: list[list[Found]]
    problems: list[str]

    @property
    def is_clean(self) -> bool:
        return not self.problems and not any(self.places)

    @property
    def kinds(self) -> dict[str, int]:
        """How often what was found, by kind; never the text itself."""
        return dict(Counter(found.kind for places in self.places for found in places)) | dict.fromkeys(self.problems, 1)


class Check(NamedTuple):
    """What can be told of texts without asking anyone."""

    length: Length | None = None
    regex: Sequence[str] = ()
    required: Sequence[str] = ()
    secrets: bool = False
    personal: tuple[str, ...] = ()
    schema: Any = None

    @property
    def has_places(self) -> bool:
        """Is all it finds a place in a text, that can be taken out?"""
        return not (self.length or self.required or self.schema)

    def checked(self) -> Check:
        """Itself.  Raises ArgumentError for what cannot be looked for."""
        patterns = [*self.regex, *self.required]
        if len(patterns) > MAX_PATTERNS or any(len(pattern) > MAX_PATTERN_CHARS for pattern in patterns):
            raise ArgumentError(f"a check takes at most {MAX_PATTERNS} patterns of {MAX_PATTERN_CHARS:,} characters")
        for pattern in patterns:
            check_pattern(pattern)
        for kind in self.personal:
            if kind not in KINDS:
                raise ArgumentError(f"there is no kind of personal data '{kind:.40}'{nearest(kind[:40], list(KINDS))}")
        if self.schema is not None:
            from llmspell_kernel.services.schema.validation import Schema

            Schema(self.schema)
        return self

    def find(
        self,
        texts: Sequence[str],
        value: Any,
        fixed: Fixed = NO_FIXED,
        beside: Sequence[str] = (),
        runs: Sequence[Sequence[int]] = (),
    ) -> Finding:
        """`value` is what a schema is held against: an object as it is, a text as the JSON in it.  What is `fixed` is looked through too, and
        what is found there is a problem, as nothing can take its place.  Texts `beside` these have places as they have, which follow theirs,
        and count for no length and no required pattern.  `runs` are of texts that are read as one: what is found there in none alone is a
        problem too.

        Raises LimitError for a pattern that takes too long, and where all together take more than TOTAL_S.
        """
        chars = sum(map(len, texts))
        ends = time.monotonic() + TOTAL_S
        if chars + sum(map(len, chain(beside, *fixed))) > MAX_CHARS:
            return Finding([], [f"more than {MAX_CHARS:,} characters, which are not looked through"])
        places = [sorted(set(self._places(text, ends))) for text in (*texts, *beside)]
        split = (
            kind
            for run in runs
            for kind in kinds_across([_blanked(texts[place], places[place]) for place in run], lambda text: self._places(text, ends))
        )
        problems = dict.fromkeys((*self._in_fixed(fixed, ends), *(f"{kind} split over texts" for kind in split)))
        return Finding(places, [*problems, *self._problems(texts, chars, ends), *self._misfits(value)])

    def _in_fixed(self, fixed: Fixed, ends: float) -> Iterator[str]:
        for where, texts in (("a name", fixed.names), ("bytes", fixed.raw)):
            yield from (f"{found.kind} in {where}" for text in dict.fromkeys(texts) for found in self._places(text, ends))
        for number in fixed.numbers:
            yield from (f"{found.kind} in a number" for pattern in self.regex for found, _ in found_by(pattern, number, "pattern", ends))
        for text in personal_numbers(fixed.numbers):
            yield from (f"{found.kind} in a number" for found in personal_data(text, self.personal, ends))

    def _places(self, text: str, ends: float) -> Iterator[Found]:
        for pattern in self.regex:
            for found, _ in found_by(pattern, text, "pattern", ends):
                yield found
        if self.secrets:
            yield from secrets(text, ends)
        yield from personal_data(text, self.personal, ends)

    def _problems(self, texts: Sequence[str], chars: int, ends: float) -> Iterator[str]:
        length = self.length
        if length is not None:
            if length.max_chars is not None and chars > length.max_chars:
                yield f"{chars} characters, more than {length.max_chars}"
            if length.min_chars is not None and chars < length.min_chars:
                yield f"{chars} characters, fewer than {length.min_chars}"
            if length.max_tokens is not None and (tokens := -(-chars // CHARS_A_TOKEN)) > length.max_tokens:
                yield f"about {tokens} tokens, more than {length.max_tokens}"
        for pattern in self.required:
            if not any(matches(pattern, text, ends) for text in texts):
                yield f"nothing in it matches {pattern!r:.100}"

    def _misfits(self, value: Any) -> Iterator[str]:
        if self.schema is None:
            return
        from llmspell_kernel.services.schema.validation import Schema

        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                yield "it is no JSON"
                return
        for problem in Schema(self.schema).problems(value)[:3]:
            yield f"it does not fit the schema: {problem}"


def redacted(text: str, places: Sequence[Found]) -> str:
    """The text with `[kind]` in place of each, of those that overlap of the longest."""
    return _replaced(text, places, lambda found: f"[{found.kind}]")


def _blanked(text: str, places: Sequence[Found]) -> str:
    """The text with what cannot be half of anything in place of each."""
    return _replaced(text, places, lambda _: BLANK)


def _replaced(text: str, places: Sequence[Found], other: Callable[[Found], str]) -> str:
    pieces: list[str] = []
    at = 0
    for found in _apart(places):
        pieces += (text[at : found.start], other(found))
        at = found.end
    return "".join((*pieces, text[at:]))


def _apart(places: Sequence[Found]) -> list[Found]:
    """In their order, those that overlap as one."""
    apart: list[Found] = []
    for found in sorted(places, key=lambda found: (found.start, -found.end)):
        if apart and found.start < apart[-1].end:
            apart[-1] = apart[-1]._replace(end=max(apart[-1].end, found.end))
        else:
            apart.append(found)
    return apart
