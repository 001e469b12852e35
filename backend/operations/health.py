"""Turns vital signs into the answer of /health: public, so it holds no name and no path."""

from __future__ import annotations

from backend.media.archive import DiskUsage
from backend.operations.loop_delay import LoopDelay
from backend.operations.schemas import DatabaseHealth, DiskHealth, Health
from backend.operations.vitals import Vitals, VitalSigns
from backend.version import __version__

LEAST_FREE_BYTES = 500_000_000
HELD_S = 1.0


async def read_health(vitals: Vitals, loop_delay: LoopDelay) -> Health:
    """The health of now; answers within two seconds even when the database does not."""
    signs = await vitals.get()
    problems = _problems(signs, loop_delay)
    known = signs.database
    return Health(
        status="degraded" if problems else "ok",
        version=__version__,
        problems=problems,
        database=DatabaseHealth(
            ok=known is not None,
            dialect=vitals.dialect,
            latency_ms=round(known.latency_s * 1000, 2) if known else None,
        ),
        disk=_disk(signs.disk),
        cameras=dict(known.cameras) if known else None,
        queue=known.queue if known else None,
        workers_alive=known.workers_alive if known else None,
        event_loop_delay_ms=round(loop_delay.max_s * 1000, 1),
    )


def _problems(signs: VitalSigns, loop_delay: LoopDelay) -> list[str]:
    found = {
        "database_unreachable": signs.database is None,
        "disk_unreadable": signs.disk is None,
        "disk_full": signs.disk is not None and signs.disk.free_bytes < LEAST_FREE_BYTES,
        "no_workers": signs.database is not None
        and signs.database.workers_alive == 0
        and signs.database.queue.pending > 0,
        "cameras_failed": signs.database is not None and bool(signs.database.cameras.get("failed")),
        "event_loop_held": loop_delay.max_s > HELD_S,
    }
    return [name for name, is_so in found.items() if is_so]


def _disk(disk: DiskUsage | None) -> DiskHealth | None:
    if disk is None:
        return None
    return DiskHealth(
        free_bytes=disk.free_bytes,
        total_bytes=disk.total_bytes,
        used_percent=round(disk.used_percent, 1),
    )
