"""What a redactor promises: no written form of a secret passes, whole or cut anywhere; everything else passes as it is, at once."""

import html
import string
import urllib.parse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmspell_kernel import redaction
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.redaction import FEWEST_PLAIN, MAX_CHARS, WINDOW_CHARS, Redactor, _unescaped
from llmspell_kernel.values import Callback, Opaque, ResourceRef

from .secret_forms import FORMS

KEY = "sk-Zq9_x/7+Kd~3v.Tb=mP2"
HARD = "p\"w\\d %41\n&<é'/+x"
SECRETS = {"key": KEY, "hard": HARD, "tripled": "abcabcabc", "longer": KEY + "-and-more", "begins": "sk-Zq9_x"}


def redactor(**secrets: str) -> Redactor:
    made = Redactor()
    for name, value in (secrets or SECRETS).items():
        made.learn(name, value)
    return made


ALL = redactor()


def decoded_texts(text: str) -> str:
    """Whatever of it can be read back, by rough means that share nothing with the redactor."""
    found = [text, urllib.parse.unquote_plus(text), html.unescape(text)]
    for size in range(3):
        found.append(text[size:])
    return "\n".join(found)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_no_form_of_a_secret_passes(form: str, name: str) -> None:
    written = FORMS[form](SECRETS[name])
    text = f'{{"before": "{written}", "after": 1}}'

    shown = ALL.redact(text)

    assert "[secret " in shown
    assert written not in shown
    assert SECRETS[name][:8] not in decoded_texts(shown)
    assert SECRETS[name][-8:] not in decoded_texts(shown)
    assert shown.startswith('{"before": "') and shown.endswith('", "after": 1}')


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_no_form_of_a_secret_passes_in_pieces_cut_anywhere(form: str, name: str) -> None:
    text = f"a {FORMS[form](SECRETS[name])} b"
    whole = ALL.redact(text)
    for at in range(len(text) + 1):
        stream = ALL.stream()
        assert stream.feed(text[:at]) + stream.feed(text[at:]) + stream.end() == whole, at
    stream = ALL.stream()
    assert "".join(map(stream.feed, text)) + stream.end() == whole


letters = st.text(alphabet="abc \\\"'%&;#ux0123456789+/=é\n", min_size=8, max_size=12).filter(
    lambda value: len(_unescaped(value)) >= FEWEST_PLAIN
)
fillers = st.text(alphabet=string.printable + "é😀", max_size=12)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    secrets=st.lists(letters, min_size=1, max_size=3, unique=True),
    parts=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(FORMS)), fillers), max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
@example(secrets=["aaaaaaaa"], parts=[(0, "plain", "a" * 10)], cuts=list(range(20)))
@example(secrets=["\\\\\\\\\\\\\\\\"], parts=[(0, "plain", "\\")], cuts=list(range(20)))
def test_no_way_to_cut_a_text_lets_a_secret_through(secrets: list[str], parts: list[tuple[int, str, str]], cuts: list[int]) -> None:
    known = redactor(**{f"s{at}": value for at, value in enumerate(secrets)})
    values = [secrets[number % len(secrets)] for number, _, _ in parts]
    text = "".join(f"{FORMS[form](value)} {filler} " for value, (_, form, filler) in zip(values, parts, strict=True))
    stream, at, shown = known.stream(), 0, ""
    for cut in sorted(cuts):
        shown += stream.feed(text[at:cut])
        at = max(at, cut)
    shown += stream.feed(text[at:]) + stream.end()
    rest = "".join(shown.split("[secret s"))

    for value, (_, form, _) in zip(values, parts, strict=True):
        assert value not in rest
        assert form == "in a Python repr" or FORMS[form](value) not in rest
    if not known.finds(text):
        assert shown == text


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.text(alphabet="sk-Zq9_abc \\%&", max_size=6), max_size=12))
def test_text_without_a_secret_comes_out_unchanged_whatever_its_pieces(pieces: list[str]) -> None:
    known = redactor(key=KEY)
    stream = known.stream()
    text = "".join(pieces)
    assert known.redact(text) == text
    assert "".join(map(stream.feed, pieces)) + stream.end() == text


def test_only_what_may_begin_a_secret_is_held_back() -> None:
    stream = redactor(key=KEY).stream()
    assert stream.feed("The answer is 42") == "The answer is 42"
    assert stream.feed(" sk") == " "
    assert stream.feed("y is blue") == "sky is blue"
    assert stream.feed("100 %") == "100 "
    assert stream.feed(" sure") == "% sure"
    assert not stream.holds


def test_what_is_held_stays_bounded_however_long_the_stream() -> None:
    stream = redactor(a="a" * 20).stream()
    shown = "".join(stream.feed("a") for _ in range(5_000))
    assert stream.feed("b") == "b" and shown == "[secret a]"
    held = redactor(key=KEY).stream()
    for _ in range(5_000):
        held.feed("\\" * 7)
    assert len(held._held) < 1_000


def test_of_overlapping_secrets_no_part_is_shown() -> None:
    known = redactor(first="abcdefgh", second="efghijkl", third="abcdefghijklmnop")
    assert known.redact("-abcdefghijkl-") == "-[secret first]-"
    assert known.redact("-abcdefghijklmnop-") == "-[secret third]-"
    assert known.redact("abcdefghabcdefgh") == "[secret first][secret first]"


def test_a_flush_shows_what_is_held_and_no_more_of_the_secret_that_goes_on_behind_it() -> None:
    stream = redactor(key=KEY).stream()
    assert stream.feed(f"x {KEY[:5]}") == "x "
    assert stream.flush() == KEY[:5]
    assert stream.feed(f"{KEY[5:]} y") == "[secret key] y"


def test_a_flush_never_shows_a_whole_secret_that_might_go_on() -> None:
    stream = redactor(short="abcdefgh", long="abcdefgh-ijkl").stream()
    assert stream.feed("abcdefgh") == ""
    assert stream.flush() == "[secret short]"
    assert stream.flush() == ""
    assert stream.feed("-ijkl!") == "!"


def test_data_is_redacted_in_keys_and_values_and_keeps_its_shape() -> None:
    known = redactor(key=KEY)
    value = {f"x{KEY}": [KEY, 1, None, (True, KEY.encode()), {"deep": Opaque(f"<{KEY}>")}], "ref": ResourceRef(1, "a.b"), "f": Callback(2)}
    assert known.redact_value(value) == {
        "x[secret key]": ["[secret key]", 1, None, (True, b"[secret key]"), {"deep": Opaque("<[secret key]>")}],
        "ref": ResourceRef(1, "a.b"),
        "f": Callback(2),
    }


def test_data_without_a_secret_is_the_same_object() -> None:
    value = {"a": [1, "text", {"b": b"bytes"}]}
    assert redactor().redact_value(value) is value


def test_bytes_are_redacted_whatever_stands_around() -> None:
    assert redactor(key=KEY).redact_bytes(b"\xff\x00" + KEY.encode() + b"\xfe") == b"\xff\x00[secret key]\xfe"


@pytest.mark.parametrize("value", ["", "1234567"])
def test_a_value_too_short_to_be_looked_for_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="fewer than 8 characters") as caught:
        Redactor().learn("pin", value)
    assert not value or value not in str(caught.value)


def test_a_value_too_long_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigError, match="more than") as caught:
        Redactor().learn("file", "x" * (MAX_CHARS + 1))
    assert "xxx" not in str(caught.value)


def test_a_value_learnt_later_holds_for_a_stream_that_runs() -> None:
    known = Redactor()
    stream = known.stream()
    assert stream.feed("before ") == "before "
    known.learn("late", KEY)
    assert stream.feed(f"{KEY} after") == "[secret late] after"


def test_two_names_of_one_value_are_one_secret() -> None:
    known = redactor(first=KEY, second=KEY)
    assert known.redact(KEY) == "[secret first]"


@pytest.mark.parametrize("at", [0, 1, 100_000, WINDOW_CHARS - 5, WINDOW_CHARS, 2 * WINDOW_CHARS - 30, 2 * WINDOW_CHARS + 7])
def test_what_stands_in_a_long_text_stands_in_one_of_its_windows(at: int) -> None:
    known = redactor(key=KEY)
    text = "x" * at + FORMS["\\u-escaped in JSON"](KEY) + "y" * (3 * WINDOW_CHARS - at)
    assert any(map(known.finds, known.windows(text)))
    assert list(known.windows("short")) == ["short"] and list(known.windows("")) == [""]


@pytest.mark.parametrize(
    "text",
    ["%41" * 200_000, "\\u0041" * 100_000, "\\" * 600_000, "&#65;" * 120_000, "%73%6b%2d%5a%71" * 40_000, ("s" + "\\" * 30) * 20_000],
)
def test_a_million_escapes_are_looked_through_by_pattern_and_not_one_by_one(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = redactor(key=KEY)
    monkeypatch.setattr(redaction, "_character", lambda _: pytest.fail("each escape was looked at"))
    known.finds("%41" * 10)
    assert not known.finds(text)


@pytest.mark.parametrize(
    "item",
    [
        KEY,
        {"a": KEY},
        {KEY: 1},
        [[{"a": [KEY]}]],
        KEY.encode(),
        {"a": (1, [KEY])},
        {1: Opaque(KEY)},
    ],
    ids=["text", "member", "key", "deep", "bytes", "tuple", "opaque"],
)
def test_a_secret_among_a_hundred_thousand_items_is_found_wherever_it_stands(item: object) -> None:
    rows: list[object] = [{"a": 1, "b": ["x"]}] * 100_000
    assert redactor(key=KEY).redact_value(rows) is rows
    rows[77_777] = item
    assert KEY not in str(redactor(key=KEY).redact_value(rows)[77_777])
