"""A settings file's text: every key with its line, and one clear error for what cannot be read."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.configuration.rules import CHECKS
from llmspell_kernel.configuration.toml_file import entries, key_places
from llmspell_kernel.errors import ConfigError

TRICKY = '''\
# preset = "x"
preset = "strict" # display = "y"
seed = 5
"mo\\u0064el" = """
display = 3
a""\\""""
list = [1, # ]
 "]", [2, """
"""],
 {a = 1, b = "}", 'c d'.e = '#'}]
when = 1979-05-27 07:32:00
limits.effects = 5

[ grants ]
  allow = [
  "llm.*",
]
deny = []
[a . "b.c".d] # [x]
e = {f = {g.h = 1}, i = \'\'}
[[rows]]
x = 1
[[rows]]
y = \'\'\'it''s
'\'\'\'\'
z = 2
'''
LINES = {
    2: [("preset",)],
    3: [("seed",)],
    4: [("model",)],
    7: [("list",)],
    10: [("list", "a"), ("list", "b"), ("list", "c d"), ("list", "c d", "e")],
    11: [("when",)],
    12: [("limits",), ("limits", "effects")],
    14: [("grants",)],
    15: [("grants", "allow")],
    18: [("grants", "deny")],
    19: [("a",), ("a", "b.c"), ("a", "b.c", "d")],
    20: [("a", "b.c", "d", "e"), ("a", "b.c", "d", "e", "f"), ("a", "b.c", "d", "e", "f", "g"), ("a", "b.c", "d", "e", "f", "g", "h")]
    + [("a", "b.c", "d", "e", "i")],
    21: [("rows",)],
    22: [("rows", "x")],
    24: [("rows", "y")],
    26: [("rows", "z")],
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_key_has_the_line_it_stands_on(end: str) -> None:
    text = TRICKY.replace("\n", end)
    assert tomllib.loads(text)
    assert {path: line for path, (line, _) in key_places(text).items()} == {path: line for line, paths in LINES.items() for path in paths}


def test_each_key_has_the_column_its_last_part_begins_in() -> None:
    places = key_places("seed = 1\n  model = ''\n[a . b]\nlist = [{x = 1},\n  {yy = 2}]\n")
    assert places["model",] == (2, 3)
    assert (places["a",], places["a", "b"]) == ((3, 2), (3, 6))
    assert (places["a", "b", "list"], places["a", "b", "list", "x"], places["a", "b", "list", "yy"]) == ((4, 1), (4, 10), (5, 4))


VALUES = st.one_of(
    st.integers(-9, 9).map(str),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="'"), max_size=9).map("'{}'".format),
    st.text('a"#[]{}=\n', max_size=9).map(lambda text: '"""{}"""'.format(text.replace('"', '\\"'))),
    st.lists(st.sampled_from(["1", "'#]'", "[2,\n3]", "{a = 1}", "\n# ]\n4"]), max_size=4).map(lambda items: f"[{','.join(items)}]"),
)


@given(st.lists(st.tuples(st.sampled_from(["", "# [x]\n", "\n\n"]), VALUES), max_size=8))
def test_the_line_of_a_key_is_right_whatever_stands_before_it(parts: list[tuple[str, str]]) -> None:
    text, expected = "", {}
    for number, (before, value) in enumerate(parts):
        text += before
        expected[(f"key_{number}",)] = text.count("\n") + 1
        text += f"key_{number} = {value}\n"
    tomllib.loads(text)
    found = key_places(text)
    assert {path: found[path] for path in expected} == {path: (line, 1) for path, line in expected.items()}


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("preset = 'strict'\ndisplya = 1\n", 2, "displya", "there is no such setting; did you mean 'display'?"),
        ("\n[limits]\n\nefects = 1\n", 4, "limits.efects", "there is no such setting in [limits]; did you mean 'effects'"),
        ("limits = {effects = 1, memory = 2}", 1, "limits.memory", "did you mean 'memory_bytes'?"),
        ("[limts]\neffects = 1\n", 1, "limts", "there is no such setting"),
        ("seed = 1\nlimits = 5\n", 2, "limits", "must be a table, as in [limits]"),
        ("[[grants]]\nallow = []\n", 1, "grants", "must be a table, as in [grants]"),
        ('"limits.effects" = 5\n', 1, '"limits.effects"', "there is no such setting; did you mean 'limits.effects'"),
        ('"\\u001b[2J" = 5\n', 1, '"\\u001b[2J"', "there is no such setting"),
    ],
)
def test_a_key_that_is_wrong_is_named_with_its_line(text: str, line: int, key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        entries(text, "llmspell.toml", tuple(CHECKS))
    assert (caught.value.file, caught.value.line, caught.value.key) == ("llmspell.toml", line, key)
    assert said in caught.value.message and "\x1b" not in caught.value.message


@pytest.mark.parametrize(("text", "line"), [("seed = 1\nseed = 2\n", 2), ("a\n", 1), ("\n\nx = [1\n", 4), ("x = " + "[" * 100_000, 0)])
def test_a_text_that_is_no_toml_is_one_error_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError, match=r"^llmspell\.toml") as caught:
        entries(text, "llmspell.toml", tuple(CHECKS))
    assert line == 0 or caught.value.line == line


def test_a_dotted_key_and_a_table_are_the_same_setting() -> None:
    (dotted,) = entries("limits.effects = 5", "f", tuple(CHECKS))
    (table,) = entries("[limits]\neffects = 5", "f", tuple(CHECKS))
    assert (dotted.key, dotted.value, dotted.origin.line) == ("limits.effects", 5, 1)
    assert (table.key, table.value, table.origin.line) == ("limits.effects", 5, 2)
