"""Which type a class is of, and what other people's classes need to cross."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import llmspell_kernel
from llmspell_kernel import HostType, register_type
from llmspell_kernel.bridges._checking import converted
from llmspell_kernel.errors import ArgumentError, ConfigError, ValueCrossingError
from llmspell_kernel.host_types import _registry
from llmspell_kernel.host_types._crossing import to_plain
from llmspell_kernel.host_types._table import conversions


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


def registered() -> type:
    """A class of its own for each test, as registrations are the process's."""

    class Own(Money):
        pass

    return Own


def to_text(money: Money) -> str:
    return f"{money.cents / 100:.2f}"


def from_text(text: Any) -> Money:
    return Money(round(float(text) * 100))


def test_a_registered_class_crosses_both_ways_with_its_subclasses() -> None:
    own = registered()
    register_type(own, to_plain=to_text, from_plain=lambda text: own(round(float(text) * 100)))
    assert to_plain({"price": own(150)}) == {"price": "1.50"}
    assert to_plain(type("Child", (own,), {})(150)) == "1.50"
    assert converted(["1.50"], list[own], "x")[0].cents == 150  # type: ignore[valid-type]
    with pytest.raises(ArgumentError, match=r"x\[item 1\] must be a Own \(could not convert string to float: 'a lot'\), not 'a lot'"):
        converted(["a lot"], list[own], "x")  # type: ignore[valid-type]


def test_an_unregistered_class_is_refused_with_the_way_to_register_it() -> None:
    with pytest.raises(ValueCrossingError, match="register the class with llmspell_kernel.register_type"):
        to_plain(registered()(1))


def test_a_second_registration_replaces_the_first() -> None:
    own = registered()
    register_type(own, to_plain=lambda _: "first")
    assert to_plain(own(1)) == "first"
    register_type(own, to_plain=lambda _: "second")
    assert to_plain(own(1)) == "second"


def test_what_is_registered_comes_before_what_the_class_is_anyway() -> None:
    @dataclass
    class Secret:
        word: str

    register_type(Secret, to_plain=lambda _: "hidden", from_plain=lambda _: Secret("made"))
    assert to_plain(Secret("x")) == "hidden"
    assert converted("anything", Secret, "x") == Secret("made")


def test_a_plain_form_may_hold_values_of_other_types() -> None:
    own, other = registered(), registered()
    register_type(own, to_plain=lambda money: {"in": other(money.cents)})
    register_type(other, to_plain=to_text)
    assert to_plain([own(5)]) == [{"in": "0.05"}]


def test_a_conversion_that_fails_or_never_ends_names_the_place() -> None:
    own, endless = registered(), registered()
    register_type(own, to_plain=lambda money: 1 // 0)
    register_type(endless, to_plain=lambda money: money)
    with pytest.raises(ValueCrossingError, match=r"ZeroDivisionError.*\(at x\[0\]\)"):
        to_plain([own(1)], "x")
    with pytest.raises(ValueCrossingError, match="does not come to an end"):
        to_plain(endless(1))


def test_only_a_class_can_be_registered() -> None:
    with pytest.raises(ConfigError, match="takes a class"):
        register_type(Money(1), to_plain=to_text)  # type: ignore[arg-type]


MONEY = HostType("money", (f"{__name__}:Money",), to_text, lambda value, cls: cls(round(float(value) * 100)))
NOT_A_TYPE = object()


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Entry points of installed packages, for one test; this module is known by its name, as a package's would be."""
    import sys

    def use(*names: str) -> None:
        points = [EntryPoint(name, f"{__name__}:{name}", "llmspell.types") for name in names]
        monkeypatch.setattr(_registry, "plugins", lambda group: points)
        _registry._installed.cache_clear()
        _registry.types._found.clear()

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))
    monkeypatch.setattr(_registry, "failed", {})
    yield use
    _registry._installed.cache_clear()
    _registry.types._found.clear()


ALSO_MONEY = [HostType("money again", (f"{__name__}:Money",), to_text)]


def test_a_package_names_its_types_by_entry_point(entry_points: Any) -> None:
    entry_points("MONEY")
    assert to_plain(Money(150)) == "1.50"
    assert converted("1.50", Money, "x").cents == 150


def test_a_package_that_cannot_be_loaded_is_named_where_a_type_is_missing(entry_points: Any) -> None:
    entry_points("NOT_A_TYPE", "MONEY")
    assert to_plain(Money(150)) == "1.50"
    with pytest.raises(ValueCrossingError, match="the types of 'NOT_A_TYPE' could not be loaded"):
        to_plain(object())


def test_two_packages_that_name_one_class_are_both_named(entry_points: Any) -> None:
    entry_points("MONEY", "ALSO_MONEY")
    with pytest.raises(ConfigError, match="MONEY and by .*ALSO_MONEY"):
        to_plain(Money(1))


def test_the_table_has_a_row_for_every_type_and_says_what_each_is_for_scripts() -> None:
    rows = conversions()
    assert len({row.name for row in rows}) == len(rows) >= 25
    assert all(row.to_scripts for row in rows)


def test_the_notebook_and_the_package_offer_the_same_function() -> None:
    from llmspell_kernel.kernel.notebook import Notebook

    assert Notebook.register_type is llmspell_kernel.register_type
