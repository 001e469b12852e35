"""A library that could be replaced has one home; a package's inner modules are its own business."""

from __future__ import annotations

from fnmatch import fnmatch

import grimp
import pytest

HOMES = {
    "fastapi": [
        "backend.main",
        "backend.kernel.http",
        "backend.kernel.auth",
        "backend.operations.*",
        "backend.**.routes",
        "backend.speech.failures",
        "backend.speech.limits",
        "backend.speech.uploads",
    ],
    "pydantic_settings": ["backend.settings", "backend.settings.*"],
    "uvicorn": ["backend.operations.serving"],
    "apscheduler": ["backend.operations.schedules"],
    "prometheus_client": ["backend.operations.*"],
    "alembic": ["backend.kernel.schema_version"],
    "av": ["backend.media.probe_child", "backend.analysis.**"],
    "cv2": ["backend.analysis.**"],
    "ultralytics": ["backend.analysis.detection.*"],
    "openvino": ["backend.analysis.detection.*"],
    "onnxruntime": ["backend.analysis.detection.*", "backend.analysis.speech.*"],
    "google": ["backend.analysis.scene.vlm.gemini"],
    "openai": ["backend.analysis.scene.vlm.openai_compatible"],
    "httpx2": [
        "backend.analysis.scene.vlm.*",
        "backend.kernel.net",
        "backend.media.*",
        "backend.callbacks.*",
    ],
    "standardwebhooks": ["backend.callbacks.*"],
    "limits": ["backend.speech.limits"],
}
PRIVATE = {"tables", "queries", "routes", "handlers"}
ROOTS = {"backend.main", "backend.worker", "backend.tables"}
GRAPH = grimp.build_graph("backend", include_external_packages=True, cache_dir=None)
MODULES = sorted(
    module
    for module in GRAPH.modules
    if module.startswith("backend.") and module.rpartition(".")[2] in PRIVATE
)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_at_home(library: str) -> None:
    assert library in GRAPH.modules, f"{library} is used nowhere: take it off the list"
    importers = GRAPH.find_modules_that_directly_import(library)
    strays = {m for m in importers if not any(fnmatch(m, home) for home in HOMES[library])}
    assert not strays


@pytest.mark.parametrize("module", MODULES)
def test_an_inner_module_is_imported_only_from_its_own_package(module: str) -> None:
    own = module.rpartition(".")[0]
    importers = GRAPH.find_modules_that_directly_import(module)
    strangers = {m for m in importers if not m.startswith(own + ".") and m not in ROOTS}
    assert not strangers
