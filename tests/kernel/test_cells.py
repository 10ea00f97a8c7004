"""The options of a magic's line, and the types that `--out` may name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas
import polars
import pytest

from llmspell_kernel.bridges._checking import converted
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.host_types import _record
from llmspell_kernel.kernel.cells import CellOptions, ScriptCell, Wanted, parse_options, script_cell
from llmspell_kernel.kernel.targets import fitting, target
from llmspell_kernel.values import EMPTY_TABLE


@pytest.mark.parametrize(
    "line", ["--in a,b --out c,d", "--in a, b --out c, d", "--in=a, b --out=c ,d", "--in a , b --out c --out d", "--out c,d --in a,b,"]
)
def test_names_stand_apart_by_commas_with_or_without_spaces(line: str) -> None:
    assert parse_options(line, "lua") == CellOptions("main", ("a", "b"), (Wanted("c"), Wanted("d")))


def test_a_name_of_out_may_have_a_type() -> None:
    assert parse_options("--out rows:pandas, n, x:models.Row", "lua").outputs == (
        Wanted("rows", "pandas"),
        Wanted("n"),
        Wanted("x", "models.Row"),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--out rows:", "%%lua --out rows:: after the colon stands a type's name, as in rows:pandas or rows:MyClass"),
        ("--out rows:a[1]", "after the colon stands a type's name"),
        ("--in rows:pandas", "a type can only follow a name of --out"),
        ("--out 1a:pandas", "'1a' is not a variable's name"),
        ("--outs a", "no option '--outs'; did you mean '--out'"),
    ],
)
def test_a_wrong_option_is_told(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_options(line, "lua")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("%%lua\n1", ScriptCell("lua", "", "1", 1)),
        ("%%time\n%%lua --state s\n1", ScriptCell("lua", "--state s", "1", 2, (), (("time", ""),))),
        ("\n%%time\n\n%%capture out\n%%lua\n1", ScriptCell("lua", "", "1", 5, (), (("time", ""), ("capture", "out")))),
        ("%%timeit -n 2\n%%lua\n1", ScriptCell("lua", "", "1", 2, (), (("timeit", "-n 2"),))),
        ("%%time\nx = 1", None),
        ("%%time", None),
        ("%%bash\n%%lua\n1", None),
        ("%%time\n%%bash\n%%lua", None),
        ("x = 1\n%%lua", None),
    ],
)
def test_cell_magics_of_ipython_may_stand_above_a_script(text: str, cell: ScriptCell | None) -> None:
    assert script_cell(text, ["lua"], "python") == cell


def test_above_a_plain_script_too() -> None:
    assert script_cell("%%time\nreturn 1", ["lua"], "lua") == ScriptCell("lua", "", "return 1", 1, [], (("time", ""),))


@dataclass
class Row:
    a: int


def made(text: str, value: Any, **namespace: Any) -> Any:
    targets = target(text, namespace)
    return converted(value, fitting(targets, value), "x")


def test_patterns_narrow_a_state() -> None:
    options = parse_options("--allow llm.*,log.* --deny=llm.set_model", "lua")
    assert (options.allow, options.deny) == (("llm.*", "log.*"), ("llm.set_model",))


def test_a_short_name_makes_a_frame_of_records_and_a_series_of_the_rest() -> None:
    assert made("pandas", [{"a": 1}]).equals(pandas.DataFrame({"a": [1]}))
    assert made("pandas", [1, 2]).equals(pandas.Series([1, 2]))
    assert made("polars", [{"a": 1}]).equals(polars.DataFrame({"a": [1]}))
    assert made("polars", ["x"]).equals(polars.Series(["x"]))
    assert made("pandas", EMPTY_TABLE).empty
    assert made("numpy", [[1, 2], [3, 4]]).shape == (2, 2)
    assert made("Decimal", "1.5") == Decimal("1.5")


def test_a_class_of_the_notebook_is_made_of_an_object_or_of_each_of_a_list() -> None:
    assert made("Row", {"a": 1}, Row=Row) == Row(1)
    assert made("Row", [{"a": 1}, {"a": 2}], Row=Row) == [Row(1), Row(2)]
    assert made("Rows", [{"a": 1}], Rows=list[Row]) == [Row(1)]
    assert made("pd.Series", [1], pd=pandas).equals(pandas.Series([1]))


def test_an_unknown_type_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'panda' is neither a class of this notebook nor a known type; did you mean 'pandas'"):
        target("panda", {})


def test_a_library_that_is_not_loaded_is_asked_for_and_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_record.sys.modules, "polars")
    with pytest.raises(ConfigError, match="polars is not imported; run `import polars` in a Python cell first"):
        target("polars", {})
