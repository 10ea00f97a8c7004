"""What a script may say of a request."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Hops = Annotated[int, msgspec.Meta(ge=0, le=20)]
Size = Annotated[int, msgspec.Meta(ge=1)]
Parameter = str | int | float | bool


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a secret is sent: as `header: scheme value`.

    - secret: its name
    - header: where it is sent
    - scheme: the word before it, "" for none; with Basic, the secret is of the form user:password
    """

    secret: str
    header: str = "authorization"
    scheme: str = "Bearer"


class RequestOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to ask.  At most one of `json`, `form` and `body` is the body.

    - headers: more headers, by name
    - query: parameters that are added to the URL, encoded; a list gives one of them several values
    - json: a value that is sent as JSON
    - form: fields that are sent as a web form
    - body: a text or bytes, sent as they are
    - auth: the name of a secret, sent as `Authorization: Bearer ...` to the hosts it is bound to; or {secret, header, scheme}
    - timeout_s: seconds for the whole call, at most those of the settings
    - redirects: how many to follow, at most those of the settings; with 0 the redirect itself is the answer
    - max_bytes: the largest answer to take, at most that of the settings
    - binary: give the body as bytes
    - method: for `http.request` and `http.stream`: GET, where none is said
    """

    headers: dict[str, str] | None = None
    query: dict[str, Parameter | list[Parameter]] | None = None
    json: Any = None
    form: dict[str, Parameter | list[Parameter]] | None = None
    body: bytes | None = None
    auth: str | Auth | None = None
    timeout_s: Seconds | None = None
    redirects: Hops | None = None
    max_bytes: Size | None = None
    binary: bool = False
    method: str | None = None

    @property
    def body_is_missing(self) -> bool:
        return self.json is None and self.form is None and self.body is None
