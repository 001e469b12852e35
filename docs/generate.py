"""Writes what follows from the code: `python -m docs.generate`; with `--check` it only compares.

.env.example and docs/configuration.md from the settings, docs/states.md from the state tables,
docs/access.md and frontend/openapi.json from the routes. A test and `make check` hold that they are
up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from backend.callbacks.states import CALLBACK
from backend.jobs.states import JOB
from backend.kernel.auth import Role
from backend.main import create_app
from backend.monitoring.cameras.states import CAMERA
from backend.monitoring.incidents.states import INCIDENT
from backend.operations import openapi
from backend.operations.access import list_access
from backend.settings import GROUPS, Group, Settings
from backend.speech.states import RESULT

ROOT = Path(__file__).resolve().parent.parent
NOTE = "Written by `python -m docs.generate`; changes here are lost."
SETTINGS_INTRO = (
    "Settings come from the environment, else from `.env` in the folder where a program is"
    " started, else they have the default below. Both programs read all of them at their start"
    " and refuse to start with a wrong value, naming it."
)
ROLES = {
    Role.PUBLIC: "anybody",
    Role.SERVICE: "a program of the contracts, by key or from `SERVICE_ALLOWED_HOSTS`",
    Role.VIEWER: "sees cameras, archives and jobs",
    Role.OPERATOR: "changes cameras, cancels and retries jobs",
    Role.ADMIN: "everything",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files, or name those that differ; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args(argv).check
    differing = [path for path, text in generated().items() if _current(path) != text]
    if check:
        for path in differing:
            print(f"{path} is out of date: run `make docs`", file=sys.stderr)
        return 1 if differing else 0
    for path in differing:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(generated()[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


def generated() -> dict[str, str]:
    """The files by their path from the root of the repository."""
    app = create_app(default_settings())
    return {
        ".env.example": env_example(),
        "docs/configuration.md": configuration(),
        "docs/states.md": states(),
        "docs/access.md": access(app),
        "frontend/openapi.json": json.dumps(openapi.describe(app), indent=2) + "\n",
    }


def default_settings() -> Settings:
    """The defaults, whatever the environment and `.env` hold: every machine writes the same."""
    groups: dict[str, Any] = {name: group.model_construct() for name, group in GROUPS.items()}
    return Settings.model_construct(**groups)


def env_example() -> str:
    """Every setting, commented out, with its default."""
    lines = [f"# {NOTE}", "# Copy to .env and take away the # of what you want to change."]
    for name, group in GROUPS.items():
        lines += ["", f"# --- {name}: {_sentence(group)}"]
        for field in group.model_fields.values():
            lines += ["", *(f"# {line}" for line in _wrapped(_plain(field.description or "")))]
            lines.append(f"#{field.alias}={_default(field)}")
    return "\n".join(lines) + "\n"


def configuration() -> str:
    """Every setting in a table."""
    lines = [
        "# Configuration",
        "",
        f"<!-- {NOTE} -->",
        "",
        SETTINGS_INTRO,
    ]
    for name, group in GROUPS.items():
        lines += ["", f"## {name.capitalize()}", "", _sentence(group), ""]
        lines += ["| name | meaning | value | default |", "| --- | --- | --- | --- |"]
        for field in group.model_fields.values():
            default = f"`{_default(field)}`" if _default(field) else ""
            meaning = (field.description or "").replace("|", "\\|")
            lines.append(f"| `{field.alias}` | {meaning} | {_value(field)} | {default} |")
    return "\n".join(lines) + "\n"


def states() -> str:
    """The state machines as pictures."""
    lines = ["# States", "", f"<!-- {NOTE} -->"]
    for machine in (CAMERA, JOB, INCIDENT, CALLBACK, RESULT):
        lines += ["", f"## {machine.name.capitalize()}", "", "```mermaid", machine.mermaid(), "```"]
    return "\n".join(lines) + "\n"


def access(app: Any) -> str:
    """Every route with the role it asks for."""
    lines = ["# Who may call what", "", f"<!-- {NOTE} -->", ""]
    lines += ["Each role includes the ones before it.", ""]
    lines += [f"- **{role.name.lower()}**: {what}" for role, what in ROLES.items()]
    lines += ["", "| method | path | role | |", "| --- | --- | --- | --- |"]
    for route in list_access(app):
        role = route.role.name.lower() if route.role is not None else "undeclared"
        path = f"{route.path}/..." if route.method == "*" else route.path
        lines.append(f"| {route.method} | `{path}` | {role} | {route.summary} |")
    return "\n".join(lines) + "\n"


def _current(path: str) -> str | None:
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.exists() else None


def _sentence(group: type[Group]) -> str:
    return (group.__doc__ or "").strip().partition("\n")[0]


def _plain(text: str) -> str:
    return text.replace("`", "")


def _default(field: FieldInfo) -> str:
    """The default as it would stand in `.env`; empty for none."""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict):
        return json.dumps(TypeAdapter(field.annotation).dump_python(value), default=float)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(field: FieldInfo) -> str:
    """What kind of value it takes, with its limits."""
    limits = ", ".join(_limits(field))
    kind = " or ".join(dict.fromkeys(_kinds(field.annotation)))
    return f"{kind}, {limits}" if limits else kind


def _limits(field: FieldInfo) -> Iterator[str]:
    words = {"gt": "over", "ge": "at least", "lt": "under", "le": "at most"}
    for constraint in field.metadata:
        for name, word in words.items():
            limit = getattr(constraint, name, None)
            if limit is not None:
                yield f"{word} {limit:g}"
        length = getattr(constraint, "min_length", None)
        if length is not None:
            yield f"at least {length} characters"


def _kinds(annotation: Any) -> Iterator[str]:
    names: dict[Any, str] = {
        int: "whole number",
        float: "number",
        Decimal: "number",
        bool: "true or false",
        Path: "path",
    }
    origin = get_origin(annotation)
    if annotation is NoneType:
        return
    if origin is Literal:
        yield ", ".join(f"`{choice}`" for choice in get_args(annotation))
    elif origin is tuple:
        yield "list"
    elif origin is dict:
        yield "JSON"
    elif origin is not None:
        for part in get_args(annotation):
            yield from _kinds(part)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield ", ".join(f"`{choice.value}`" for choice in annotation)
    else:
        yield names.get(annotation, "text")


def _wrapped(text: str, width: int = 96) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


if __name__ == "__main__":
    sys.exit(main())
