"""All that holds for scripts under some settings, as plain data and as lines of text: what `llmspell policy` and `%llmspell policy` show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..amounts import size
from ..policy.decide import Grants
from ..policy.layers import confinement_of
from ..policy.presets import PRESETS
from ..policy.tables import TABLES
from ..settings import Settings
from .rules import amount, grants_of, rows, written

MOST_CHARS = (40, 30)
"""Of a column: one long value must not push every origin out of the screen."""


class Line(NamedTuple):
    """`origin` says who set it, "" where nobody can."""

    name: str
    value: str
    origin: str = ""


class Part(NamedTuple):
    title: str
    lines: Sequence[Line]


def overview(settings: Settings, layers: Mapping[str, str] | None, states: Mapping[str, Sequence[Grants]]) -> dict[str, Any]:
    """`layers` is what a worker of this machine reports: "", or why it is missing; None where no worker has started yet.

    `states` are those that were narrowed, by a name to show.
    """
    confinement = confinement_of(settings.preset, settings.confinement)
    grants = [PRESETS[settings.preset].grants, grants_of(settings)]
    known = rows(settings)
    return {
        "preset": settings.preset,
        "origin": str(settings.origin("preset")),
        "grants": [_grants(rules) for rules in grants] + [_grants(rules) for name in states for rules in states[name]],
        "tables": {
            name: [{"key": row.key, "value": row.value, "origin": str(row.origin)} for row in known if row.key.startswith(f"{name}.")]
            for name in TABLES
        },
        "secrets": sorted(settings.secrets),
        "init": dict(settings.init),
        "mcp": {name: server.get("url") or " ".join(server["command"]) for name, server in settings.mcp.items()},
        "layers": {name: "not known yet" if layers is None else layers.get(name, "not reported") for name in confinement.layers},
        "required": confinement.required,
        "confinement": settings.confinement,
    }


def _grants(rules: Grants) -> dict[str, Any]:
    return {
        "source": rules.source,
        "allow": list(rules.allow),
        "deny": list(rules.deny),
        "ask": list(rules.ask),
        "ask_levels": list(rules.ask_levels),
    }


def parts(found: Mapping[str, Any]) -> Iterator[Part]:
    """An overview in words, in the order of what a reader asks first: what may scripts call, what holds them, how much may they use."""
    yield Part(f"Preset {found['preset']} ({found['origin']})", [])
    yield Part(
        "What scripts may call: all of these must agree, and a deny wins", [line for one in found["grants"] for line in _rule_lines(one)]
    )
    yield Part("Layers of the operating system around each worker", list(_layer_lines(found)))
    for name, entries in found["tables"].items():
        yield Part(f"[{name}]", [_entry_line(one) for one in entries])
    yield Part("Secrets that bridges may use, by name", [Line(name, "") for name in found["secrets"]] or [Line("none", "")])
    if found["mcp"]:
        yield Part("MCP servers, whose tools scripts may call", [Line(name, written(runs)) for name, runs in found["mcp"].items()])


def _entry_line(entry: Mapping[str, Any]) -> Line:
    name = entry["key"].partition(".")[2]
    return Line(name, _amount(entry["key"], entry["value"]), entry["origin"])


def _amount(key: str, value: Any) -> str:
    """A number with the unit that its name ends with."""
    if key.endswith("_bytes"):
        return size(value)
    return f"{written(value)} s" if key.endswith("_s") and not key.endswith("_per_s") else amount(key, value)


def _rule_lines(rules: Mapping[str, Any]) -> Iterator[Line]:
    said = [f"{key} {written(rules[key])}" for key in ("allow", "deny", "ask") if rules[key]]
    if rules["ask_levels"]:
        said.append(f"ask before what is of the level {' or '.join(rules['ask_levels'])}")
    yield Line(rules["source"], ", ".join(said) or "allow nothing")


def _layer_lines(found: Mapping[str, Any]) -> Iterator[Line]:
    if not found["layers"]:
        why = "confinement is off" if found["confinement"] == "off" else f"the preset {found['preset']} asks for none"
        yield Line("none", f"{why}: the language and its own process hold the script")
    for name, missing in found["layers"].items():
        if missing == "not known yet":
            yield Line(name, "not known before the first worker has started")
        else:
            needed = ", and no script runs without it" if found["required"] else ""
            yield Line(name, f"missing: {missing}{needed}" if missing else "active")


def text(found: Mapping[str, Any]) -> str:
    """The overview for a plain page."""
    lines: list[str] = []
    for part in parts(found):
        lines += ["", part.title] if lines else [part.title]
        widths = [min(most, max((len(line[column]) for line in part.lines), default=0)) for column, most in enumerate(MOST_CHARS)]
        lines += [f"  {line.name:<{widths[0]}}  {line.value:<{widths[1]}}  {line.origin}".rstrip() for line in part.lines]
    return "\n".join(lines)
