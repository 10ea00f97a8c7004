"""A session's secrets: scripts have names, hosts get values, and the redactor knows every one.

Rules
- A value comes from a variable of the environment, from a file that is its owner's alone (mode 0600), or from Python; never from a settings
  file or a script.
- It is given out for a host that it is bound to, over https, and for no other.
- The API keys of model providers that lie in the environment are taken out of what is shown, too; nobody gets them here.
- What is wrong with a source is told when its secret is asked for, so that one wrong file does not keep a notebook from starting.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmspell_kernel.errors import ConfigError, DeniedError, ScriptError, nearest
from llmspell_kernel.redaction import MAX_CHARS, MIN_CHARS, Redactor, check_value

from .secret_sources import SecretSource, WrongSource, allows, check_name, checked_hosts, source_of

KEY_ENDINGS = ("API_KEY", "APIKEY", "_TOKEN", "API_SECRET", "CLIENT_SECRET", "ACCESS_KEY", "SECRET_KEY", "MASTER_KEY")
KEY_NAMES = frozenset(
    {"AWS_BEARER_TOKEN_BEDROCK", "SNOWFLAKE_JWT", "GIGACHAT_CREDENTIALS", "VERTEX_CREDENTIALS", "AIMLAPI_KEY", "COMETAPI_KEY"}
)
"""What variables with keys are called that litellm 1.101 reads."""
NOT_SECRET = ("_PUBLIC_KEY",)
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Secrets:
    """`declared` is `[secrets]` of the settings.  What is learnt goes into `redactor`, and stays there."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str], redactor: Redactor) -> None:
        self._environ = environ
        self._redactor = redactor
        self._sources: dict[str, SecretSource] = {}
        self._given: dict[str, SecretSource] = {}
        """Those set from Python."""
        self._values: dict[str, str] = {}
        self._faults: dict[str, ConfigError] = {}
        self._seen: dict[Any, Any] = {}
        """The environment, when it was looked through."""
        self.declare(declared)

    def declare(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        """Other settings from now on; secrets that Python set stay.  Raises ConfigError, changing nothing."""
        sources = sources_of(declared)
        for name in self._sources.keys() - self._given.keys():
            self._values.pop(name, None)
        self._sources = {**sources, **self._given}
        self._faults.clear()
        self._look()

    def set(self, name: str, value: str, *, hosts: Sequence[str] = ()) -> None:
        """Makes a value known by a name, for these hosts.  From then on it is taken out of everything that a session shows.

        Raises ConfigError for a name, a value or a host that cannot be one.
        """
        try:
            check_name(name)
            source = SecretSource(hosts=checked_hosts(hosts))
        except WrongSource as error:
            raise ConfigError(str(error), key=f"secrets.{name}") from None
        if not isinstance(value, str):
            raise ConfigError(f"the value of a secret is a text, not {type(value).__name__}", key=f"secrets.{name}")
        self._learn(name, value)
        self._sources[name] = self._given[name] = source
        self._values[name] = value
        self._faults.pop(name, None)

    def names(self) -> list[str]:
        """Every secret that is declared, whether or not its value is there."""
        return sorted(self._sources)

    def has(self, name: str) -> bool:
        """Is there a secret of that name with a value?"""
        self.refresh()
        return name in self._values

    def hosts(self, name: str) -> tuple[str, ...]:
        """Where it may go.  Raises ScriptError for a name that is not known."""
        return self._source(name).hosts

    def faults(self) -> dict[str, str]:
        """Why secrets cannot be used, by name."""
        self._look()
        return {name: error.message for name, error in self._faults.items()}

    def value(self, name: str, host: str, *, scheme: str = "https") -> str:
        """The value, to be sent to that host ("api.github.com", "127.0.0.1:8080") and to be kept nowhere.

        Raises ScriptError for a name that is not known, DeniedError for a host that it is not bound to, ConfigError where there is no value.
        """
        source = self._source(name)
        if not allows(source.hosts, host, scheme):
            raise DeniedError(_not_bound(name, source.hosts, host, scheme))  # without a capability: no grant would help
        self._look()
        if name not in self._values:
            raise self._faults[name]
        return self._values[name]

    def refresh(self) -> None:
        """Looks again at the environment, which a cell may have changed, and at files that were not there: before each cell."""
        if self._environment() != self._seen or self._faults:
            self._look()

    def _source(self, name: str) -> SecretSource:
        source = self._sources.get(name)
        if source is None:
            raise ScriptError(f"there is no secret '{name[:80]}'{nearest(name[:80], self.names())}", code="unknown")
        return source

    def _environment(self) -> dict[Any, Any]:
        """As it is held: `os.environ` would decode each name and value, and most cells change none."""
        return dict(getattr(self._environ, "_data", self._environ))

    def _look(self) -> None:
        self._seen = self._environment()
        for variable in self._environ:
            if (variable.endswith(KEY_ENDINGS) or variable in KEY_NAMES) and not variable.endswith(NOT_SECRET):
                value = self._environ.get(variable, "").strip()
                if MIN_CHARS <= len(value) <= MAX_CHARS:  # others are placeholders, such as "none"
                    self._redactor.learn(variable, value)
        for name, source in self._sources.items():
            if name in self._given or (source.file and name in self._values):
                continue
            try:
                value = self._from_environment(name, source) if source.env else _from_file(name, source)
                self._learn(name, value)
            except ConfigError as error:
                self._values.pop(name, None)
                self._faults[name] = error
            else:
                self._values[name] = value
                self._faults.pop(name, None)

    def _learn(self, name: str, value: str) -> None:
        check_value(name, value)
        self._redactor.learn(name, value)

    def _from_environment(self, name: str, source: SecretSource) -> str:
        value = self._environ.get(source.env, "").strip()
        if not value:
            # its name is not quoted: it may be the value, put there by mistake
            raise ConfigError("the variable that it names is not set in the environment", key=f"secrets.{name}")
        return value


def sources_of(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, SecretSource]:
    """What the settings declare, by name.  Raises ConfigError."""
    sources = {}
    for name, table in declared.items():
        try:
            check_name(name)
            sources[name] = source_of(table)
        except WrongSource as error:
            raise ConfigError(str(error), key=f"secrets.{name}") from None
    return sources


def _from_file(name: str, source: SecretSource) -> str:
    """The text of a file that is its owner's alone, without the line end behind it.  Raises ConfigError."""
    key = f"secrets.{name}"
    try:
        # not followed, not waited for: a link or a pipe is no file of a secret
        number = os.open(Path(source.file).expanduser(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=source.file, key=key) from None
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("is not a file", file=source.file, key=key)
        if status.st_mode & OTHERS or status.st_uid != os.geteuid():
            mode = stat.S_IMODE(status.st_mode)
            raise ConfigError(f"others may read it (mode {mode:04o}); make it yours alone: chmod 600", file=source.file, key=key)
        data = os.read(number, 4 * MAX_CHARS + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=source.file, key=key) from None
    finally:
        os.close(number)
    try:
        return data.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=source.file, key=key) from None


def _not_bound(name: str, hosts: Sequence[str], host: str, scheme: str) -> str:
    bound = f"bound to {', '.join(hosts)}" if hosts else "bound to no host"
    return (
        f"the secret '{name}' does not go to {scheme}://{host[:80]}: it is {bound}, over https; in your own settings: "
        f'[secrets.{name}] hosts = ["..."]'
    )
