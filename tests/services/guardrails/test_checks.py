"""What guardrails find in texts, and what they take for nothing."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from llmspell_kernel.errors import ArgumentError, LimitError
from llmspell_kernel.services.guardrails.checks import MAX_CHARS, Check, Length, redacted
from llmspell_kernel.services.guardrails.personal import KINDS
from llmspell_kernel.services.guardrails.texts import Fixed

ALL = Check(personal=tuple(KINDS))


def clean(text: str, check: Check) -> str:
    return redacted(text, check.find([text], text).places[0])


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("write to ann.lee+x@mail.example.co.uk, now", "write to [email], now"),
        ("ünal@exämple.de", "[email]"),
        ("<a@b.io>", "<[email]>"),
        ("call +49 30 1234567 or (030) 123-4567", "call [phone] or [phone]"),
        ("555-867-5309.", "[phone]."),
        ("DE89 3704 0044 0532 0130 00 AND MORE", "[iban] AND MORE"),
        ("GB82WEST12345698765432", "[iban]"),
        ("FR14 2004 1010 0505 0001 3M02 606", "[iban]"),
        ("4111 1111 1111 1111!", "[card]!"),
        ("5500-0000-0000-0004", "[card]"),
        ("from 192.168.0.1.", "from [ip]."),
        ("2001:db8::ff00:42:8329 said", "[ip] said"),
    ],
)
def test_personal_data_is_found_where_it_stands(text: str, without: str) -> None:
    assert clean(text, ALL) == without


@pytest.mark.parametrize(
    "text",
    [
        "DE89 3704 0044 0532 0130 02",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "999.1.1.1",
        "at 12:30:45 on 2026-11-22",
        "version 1.2.3",
        "user@localhost",
        "@name, see a @ b",
        "1234567890123",
        "C:: and std::vector",
        "100 200 300",
    ],
)
def test_what_only_looks_like_personal_data_is_let_be(text: str) -> None:
    assert clean(text, ALL) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sk-" + "proj-aB3dE6gH9jK2mN5pQ8sT", "api key"),
        ("ghp_" + "a1B2" * 9, "github token"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "aws key"),
        ("xoxb-" + "123456789012-abcdef", "slack token"),
        ("AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6q", "google key"),
        ("eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "json web token"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "private key"),
        ("q7Rz2LpX9vB4nM8kT1wY6cD3", "token"),
    ],
)
def test_keys_are_found_by_their_shapes_or_as_chance(text: str, kind: str) -> None:
    found = Check(secrets=True).find([f"key = '{text}'"], None)
    assert kind in found.kinds
    assert text not in clean(f"key = '{text}'", Check(secrets=True))


@pytest.mark.parametrize(
    "text",
    [
        "An ordinary sentence about internationalization.",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "src/llmspell/services/guardrails/Checks2.py",
        "this_is_a_very_long_name_of_a_function_in_python",
        "a" * 400,
    ],
)
def test_words_hashes_and_paths_are_no_keys(text: str) -> None:
    assert Check(secrets=True).find([text], None).is_clean


def test_lengths_are_of_all_texts_together() -> None:
    check = Check(length=Length(max_chars=5, max_tokens=1))
    assert check.find(["abc", "de"], None).problems == ["about 2 tokens, more than 1"]
    assert check.find(["abc", "def"], None).problems == ["6 characters, more than 5", "about 2 tokens, more than 1"]
    assert Check(length=Length(min_chars=3)).find(["ab"], None).problems == ["2 characters, fewer than 3"]


def test_patterns_may_be_forbidden_and_required() -> None:
    check = Check(regex=["(?i)foo+"], required=["bar"])
    found = check.find(["a FOOO b"], None)
    assert found.kinds == {"pattern": 1, "nothing in it matches 'bar'": 1}
    assert check.find(["bar"], None).is_clean


def test_a_schema_is_held_against_a_value_or_the_json_in_a_text() -> None:
    check = Check(schema={"type": "object", "required": ["a"]})
    assert check.find(["{}"], "{}").problems == ["it does not fit the schema: $: 'a' is a required property"]
    assert check.find(["x"], "x").problems == ["it is no JSON"]
    assert check.find(["1"], {"a": "1"}).is_clean
    assert check.find(["[" * 100_000], "[" * 100_000).problems == ["it is no JSON"]


@pytest.mark.parametrize(
    "check",
    [Check(regex=["("]), Check(regex=["a"] * 51), Check(required=["a" * 2_001]), Check(personal=("emial",)), Check(schema={"type": 1})],
)
def test_what_cannot_be_looked_for_is_refused_when_it_is_asked(check: Check) -> None:
    with pytest.raises(ArgumentError):
        check.checked()


def test_places_that_overlap_are_taken_out_as_one() -> None:
    assert clean("xaabbx", Check(regex=["aab", "abb"])) == "x[pattern]x"


def test_a_pattern_that_backtracks_is_stopped_and_a_text_too_long_is_not_clean() -> None:
    started = time.monotonic()
    with pytest.raises(LimitError, match="takes more than 1 s"):
        Check(regex=["(a|aa)+$"]).find(["a" * 60 + "b"], None)
    assert time.monotonic() - started < 5
    assert not Check(secrets=True).find(["a" * (MAX_CHARS + 1)], None).is_clean


@pytest.mark.parametrize("check", [Check(regex=["(a|aa)+$"] * 5), Check(required=["(a|aa)+$"]), Check(regex=["(?:a|aa)+$"] * 50)])
def test_all_searches_of_one_call_end_together_so_that_a_stopped_one_is_soon_done(check: Check) -> None:
    started = time.monotonic()
    with pytest.raises(LimitError, match="more than [12] s"):
        check.find(["a" * 26 + "!"] * 5_000, None)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    "text", ["a@" * 200_000, "1 " * 300_000, "1" * 600_000, "A0" * 300_000, ":" * 600_000, "eyJ" * 200_000, "a." * 300_000]
)
def test_no_text_keeps_our_own_patterns_busy(text: str) -> None:
    started = time.process_time()
    with suppress(LimitError):  # more of something than is counted
        Check(personal=tuple(KINDS), secrets=True).find([text], None)
    assert time.process_time() - started < 8


@pytest.mark.parametrize(
    ("number", "is_card"),
    [
        ("4111111111111111", True),
        ("-4111111111111111", True),
        ("4111111111111111.5", True),
        ("4111111111111112", False),
        ("1763801128127", False),
        ("1763801128127.5", False),
        ("14155552671", False),
    ],
)
def test_a_number_can_be_a_card_and_a_moment_is_none(number: str, is_card: bool) -> None:
    assert ALL.find([], None, Fixed(numbers=[number])).problems == (["card in a number"] if is_card else [])


def test_patterns_are_held_against_each_number_names_and_bytes() -> None:
    check = Check(regex=["^42$"])
    found = check.find([], None, Fixed(["42"], ["41", "42"], ["42"]))
    assert found.problems == ["pattern in a name", "pattern in bytes", "pattern in a number"]
    assert check.find([], None, Fixed(["142"], ["142"], ["142"])).is_clean


def test_as_many_numbers_as_a_call_has_are_looked_through_in_time() -> None:
    started = time.process_time()
    numbers = [str(4111111111111112 + 10 * number) for number in range(50_000)]
    assert ALL.find([], None, Fixed(numbers=[*numbers, "4111111111111111"])).problems == ["card in a number"]
    assert time.process_time() - started < 1.5
    assert not ALL.find([], None, Fixed(numbers=["1" * 100] * 10_001)).is_clean
