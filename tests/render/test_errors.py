"""A traceback shows the script's own places and the next step, and nothing of ours."""

import pytest

from llmspell_kernel.errors import (
    ArgumentError,
    BridgeError,
    ConfigError,
    DeniedError,
    Frame,
    InternalError,
    Interrupted,
    LimitError,
    LocalProtocolError,
    RemoteProtocolError,
    ScriptError,
    SpellError,
    ValueCrossingError,
    WorkerLost,
)
from llmspell_kernel.render.errors import error_name, next_step, traceback_lines

SOURCES = {
    "cell[3]": "function f(o) {\n  return o.x.y\n}\n",
    "cell[7]": "const a = 1\nf({})",
    "tabs": "\t\tlocal x = nil + 1",
    "minified": "a" * 500 + "BAD" + "b" * 500,
    "wide": "x = '日本' + y",
}


def lines(error: SpellError) -> list[str]:
    return traceback_lines(error, SOURCES, colour=False, titles={"lua": "Lua", "javascript": "JavaScript"})


def test_an_error_names_engine_cell_line_and_column_with_a_code_frame() -> None:
    frames = [Frame("cell[3]", 2, 14, "f"), Frame("cell[7]", 2, 1)]
    error = ScriptError("cannot read property 'y' of undefined", name="TypeError", frames=frames, engine="javascript")
    assert lines(error) == [
        "TypeError (JavaScript): cannot read property 'y' of undefined",
        "  cell[3] line 2, column 14, in f",
        "    1 | function f(o) {",
        "  > 2 |   return o.x.y",
        "      |              ^",
        "    3 | }",
        "  cell[7] line 2, column 1: f({})",
    ]


def test_an_engine_without_columns_gets_no_caret() -> None:
    shown = lines(ScriptError("boom", frames=[Frame("cell[7]", 1)], engine="lua"))
    assert shown == ["ScriptError (Lua): boom", "  cell[7] line 1", "  > 1 | const a = 1", "    2 | f({})"]


def test_the_code_frame_is_of_the_innermost_place_whose_source_is_known() -> None:
    shown = lines(ScriptError("boom", frames=[Frame("stdlib", 9, 0, "map"), Frame("cell[7]", 2)]))
    assert shown[1] == "  stdlib line 9, in map"
    assert shown[2] == "  cell[7] line 2" and shown[4] == "  > 2 | f({})"


def test_a_place_outside_its_source_gets_no_code() -> None:
    for frame in (Frame("cell[7]", 99, 3), Frame("cell[7]", 0), Frame("gone", 1, 1), Frame("cell[7]", 2, 999)):
        assert not any("^" in line for line in lines(ScriptError("boom", frames=[frame])))


def test_the_caret_stands_under_its_column_after_tabs_and_wide_characters() -> None:
    assert lines(ScriptError("x", frames=[Frame("tabs", 1, 13)]))[-1] == "      | \t\t          ^"
    shown = lines(ScriptError("x", frames=[Frame("wide", 1, 12)]))
    assert shown[-1].index("^") - shown[-2].index("x") == 13  # eleven characters, two of them two columns wide


def test_a_long_line_is_shown_around_its_column() -> None:
    shown = lines(ScriptError("x", frames=[Frame("minified", 1, 501)]))
    assert len(shown[2]) < 200
    assert shown[2][shown[3].index("^") :].startswith("BAD")


def test_a_deep_stack_shows_its_two_ends() -> None:
    shown = lines(ScriptError("deep", frames=[Frame("other", line, 0, "f") for line in range(1, 301)]))
    assert len(shown) == 18 and shown[13] == "  … 284 more"
    assert shown[12] == "  other line 12, in f" and shown[14] == "  other line 297, in f"


def test_a_recursion_shows_its_frame_once_and_counts_the_rest() -> None:
    frames = [Frame("cell[3]", 1, 0, "g"), *[Frame("cell[7]", 2, 0, "f")] * 181, Frame("cell[7]", 1)]
    assert [line for line in lines(ScriptError("stack overflow", frames=frames)) if "|" not in line] == [
        "ScriptError: stack overflow",
        "  cell[3] line 1, in g",
        "  cell[7] line 2, in f: f({})",
        "  … 180 more of the same",
        "  cell[7] line 1: const a = 1",
    ]


def test_functions_that_call_each_other_in_turn_are_one_repeat() -> None:
    turn = [Frame("other", 1, 0, "even"), Frame("other", 2, 0, "odd")]
    assert lines(ScriptError("deep", frames=turn * 50 + turn[:1]))[1:] == [
        "  other line 1, in even",
        "  other line 2, in odd",
        "  … 98 more of the same 2",
        "  other line 1, in even",
    ]


def test_three_alike_frames_are_all_shown() -> None:
    assert len(lines(ScriptError("deep", frames=[Frame("other", 1, 0, "f")] * 3))) == 4


def test_colours_only_when_asked_for() -> None:
    error = DeniedError("no", capability="llm.chat", frames=[Frame("cell[7]", 2, 1)])
    assert "\x1b" not in "".join(lines(error))
    assert "\x1b[1mDeniedError\x1b[0m: no" in traceback_lines(error, SOURCES, colour=True)


@pytest.mark.parametrize(
    ("error", "name", "step"),
    [
        (ScriptError("m", name="SyntaxError"), "SyntaxError", ""),
        (ScriptError("m"), "ScriptError", ""),
        (ArgumentError("m"), "ArgumentError", ""),
        (ValueCrossingError("m", path="rows[3]"), "ValueCrossingError", ""),
        (DeniedError("m", capability="files.read"), "DeniedError", ""),
        (DeniedError("m"), "DeniedError", ""),
        (LimitError("m", limit="script_time_s", value=20, used=20.5), "LimitError", "script_time_s is 20, 20.5 asked for or used"),
        (LimitError("m; raise it: limits.effects=...", limit="effects", value=4), "LimitError", ""),
        (LimitError("m; set [budgets] unknown_price = 'allow'", limit="budgets.unknown_price"), "LimitError", ""),
        (LimitError("m"), "LimitError", ""),
        (LimitError("m", limit="memory_bytes", value=float("inf")), "LimitError", "memory_bytes is inf"),
        (BridgeError("m", retryable=True), "BridgeError", "can work later"),
        (BridgeError("m"), "BridgeError", ""),
        (WorkerLost("m", reason="SIGKILL"), "WorkerLost", "(SIGKILL)"),
        (Interrupted("m"), "Interrupted", ""),
        (ConfigError("m"), "ConfigError", ""),
        (LocalProtocolError("m"), "LocalProtocolError", "report"),
        (RemoteProtocolError("m"), "RemoteProtocolError", "report"),
        (InternalError("m"), "InternalError", "report"),
    ],
)
def test_every_kind_of_error_has_its_name_and_next_step(error: SpellError, name: str, step: str) -> None:
    assert error_name(error) == name
    assert step in next_step(error) and bool(step) == bool(next_step(error))
    shown = lines(error)
    assert shown[0].startswith(f"{name}: m")
    assert (len(shown) == 2 and shown[1].startswith("→ ")) if step else len(shown) == 1


def test_no_python_frame_is_shown_for_a_chained_cause() -> None:
    try:
        try:
            raise OSError("inner")
        except OSError as inner:
            raise BridgeError("outer") from inner
    except BridgeError as error:
        assert lines(error) == ["BridgeError: outer"]


def test_hostile_text_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\u202e\x1b]0;x\x07"
    sources = {f"c{evil}": f"{evil}code"}
    error = ScriptError(f"m{evil}", name=f"N{evil}", frames=[Frame(f"c{evil}", 1, 3, f"f{evil}")], engine=f"e{evil}")
    shown = "".join(traceback_lines(error, sources, colour=False))
    assert "\x1b" not in shown and "\u202e" not in shown


def test_a_message_of_many_lines_and_megabytes_is_kept_readable() -> None:
    assert lines(ScriptError("one\ntwo"))[:2] == ["ScriptError: one", "two"]
    assert sum(map(len, lines(ScriptError("x" * 1_000_000)))) < 5_000
