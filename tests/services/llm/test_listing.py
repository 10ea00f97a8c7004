"""What is known of each model, of the list that is installed and of lists that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_kernel.errors import ArgumentError, BridgeError, ConfigError
from llmspell_kernel.services.llm import catalogue
from llmspell_kernel.services.llm.catalogue import installed_catalogue, installed_prices
from llmspell_kernel.services.llm.listing import NEEDS, Listing
from llmspell_kernel.services.llm.listing_forms import FORMS

PLAIN = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6}


def listing(**entries: Any) -> Listing:
    return Listing(lambda: {"openai/" + name: {**PLAIN, **entry} if isinstance(entry, dict) else entry for name, entry in entries.items()})


def test_the_installed_list_tells_windows_prices_and_what_is_supported() -> None:
    mini = Listing(installed_prices).named("gpt-4o-mini")
    assert (mini.name, mini.provider, mini.context_window, mini.max_output) == ("openai/gpt-4o-mini", "openai", 128_000, 16_384)
    assert (mini.input_usd, mini.output_usd, mini.cached_input_usd, mini.price) == (0.15, 0.6, 0.075, "known")
    assert {"tools", "json", "vision", "caching"} <= set(mini.supports) and "reasoning" not in mini.supports
    assert Listing(installed_prices).named("openai/gpt-4o-mini") == mini


def test_the_installed_list_still_has_what_needs_are_called_by() -> None:
    entries = installed_prices().values()
    for need, key in NEEDS.items():
        assert any(entry.get(key) is True for entry in entries), f"nothing has {key}, which is asked for as {need}"


def test_unknown_prices_are_told_to_be_unknown_and_never_zero() -> None:
    unpriced = {"input_cost_per_token": None, "output_cost_per_token": None}
    found = listing(a={}, b=unpriced, c={"input_cost_per_token": None}, d={"input_cost_per_token": 0, "output_cost_per_token": 0})
    told = {name: found.named(f"openai/{name}").shown() for name in "abcd"}
    assert {name: model["price"] for name, model in told.items()} == {"a": "known", "b": "unknown", "c": "unknown", "d": "free"}
    for name in "bc":
        assert not {"input_usd", "output_usd"} & set(told[name])
        assert found.named(f"openai/{name}").cost_usd(1, 1) is None
    assert (told["d"]["input_usd"], told["d"]["output_usd"]) == (0, 0)


@pytest.mark.parametrize("price", ["0.001", "free", float("nan"), float("inf"), -1e-6, True, [], {}, 2.0, 10**400])
def test_prices_that_make_no_sense_are_unknown(price: Any) -> None:
    found = listing(a={"input_cost_per_token": price}).named("openai/a")
    assert (found.input_usd, found.price) == (None, "unknown")


@pytest.mark.parametrize("size", ["128k", float("nan"), float("inf"), -1, True, [], 10**30, None])
def test_sizes_that_make_no_sense_are_unknown(size: Any) -> None:
    found = listing(a={"max_input_tokens": size, "max_output_tokens": size}).named("openai/a")
    assert (found.context_window, found.max_output) == (0, 0)
    assert not {"context_window", "max_output"} & set(found.shown())


@pytest.mark.parametrize(
    "name", ["a b", "a\nb", "a\x1b[31m", "a|b", "a`b", "a" * 300, "<script>", "ä", "a\u202eb"], ids=lambda name: ascii(name)[:12]
)
def test_names_that_could_not_be_called_are_left_out(name: str) -> None:
    assert not [model for model in listing(**{name: {}}).models if model.startswith("openai/")]


@pytest.mark.parametrize(
    "entry", [None, 7, "text", [], {"mode": 7}, {"litellm_provider": 7}, {"mode": "embedding"}, {"litellm_provider": "open ai"}]
)
def test_entries_that_are_none_are_left_out(entry: Any) -> None:
    assert not [model for model in listing(a=entry).models if not model.startswith("spell/")]


def test_a_day_of_the_end_is_told_and_what_is_no_day_is_not() -> None:
    days = {"a": "2026-05-01", "b": "soon", "c": 7, "d": "2026-13-01"}
    found = listing(**{name: {"deprecation_date": day} for name, day in days.items()})
    assert [found.named(f"openai/{name}").deprecated for name in days] == ["2026-05-01", "", "", ""]


def test_models_are_chosen_by_provider_support_and_price() -> None:
    found = listing(
        cheap={"supports_vision": True},
        dear={"output_cost_per_token": 1e-3, "supports_vision": True},
        blind={},
        unpriced={"input_cost_per_token": None, "supports_vision": True},
    )
    assert [model.name for model in found.chosen("openai", ["vision"], 5)] == ["openai/cheap"]
    assert [model.name for model in found.chosen("openai", ["vision"])] == ["openai/cheap", "openai/dear", "openai/unpriced"]
    assert {model.provider for model in found.chosen()} == {"openai", "spell"}


def test_names_that_nobody_knows_are_told_with_the_nearest() -> None:
    found = Listing(installed_prices)
    with pytest.raises(BridgeError, match="'openai/gpt-4o-mini'") as caught:
        found.named("gpt-4o-mni")
    assert caught.value.code == "unknown_model"
    with pytest.raises(BridgeError, match="did you mean 'openai'") as caught:
        found.chosen("opnai")
    assert caught.value.code == "unknown_provider"
    with pytest.raises(ArgumentError, match="did you mean 'vision'"):
        found.chosen("", ["vison"])


def test_json_markdown_and_openapi_hold_the_same_models() -> None:
    models = listing(a={"supports_vision": True}, b={"input_cost_per_token": None}).chosen("openai")
    data = json.loads(FORMS["json"](models))
    assert [(model["name"], model["price"]) for model in data] == [("openai/a", "known"), ("openai/b", "unknown")]
    rows = FORMS["markdown"](models).splitlines()
    assert rows[2] == "| `openai/a` | unknown | unknown | 1 | 4 | vision |" and "| unknown | 4 |" in rows[3]
    assert len({row.count("|") for row in rows}) == 1
    told = json.loads(FORMS["openapi"](models))
    assert told["openapi"] == "3.1.0" and told["components"]["schemas"]["Model"]["properties"]["id"]["enum"] == ["openai/a", "openai/b"]


def test_an_openapi_document_refers_to_nothing_that_it_does_not_hold() -> None:
    text = FORMS["openapi"](listing(a={}).chosen("openai"))
    told, schemas = json.loads(text), json.loads(text)["components"]["schemas"]
    refs = {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert refs and refs <= set(schemas)
    assert set(told) == {"openapi", "info", "paths", "components"}


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b"\xff", b"[" * 100_000, b'"x"'])
def test_a_list_that_cannot_be_read_is_told_and_names_its_mend(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / catalogue.PRICES_FILE).write_bytes(content)
    monkeypatch.setattr(catalogue, "_litellm_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match="install litellm again"):
        installed_prices()


def test_a_list_with_numbers_that_are_none_can_be_read_and_they_are_no_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {**PLAIN, "input_cost_per_token": float("nan"), "max_input_tokens": float("inf")}
    (tmp_path / catalogue.PRICES_FILE).write_text(json.dumps({"a": entry, "b": "text", "c": {**PLAIN, "max_input_tokens": "many"}}))
    (tmp_path / catalogue.PROVIDERS_FILE).write_bytes(msgspec.json.encode({"providers": {"openai": {}}}))
    monkeypatch.setattr(catalogue, "_litellm_folder", lambda: tmp_path)
    assert Listing(installed_prices).named("a").price == "unknown"
    read = installed_catalogue()
    assert read.facts_of("a") is None
    facts = read.facts_of("c")
    assert facts is not None and (facts.input_usd, facts.max_input_tokens) == (1e-6, 0)
