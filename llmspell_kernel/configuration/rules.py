"""What may be set, and by whom.  Pure.

Rules
- Values come in layers, and the later one wins: defaults, the user's file, the project's file, the environment, the command line,
  `%llmspell config`.
- A preset sets all limits at once, so it replaces the limits of the layers before it; within one layer, `[limits]` comes after `preset`.
- All layers are the user's own but one: a project's file comes with the project, and so perhaps from a stranger.  It may choose (display,
  seed, engine, model: a script of the project could name a model as well) and it may tighten, never loosen: a preset or a limit above the
  user's, a confinement switched off, or a grant that no grant of the user covers, is refused; its `deny` and `ask` add to the user's.  It may
  switch `journal` and `keep_journal` off and not on: with a cassette of its own, every answer of a call would be a stranger's.  Of the
  other tables it may change what policy.tables says, and of `secrets`, `init` and `mcp` nothing.  Where the user's `trust` names the project's
  folder, or one above it, the file counts as the user's own.
- Unknown keys and wrong types are errors, in every layer; no value is ever taken for another one.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from ..amounts import bytes_of, exact_size
from ..errors import ConfigError, nearest
from ..policy import files, hosts, patterns
from ..policy.budgets import NO_LIMIT, UNLIMITED, is_budget
from ..policy.decide import Grants
from ..policy.layers import MODES, contradiction
from ..policy.limits import PRESETS
from ..policy.tables import TABLES, values_of
from ..services.secret_sources import WrongSource, check_name, source_of
from ..services.tools.mcp_settings import WrongServer, check_server_name, server_of
from ..settings import CASSETTE_ENDING, DISPLAY_MODES, JOURNAL_MODES, PYTHON, Origin, Settings, item_key

TRUST = "trust"
"""A key of the user's file alone: folders whose project files are the user's own."""


class Entry(NamedTuple):
    """One setting: in a layer what somebody wrote, in `rows` what holds."""

    key: str
    value: Any
    origin: Origin


class WrongValue(Exception):
    """Says what was expected, for the message of a ConfigError."""


Check = Callable[[Any, Collection[str]], Any]
"""`check(value, engines)` gives the value as Settings has it, or raises WrongValue."""


def _one_of(choices: Collection[str]) -> Check:
    def check(value: Any, engines: Collection[str]) -> str:
        known = list(choices)
        if not isinstance(value, str):
            raise WrongValue(f"must be one of {', '.join(known)}, not {_kind(value)}")
        if value not in known:
            raise WrongValue(f"is {quoted(value)}, which is none of {', '.join(known)}{_near(value, known)}")
        return value

    return check


def _engine(value: Any, engines: Collection[str]) -> str:
    known = [*engines, PYTHON]
    if not isinstance(value, str) or value not in known:
        shown = quoted(value) if isinstance(value, str) else _kind(value)
        raise WrongValue(f"must be one of {', '.join(known)}, not {shown}{_near(str(value), known)}")
    return value


def _text(value: Any, engines: Collection[str]) -> str:
    if not isinstance(value, str):
        raise WrongValue(f"must be a text, not {_kind(value)}")
    return value.strip()


def _cassette(value: Any, engines: Collection[str]) -> str:
    """A recording replaces the file, so nothing else may be called so."""
    name = _text(value, engines)
    if name and not name.endswith(CASSETTE_ENDING):
        raise WrongValue(f"must end with {CASSETTE_ENDING}, and is {quoted(name)}")
    return name


def _seed(value: Any, engines: Collection[str]) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValue(f"must be a whole number, not {_kind(value)}")
    if not -(2**63) <= value < 2**63:
        raise WrongValue("must fit in 64 bits")
    return value


def _limit(kind: type, least: float | None = None) -> Check:
    def check(value: Any, engines: Collection[str]) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
            raise WrongValue(f"must be a {'number' if kind is float else 'whole number'}, not {_kind(value)}")
        if not math.isfinite(value) or (value <= 0 if least is None else value < least):
            raise WrongValue(f"must be {'more than 0' if least is None else f'at least {least:g}'} and finite, not {value}")
        return kind(value)  # type: ignore[no-any-return]

    return check


def _patterns(value: Any, engines: Collection[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongValue(f'must be a list of texts such as ["llm.*"], not {_kind(value)}')
    return tuple(value)


def _numbers(value: Any, engines: Collection[str]) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise WrongValue(f"must be a list of whole numbers such as [80, 443], not {_kind(value)}")
    return tuple(value)


def _truth(value: Any, engines: Collection[str]) -> bool:
    if not isinstance(value, bool):
        raise WrongValue(f"must be true or false, not {_kind(value)}")
    return value


def _check_for(annotation: Any) -> Check:
    """By the annotation of a table's field."""
    if annotation in (int, float):
        return _limit(annotation)
    if get_origin(annotation) is Annotated:
        kind, least = get_args(annotation)
        return _limit(kind, least.value)
    if get_origin(annotation) is Literal:
        return _one_of(get_args(annotation))
    return {bool: _truth, str: _text, tuple[int, ...]: _numbers}.get(annotation, _patterns)


def _checks_of(name: str) -> dict[str, Check]:
    return {f"{name}.{field}": _check_of(name, field, annotation) for field, annotation in TABLES[name].types.items()}


def _check_of(table: str, field: str, annotation: Any) -> Check:
    check = _check_for(annotation)
    if field.endswith("_bytes"):
        return _in_bytes(check)
    return _may_be_unlimited(check) if is_budget(field) and table == "budgets" else check


def _in_bytes(whole: Check) -> Check:
    def check(value: Any, engines: Collection[str]) -> Any:
        if isinstance(value, str):
            try:
                value = bytes_of(value)
            except ValueError as error:
                raise WrongValue(str(error)) from None
        return whole(value, engines)

    return check


def _may_be_unlimited(number: Check) -> Check:
    def check(value: Any, engines: Collection[str]) -> Any:
        return number(NO_LIMIT if value == UNLIMITED else value, engines)

    return check


def _secret(value: Any, engines: Collection[str]) -> dict[str, Any]:
    """Nothing of a wrong one is quoted: it may hold the secret itself."""
    if not isinstance(value, dict):
        raise WrongValue('must be a table such as {env = "TOKEN", hosts = ["api.example.com"]}, and never holds the value itself')
    source_of(value)
    return value


def _mcp_server(value: Any, engines: Collection[str]) -> dict[str, Any]:
    server_of(value)
    return dict(value)


CHECKS: Mapping[str, Check] = {
    "preset": _one_of(PRESETS),
    "display": _one_of(DISPLAY_MODES),
    "seed": _seed,
    "model": _text,
    "engine": _engine,
    "journal": _one_of(JOURNAL_MODES),
    "cassette": _cassette,
    "keep_journal": _truth,
    "confinement": _one_of(MODES),
    **_checks_of("limits"),
    "grants.allow": _patterns,
    "grants.deny": _patterns,
    "grants.ask": _patterns,
    **{key: check for name in TABLES if name != "limits" for key, check in _checks_of(name).items()},
}
OPEN_TABLES: Mapping[str, Check] = {"secrets": _secret, "init": _text, "mcp": _mcp_server}
"""Tables whose keys are names of the user's choice."""
_COVERS: Mapping[str, Callable[[Any, Any], bool]] = {"covered": patterns.covers, "hosts": hosts.covers, "paths": files.covers}
"""By direction: does what the user wrote stand for all that the project's does?"""
QUOTED_CHARS = 60
TEXTS = {name for name, kind in get_type_hints(Settings).items() if kind is str}
"""Keys whose values need no quotes where a person types them."""


def apply(settings: Settings, layer: Sequence[Entry], *, engines: Collection[str], guest: bool = False) -> Settings:
    """The settings with a layer over them.  `engines` are the names known; `guest` for a project's file that is not trusted.

    Raises ConfigError naming file, line and key.
    """
    own, checked = settings, [entry._replace(value=_checked(entry, engines)) for entry in layer]
    for entry in sorted(checked, key=lambda entry: entry.key != "preset"):
        if guest:
            _refuse_looser(entry, own)
        settings = _guest(settings, entry) if guest else _with(settings, entry)
    for key, fault in _faults(settings):
        raise wrong(key, settings.origin(key), fault)
    return settings


def check_whole(settings: Settings) -> None:
    """What no setting shows alone.  Raises ConfigError at the place of the one that does not fit."""
    if refused := contradiction(settings.preset, settings.confinement):
        raise wrong("confinement", settings.origin("confinement"), refused)


def entry_of(pair: str, origin: Origin) -> Entry:
    """`KEY=VALUE` as a person types it: a TOML value, and a text needs no quotes.  Raises ConfigError."""
    key, equals, text = pair.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"{origin} needs KEY=VALUE, got {quoted(pair)}; for example: {origin} display=static")
    return Entry(key, value_of(key, text), origin)


def value_of(key: str, text: str) -> Any:
    """A typed value; what is no TOML stays a text, which the key's check then refuses by name."""
    text = text.strip()
    if key in TEXTS and not text.startswith(('"', "'")):
        return text
    try:
        read = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return read["value"] if len(read) == 1 else text


def rows(settings: Settings) -> list[Entry]:
    """Every setting there is, in the order of the table in rules.CHECKS; a limit has its value even where only the preset set it."""
    values: dict[str, Any] = settings._asdict()
    values |= {f"grants.{name}": getattr(settings, name) for name in ("allow", "deny", "ask")}
    for name in TABLES:
        values |= {f"{name}.{field}": value for field, value in values_of(settings, name)._asdict().items()}
    found = [Entry(key, values[key], settings.origin(key)) for key in CHECKS]
    named = [f"{table}.{name}" for table in OPEN_TABLES for name in getattr(settings, table)]
    return found + [Entry(key, _open_value(settings, key), settings.origin(key)) for key in named]


def grants_of(settings: Settings) -> Grants:
    """What the settings grant, with the places that a refusal names."""
    return Grants(
        settings.allow,
        settings.deny,
        settings.ask,
        allow_place=settings.place("grants.allow"),
        deny_places={pattern: settings.place("grants.deny", pattern) for pattern in settings.deny},
    )


def _open_value(settings: Settings, key: str) -> Any:
    table, _, name = key.partition(".")
    return getattr(settings, table)[name]


def written(value: Any) -> str:
    """A value as a settings file would have it; "" (a model or an engine that nobody chose) as a dash."""
    match value:
        case "":
            return "-"
        case list() | tuple():
            return f"[{', '.join(quoted(item) if isinstance(item, str) else str(item) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{key} = {written(item)}' for key, item in value.items())}}}"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case float():
            return f"{value:g}"
    return value if value.isprintable() else quoted(value)


def amount(key: str, value: Any) -> str:
    """`written`, and what is in bytes or is a budget as people write it: `128 MiB`, `no limit`.  Each can be set in that form."""
    table, _, field = key.partition(".")
    if field.endswith("_bytes"):
        return exact_size(value)
    return UNLIMITED if table == "budgets" and is_budget(field) and value >= NO_LIMIT else written(value)


def quoted(text: str) -> str:
    """A text of a file for a message: short, and without what could steer a terminal."""
    clipped = text if len(text) <= QUOTED_CHARS else f"{text[:QUOTED_CHARS]}…"
    return f"'{clipped}'" if clipped.isprintable() else repr(clipped)


def wrong(key: str, origin: Origin, message: str) -> ConfigError:
    """An error at the place where the value stands; what has no lines is named behind."""
    if origin.line:
        return ConfigError(message, file=origin.name, line=origin.line, column=origin.column, key=key)
    return ConfigError(f"{message} (set by {origin})", key=key)


def unknown(key: str, origin: Origin, known: Collection[str] = tuple(CHECKS)) -> ConfigError:
    table, _, name = key.rpartition(".")
    siblings = [other.removeprefix(f"{table}.") for other in known if table and other.startswith(f"{table}.")]
    if siblings:
        return wrong(key, origin, f"there is no such setting in [{table}]{nearest(name, siblings)}")
    return wrong(key, origin, f"there is no such setting{nearest(key, list(known))}")


def _checked(entry: Entry, engines: Collection[str]) -> Any:
    if entry.key == TRUST:
        raise wrong(entry.key, entry.origin, "only the user's own file says whom it trusts")
    table, _, name = entry.key.partition(".")
    check = CHECKS.get(entry.key) or (OPEN_TABLES.get(table) if name else None)
    if check is None:
        raise unknown(entry.key, entry.origin)
    if table == "init" and name not in engines:
        raise wrong(entry.key, entry.origin, f"there is no engine {quoted(name)}{nearest(name, list(engines))}")
    try:
        if table == "secrets":
            check_name(name)
        if table == "mcp":
            check_server_name(name)
        return check(entry.value, engines)
    except (WrongValue, WrongSource, WrongServer) as error:
        raise wrong(entry.key, entry.origin, str(error)) from None


def _with(settings: Settings, entry: Entry) -> Settings:
    earlier_items = item_key(entry.key, "")
    kept = {key: origin for key, origin in settings.origins.items() if not key.startswith(earlier_items)}
    origins = {**kept, entry.key: entry.origin}
    table, _, name = entry.key.partition(".")
    match table:
        case "grants":
            changed = settings._replace(**{name: entry.value})
        case _ if name:
            merged: Any = MappingProxyType({**getattr(settings, table), name: entry.value})
            changed = settings._replace(**{table: merged})
        case _ if entry.key == "preset":
            origins = {key: origin for key, origin in origins.items() if not key.startswith("limits.")}
            changed = settings._replace(preset=entry.value, limits=MappingProxyType({}))
        case _:
            changed = settings._replace(**{table: entry.value})
    return changed._replace(origins=MappingProxyType(origins))


def _guest(settings: Settings, entry: Entry) -> Settings:
    """A layer that only tightens: its preset leaves in force what is tighter already, and lists that forbid are added to."""
    if _direction(entry.key) == "adds":
        own_list = _held(settings, entry.key)
        own_places = {item_key(entry.key, str(item)): settings.origin(entry.key) for item in own_list}
        changed = _with(settings, entry._replace(value=tuple(dict.fromkeys((*own_list, *entry.value)))))
        return changed._replace(origins=MappingProxyType({**changed.origins, **own_places}))
    changed = _with(settings, entry)
    if entry.key == "preset":
        for name, own in values_of(settings, "limits")._asdict().items():
            if own < getattr(PRESETS[entry.value], name):
                changed = _with(changed, Entry(f"limits.{name}", own, settings.origin(f"limits.{name}")))
    return changed


def _faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """(key, what is wrong), for values that are of the right type and still cannot be; a table that knows some says so in `faults`."""
    for name in TABLES:
        for field, fault in getattr(values_of(settings, name), "faults", dict)().items():
            yield f"{name}.{field}", fault


def _direction(key: str) -> str:
    """What a layer that only tightens may do to a key of a table: "lower", "covered", "hosts", "paths", "adds", "none"."""
    table, _, name = key.partition(".")
    if table == "grants":
        return "covered" if name == "allow" else "adds"
    return TABLES[table].tighter.get(name, "none") if table in TABLES else "none"


def _held(settings: Settings, key: str) -> Any:
    table, _, name = key.partition(".")
    return getattr(settings, name) if table == "grants" else getattr(values_of(settings, table), name)


def _refuse_looser(entry: Entry, own: Settings) -> None:
    """`own` is what the user has set, without any word of the project's."""
    match entry.key:
        case "preset":
            if any(theirs > ours for theirs, ours in zip(PRESETS[entry.value], PRESETS[own.preset], strict=True)):
                raise _looser(entry, own, own.preset)
        case "confinement":
            if MODES.index(entry.value) > MODES.index(own.confinement):
                raise _looser(entry, own, own.confinement)
        case "journal" if entry.value != "off":
            raise _not_theirs(entry, 'may not have calls recorded or answered, only set this to "off"')
        case "keep_journal" if entry.value:
            raise _not_theirs(entry, "may not have a journal kept, only set this to false")
        case "cassette":
            if set(entry.value) & set("/\\"):
                raise wrong(entry.key, entry.origin, "a project's file may only name a file in its own folder")
        case key if "." in key:
            _refuse_looser_in_table(entry, own)


def _refuse_looser_in_table(entry: Entry, own: Settings) -> None:
    match _direction(entry.key):
        case "lower":
            if entry.value > (ours := _held(own, entry.key)):
                raise _looser(entry, own, ours)
        case direction if direction in _COVERS:
            held = _held(own, entry.key)
            for item in entry.value:
                if item not in held and not any(_COVERS[direction](ours, item) for ours in held):
                    raise _looser(entry._replace(value=item), own, ", ".join(map(str, held)) or "nothing")
        case "none":
            raise _not_theirs(entry, "may not set this")


def _not_theirs(entry: Entry, what: str) -> ConfigError:
    return wrong(
        entry.key,
        entry.origin,
        f"a project's file {what}.  Take the line away, or, if the project is yours, add its folder to '{TRUST}' in your own file "
        "(`llmspell config` names it)",
    )


def _looser(entry: Entry, own: Settings, ours: Any) -> ConfigError:
    return wrong(
        entry.key,
        entry.origin,
        f"{amount(entry.key, entry.value)} is looser than your own {amount(entry.key, ours)} ({own.origin(entry.key)}), "
        "and a project's file may only tighten. "
        f"Take the line away, or, if the project is yours, add its folder to '{TRUST}' in your own file (`llmspell config` names it)",
    )


def _near(value: str, known: Sequence[str]) -> str:
    hint = nearest(value, known)
    return hint if "did you mean" in hint else ""


def _kind(value: Any) -> str:
    """A value by its TOML type, short."""
    match value:
        case bool():
            return f"the truth value {str(value).lower()}"
        case str():
            return f"the text {quoted(value)}"
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list"
        case dict():
            return "a table"
    return f"a {type(value).__name__}"
