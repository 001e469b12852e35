"""Every import contract is seen to fail on a planted fault, and to hold on the code as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLANTS = {
    "a lower tier imports a higher one": (
        "backend/media/planted.py", "from backend import monitoring\n", "Tiers point downwards",
    ),
    "a folder that nobody has placed": (
        "backend/surprise/__init__.py", '"""New."""\n', "Tiers point downwards",
    ),
    "the queue imports an analyser": (
        "backend/jobs/planted.py", "from backend.analysis import pool\n", "Tiers point downwards",
    ),
    "a cycle inside a folder": (
        "backend/jobs/states.py", "from backend.jobs import service\n", "No cycles, at any depth",
    ),
    "a lazy import of a model library behind the web process": (
        "backend/jobs/claims.py",
        "def planted():\n    import ultralytics\n    return ultralytics\n",
        "The web process never loads a model",
    ),
    "an engine that knows the database": (
        "backend/media/planted.py", "import sqlalchemy\n", "Engines know neither web nor database",
    ),
    "a service that runs an analyser": (
        "backend/monitoring/planted.py",
        "from backend.analysis import pool\n",
        "Only worker-side handlers run analysers",
    ),
}  # fmt: skip


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "backend", tmp_path / "backend", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(copy: Path) -> None:
    result = _lint(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("fault", PLANTS)
def test_a_planted_fault_breaks_its_contract(copy: Path, fault: str) -> None:
    file, code, contract = PLANTS[fault]
    path = copy / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + code)
    result = _lint(copy)
    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout
