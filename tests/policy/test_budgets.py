"""The arithmetic of budgets: reserved, settled, released, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llmspell_kernel.configuration.rules import Entry, apply
from llmspell_kernel.errors import ConfigError, DeniedError, LimitError
from llmspell_kernel.policy.budgets import (
    MEASURES,
    MODEL_CHARS,
    NO_LIMIT,
    SPANS,
    TIGHTER,
    Amounts,
    Budgets,
    Tally,
    admitted,
    amounts,
    check_model,
    check_price,
    lines,
    out_of_time,
)
from llmspell_kernel.policy.tables import table_of
from llmspell_kernel.settings import Origin, Settings

few = some.builds(Amounts, *[some.integers(0, 10) for _ in Amounts._fields])
ONE = {
    "requests": amounts(requests=1),
    "tokens": amounts(tokens=1),
    "cost_usd": amounts(cost_usd=1.0),
    "seconds": amounts(seconds=1.0),
    "steps": amounts(steps=1),
}


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("measure", list(ONE))
def test_each_budget_holds_exactly_what_it_says(span: str, measure: str) -> None:
    caps, tally = Budgets()._replace(**{f"{span}_{measure}": 3}), Tally()
    for _ in range(3):
        tally = tally.reserve(admitted(caps, span, tally, ONE[measure]))
    with pytest.raises(LimitError) as refused:
        admitted(caps, span, tally, ONE[measure])
    assert refused.value.limit == f"budgets.{span}_{measure}"
    assert (refused.value.value, refused.value.used) == (3, 3)


@pytest.mark.parametrize("measure", list(ONE))
def test_a_budget_of_nothing_allows_nothing_of_its_measure_and_all_else(measure: str) -> None:
    caps = Budgets()._replace(**{f"cell_{measure}": 0})
    with pytest.raises(LimitError):
        admitted(caps, "cell", Tally(), ONE[measure])
    for other, asked in ONE.items():
        if other != measure:
            assert admitted(caps, "cell", Tally(), asked) == asked


def test_a_free_call_goes_on_where_the_money_is_overspent() -> None:
    caps = Budgets(cell_cost_usd=1.0)
    spent = Tally(amounts(cost_usd=1.5))
    assert admitted(caps, "cell", spent, amounts(requests=1)) == amounts(requests=1)


def test_a_call_gets_the_time_that_is_left_and_none_where_nothing_is() -> None:
    caps = Budgets(day_seconds=100.0)
    assert admitted(caps, "day", Tally(amounts(seconds=40)), amounts(seconds=120)).ms == 60_000
    with pytest.raises(LimitError, match=r"budgets\.day_seconds"):
        admitted(caps, "day", Tally(amounts(seconds=100)), amounts(seconds=120))


def test_the_refusal_says_the_budget_its_cap_what_is_used_what_was_asked_and_the_mend() -> None:
    caps = Budgets(day_cost_usd=2.0)
    tally = Tally(amounts(cost_usd=1.5), amounts(cost_usd=0.25))
    with pytest.raises(LimitError) as refused:
        admitted(caps, "day", tally, amounts(cost_usd=0.5))
    assert str(refused.value) == (
        "the day's budget of money does not allow this call: budgets.day_cost_usd = $2.0000, $1.7500 used, $0.2500 of it reserved by calls "
        "that still run, and the call may need $0.5000; ask for less with max_tokens, a shorter prompt or a cheaper model, or raise the "
        "budget in your settings: [budgets] day_cost_usd = 4"
    )


@given(some.lists(some.tuples(few, few, some.booleans()), max_size=20))
def test_what_is_reserved_is_always_the_sum_of_open_calls_and_what_is_used_that_of_the_ended(
    calls: list[tuple[Amounts, Amounts, bool]],
) -> None:
    tally, used = Tally(), Amounts()
    for asked, _, _ in calls:
        tally = tally.reserve(asked)
    for asked, really, was_used in calls:
        tally = tally.settle(asked, really if was_used else Amounts())
        used = used.plus(really) if was_used else used
    assert tally == Tally(used, Amounts())


@given(some.lists(few, max_size=50), some.integers(0, 40))
def test_no_order_of_calls_passes_a_cap(asked: list[Amounts], cap: int) -> None:
    caps, tally = Budgets(cell_requests=cap, cell_tokens=cap), Tally()
    for one in asked:
        try:
            tally = tally.reserve(admitted(caps, "cell", tally, one))
        except LimitError:
            continue
    assert tally.taken.requests <= cap
    assert tally.taken.tokens <= cap


def test_money_does_not_drift() -> None:
    tally = Tally()
    for _ in range(10_000):
        tally = tally.settle(Amounts(), amounts(cost_usd=0.1))
    assert tally.used.nano_usd == 1_000 * 1_000_000_000


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_a_provider_s_nonsense_is_no_credit(wrong: float) -> None:
    assert amounts(requests=-1, tokens=-1, cost_usd=wrong, seconds=wrong, steps=-1) == Amounts()


def test_a_cost_that_nobody_knows_is_counted_as_such() -> None:
    assert amounts(requests=2, cost_usd=None) == Amounts(requests=2, unpriced=2)


@pytest.mark.parametrize(("model", "allowed"), [("openai/gpt-4o-mini", True), ("openai/o1-pro", False), ("spell/echo", True), ("x", False)])
def test_only_models_that_are_listed_may_be_asked(model: str, allowed: bool) -> None:
    caps = Budgets(models=("openai/gpt-4o*", "spell/*"))
    if allowed:
        check_model(caps, model)
    else:
        with pytest.raises(DeniedError, match=r"\[budgets\] models = ") as refused:
            check_model(caps, model)
        assert refused.value.capability == f"model:{model}"


def test_a_name_of_a_model_that_is_too_long_is_held_against_no_pattern() -> None:
    check_model(Budgets(), "a" * MODEL_CHARS)
    with pytest.raises(DeniedError, match="has at most 500 characters") as refused:
        check_model(Budgets(), "a" * 1_000_000)
    assert len(refused.value.message) < 300


def test_a_model_without_a_price_is_refused_in_strict_alone_unless_the_user_says_so() -> None:
    for preset in ("minimal", "standard"):
        check_price(table_of(Settings(preset=preset), Budgets), "m")
    check_price(table_of(Settings(preset="strict", budgets={"unknown_price": "allow"}), Budgets), "m")
    with pytest.raises(LimitError, match="unknown_price = 'allow'"):
        check_price(table_of(Settings(preset="strict"), Budgets), "m")


def test_a_line_is_near_from_four_fifths_of_what_is_really_used() -> None:
    caps = Budgets(cell_requests=10, cell_tokens=0)
    near = {tally: next(lines(caps, "cell", tally)).is_near for tally in (
        Tally(Amounts(7)), Tally(Amounts(7), Amounts(3)), Tally(Amounts(8)), Tally(Amounts(11)))}  # fmt: skip
    assert list(near.values()) == [False, False, True, True]
    assert str(next(lines(caps, "cell", Tally(Amounts(8))))) == "80 % of the budget budgets.cell_requests is used: 8 of 10"
    assert not any(line.is_near for line in lines(Budgets(), "day", Tally(Amounts(10**12, 10**12, 0, 10**12, 10**12))))


def test_the_error_of_a_call_that_ran_out_of_time_names_the_budget_that_gave_least() -> None:
    caps = Budgets(cell_seconds=60.0, day_seconds=90.0)
    spans = {"cell": Tally(), "session": Tally(), "day": Tally(amounts(seconds=80))}
    assert out_of_time(caps, spans, 10_000).limit == "budgets.day_seconds"


def test_every_budget_can_be_tightened_by_a_project_and_no_other_key() -> None:
    assert set(TIGHTER) == {*(f"{span}_{measure.name}" for span in SPANS for measure in MEASURES), "models"}
    assert set(Budgets._fields) - set(TIGHTER) == {"unknown_price"}


PROJECT = Origin("llmspell.toml", 3)


def settings(key: str, value: Any, *, guest: bool = False, own: Settings | None = None) -> Budgets:
    return table_of(apply(own or Settings(), [Entry(f"budgets.{key}", value, PROJECT)], engines=(), guest=guest), Budgets)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("day_cost_usd", 5, 5.0), ("cell_requests", 0, 0), ("day_tokens", 10**9, NO_LIMIT), ("models", ["a*"], ("a*",))],
)
def test_a_budget_is_set_like_any_setting(key: str, value: Any, expected: Any) -> None:
    assert getattr(settings(key, value), key) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("day_cost_usd", -1),
        ("day_cost_usd", float("nan")),
        ("cell_requests", 1.5),
        ("cell_requests", "many"),
        ("models", "gpt"),
        ("unknown_price", "ask"),
    ],
)
def test_a_wrong_budget_is_refused_where_it_stands(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"line 3, .*{key}"):
        settings(key, value)


@pytest.mark.parametrize(("key", "value"), [("day_cost_usd", 51), ("cell_requests", 1_001), ("models", ["*"]), ("unknown_price", "allow")])
def test_a_project_s_file_loosens_no_budget(key: str, value: Any) -> None:
    own = Settings(budgets={"models": ("spell/*",)})
    with pytest.raises(ConfigError):
        settings(key, value, guest=True, own=own)
