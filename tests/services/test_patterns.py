"""Patterns of those that nobody trusts: none becomes larger than it may, and what is kept of them has an end."""

from __future__ import annotations

import resource
import time

import pytest
import regex

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services import patterns
from llmspell_kernel.services.patterns import MAX_CHARS, MAX_KEPT, MAX_KEPT_NODES, MAX_LITERAL, MAX_NODES, compiled


def nested(levels: int, end: str, start: str = "(") -> str:
    return start * levels + "a" + end * levels


@pytest.mark.parametrize(
    "pattern",
    [
        *(nested(19, f"){repeat}") for repeat in ("+", "+?", "++", "{1,}", "{1,9}", "{2,9}", "{3}", "{3}?", "{1,9}+")),
        nested(19, "){1,9}", "(?:"),
        nested(19, "){1,9}", "(?>"),
        nested(19, "){1,9}", "(?=(b)"),
        nested(19, "){1,9}", "(?<=b"),
        nested(19, "){1,9}", "(?i:"),
        f"(?r){nested(19, '){1,9}')}",
        f"(?<!{nested(19, '){1,9}')})",
        f"(?|(b)|{nested(19, '){1,9}')})",
        f"(b)(?(1){nested(19, '){1,9}')}|c)",
        f"(?P<n>{nested(19, '){1,9}')})(?&n)",
        "(?x)" + nested(19, ")\n{9}", "( # )\n"),
        "(?x:" + nested(19, ") # {0}\n{9}\n", "([)] # )\n") + ")",
        "[(]" + nested(19, "){9}", "([)]"),
        r"\(" + nested(19, "){9}", r"(\)"),
        "(?V1)[[(]--[)]]" + nested(19, "){9}"),
        nested(19, "(?#()){9}(?#))"),
        "a{1000000}",
        "(?:ab){1000000,}",
        "(?:a|b|c){1,9}" * 3 + "(?:(?:a{99}){99}){99}",
        "(?if)(?:[ß-ﬀ]){99}",
    ],
    ids=lambda pattern: pattern[:40],
)
def test_a_pattern_that_grows_when_its_repeats_are_written_out_is_refused_before_it_does(pattern: str) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ArgumentError, match=f"becomes more than {MAX_NODES:,} nodes"):
        compiled(pattern)
    assert time.process_time() - started < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", "a@b.io"),
        (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$", "2026-01-02T03:04:05Z"),
        (r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)?$", "QUJD"),
        (r"^sha256:[0-9a-f]{64}$", "sha256:" + "0a" * 32),
        (r"^((([a-z]+)-)+([0-9]+\.)+)+x$", "ab-1.2.x"),
        (r"(?x) a+  # one (, and more\n b", "aab"),
        (r"^.{1,100000}$", "x"),
        (nested(300, ")*", "(?:"), "a"),
        (nested(19, "){0,9}"), "a"),
        (r"^(\p{L}|\d){1,64}$", "é1"),
    ],
    ids=lambda value: value[:30],
)
def test_what_people_write_is_compiled(pattern: str, text: str) -> None:
    if pattern.startswith("(?:" * 300):
        with pytest.raises(ArgumentError, match="is no regular expression"):  # deeper than Python's stack: an error and no crash
            compiled(pattern)
        return
    assert compiled(pattern).search(text)


@pytest.mark.parametrize("pattern", ["(", "a**", "[a-", r"\L<x>", "(?au)a", "(?V0V1)a", "a{99999999999999999999}", r"\g<5>", r"\N{NOBODY}"])
def test_what_is_no_pattern_is_one_error(pattern: str) -> None:
    with pytest.raises(ArgumentError, match="is no regular expression"):
        compiled(pattern)


def test_a_pattern_has_an_end() -> None:
    names = "|".join(f"name{number:05}" for number in range(MAX_CHARS))
    assert compiled(names[:MAX_CHARS]).search("name00100")
    with pytest.raises(ArgumentError, match=f"may have {MAX_CHARS:,}"):
        compiled(names[: MAX_CHARS + 1])


@pytest.mark.parametrize("flags", ["", "(?i)", "(?if)"])
def test_a_text_in_a_pattern_is_no_longer_than_its_search_is_soon_begun(flags: str) -> None:
    started = time.process_time()
    assert compiled(flags + "a" * MAX_LITERAL).search("a" * MAX_LITERAL)
    assert time.process_time() - started < 1
    for more in ("a" * (MAX_LITERAL + 1), "(?:" + "a" * 300 + ")(?:" + "a" * 300 + "|b)", "(?>" + "a" * 300 + "(?:" + "a" * 300 + "))"):
        with pytest.raises(ArgumentError, match=f"more than {MAX_LITERAL:,} characters"):
            compiled(flags + more)


def test_a_pattern_is_compiled_once() -> None:
    assert compiled("once [a-z]+") is compiled("once [a-z]+")


def test_what_is_kept_of_patterns_has_an_end_also_in_the_library() -> None:
    held = len(regex._main._cache)
    for number in range(2 * MAX_KEPT):
        compiled(f"few{number}")
    assert len(patterns._KEPT._patterns) <= MAX_KEPT
    for number in range(2 * MAX_KEPT_NODES // MAX_NODES):
        compiled(f"many{number}a{{{MAX_NODES - 200}}}")
    kept = patterns._KEPT._patterns
    assert 0 < sum(nodes for _, nodes in kept.values()) == patterns._KEPT._nodes <= MAX_KEPT_NODES
    assert len(regex._main._cache) <= held
