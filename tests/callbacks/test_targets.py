"""The allow-list: what it lets through is exactly what the HTTP client will connect to."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.callbacks.targets import CallbackTargets
from backend.kernel.errors import InvalidInput

TARGETS = CallbackTargets(
    "https://ecg.example:8000/base",
    ["other.example", "third.example:9000", "[::1]:80", "10.0.0.5", "fe80::1"],
)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://ecg.example:8000/api", "https://ecg.example:8000"),
        ("http://ECG.example:8000/api", "http://ecg.example:8000"),
        ("http://other.example/", "http://other.example:80"),
        ("https://other.example", "https://other.example:443"),
        ("http://other.example:8080/", "http://other.example:8080"),
        ("http://third.example:9000/x?y=z", "http://third.example:9000"),
        ("http://[::1]/", "http://[::1]:80"),
        ("https://[fe80::1]:8443/", "https://[fe80::1]:8443"),
        ("http://10.0.0.5:81/", "http://10.0.0.5:81"),
    ],
)
def test_a_listed_host_is_allowed(url: str, origin: str) -> None:
    assert TARGETS.check(url).origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "https://ecg.example/api",
        "https://ecg.example:8001/",
        "http://third.example/",
        "http://sub.other.example/",
        "http://other.example.evil.example/",
        "http://10.0.0.50/",
        "http://[::1]:81/",
    ],
)
def test_any_other_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TARGETS.check(url)
    assert caught.value.code == "callback_host_refused"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "other.example",
        "file:///etc/passwd",
        "ftp://other.example/",
        "//other.example/",
        "http://user@other.example/",
        "http://user:password@other.example/",
        "http://evil.example\\@other.example/",
        "http://other.example /",
        "http://other.example\n/",
        "http://other.example:0x50/",
        "http://other.example:99999/",
        "http:///x",
        "http://other.example./",
        "http://other.example/" + "x" * 2000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TARGETS.check(url)
    assert caught.value.code == "callback_url_wrong"


@given(
    st.text(alphabet="htps:/@\\#?.[]%0 \tother.exampleEvil", max_size=60),
    st.sampled_from(["http://", "https://other.example", "http://evil@", ""]),
)
def test_whatever_passes_leads_to_a_listed_host(text: str, start: str) -> None:
    try:
        target = TARGETS.check(start + text)
    except InvalidInput:
        return
    url = httpx2.URL(target.url)
    assert url.host in {"other.example", "ecg.example", "third.example", "10.0.0.5"}
    assert not url.userinfo
    assert TARGETS.check(target.url) == target


@pytest.mark.parametrize(
    "entry", ["", "http://x", "a b", "x:y", "x:123456", "u@x", "x/y", "*", "x:0", "[x]", "::g"]
)
def test_a_wrong_entry_is_said_at_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="allowed callback host"):
        CallbackTargets(None, [entry])


def test_a_wrong_backend_url_is_said_at_the_start() -> None:
    with pytest.raises(ValueError, match="backend's URL"):
        CallbackTargets("ecg.example:8000")
