"""What lies around a sandbox for a script to find: if one of these was touched or told of, something got out."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Canaries:
    """An environment variable, a file, a listening socket and a process; `close` ends them."""

    def __init__(self, folder: Path) -> None:
        self.secret = secrets.token_hex(12)
        """Stands in the variable, the file and the neighbour states; no script is told it."""
        self._variable = f"HOSTILE_TEST_{secrets.token_hex(4)}"
        self._folder = folder
        self._file = folder / "canary.txt"
        self._file.write_text(self.secret)
        self._file_before = self._file.stat()
        os.environ[self._variable] = self.secret
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._victim = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])

    def names(self) -> Mapping[str, str]:
        """What an attack may write for each."""
        return {
            "VARIABLE": self._variable,
            "FILE": str(self._file),
            "FOLDER": str(self._folder),
            "PORT": str(self._listener.getsockname()[1]),
            "PID": str(self._victim.pid),
            "HOST": str(os.getpid()),
        }

    def touched(self) -> list[str]:
        """What a script did to them; empty where all is well."""
        found = []
        now = self._file.stat()
        if self._file.read_text() != self.secret or (now.st_mode, now.st_mtime_ns) != (
            self._file_before.st_mode,
            self._file_before.st_mtime_ns,
        ):
            found.append("the file was changed")
        if others := [path.name for path in self._folder.iterdir() if path != self._file]:
            found.append(f"files were made: {others}")
        if os.environ.get(self._variable) != self.secret:
            found.append("the variable was changed")
        if self._was_connected():
            found.append("somebody connected to the socket")
        if self._victim.poll() is not None:
            found.append("the victim process is dead")
        return found

    def _was_connected(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True

    def close(self) -> None:
        os.environ.pop(self._variable, None)
        self._listener.close()
        self._victim.kill()
        self._victim.wait()
