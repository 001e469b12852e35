"""Exit code 0 when the configured database has this version's schema, else 1; prints nothing."""

from __future__ import annotations

import asyncio
import sys

from backend.kernel.db import Database, configured_url
from backend.kernel.schema_version import check_schema
from backend.settings import load_settings


async def _is_ready() -> bool:
    settings = load_settings()
    database = Database(configured_url(settings.database, settings.storage))
    try:
        await check_schema(database)
    except Exception:  # noqa: BLE001  whatever it is, it is not ready; the programs say what it is
        return False
    finally:
        await database.close()
    return True


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(_is_ready()) else 1)
