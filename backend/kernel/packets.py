"""How long a statement may be: MySQL and MariaDB refuse one past their `max_allowed_packet`.

They do so by hanging up, which looks like an outage, and an outage is waited out: the statement
would be sent again for ever. So a long one is measured before it is sent, as the driver will write
it: values stand in the statement, with a backslash before each letter that needs one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.kernel.errors import TooLarge

WANTED_BYTES = 64 * 1024 * 1024
"""Holds a transcript of 50 MB: its quotes are escaped, which makes it longer by an eighth."""
MEASURED_CHARS = 1_000_000
"""From which a statement is measured, if not from less: a letter may have 4 bytes."""
ESCAPED = "\0\n\r\032\"'\\"
OTHER_BYTES = 32
"""At most so many for what is no text: the command, quotes, numbers and times."""


class StatementTooLarge(TooLarge):
    """The database server takes no statement of this length; nothing was sent."""

    code = "statement_too_large"


def refuse_long_statements(engine: AsyncEngine) -> None:
    """Have an engine for MySQL raise `StatementTooLarge` instead of losing its connection."""

    @event.listens_for(engine.sync_engine, "connect")
    def _learn(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT @@max_allowed_packet")
        record.info["most_bytes"] = cursor.fetchone()[0]
        cursor.close()

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _measure(
        connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: Any
    ) -> None:
        most_bytes = connection.info["most_bytes"]
        for row in values if isinstance(values, list) else [values]:
            texts = [value for value in row if isinstance(value, str)]
            if len(statement) + sum(map(len, texts)) < min(MEASURED_CHARS, most_bytes // 4):
                continue
            size_bytes = len(statement.encode()) + OTHER_BYTES * (1 + len(row))
            if size_bytes + sum(map(_written_bytes, texts)) > most_bytes:
                raise StatementTooLarge(
                    f"The database server takes at most {most_bytes:,} bytes at once, and this is"
                    " more: its max_allowed_packet has to be raised,"
                    f" best to {WANTED_BYTES // 1024**2}M."
                )


def _written_bytes(value: str) -> int:
    return len(value.encode()) + sum(value.count(letter) for letter in ESCAPED)
