"""What an ECG backend checks of each message: the schema beside this file, and what goes on in it.

The schema is read by a small validator of its own, which knows the few keywords that the schema
uses and refuses every other one: a rule that is not understood is never passed over.

    wrong("completed", body)     sentences, none for a message that is right
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

SCHEMA = json.loads(Path(__file__).with_name("ecg_messages.schema.json").read_text())
_INSIDE = re.compile(r"(?:^|[\s'\"(])/[\w.-]+/|://[\w\[]|Traceback|File \"|\.py\b")
"""A path, a URL, or a trace: nothing that a message may show of the server."""


def wrong(kind: str, body: Any) -> list[str]:
    """What is wrong with a message that is to be of this kind."""
    found = list(_validate(SCHEMA["$defs"][kind], body, kind))
    if not found and kind == "completed":
        found = list(_result(body["result"]))
    if not found and _INSIDE.search(str(body.get("error_message") or body.get("message") or "")):
        found = [f"{kind}: the message shows what is inside the server: {body}"]
    return found


def kind_of(body: Any, *, is_scene: bool) -> str:
    """Which message this claims to be."""
    status = str(body.get("status")) if isinstance(body, dict) else ""
    if is_scene and status in {"completed", "failed"}:
        return f"scene_{status}"
    return status if status in {"processing", "completed", "failed"} else "processing"


def _validate(schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    for keyword, rule in schema.items():
        if keyword in {"description", "properties", "items"}:
            continue
        if keyword == "$ref":
            yield from _validate(SCHEMA["$defs"][rule.rpartition("/")[2]], value, at)
        elif not _CHECKS[keyword](rule, value, schema):
            yield f"{at}: {_short(value)} breaks {keyword} {rule}"
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield from _validate(part, value[name], f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from _validate(schema["items"], item, f"{at}[{number}]")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == int(value),
}
_CHECKS: Mapping[str, Callable[[Any, Any, Mapping[str, Any]], bool]] = {
    "type": lambda rule, value, _: _TYPES[rule](value),
    "const": lambda rule, value, _: type(value) is type(rule) and value == rule,
    "enum": lambda rule, value, _: value in rule,
    "minimum": lambda rule, value, _: not _is_number(value) or value >= rule,
    "maximum": lambda rule, value, _: not _is_number(value) or value <= rule,
    "minLength": lambda rule, value, _: not isinstance(value, str) or len(value) >= rule,
    "maxLength": lambda rule, value, _: not isinstance(value, str) or len(value) <= rule,
    "pattern": lambda rule, value, _: not isinstance(value, str) or bool(re.search(rule, value)),
    "required": lambda rule, value, _: not isinstance(value, dict) or set(rule) <= value.keys(),
    "additionalProperties": lambda _, value, schema: (
        not isinstance(value, dict) or value.keys() <= schema["properties"].keys()
    ),
}


def _result(result: Any) -> Iterator[str]:
    """What no schema can say: the numbers of a result agree with each other."""
    metadata, segments = result["metadata"], result["segments"]
    speakers = {one["speaker"]["speaker_id"] for one in segments}
    if metadata["total_segments"] != len(segments):
        yield f"total_segments is {metadata['total_segments']}, there are {len(segments)}"
    if metadata["unique_speakers"] != len(speakers):
        yield f"unique_speakers is {metadata['unique_speakers']}, there are {len(speakers)}"
    for segment in segments:
        if not segment["start_time"] <= segment["end_time"] <= metadata["duration"] + 0.1:
            yield f"a segment lies outside: {segment['start_time']} to {segment['end_time']}"
        if not segment["words"]:
            yield f"a segment without words: {segment['text']!r}"
        before = segment["start_time"]
        for word in segment["words"]:
            if not before <= word["start"] <= word["end"] <= segment["end_time"]:
                yield f"a word out of order: {word}"
            before = word["start"]
    starts = [one["start_time"] for one in segments]
    if starts != sorted(starts):
        yield "the segments are out of order"


def _short(value: Any) -> str:
    return repr(value)[:200]
