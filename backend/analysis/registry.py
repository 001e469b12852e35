"""Which analysers there are, by the name that settings and requests use."""

from __future__ import annotations

from collections.abc import Callable

from backend.analysis.protocol import SceneAnalyser


def _local() -> SceneAnalyser:
    from backend.analysis.scene.local import LocalSceneAnalyser

    return LocalSceneAnalyser()


def _fake() -> SceneAnalyser:
    from backend.analysis.fakes import FakeSceneAnalyser

    return FakeSceneAnalyser()


SCENE_ANALYSERS: dict[str, Callable[[], SceneAnalyser]] = {"local": _local}
"""What a worker may ask for."""

FAKE_SCENE_ANALYSERS: dict[str, Callable[[], SceneAnalyser]] = {"fake": _fake}
"""Added only in a child that was started with `--fakes`."""
