"""The one tree of errors.

TeachbackError
├─ Invalid       a value breaks a rule; names the value, the rule and the fix
├─ NotFound      nothing has this id in this project
├─ Conflict      the id is taken by a record with other content
├─ Forbidden     the key, token or role may not do this
│  └─ Unauthenticated
├─ Unavailable   a dependency is away; the same call may succeed later
│  └─ Overloaded   one project sends faster than is stored
└─ SetupError    the installation or its configuration must be mended first
"""

from __future__ import annotations


class TeachbackError(Exception):
    """Something went wrong in Teachback."""

    #: The stable word for this kind of error in API answers.
    type = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)

    @property
    def message(self) -> str:
        return str(self)


class Invalid(TeachbackError):
    """A value breaks a rule."""

    type = "invalid"

    def __init__(
        self, field: str, *, value: object = None, rule: str, fix: str, shown: bool = True
    ) -> None:
        """Name the field, its value, the broken rule and what to do.

        `shown=False` keeps the value out of the message, for content and secrets.
        """
        self.field = field
        self.rule = rule
        self.fix = fix
        #: What was sent, cut to a length that is safe to print; never content.
        self.value = _printable(value) if shown and value is not None else None
        was = f" is {self.value}" if self.value is not None else ""
        super().__init__(f"{field}{was}: {rule}. {fix}.")


class NotFound(TeachbackError):
    """Nothing has this id in this project."""

    type = "not_found"


class Conflict(TeachbackError):
    """The id is taken by a record with other content."""

    type = "conflict"


class Forbidden(TeachbackError):
    """This key, token or role may not do this."""

    type = "forbidden"


class Unauthenticated(Forbidden):
    """No valid key, token or login came with the request."""

    type = "unauthenticated"


class Unavailable(TeachbackError):
    """A dependency is away; try again later."""

    type = "unavailable"

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """This project sends faster than its records are stored."""

    type = "overloaded"


class SetupError(TeachbackError):
    """The installation must be mended before Teachback can run."""

    type = "setup"


def _printable(value: object, limit: int = 80) -> str:
    text = ascii(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
