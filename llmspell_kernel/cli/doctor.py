"""`llmspell doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """Say what is installed, what can be used, and what to mend.

    Of engines, models, bridges, MCP servers (none is started) and kernels.
    Exits with 1 when something installed is broken.  Keys are named, never shown.
    """
    from ._facts import collect

    facts = collect(os.environ)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show(facts)
    sys.exit(1 if facts["problems"] else 0)


def _show(facts: dict[str, Any]) -> None:
    from rich.text import Text

    from ._tables import bridge_table, heading, kernel_table, model_table, pairs, server_table, show

    show(
        pairs({"llmspell": facts["llmspell"], "Python": f"{facts['python']}  {facts['executable']}", "on": facts["platform"]}),
        heading("Packages"),
        pairs({name: version or "not installed" for name, version in facts["packages"].items()}),
        heading("Worker"),
        pairs(_worker_lines(facts["worker"])),
        heading("Confinement of workers"),
        pairs(_layer_lines(facts["confinement"])),
        heading("Bridges"),
        bridge_table(facts["bridges"]),
        *((heading("MCP servers"), server_table(facts["mcp"])) if facts["mcp"] else ()),
        heading("Models"),
        model_table(facts["models"]),
        Text(f"  Default: {facts['default_model']['name']} ({facts['default_model']['why']})"),
        Text(f"  Keys in the environment, unused unless you ask: {', '.join(facts['keys']) or 'none'}"),
        heading("Kernels"),
        kernel_table(facts["kernelspecs"]) if facts["kernelspecs"] else Text("  none"),
        heading("All is well." if not facts["problems"] else "To mend"),
        *(Text(f"  - {problem}", style="red") for problem in facts["problems"]),
    )


def _worker_lines(worker: dict[str, Any]) -> dict[str, object]:
    if "error" in worker:
        return {"failed": worker["error"]}
    working = {engine: ", ".join(_fact(name, value) for name, value in facts.items()) for engine, facts in worker["engines"].items()}
    return {**working, **dict.fromkeys(worker["failed"], "does not load")}


def _layer_lines(confined: dict[str, Any]) -> dict[str, object]:
    if not confined["layers"]:
        reason = "confinement = off" if confined["setting"] == "off" else f"preset {confined['preset']}"
        return {"none": f"{reason}: scripts are held by their engine and process alone"}
    return {name: f"missing: {why}" if why else "active" for name, why in confined["layers"].items()}


def _fact(name: str, value: str | bool) -> str:
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return f"{words} {value}"
