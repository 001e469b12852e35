"""analysis_worker.py as a program: what it refuses to start with. Its work is in tests/system."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import worker

WRONG = {
    "VAP_PORT": "eighty",
    "DATABASE_URL": "oracle://u:hunter22@h/d",
    "MODEL_PRICES": "hunter22",
    "BACKEND_URL": "backend:9000",
    "ANALYSIS_CALLBACK_URL": "ftp://backend/x",
    "CALLBACK_ALLOWED_HOSTS": "http://backend",
    "CALLBACK_SECRET": "hunter22!!",
    "URL_ALLOWED_HOSTS": "http://media",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_one_line_that_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, WRONG[name])
    assert worker.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"analysis_worker.py: {name}"), said
    assert said.count("\n") == 1
    assert "hunter22" not in said
    assert not list(tmp_path.iterdir())
