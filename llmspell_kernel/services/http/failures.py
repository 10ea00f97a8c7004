"""The one border where exceptions of httpcore, of TLS and of sockets become ours.

Rules
- Errors name the method, the host and the path, never the query, a header or a body: these may hold keys, or a stranger's text.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore

from llmspell_kernel.errors import BridgeError, SpellError


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Raises BridgeError with one of the codes unreachable, timeout, tls, connection_lost and bad_answer; `what` begins its text."""
    try:
        yield
    except SpellError:
        raise
    except (httpcore.ConnectTimeout, httpcore.ReadTimeout, httpcore.WriteTimeout, httpcore.PoolTimeout) as error:
        raise BridgeError(f"{what}: the server did not answer in time", retryable=True, code="timeout") from error
    except httpcore.ConnectError as error:
        if (tls := _cause(error, ssl.SSLError)) is not None:
            raise BridgeError(f"{what}: {_tls_text(tls)}", code="tls") from error
        raise BridgeError(f"{what}: the server cannot be reached{_reason(error)}", retryable=True, code="unreachable") from error
    except (httpcore.RemoteProtocolError, httpcore.LocalProtocolError) as error:
        if _is_end(error):
            raise BridgeError(
                f"{what}: the server closed the connection before its answer was complete", retryable=True, code="connection_lost"
            ) from error
        raise BridgeError(f"{what}: what came is not an HTTP answer", code="bad_answer") from error
    except (httpcore.NetworkError, OSError) as error:
        raise BridgeError(f"{what}: the connection was lost{_reason(error)}", retryable=True, code="connection_lost") from error
    except httpcore.UnsupportedProtocol as error:
        raise BridgeError(f"{what}: this protocol cannot be spoken", code="bad_answer") from error


def _is_end(error: Exception) -> bool:
    """httpcore and h11 have one type for nonsense and for a connection that ended early; only their texts tell them apart."""
    text = str(error)
    return text.startswith(("Server disconnected", "peer closed connection", "peer unexpectedly closed"))


def _cause(error: BaseException | None, kind: type[ssl.SSLError]) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _tls_text(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid for it: {error.verify_message}"
    return f"no secure connection can be made ({error.reason or 'TLS'})"


def _reason(error: BaseException | None) -> str:
    """What the system says of it, in its own words: `Connection refused`."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return f": {error.strerror}"
        error = error.__cause__ or error.__context__
    return ""
