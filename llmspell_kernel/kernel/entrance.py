"""What a shell holds before the first script cell: names and defaults, and a worker that is already starting.

Importing the session and the rendering takes some 40 ms, which the start of every kernel of ours would pay; here it is paid when
a script, or `llmspell` in Python, is first used, or soon after the start.  In a stock kernel `%load_ext` pays it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..engines._registry import EngineRegistry
from ..errors import ConfigError, LoadError
from ..settings import PYTHON, Settings
from ..workers.spawn import WorkerProcess
from .frameless import without_frames
from .interrupt import EarlyStop
from .loading import without_collections

if TYPE_CHECKING:
    from .notebook import Notebook


def start_spare(engines: EngineRegistry) -> WorkerProcess | None:
    """A worker process that no session waits for yet.  None where none can start: the session's own start then says why."""
    with suppress(ConfigError):
        return WorkerProcess(engines)
    return None


class Entrance:
    """The name `llmspell` in Python, and `shell.llmspell`: everything it does not know itself is the notebook's."""

    def __init__(
        self, shell: Any, read: Callable[[], Settings], default: str, engines: EngineRegistry, spare: WorkerProcess | None
    ) -> None:
        self.shell = shell
        self._read = read
        self._default = default
        self._runs_python_lines = False
        self.engines = engines
        self._spare = spare
        self.early_stop = EarlyStop()
        self.added: list[Callable[[], None]] = []
        """What takes away again each thing that was added to the shell."""

    @property
    def magics(self) -> list[str]:
        """Names that may follow `%%`: engines and their aliases."""
        return [name for engine in self.engines for name in engine.names]

    @property
    def default(self) -> str:
        """The language of cells without a magic: an engine's name, or PYTHON."""
        return PYTHON if self._runs_python_lines else self._default

    def set_default(self, name: str) -> None:
        """From the next cell on.  Raises ConfigError for what is neither Python nor an engine that can run here."""
        if name.lower() == PYTHON:
            self._default = PYTHON
            return
        try:
            chosen = self.engines.get(name).name
        except ConfigError:
            raise self.engines.unknown(name, besides=[PYTHON]) from None
        self.engines.check(chosen)
        self._default = chosen

    @property
    def default_title(self) -> str:
        """How people write the language of plain cells."""
        return self.engines.titles().get(self._default, self._default.capitalize())

    @cached_property
    def notebook(self) -> Notebook:
        """Made at its first use.  While a settings file is wrong each use says so, and the one after its mend works."""
        try:
            with without_collections():
                from .notebook import Notebook

                settings = self._read()
                spare, self._spare = self._spare, None
                return Notebook(self.shell, settings, self.engines, spare, self.early_stop)
        except (ConfigError, LoadError) as error:
            raise without_frames(error) from None

    def prepare(self) -> None:
        """Makes the notebook before it is needed.  What hinders that is told where it is needed."""
        with suppress(ConfigError, LoadError):
            _ = self.notebook

    @contextmanager
    def python_lines(self) -> Iterator[None]:
        """Around the magics above a script: a stop is Python's own there, and what `%time` transforms as a cell is Python too."""
        self._runs_python_lines = True
        try:
            with self.early_stop.python_lines():
                yield
        finally:
            self._runs_python_lines = False

    async def shut_down(self) -> None:
        """Ends the session in order, within its deadline; in any thread that has an event loop."""
        if "notebook" in self.__dict__:
            await self.notebook.shut_down()
        self.close()

    def around(self, name: str, line: str) -> AbstractContextManager[None]:
        """What a cell magic of IPython above a script does around it, such as `%%time`."""
        from .around import around

        return around(self.shell, name, line)

    def close(self) -> None:
        """Ends every worker; for the end of the process, in any thread."""
        if "notebook" in self.__dict__:
            self.notebook.close()
        elif self._spare is not None:
            self._spare.kill()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what IPython looks for in every object must not make a session
            raise AttributeError(name)
        return getattr(self.notebook, name)

    def __dir__(self) -> list[str]:
        from .notebook import Notebook

        return sorted({*super().__dir__(), *dir(Notebook), "session", "values"})

    def __repr__(self) -> str:
        return repr(self.notebook)
