"""Facts about this machine and environment, as plain data: what `doctor` and `models list` show."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..configuration.sources import read_settings
from ..engines._overview import overview
from ..engines._registry import discover as discover_engines
from ..errors import SpellError
from ..installation import LOCAL_MODEL_PINS, version_of
from ..policy.layers import confinement_of
from ..services.llm.local import INSTALL_COMMAND, local_weights
from ..services.llm.providers import ECHO, LOCAL, PROVIDERS, SCRIPTED
from ..services.llm.providers import default_model as choose_default
from ..services.llm.service import LlmService
from ..settings import Settings
from ._mcp_servers import mcp_servers

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

ESSENTIAL = ("ipykernel", "jupyter-client", "ipython", "msgspec")
"""Without one of these no cell runs; what one language needs, its engine declares."""
OTHERS = ("ipywidgets", "anywidget", "litellm", "jupyterlab", "notebook", *LOCAL_MODEL_PINS)

Facts = dict[str, Any]


def collect(environ: Mapping[str, str]) -> Facts:
    """Everything `llmspell doctor` says.  `problems` are the things that are broken, each with its mend or its reason."""
    engines = discover_engines()
    of_engines = [distribution for engine in engines for distribution in engine.needed.values()]
    packages = {name: version_of(name) for name in (*ESSENTIAL, *of_engines, *OTHERS)}
    specs = kernelspecs()
    found = bridges()
    settings, wrong_settings = settings_here(environ)
    worker = probe_worker(confinement_of(settings.preset, settings.confinement).layers)
    confined, servers = confinement(settings, worker), mcp_servers(settings, environ)
    return {
        "llmspell": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "models": models(environ),
        "default_model": default_model(environ, settings),
        "keys": keys(environ),
        "kernelspecs": specs,
        "worker": worker,
        "confinement": confined,
        "engines": overview(engines),
        "bridges": found,
        "mcp": servers,
        "problems": wrong_settings
        + _problems(packages, specs, worker)
        + _engine_problems(overview(engines), worker)
        + _confinement_problems(confined)
        + _default_model_problems(environ, settings)
        + [bridge["problem"] for bridge in found if bridge["problem"]]
        + [f"the MCP server '{server['name']}' cannot start: {server['problem']}" for server in servers if server["problem"]],
    }


def _problems(packages: Mapping[str, str | None], specs: list[Facts], worker: Facts) -> list[str]:
    problems = [f"the package '{name}' is missing. Mend it with: pip install {name}" for name in ESSENTIAL if packages[name] is None]
    if not specs:
        problems.append("Jupyter finds no llmspell kernel. Mend it with: llmspell kernel install --user")
    problems += [f"kernel '{spec['name']}': {spec['problem']}" for spec in specs if spec["problem"]]
    if "error" in worker:
        problems.append(f"no worker starts: {worker['error']}")
    return problems


def _engine_problems(engines: list[Facts], worker: Facts) -> list[str]:
    """What each engine says of itself before it is loaded, else why the worker could not load it."""
    failed = worker.get("failed", {})
    told = [
        engine["problem"] or (f"the worker cannot load the engine '{name}': {failed[name]}" if (name := engine["name"]) in failed else "")
        for engine in engines
    ]
    return [problem for problem in told if problem]


def models(environ: Mapping[str, str]) -> list[Facts]:
    """The models of this package, then one line for each provider; `note` says what is missing.

    `usable` says whether a call can be tried, None where only the try would tell: a server may run or not.
    """
    local = local_weights() is not None
    own = [
        {"name": LOCAL, "usable": local, "note": "runs on this machine" if local else f"install it: {INSTALL_COMMAND}"},
        {"name": ECHO, "usable": True, "note": "repeats what it is told"},
        {"name": SCRIPTED, "usable": True, "note": "answers from a script, for tests"},
    ]
    return own + [_provider(provider.example, provider.keys, environ) for provider in PROVIDERS]


def _provider(example: str, wanted: tuple[str, ...], environ: Mapping[str, str]) -> Facts:
    if not wanted:
        return {"name": example, "usable": None, "note": "works where its server runs; no key"}
    found = next((name for name in wanted if environ.get(name)), None)
    return {"name": example, "usable": found is not None, "note": f"{found} is set" if found else f"set {' or '.join(wanted)}"}


def settings_here(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings of the working directory; the defaults and what is wrong where they cannot be read."""
    try:
        return read_settings(environ, Path.cwd(), discover_engines()), []
    except SpellError as error:
        return Settings(), [f"the settings are wrong: {error.message}"]


def default_model(environ: Mapping[str, str], settings: Settings) -> Facts:
    local = local_weights() is not None
    if settings.model:
        return {"name": settings.model, "why": f"{settings.origin('model')} says so"}
    why = "it is installed" if local else "LLMSPELL_MODEL is not set and spell/local is not installed"
    return {"name": choose_default(environ, local), "why": why}


def _default_model_problems(environ: Mapping[str, str], settings: Settings) -> list[str]:
    try:
        LlmService(environ).check(default_model(environ, settings)["name"])
    except SpellError as error:
        return [f"the default model cannot be used ({settings.origin('model')}): {error.message}"]
    return []


def keys(environ: Mapping[str, str]) -> list[str]:
    """The names of the provider keys that are set; never their values."""
    return [name for provider in PROVIDERS for name in provider.keys if environ.get(name)]


def kernelspec_manager(prefix: Path | None = None) -> KernelSpecManager:
    """Jupyter's own, of all places that it looks in from this environment; with `prefix`, of that environment alone."""
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    if prefix is not None:
        manager.kernel_dirs = [str(prefix / "share" / "jupyter" / "kernels")]
    return manager


def kernelspecs(manager: KernelSpecManager | None = None) -> list[Facts]:
    """The kernels of this package that Jupyter finds."""
    found = []
    for name, folder in sorted((manager or kernelspec_manager()).find_kernel_specs().items()):
        spec = _read_spec(Path(folder))
        if spec is not None and "llmspell_kernel" in spec.get("argv", []):
            argv = spec["argv"]
            found.append(
                {
                    "name": name,
                    "display_name": spec.get("display_name", name),
                    "folder": str(folder),
                    "python": argv[0],
                    "problem": _problem_of(argv[0]),
                }
            )
    return found


def _read_spec(folder: Path) -> Facts | None:
    try:
        spec = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # another package's broken kernel is not ours to report
    return spec if isinstance(spec, dict) else None


def _problem_of(python: str) -> str:
    """Why a kernelspec cannot start, "" if it can.  A bare `python` is replaced by Jupyter with the one it runs on."""
    if Path(python).is_absolute() and not Path(python).exists():
        return f"its Python {python} is gone; install it again (llmspell kernel install) or remove it (llmspell kernel remove)"
    return ""


def bridges() -> list[Facts]:
    """What scripts can call, and the installed bridges that they cannot: `problem` is why, "" for a bridge that works."""
    from ..bridges._registry import Declarations
    from ..bridges._registry import discover as discover_bridges

    try:
        registry = discover_bridges()
    except SpellError as error:
        return [{"name": "all", "source": "", "doc": "", "problem": f"no script runs: {error.message}"}]
    reasons = dict(registry.failed)
    declarations = Declarations(registry.bridges, reasons)
    working = [
        {"name": name, "source": known.kind.__module__, "doc": declaration.doc.partition("\n")[0], "problem": ""}
        for name, known in sorted(registry.bridges.items())
        if (declaration := declarations.get(name)) is not None
    ]
    failed = [
        {"name": name, "source": reason.partition(":")[0], "doc": "", "problem": f"the bridge '{name}' does not load: {reason}"}
        for name, reason in sorted(reasons.items())
    ]
    return working + failed


def confinement(settings: Settings, worker: Facts) -> Facts:
    """What the operating system takes from workers under these settings; a layer is missing where it has a reason."""
    asked = confinement_of(settings.preset, settings.confinement)
    layers = worker.get("layers", {})
    return {
        "preset": settings.preset,
        "setting": settings.confinement,
        "required": asked.required,
        "layers": {name: layers.get(name, "no worker starts") for name in asked.layers},
    }


def _confinement_problems(confined: Facts) -> list[str]:
    if not confined["required"]:
        return []
    return [
        f"the preset {confined['preset']} runs no script without the layer '{name}': {why}. The preset standard goes on without it"
        for name, why in confined["layers"].items()
        if why
    ]


def probe_worker(layers: Sequence[str]) -> Facts:
    """Starts a worker and returns what it reports, as {"engines": {...}, "failed": {...}, "layers": {...}}, or {"error": ...}."""
    from ..workers import probe

    try:
        return asyncio.run(probe(layers=layers))._asdict()
    except SpellError as error:
        return {"error": error.message}
