"""What follows from the code is up to date, and the check says what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.settings import GROUPS
from docs import generate


def test_the_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_names_what_differs_and_writing_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "docs" / "states.md").write_text("old")
    (tmp_path / ".env.example").unlink()
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "docs/states.md" in said
    assert ".env.example" in said
    assert "docs/access.md" not in said
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_every_setting_stands_in_both_lists_once() -> None:
    example, table = generate.env_example(), generate.configuration()
    for group in GROUPS.values():
        for field in group.model_fields.values():
            assert example.count(f"\n#{field.alias}=") == 1
            assert table.count(f"\n| `{field.alias}` |") == 1
            assert field.description


def test_the_lists_do_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = generate.generated()
    monkeypatch.setenv("VAP_PORT", "9999")
    monkeypatch.setenv("DATA_DIR", "/elsewhere")
    assert generate.generated() == before


def test_the_example_is_read_by_the_settings_as_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = generate.env_example()
    lines = [line.removeprefix("#") for line in text.splitlines()]
    file = tmp_path / "all.env"
    file.write_text("\n".join(line for line in lines if line[:1].isupper() and "=" in line))
    for group in GROUPS.values():
        for field in group.model_fields.values():
            monkeypatch.delenv(str(field.alias), raising=False)
        assert group(_env_file=file) == group(_env_file=None)
