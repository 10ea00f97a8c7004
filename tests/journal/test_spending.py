"""The ledger: every request once, prices that are not known never zero, replays free."""

from __future__ import annotations

import random

from llmspell_kernel.journal.events import AnyEvent, CallFinished, CallUsage, CellStarted
from llmspell_kernel.journal.spending import Spent, csv_text, ledger, merged, rows, total

DAY = 86_400.0


def cell(number: int) -> CellStarted:
    return CellStarted(number, 0.0, "lua", "main", f"cell[{number}]", "")


def used(of: int, call: int, model: str = "a/b", cost: float | None = 0.25, day: int = 0, cached: int = 0) -> CallUsage:
    return CallUsage(of, day * DAY, call, model, 10, 5, cached, cost)


EVENTS: list[AnyEvent] = [
    cell(1),
    used(1, 1),
    used(1, 2, cost=None),
    cell(2),
    used(2, 3, "c/d", 0.5, day=1, cached=4),
    used(2, 4, "c/d", 0.0),
    CallFinished(2, 0.0, 4, "again", 0.0, True),
]


def test_each_group_has_its_sums_and_a_price_that_is_not_known_is_not_zero() -> None:
    by_model = {line.group["model"]: line.spent for line in ledger(EVENTS, ["model"])}
    assert by_model == {"a/b": Spent(2, 20, 10, 0, 0.25, 1, 0), "c/d": Spent(1, 10, 5, 4, 0.5, 0, 1)}
    assert [line.group for line in ledger(EVENTS, ["day"])] == [{"day": "1970-01-01"}, {"day": "1970-01-02"}]
    assert total(ledger(EVENTS)) == Spent(3, 30, 15, 4, 0.75, 1, 1)
    assert total([]) == Spent()


def test_rows_are_plain_data() -> None:
    assert rows(ledger(EVENTS, ["cell", "model"]))[0] == {
        **{"cell": "cell[1]", "model": "a/b", "requests": 2, "input_tokens": 20, "output_tokens": 10, "cached_tokens": 0},
        **{"cost_usd": 0.25, "unpriced": 1, "replayed": 0},
    }


def test_a_table_as_csv_has_its_header_although_nothing_was_used() -> None:
    header = "model,requests,input_tokens,output_tokens,cached_tokens,cost_usd,unpriced,replayed\n"
    assert csv_text([], ["model"]) == header
    assert csv_text(ledger([used(1, 1, 'a,"b')], ["model"]), ["model"]) == f'{header}"a,""b",1,10,5,0,0.25,0,0\n'


def test_the_order_of_requests_makes_no_other_sum() -> None:
    draw = random.Random(5)
    events = [used(1, number, cost=draw.random() / 1000) for number in range(500)]
    sums = set()
    for _ in range(5):
        draw.shuffle(events)
        sums.add(total(ledger(events)).cost_usd)
    assert max(sums) - min(sums) < 1e-6


def test_a_replay_in_one_session_takes_nothing_from_another_with_the_same_numbers() -> None:
    paid: list[AnyEvent] = [cell(1), used(1, 1, cost=0.5)]
    replayed: list[AnyEvent] = [cell(1), used(1, 1, cost=0.5), CallFinished(1, 0.0, 1, "again", 0.0, True)]
    lines = merged([*ledger(paid, ["model"]), *ledger(replayed, ["model"]), *ledger([used(1, 1, "c/d")], ["model"])])
    assert lines == [({"model": "a/b"}, Spent(1, 10, 5, 0, 0.5, 0, 1)), ({"model": "c/d"}, Spent(1, 10, 5, 0, 0.25, 0, 0))]
