"""How we prove who we are to a source: an opaque record whose text forms never show the secret.

In: a kind and a secret from the settings. Out: the request header of it (RFC 7617 for Basic, RFC 6750 for Bearer).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Literal

from intel.errors import ConfigError

Kind = Literal["basic", "bearer", "token", "x-api-key"]


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A secret and how it is sent; `user` is for Basic alone, where an API key goes as the password."""

    kind: Kind
    secret: str = field(repr=False)
    user: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.kind not in {"basic", "bearer", "token", "x-api-key"}:
            raise ConfigError("couldn't read credentials: the kind is not basic, bearer, token or x-api-key")
        if not self.secret or not self.secret.isprintable() or not self.user.isprintable() or ":" in self.user:
            raise ConfigError(f"couldn't read {self.kind} credentials: empty, or a character that cannot be sent")
        if self.kind != "basic" and not self.secret.isascii():
            raise ConfigError(f"couldn't read {self.kind} credentials: a character that cannot be sent")

    def headers(self) -> dict[str, str]:
        """The header to send; never log it."""
        if self.kind == "basic":
            pair = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")
            return {"Authorization": f"Basic {pair}"}
        if self.kind == "x-api-key":
            return {"x-api-key": self.secret}
        return {"Authorization": f"{self.kind.title()} {self.secret}"}
