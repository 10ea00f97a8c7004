"""Text from strangers holds no control that a terminal or a page obeys, but colour where it is wanted."""

import pytest

from llmspell_kernel.render.text import cap_text, clean, clip, escape, split_partial_escape, width

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

NOT_COLOUR = [
    "\x1b[2J",  # clear screen
    "\x1b[1;1H",  # move
    "\x1b[?25l",  # hide cursor
    "\x1b[8m",  # conceal
    "\x1b[5m",  # blink
    "\x1b[31;8m",  # colour and conceal
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\",
    "\x1b]52;c;aGVsbG8=\x07",  # clipboard
    "\x1bP+q\x1b\\",
    "\x1b_apc\x1b\\",
    "\x1bc",  # reset
    "\x9b2J",
    "\x9d0;title\x9c",
]


@pytest.mark.parametrize("sequence", NOT_COLOUR)
@pytest.mark.parametrize("colour", [True, False])
def test_a_sequence_that_is_not_colour_is_taken_out(sequence: str, colour: bool) -> None:
    assert clean(f"a{sequence}b", colour=colour) == "ab"


def test_colours_stay_only_where_they_are_wanted_and_are_ended() -> None:
    assert clean("\x1b[31mred") == "red"
    assert clean("\x1b[31mred", colour=True) == "\x1b[31mred\x1b[0m"
    assert clean("\x1b[1;38;5;200mred\x1b[0m", colour=True) == "\x1b[1;38;5;200mred\x1b[0m"


def test_an_escape_that_begins_nothing_is_taken_out() -> None:
    assert clean("a\x1b") == "a" and clean("a\x1b\n\x1bé") == "a\né"


def test_bidi_controls_are_taken_out() -> None:
    assert clean(f"a{BIDI}b") == "ab"


def test_letters_of_right_to_left_scripts_and_joined_emoji_stay() -> None:
    text = "שלום مرحبا 👩‍💻"
    assert clean(text) == text


def test_other_controls_become_pictures_and_lines_stay() -> None:
    assert clean("a\0b\x08c\x7f\td\r\ne\rf") == "a␀b␈c␡\td\ne\nf"
    assert clean("\x1b[31ma\0b", colour=True) == "\x1b[31ma␀b\x1b[0m"


def test_lone_surrogates_can_be_encoded() -> None:
    assert clean("a\ud800b").encode() == "a\ufffdb".encode()


def test_escape_is_safe_in_content_and_in_attributes() -> None:
    assert escape("<b a=\"x\" c='y'>&\u202e") == "&lt;b a=&quot;x&quot; c=&#x27;y&#x27;&gt;&amp;"


@pytest.mark.parametrize("sequence", ["\x1b[1;31mred", "\x1b]0;title\x07x", "line\r\nend", "\x1b]8;;u\x1b\\x"])
def test_text_in_pieces_cleans_like_the_whole(sequence: str) -> None:
    for cut in range(len(sequence) + 1):
        shown, rest = split_partial_escape(sequence[:cut])
        assert clean(shown) + clean(rest + sequence[cut:]) == clean(sequence), cut


def test_a_long_unfinished_sequence_is_not_waited_for_for_ever() -> None:
    assert split_partial_escape("\x1b]" + "x" * 1000)[1] == ""


def test_cuts_say_so() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert cap_text("abcdef", 4) == "abcd\n… 2 more characters not shown"


def test_width_counts_columns() -> None:
    assert (width("abc"), width("日本"), width("e\u0301")) == (3, 4, 1)


def test_a_megabyte_of_broken_sequences_is_cleaned_in_linear_time() -> None:
    for piece in ("\x1b", "\x1b[0", "\x1b]", "\x9b", "\x1b]x", "\x1b[" + ";" * 50):
        assert "\x1b" not in clean(piece * (300_000 // len(piece)))
