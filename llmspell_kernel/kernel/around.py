"""IPython's cell magics that may stand above a script cell's own: they run what they hold as Python, without awaiting it, so they are done here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ..errors import ConfigError
from .frameless import without_frames

REFUSED = ("timeit", "prun", "debug")
"""They would run the cell again and again, or look into Python's own frames."""


@contextmanager
def _timed(shell: Any, line: str) -> Iterator[None]:
    """`%%time`: how long it took, and how much of that the script itself ran, if it did."""
    from IPython.core.magics.execution import _format_time as shown

    from ..journal.events import CellFinished

    session = shell.llmspell.session
    cell = session.last_cell + 1  # what is below takes the next number first of all, whatever else runs meanwhile
    started = time.perf_counter()
    try:
        yield
    finally:
        wall_s = time.perf_counter() - started
        ended = [event for event in session.recorder.of_cell(cell) if isinstance(event, CellFinished)]
        parts = [f" (script {shown(end.script_time_s)}, waiting {shown(max(0.0, wall_s - end.script_time_s))})" for end in ended]
        print(f"Wall time: {shown(wall_s)}{''.join(parts)}")


@contextmanager
def _captured(shell: Any, line: str) -> Iterator[None]:
    """`%%capture [--no-stdout] [--no-stderr] [--no-display] [NAME]`: what is printed and shown becomes the variable NAME."""
    from IPython.core.magic_arguments import parse_argstring
    from IPython.core.magics import ExecutionMagics
    from IPython.utils.capture import capture_output

    args = parse_argstring(ExecutionMagics.capture, line)
    with capture_output(not args.no_stdout, not args.no_stderr, not args.no_display) as captured:
        try:
            yield
        finally:
            if args.output:
                shell.user_ns[args.output] = captured


AROUND: dict[str, Callable[[Any, str], AbstractContextManager[None]]] = {"time": _timed, "capture": _captured}
NAMES = (*AROUND, *REFUSED)


def around(shell: Any, name: str, line: str) -> AbstractContextManager[None]:
    """What `%%name line` does around a script.  Raises ConfigError for one that cannot."""
    if name in REFUSED:
        told = f"%%{name} cannot run a script cell; above one may stand {' and '.join(f'%%{known}' for known in AROUND)}"
        raise without_frames(ConfigError(told))
    return AROUND[name](shell, line)
