"""What an answer is checked for.  Pure, but for the time that a pattern may take.

Rules
- Patterns run on what models say, by the library regex with a limit of time.  One that backtracks for ever ends the whole comparison: each of its
  rows would take as long.
- A text to be found or equalled is a template, filled with the values of the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, LimitError, nearest
from llmspell_kernel.values import Callback

from ..patterns import compiled

TEXTUAL = ("equals", "contains", "regex", "schema")
NUMERIC = ("max_cost", "max_latency")
KINDS = (*TEXTUAL, *NUMERIC, "judge", "fn")
KEYS = (*KINDS, "criterion", "name")
MAX_CHECKS = 50
MAX_PATTERN_CHARS = 1_000
REGEX_S = 1.0
MAX_REASON_CHARS = 200


class Check(NamedTuple):
    """One thing that is looked at.  `wanted` is what its kind compares with; `criterion` is what a judging model is told."""

    kind: str
    wanted: Any
    name: str
    criterion: str = ""


class Finding(NamedTuple):
    passed: bool
    reason: str = ""


PASSED = Finding(True)


def checks_of(given: Sequence[Any]) -> list[Check]:
    """Raises ArgumentError naming the check that is none."""
    found = [check for number, entry in enumerate(given, 1) for check in _checks(entry, number)]
    if len(found) > MAX_CHECKS:
        raise LimitError(f"{len(found)} checks are more than {MAX_CHECKS}", limit="checks", value=MAX_CHECKS, used=len(found))
    names: dict[str, int] = {}
    named = []
    for check in found:
        names[check.name] = count = names.get(check.name, 0) + 1
        named.append(check if count == 1 else check._replace(name=f"{check.name} {count}"))
    return named


def _checks(entry: Any, number: int) -> list[Check]:
    if isinstance(entry, Callback):
        return [Check("fn", entry, "fn")]
    if not isinstance(entry, dict):
        raise ArgumentError(f"check {number} must be a function, or a table such as {{contains = ...}}")
    for key in entry:
        if key not in KEYS:
            raise ArgumentError(f"check {number} has an unknown key '{key[:40]}'{nearest(key[:40], KEYS)}")
    kinds = [kind for kind in KINDS if entry.get(kind) is not None]
    if not kinds:
        raise ArgumentError(f"check {number} checks nothing; it takes {', '.join(KINDS)}")
    name = entry.get("name")
    if name is not None and (not isinstance(name, str) or not 0 < len(name) <= 60 or len(kinds) > 1):
        raise ArgumentError(f"the name of check {number} must be a text of at most 60 characters, and it can check one thing alone")
    return [_check(kind, entry, name or kind, number) for kind in kinds]


def _check(kind: str, entry: Mapping[str, Any], name: str, number: int) -> Check:
    wanted, where = entry[kind], f"{kind} of check {number}"
    if kind == "fn" and not isinstance(wanted, Callback):
        raise ArgumentError(f"{where} must be a function")
    if kind in NUMERIC and (isinstance(wanted, bool) or not isinstance(wanted, (int, float)) or wanted < 0):
        unit = "US dollars an answer" if kind == "max_cost" else "milliseconds"
        raise ArgumentError(f"{where} must be a number of {unit}")
    if kind in ("equals", "regex", "judge") and not isinstance(wanted, str):
        raise ArgumentError(f"{where} must be a text")
    if kind == "contains" and not isinstance(wanted, str):
        if not isinstance(wanted, list) or not wanted or not all(isinstance(text, str) for text in wanted):
            raise ArgumentError(f"{where} must be a text, or a list of texts which must all be there")
        wanted = tuple(wanted)
    if kind == "regex":
        _check_pattern(wanted, where)
    if kind == "schema":
        from .objects import ObjectOptions, ObjectRequest

        if not isinstance(wanted, dict):
            raise ArgumentError(f"{where} must be a JSON Schema")
        wanted = ObjectRequest(wanted, ObjectOptions())
    criterion = entry.get("criterion", "")
    if kind == "judge" and (not isinstance(criterion, str) or not criterion.strip()):
        raise ArgumentError(f"check {number} names a judge and needs a criterion, a text that says what a good answer is")
    return Check(kind, wanted, name, str(criterion) if kind == "judge" else "")


def _check_pattern(pattern: str, where: str) -> None:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ArgumentError(f"{where} has {len(pattern):,} characters, more than {MAX_PATTERN_CHARS:,}")
    try:
        compiled(pattern)
    except ArgumentError as error:
        raise ArgumentError(f"{where}: {error.message}") from None


def looked_at(check: Check, text: str, wanted: Any) -> Finding:
    """An answer under one of the TEXTUAL checks; `wanted` is that of the check, with the case's values.  Takes up to seconds.

    Raises LimitError for a pattern that takes too long.
    """
    match check.kind:
        case "equals":
            return PASSED if text.strip() == wanted.strip() else Finding(False, f"is not {_short(wanted)}")
        case "contains":
            missing = [one for one in ((wanted,) if isinstance(wanted, str) else wanted) if one not in text]
            return Finding(False, f"lacks {_short(missing[0])}") if missing else PASSED
        case "regex":
            return PASSED if _matches(wanted, text) else Finding(False, f"does not match {_short(wanted)}")
        case _:
            problems = wanted.read(text).problems
            return Finding(False, clipped("; ".join(problems))) if problems else PASSED


def priced(check: Check, cost_usd: float | None) -> Finding:
    if cost_usd is None:
        return Finding(False, "its price is not known")
    return PASSED if cost_usd <= check.wanted else Finding(False, f"cost ${cost_usd:.6f}")


def _matches(pattern: str, text: str) -> bool:
    try:
        return compiled(pattern).search(text, timeout=REGEX_S, concurrent=True) is not None
    except TimeoutError:
        raise LimitError(
            f"the regular expression {_short(pattern)} of a check takes longer than {REGEX_S:g} s on an answer; write one that does not"
            " backtrack so far",
            limit="regex_seconds",
            value=REGEX_S,
        ) from None


def _short(text: str) -> str:
    return clipped(repr(text), 60)


def clipped(text: str, limit: int = MAX_REASON_CHARS) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
