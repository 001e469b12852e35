"""The built-in demo camera: where its rendered scene and the detector trained on it lie.

Both are made by the programs in `demo/` and come with the product.
"""

from __future__ import annotations

from pathlib import Path

_ASSETS = Path(__file__).resolve().parents[2] / "demo" / "assets"

DEMO_SCHEME = "demo:"
DEMO_SCENE = _ASSETS / "scene.mp4"
DEMO_DETECTOR = _ASSETS / "detector.onnx"
DEMO_ARCHIVE_S = 60
