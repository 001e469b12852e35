"""The one error tree. Each error has a stable code for programs and a message for people.

    VapError
    ├── InvalidInput      400  the request is wrong; saying it again will not help
    ├── Unauthenticated   401  nobody said who they are
    ├── Forbidden         403  who they are is not enough
    ├── NotFound          404  no such thing
    ├── Conflict          409  not in the state that the request needs
    ├── TooLarge          413  more than is taken
    ├── TooMany           429  too many of these at once; a little later is fine
    └── Unavailable       503  a part is missing or down; later may work

A message is shown to users: it carries no path, credential, trace or library name. HTTP statuses
are given in one place, `kernel.http`.
"""

from __future__ import annotations


class VapError(Exception):
    """Base of what VAP raises on purpose; `code` is stable, `detail` holds facts for programs."""

    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.detail = detail


class InvalidInput(VapError):
    """The request is wrong; saying it again will not help."""

    code = "invalid_input"


class Unauthenticated(VapError):
    """Nobody said who they are."""

    code = "unauthenticated"


class Forbidden(VapError):
    """Who they are is not enough."""

    code = "forbidden"


class NotFound(VapError):
    """No such thing."""

    code = "not_found"


class Conflict(VapError):
    """Not in the state that the request needs."""

    code = "conflict"


class TooLarge(VapError):
    """More than is taken."""

    code = "too_large"


class TooMany(VapError):
    """Too many of these at once; a little later is fine."""

    code = "too_many_requests"


class Unavailable(VapError):
    """A part is missing or down; later may work."""

    code = "unavailable"
