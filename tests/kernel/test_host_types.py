"""Python's own types in a notebook: `--in` gives them, `--out name:type` takes them, several results are all there."""

from __future__ import annotations

from typing import Any

SETUP = """
import enum
from dataclasses import dataclass
from datetime import date
import pandas as pd

@dataclass
class Row:
    name: str
    day: date

class Money:
    def __init__(self, cents):
        self.cents = cents

df = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
row = Row("r", date(2025, 1, 31))
broken = [row, {"deep": object()}]
"""
CELLS = {
    "%%lua": {
        "frame": "rows = df\ncount = #df",
        "row": 'made = {{name = row.name .. "!", day = row.day}}\nday = row.day',
        "wrong": 'made = {{name = "a", day = "x"}}',
        "money": "price = paid",
    },
    "%%js": {
        "frame": "rows = df; count = df.length",
        "row": 'made = [{name: row.name + "!", day: row.day}]; day = row.day',
        "wrong": 'made = [{name: "a", day: "x"}]',
        "money": "price = paid",
    },
}


def cells(language: dict[str, str]) -> dict[str, str]:
    return CELLS[language["magic"]]


def test_a_frame_goes_in_as_records_and_comes_out_as_a_frame(client: Any, language: dict[str, str]) -> None:
    assert client.run(SETUP).status == "ok"
    assert client.run(f"{language['magic']} --in df --out rows:pandas, count\n{cells(language)['frame']}").status == "ok"
    shown = client.run("type(rows).__name__, rows.columns.tolist(), rows['b'].isna().tolist(), count")
    assert shown.result == "('DataFrame', ['a', 'b'], [False, True], 2)"


def test_a_class_of_the_notebook_goes_both_ways(client: Any, language: dict[str, str]) -> None:
    assert client.run(SETUP).status == "ok"
    assert client.run(f"{language['magic']} --in row --out made:Row, day:date\n{cells(language)['row']}").status == "ok"
    assert client.run("made, day").result == ("([Row(name='r!', day=datetime.date(2025, 1, 31))], datetime.date(2025, 1, 31))")


def test_a_class_that_the_notebook_registers_goes_both_ways(client: Any, language: dict[str, str]) -> None:
    assert client.run(SETUP).status == "ok"
    registering = "llmspell.register_type(Money, to_plain=lambda m: m.cents, from_plain=Money)\npaid = Money(5)"
    assert client.run(registering).status == "ok"
    assert client.run(f"{language['magic']} --in paid --out price:Money\n{cells(language)['money']}").status == "ok"
    assert client.run("type(price).__name__, price.cents").result == "('Money', 5)"


def test_what_does_not_fit_names_its_place(client: Any, language: dict[str, str]) -> None:
    assert client.run(SETUP).status == "ok"
    out = client.run(f"{language['magic']} --out made:Row\n{cells(language)['wrong']}")
    assert "--out made: made[item 1].day must be an ISO date" in out.error["evalue"]
    given = client.run(f"{language['magic']} --in broken\n1")
    assert "--in broken: a Python object cannot be given to a script" in given.error["evalue"]
    assert "(at broken[1].deep)" in given.error["evalue"]
    unknown = client.run(f"{language['magic']} --out made:Rwo\n1")
    assert "--out made:Rwo: 'Rwo' is neither a class of this notebook nor a known type" in unknown.error["evalue"]


def test_several_results_are_shown_and_returned_all(client: Any) -> None:
    assert client.run("%%lua\nreturn 1, nil, 'x'").result == "1\tnil\tx"
    assert client.run("_").result == "(1, None, 'x')"
    assert client.run("await llmspell.run('return 1, nil, 2')").result == "(1, None, 2)"
