"""Prompts, models, parameters and cases against each other: which runs there are, and what they come to.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, LimitError, nearest

from ..prompts.template import Prompt, Template, template_of
from .checks import Check, Finding
from .compare_options import CompareOptions

MAX_RUNS = 2_000
"""Of one comparison: each is a call of a model, and a row."""
LABEL_CHARS = 40
SHOWN_CHECKS = 3
"""Of those that failed, in one field of the matrix."""
PROMPT_KEYS = ("name", "text", "messages", "template", "version")


class NamedPrompt(NamedTuple):
    """`source` is a template, or the name and version of one that is kept."""

    label: str
    source: Template | tuple[str, Any]


class Run(NamedTuple):
    """One question.  `case` and `attempt` count from 1."""

    prompt: NamedPrompt
    model: str
    params: Mapping[str, Any]
    case: int
    attempt: int


class Plan(NamedTuple):
    prompts: Sequence[NamedPrompt]
    models: Sequence[str]
    params: Sequence[Mapping[str, Any]]
    cases: Sequence[Mapping[str, Any]]
    repeats: int

    def runs(self) -> Iterator[Run]:
        attempts = range(1, self.repeats + 1)
        for prompt, params, model, case, attempt in product(
            self.prompts, self.params, self.models, range(1, len(self.cases) + 1), attempts
        ):
            yield Run(prompt, model, params, case, attempt)

    @property
    def varied(self) -> list[str]:
        """The parameters that have several values."""
        return list(self.params[0])


def plan_of(options: CompareOptions, model: str) -> tuple[Plan, dict[str, Any]]:
    """What is to be asked, and the options that are the same in all of it.  `model` answers where none is named.

    Raises LimitError before anything is made of too many combinations, and ArgumentError for what is wrong.
    """
    if options.repeat is not None and options.repeats is not None:
        raise ArgumentError("repeat and repeats are the same; give one of them")
    prompts = [options.prompts] if isinstance(options.prompts, str) else options.prompts
    models = [options.models] if isinstance(options.models, str) else options.models or [model]
    # by name, as a Lua table has no order, and the next run is to say the same
    varied = {name: values for name, values in sorted(options.params.items()) if isinstance(values, list)}
    fixed = {name: value for name, value in options.params.items() if name not in varied}
    if "model" in options.params:
        raise ArgumentError("params cannot hold the model; name the models in models")
    if not prompts or any(not values for values in varied.values()):
        raise ArgumentError("a comparison needs a prompt at least, and a value at least for each of its params")
    cases = options.cases or [{}]
    repeats = options.repeat or options.repeats or 1
    _check_count(
        {
            "prompts": len(prompts),
            "models": len(models),
            **{name: len(values) for name, values in varied.items()},
            "cases": len(cases),
            "repeats": repeats,
        }
    )
    params = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    return Plan(_named(prompts), models, params, cases, repeats), fixed


def _check_count(counts: Mapping[str, int]) -> None:
    runs = prod(counts.values())
    if runs > MAX_RUNS:
        told = " x ".join(f"{count:,} {name}" for name, count in counts.items() if count > 1)
        raise LimitError(
            f"{told} are {runs:,} combinations, and one comparison asks at most {MAX_RUNS:,}; take fewer of them",
            limit="comparison_runs",
            value=MAX_RUNS,
            used=runs,
        )


def _named(prompts: Sequence[Any]) -> list[NamedPrompt]:
    found = [_prompt(entry, number) for number, entry in enumerate(prompts, 1)]
    seen: Counter[str] = Counter()
    named = []
    for prompt in found:
        seen[prompt.label] += 1
        named.append(prompt if seen[prompt.label] == 1 else prompt._replace(label=f"{prompt.label} ({seen[prompt.label]})"))
    return named


def _prompt(entry: Any, number: int) -> NamedPrompt:
    if isinstance(entry, str):
        return NamedPrompt(_label(entry), template_of(entry, {}, ()))
    if isinstance(entry, list):
        return NamedPrompt(f"prompt {number}", template_of(entry, {}, ()))
    if not isinstance(entry, dict):
        raise ArgumentError(f"prompt {number} must be a text, a list of messages, or a table with one of text, messages and template")
    for key in entry:
        if key not in PROMPT_KEYS:
            raise ArgumentError(f"prompt {number} has an unknown key '{key[:40]}'{nearest(key[:40], PROMPT_KEYS)}")
    given = [key for key in ("text", "messages", "template") if entry.get(key) is not None]
    label = entry.get("name")
    if len(given) != 1 or (label is not None and not isinstance(label, str)):
        raise ArgumentError(f"prompt {number} needs one of text, messages and template, and may have a name")
    source = entry[given[0]]
    if given[0] == "template":
        if not isinstance(source, str):
            raise ArgumentError(f"the template of prompt {number} must be a name that prompt.template keeps")
        version = entry.get("version")
        return NamedPrompt(_label(label or (source if version is None else f"{source} {version}")), (source, version))
    return NamedPrompt(_label(label or (source if isinstance(source, str) else f"prompt {number}")), template_of(source, {}, ()))


def _label(text: str) -> str:
    line = " ".join(text[: LABEL_CHARS * 4].split())
    return line if len(line) <= LABEL_CHARS else f"{line[: LABEL_CHARS - 1]}…"


def filled(wanted: Any, values: Mapping[str, Any]) -> Any:
    """What an answer is compared with, the case's values in its places."""

    def fill(text: str) -> str:
        prompt: Prompt = template_of(text, {}, ()).render(values)
        assert isinstance(prompt, str)
        return prompt

    return fill(wanted) if isinstance(wanted, str) else tuple(map(fill, wanted)) if isinstance(wanted, tuple) else wanted


FIRST_COLUMNS = ("prompt", "model")
LAST_COLUMNS = ("text", "reasons", "error", "cost_usd", "latency_ms", "input_tokens", "output_tokens")


def columns_of(plan: Plan, checks: Sequence[Check]) -> list[str]:
    """Of the rows: a check whose name is that of another column has it in brackets."""
    before = [*FIRST_COLUMNS, *plan.varied, "case", "repeat", "passed"]
    return [*before, *_check_columns(plan, checks), *LAST_COLUMNS]


def _check_columns(plan: Plan, checks: Sequence[Check]) -> list[str]:
    taken = {*FIRST_COLUMNS, *plan.varied, "case", "repeat", "passed", *LAST_COLUMNS}
    return [f"({check.name})" if check.name in taken else check.name for check in checks]


def row_of(
    plan: Plan,
    run: Run,
    checks: Sequence[Check],
    findings: Sequence[Finding] | None,
    answer: Mapping[str, Any],
    error: str = "",
) -> dict[str, Any]:
    """Flat, so that rows are a table wherever they go.  `findings` None = there is no answer, because of `error`."""
    used = answer.get("usage") or {}
    names = _check_columns(plan, checks)
    failed = [f"{check.name}: {found.reason}" for check, found in zip(checks, findings or (), strict=False) if not found.passed]
    return {
        "prompt": run.prompt.label,
        "model": run.model,
        **run.params,
        "case": run.case,
        "repeat": run.attempt,
        "passed": findings is not None and all(found.passed for found in findings),
        **dict(zip(names, [found.passed for found in findings] if findings is not None else [False] * len(names), strict=True)),
        "text": answer.get("text", ""),
        "reasons": "; ".join(failed),
        "error": error,
        "cost_usd": answer.get("cost_usd"),
        "latency_ms": answer.get("latency_ms", 0.0),
        "input_tokens": used.get("input_tokens", 0),
        "output_tokens": used.get("output_tokens", 0),
    }


def summary_of(plan: Plan, checks: Sequence[Check], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each prompt, value of the parameters and model, in the order of the rows."""
    size = len(plan.cases) * plan.repeats
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [_group(plan, checks, group) for group in groups]


def _group(plan: Plan, checks: Sequence[Check], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    answered = [row for row in rows if not row["error"]]
    passed = sum(bool(row["passed"]) for row in rows)
    return {
        "prompt": rows[0]["prompt"],
        "model": rows[0]["model"],
        **{name: rows[0][name] for name in plan.varied},
        "runs": len(rows),
        "passed": passed,
        "pass_rate": passed / len(rows),
        "errors": len(rows) - len(answered),
        "checks": {name: sum(bool(row[name]) for row in rows) / len(rows) for name in _check_columns(plan, checks)},
        "cost_usd": sum(costs) if len(costs) == len(answered) else None,
        "latency_ms": _median([row["latency_ms"] for row in answered]) if answered else None,
    }


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


class MatrixParts(NamedTuple):
    """Heads, lines, and the pass rates behind the values that show them."""

    heads: list[str]
    lines: list[list[Any]]
    shares: list[list[float | None]]


def matrix_of(plan: Plan, summary: Sequence[Mapping[str, Any]]) -> MatrixParts:
    """What is shown: a line for each prompt and value of the parameters, a column for each model.

    Without the times, which are others in each run.
    """
    heads = ["prompt", *plan.varied, *plan.models]
    count = len(plan.models)
    lines, shares = [], []
    for start in range(0, len(summary), count):
        group = summary[start : start + count]
        lines.append([group[0]["prompt"], *(group[0][name] for name in plan.varied), *map(_rate, group)])
        shares.append([*[None] * (1 + len(plan.varied)), *(entry["pass_rate"] for entry in group)])
    return MatrixParts(heads, lines, shares)


def _rate(entry: Mapping[str, Any]) -> str:
    """`50 % (2/4), not contains (1), short (1)`: how many runs passed, and which checks how many did not."""
    parts = [f"{entry['passed'] * 100 // entry['runs']} % ({entry['passed']}/{entry['runs']})"]
    if entry["errors"]:
        parts.append(f"{entry['errors']} failed")
    if failing := [f"{name} ({count})" for name, rate in entry["checks"].items() if (count := entry["runs"] - round(rate * entry["runs"]))]:
        more = f" and {len(failing) - SHOWN_CHECKS} more" if len(failing) > SHOWN_CHECKS else ""
        parts.append(f"not {', '.join(failing[:SHOWN_CHECKS])}{more}")
    if entry["cost_usd"]:
        parts.append(f"${entry['cost_usd']:.4f}")
    return ", ".join(parts)
