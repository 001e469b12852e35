"""No URL of a stranger leads inside: as it is written, as it resolves, wherever it redirects."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kernel.errors import InvalidInput
from backend.kernel.net import (
    LONGEST_URL,
    UrlPolicy,
    UrlRefused,
    check_url,
    guarded_client,
    is_allowed_address,
)
from tests.peers.file_server import Answer, FileServer, make_certificates, redirect

STRICT = UrlPolicy()
HTTP_TOO = UrlPolicy(allow_http=True)
LOOPBACK = UrlPolicy.of(["127.0.0.1/32"], allow_http=True)

SCHEME = "must begin with https://"
NO_HOST = "names no host"
NO_ADDRESS = "address in the URL is not one"
UNUSUAL = "not written in the usual form"
NO_NAME = "host in the URL is not one"
CREDENTIALS = "user name or password"
CONTROL = "space or a control character"
BACKSLASH = "backslash"
ESCAPED = "escaped or has a zone"
BAD_PORT = "host or the port"
INVALID = "not a valid one"
BAD_HOST = "host of the URL is not valid"

HOSTILE = [
    # schemes
    ("http://example.com/a.mp4", SCHEME),
    ("file:///etc/passwd", SCHEME),
    ("ftp://example.com/a.mp4", SCHEME),
    ("gopher://example.com:70/_a", SCHEME),
    ("dict://example.com:11211/stats", SCHEME),
    ("data:video/mp4;base64,AAAA", SCHEME),
    ("rtsp://example.com/live", SCHEME),
    ("unix:///var/run/docker.sock", SCHEME),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/info", SCHEME),
    ("view-source:https://example.com/", SCHEME),
    ("//example.com/a.mp4", SCHEME),
    ("/etc/passwd", SCHEME),
    ("example.com/a.mp4", SCHEME),
    ("", SCHEME),
    # no host
    ("https", NO_HOST),
    ("https:", NO_HOST),
    ("https://", NO_HOST),
    ("https:///a.mp4", NO_HOST),
    ("https:a.mp4", NO_HOST),
    ("https:/127.0.0.1/", NO_HOST),
    ("https://?host=example.com", NO_HOST),
    ("https://:443/", NO_HOST),
    # two readers, two hosts
    ("https://user:secret@example.com/", CREDENTIALS),
    ("https://@example.com/", CREDENTIALS),
    ("https://example.com@127.0.0.1/", CREDENTIALS),
    ("https://127.0.0.1:80@example.com:80/", CREDENTIALS),
    ("https://example.com\\@127.0.0.1/", BACKSLASH),
    ("https:\\\\127.0.0.1\\", BACKSLASH),
    ("https://example.com /", CONTROL),
    (" https://example.com/", CONTROL),
    ("https://example.com/\r\nHost: inside", CONTROL),
    ("https://exam\tple.com/", CONTROL),
    ("https://example.com/\0", CONTROL),
    ("https://example.com/\u2028", CONTROL),
    ("https://example.com/\x85", CONTROL),
    ("https://example.com/\xa0", CONTROL),
    ("https://127.0.0.1%2f@example.com/", CREDENTIALS),
    ("https://127.0.0.1%2eexample.com/", ESCAPED),
    ("https://%31%32%37.0.0.1/", ESCAPED),
    ("https://%6c%6f%63alhost/", ESCAPED),
    ("https://[fe80::1%25eth0]/", ESCAPED),
    ("https://[fe80::1%eth0]/", ESCAPED),
    ("https://\ud800.example.com/", INVALID),
    ("https://exa_m!ple.com/", BAD_HOST),
    ("https://example..com/", BAD_HOST),
    ("https://.example.com/", BAD_HOST),
    ("https://example.com../", BAD_HOST),
    ("https://" + "a" * 64 + ".com/", BAD_HOST),
    ("https://" + "a." * 127 + "com/", BAD_HOST),
    ("https://example.com/" + "a" * LONGEST_URL, "too long"),
    # ports
    ("https://example.com:0/", BAD_PORT),
    ("https://example.com:00/", BAD_PORT),
    ("https://example.com:65536/", BAD_PORT),
    ("https://example.com:-1/", BAD_PORT),
    ("https://example.com:+443/", BAD_PORT),
    ("https://example.com:4_43/", BAD_PORT),
    ("https://example.com:\uff14\uff14\uff13/", BAD_PORT),
    ("https://example.com:/", BAD_PORT),
    ("https://example.com:80:443/", BAD_PORT),
    ("https://::1/", BAD_PORT),
    ("https://[::1/", BAD_PORT),
    ("https://[::1]x/", BAD_PORT),
    # literal IPv4
    ("https://127.0.0.1/", NO_ADDRESS),
    ("HTTPS://127.0.0.1:8443/", NO_ADDRESS),
    ("https://127.255.255.254/", NO_ADDRESS),
    ("https://0.0.0.0/", NO_ADDRESS),
    ("https://0.1.2.3/", NO_ADDRESS),
    ("https://10.1.2.3/", NO_ADDRESS),
    ("https://172.16.0.1/", NO_ADDRESS),
    ("https://172.31.255.255/", NO_ADDRESS),
    ("https://192.168.1.1/", NO_ADDRESS),
    ("https://100.64.0.1/", NO_ADDRESS),
    ("https://169.254.169.254/latest/meta-data/", NO_ADDRESS),
    ("https://169.254.170.2/v2/credentials", NO_ADDRESS),
    ("https://100.100.100.200/latest/meta-data/", NO_ADDRESS),
    ("https://168.63.129.16/machine", NO_ADDRESS),
    ("https://192.0.0.192/opc/v2/", NO_ADDRESS),
    ("https://224.0.0.1/", NO_ADDRESS),
    ("https://239.255.255.250:1900/", NO_ADDRESS),
    ("https://240.0.0.1/", NO_ADDRESS),
    ("https://255.255.255.255/", NO_ADDRESS),
    ("https://192.0.2.1/", NO_ADDRESS),
    ("https://198.18.0.1/", NO_ADDRESS),
    ("https://198.51.100.1/", NO_ADDRESS),
    ("https://203.0.113.1/", NO_ADDRESS),
    # the same, as resolvers read them
    ("https://2130706433/", UNUSUAL),
    ("https://0x7f000001/", UNUSUAL),
    ("https://0X7F000001/", UNUSUAL),
    ("https://017700000001/", UNUSUAL),
    ("https://0x7f.0x0.0x0.0x1/", UNUSUAL),
    ("https://127.1/", UNUSUAL),
    ("https://127.0.1/", UNUSUAL),
    ("https://0x7f.1/", UNUSUAL),
    ("https://0/", UNUSUAL),
    ("https://0x/", UNUSUAL),
    ("https://127.0.0.1./", UNUSUAL),
    ("https://2852039166/", UNUSUAL),
    ("https://1.2.3.4.5/", UNUSUAL),
    ("https://4294967296/", UNUSUAL),
    ("https://0177.0.0.1/", INVALID),
    ("https://127.0.0.01/", INVALID),
    ("https://127.0.0.256/", INVALID),
    # and as Unicode writes them
    ("https://127\u30020\u30020\u30021/", NO_ADDRESS),
    ("https://127\uff0e0\uff0e0\uff0e1/", NO_ADDRESS),
    ("https://\uff11\uff12\uff17.0.0.1/", INVALID),
    ("https://\u2460\u2461\u2466.0.0.1/", INVALID),
    ("https://\u0661\u0662\u0667.0.0.1/", INVALID),
    ("https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/", INVALID),
    ("https://local\xadhost/", INVALID),
    ("https://local\u200bhost/", INVALID),
    # literal IPv6
    ("https://[::1]/", NO_ADDRESS),
    ("https://[0:0:0:0:0:0:0:1]/", NO_ADDRESS),
    ("https://[::]/", NO_ADDRESS),
    ("https://[fe80::1]/", NO_ADDRESS),
    ("https://[fec0::1]/", NO_ADDRESS),
    ("https://[fc00::1]/", NO_ADDRESS),
    ("https://[fd00:ec2::254]/latest/meta-data/", NO_ADDRESS),
    ("https://[ff02::1]/", NO_ADDRESS),
    ("https://[2001:db8::1]/", NO_ADDRESS),
    ("https://[100::1]/", NO_ADDRESS),
    ("https://[4000::1]/", NO_ADDRESS),
    # IPv4 inside IPv6, of whatever it is the address
    ("https://[::ffff:127.0.0.1]/", NO_ADDRESS),
    ("https://[::ffff:7f00:1]/", NO_ADDRESS),
    ("https://[::ffff:8.8.8.8]/", NO_ADDRESS),
    ("https://[::ffff:0:127.0.0.1]/", NO_ADDRESS),
    ("https://[::127.0.0.1]/", NO_ADDRESS),
    ("https://[64:ff9b::127.0.0.1]/", NO_ADDRESS),
    ("https://[64:ff9b::a9fe:a9fe]/", NO_ADDRESS),
    ("https://[64:ff9b::8.8.8.8]/", NO_ADDRESS),
    ("https://[64:ff9b:1::10.0.0.1]/", NO_ADDRESS),
    ("https://[2002:7f00:1::]/", NO_ADDRESS),
    ("https://[2002:a9fe:a9fe::1]/", NO_ADDRESS),
    ("https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", NO_ADDRESS),
    ("https://[127.0.0.1]/", INVALID),
    ("https://[v1.127.0.0.1]/", INVALID),
    # names
    ("https://localhost/", NO_NAME),
    ("https://LocalHost:8443/", NO_NAME),
    ("https://localhost./", NO_NAME),
    ("https://a.b.localhost/", NO_NAME),
    ("https://localhost.localdomain/", NO_NAME),
    ("https://localhost6.localdomain6/", NO_NAME),
    ("https://ip6-loopback/", NO_NAME),
    ("https://metadata.google.internal/computeMetadata/v1/", NO_NAME),
    ("https://METADATA.google.internal./", NO_NAME),
    ("https://metadata/", NO_NAME),
    ("https://instance-data/latest/", NO_NAME),
]

FINE = [
    "https://example.com/a.mp4",
    "HTTPS://Example.COM:8443/a%20b.mp4?X-Amz-Signature=ab%2Fc&x=a@b#t",
    "https://my_bucket.s3.eu-central-1.amazonaws.com/v.mp4",
    "https://b\xfccher.example/\xe4.mp4",
    "https://example.com./a",
    "https://93.184.216.34/a",
    "https://[2606:4700:4700::1111]:443/a",
    "https://1.2.3.4.example.com/",
    "https://localhost.example.com/",
    "https://0x7f.example/",
]


def resolver(*answers: Sequence[str]) -> Callable[[str, int], object]:
    """Gives these answers in turn, then the last one for ever; `asked` counts."""
    script = list(answers)

    async def look_up(host: str, port: int) -> Sequence[str]:
        look_up.asked.append((host, port))
        return script.pop(0) if len(script) > 1 else script[0]

    look_up.asked = []
    return look_up


@pytest.mark.parametrize(("url", "reason"), HOSTILE, ids=lambda part: ascii(part)[:60])
def test_a_hostile_url_is_refused_with_its_reason_and_without_repeating_it(
    url: str, reason: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, STRICT)
    assert refused.value.code == "url_refused"
    assert reason in refused.value.message
    assert "secret" not in refused.value.message
    assert "127" not in refused.value.message


@pytest.mark.parametrize("url", FINE)
def test_an_ordinary_url_is_let_through(url: str) -> None:
    check_url(url, STRICT)


def test_plain_http_is_let_through_only_where_it_is_allowed() -> None:
    check_url("http://example.com/a", HTTP_TOO)
    for url in ("ftp://example.com/a", "file:///a", "http://127.0.0.1/"):
        with pytest.raises(UrlRefused):
            check_url(url, HTTP_TOO)


_OCTET_FORMS = (str, hex, lambda number: f"0{number:o}", lambda number: f"0x{number:08X}")


@st.composite
def loopback_urls(draw: st.DrawFn) -> str:
    """Any spelling of any address of 127.0.0.0/8 or ::1 that something might understand."""
    number = 0x7F000000 + draw(st.integers(0, 0xFFFFFF))
    octets = list(number.to_bytes(4))
    kept = draw(st.integers(0, 3))
    numbers = [*octets[:kept], number & ((1 << 8 * (4 - kept)) - 1)]
    written = [draw(st.sampled_from(_OCTET_FORMS))(part) for part in numbers]
    dot = draw(st.sampled_from([".", ".", ".", "\u3002", "\uff0e", "\uff61", "%2e"]))
    ipv4 = dot.join(written) + draw(st.sampled_from(["", "", "."]))
    if draw(st.booleans()):
        wide = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
        ipv4 = draw(st.sampled_from([ipv4, ipv4.translate(wide)]))
    plain = ipaddress.IPv4Address(number)
    low = f"{number >> 16:x}:{number & 0xFFFF:x}"
    ipv6 = draw(
        st.sampled_from(
            [
                "::1",
                "0000:0000:0000:0000:0000:0000:0000:0001",
                f"::ffff:{plain}",
                f"::FFFF:{low}",
                f"::{low}",
                f"::ffff:0:{low}",
                f"64:ff9b::{plain}",
                f"64:ff9b:1::{low}",
                f"2002:{low}::1",
                f"2001:0:1:2:3:4:{(number >> 16) ^ 0xFFFF:x}:{(number & 0xFFFF) ^ 0xFFFF:x}",
            ]
        )
    )
    host = draw(st.sampled_from([ipv4, f"[{ipv6}]", f"[{ipv6}%25lo]"]))
    port = draw(st.sampled_from(["", ":443", ":8080"]))
    user = draw(st.sampled_from(["", "", "", "example.com@"]))
    return draw(st.sampled_from(["https://", "HTTPS://"])) + user + host + port + "/a.mp4"


@given(loopback_urls())
def test_no_spelling_of_a_loopback_address_gets_through(url: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(url, STRICT)


@given(st.text(max_size=30))
def test_whatever_is_written_as_a_host_is_refused_or_names_one_clear_host(text: str) -> None:
    url = f"https://{text}/a"
    try:
        check_url(url, STRICT)
    except UrlRefused:
        return
    host = httpx2.URL(url).host
    assert host
    assert "@" not in host
    try:  # whatever the system's resolver would take for an address
        address = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return
    assert address.is_global


@pytest.mark.parametrize(
    ("entries", "address", "is_allowed"),
    [
        ([], "8.8.8.8", True),
        ([], "2606:4700::1", True),
        ([], "10.0.0.1", False),
        (["10.0.0.0/8"], "10.0.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", True),
        (["10.0.0.0/8"], "192.168.0.1", False),
        (["10.0.0.7"], "10.0.0.7", True),
        (["::1"], "::1", True),
        (["[::1]"], "127.0.0.1", False),
        # a wide network does not open what a cloud hides in it
        (["100.64.0.0/10"], "100.64.0.1", True),
        (["100.64.0.0/10"], "100.100.100.200", False),
        (["fc00::/7"], "fd12::1", True),
        (["fc00::/7"], "fd00:ec2::254", False),
        (["0.0.0.0/0"], "10.0.0.1", True),
        (["0.0.0.0/0"], "169.254.169.254", False),
        (["0.0.0.0/0"], "0.0.0.0", False),
        (["::/0"], "ff02::1", False),
        (["169.254.169.254"], "169.254.169.254", True),
        # an address inside an address needs both
        ([], "64:ff9b::8.8.8.8", False),
        (["64:ff9b::/96"], "64:ff9b::8.8.8.8", True),
        (["64:ff9b::/96"], "64:ff9b::127.0.0.1", False),
        (["64:ff9b::/96", "127.0.0.0/8"], "64:ff9b::127.0.0.1", True),
        (["64:ff9b::/96", "127.0.0.0/8"], "64:ff9b::a9fe:a9fe", False),
        (["127.0.0.0/8"], "::ffff:127.0.0.1", False),
        (["::ffff:0:0/96"], "::ffff:127.0.0.1", False),
        (["::/0"], "2002:7f00:1::", False),
        (["2001::/32"], "2001:0:4136:e378:8000:63bf:80ff:fffe", False),
        (["fe80::/10"], "fe80::1%2", False),
    ],
)
def test_an_address_is_allowed_when_it_is_global_or_listed(
    entries: list[str], address: str, *, is_allowed: bool
) -> None:
    found = is_allowed_address(ipaddress.ip_address(address), UrlPolicy.of(entries))
    assert found is is_allowed


def test_a_list_of_names_and_networks_is_taken_apart() -> None:
    policy = UrlPolicy.of([" MinIO.internal. ", "10.0.0.0/8", "B\xfccher.example", "::1"])
    assert policy.allowed_hosts == {"minio.internal", "xn--bcher-kva.example"}
    assert [str(network) for network in policy.allowed_networks] == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize("entry", ["", "10.0.0.1/8", "127.1", "a b", "*.example.com", "https://a"])
def test_a_list_with_an_entry_that_means_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        UrlPolicy.of([entry])


def test_localhost_may_be_listed_by_name_or_by_network() -> None:
    check_url("https://localhost/", UrlPolicy.of(["localhost"]))
    check_url("https://localhost/", UrlPolicy.of(["127.0.0.0/8"]))
    with pytest.raises(UrlRefused):
        check_url("https://localhost/", UrlPolicy.of(["10.0.0.0/8"]))


async def test_a_checked_name_is_connected_to_and_the_host_header_is_its_own() -> None:
    look_up = resolver(["127.0.0.1"])
    async with FileServer(b"hello") as server, guarded_client(LOOPBACK, resolver=look_up) as client:
        answer = await client.get(server.url(host="files.example"))
    assert answer.content == b"hello"
    assert server.requests[0].headers["host"] == f"files.example:{server.port}"
    assert look_up.asked == [("files.example", server.port)]


async def test_a_listed_name_may_lead_to_a_private_address_and_no_other_name_may() -> None:
    policy = UrlPolicy.of(["files.example"], allow_http=True)
    look_up = resolver(["127.0.0.1"])
    async with FileServer(b"hello") as server, guarded_client(policy, resolver=look_up) as client:
        assert (await client.get(server.url(host="Files.Example"))).content == b"hello"
        for host in ("other.example", "a.files.example", "127.0.0.1"):
            with pytest.raises(UrlRefused):
                await client.get(server.url(host=host))
    assert server.connections_count == 1


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "fe80::1", "224.0.0.1", "::"])
async def test_a_listed_name_never_leads_to_metadata_link_local_or_multicast(address: str) -> None:
    policy = UrlPolicy.of(["files.example"])
    async with guarded_client(policy, resolver=resolver([address])) as client:
        with pytest.raises(UrlRefused):
            await client.get("https://files.example/")


@asynccontextmanager
async def _on_one_port() -> AsyncIterator[tuple[FileServer, FileServer]]:
    """A server on 127.0.0.2 and another on 127.0.0.1, whose port somebody else may have."""
    async with AsyncExitStack() as stack:
        for _ in range(20):
            public = await stack.enter_async_context(FileServer(b"public", host="127.0.0.2"))
            with suppress(OSError):
                secret = FileServer(b"secret", port=public.port)
                await stack.enter_async_context(secret)
                break
        assert secret.port == public.port
        yield public, secret


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
        ["::ffff:127.0.0.2"],
        ["127.0.0.2", "64:ff9b::7f00:1"],
        ["127.0.0.2"] * 20 + ["127.0.0.1"],
    ],
    ids=lambda found: f"{len(found)} {found[-1]}",
)
async def test_one_forbidden_address_among_those_of_a_name_refuses_them_all(
    addresses: list[str],
) -> None:
    # 127.0.0.2 stands for a public address: nothing outside loopback is called in tests
    policy = UrlPolicy.of(["127.0.0.2"], allow_http=True)
    async with (
        _on_one_port() as (public, secret),
        guarded_client(policy, resolver=resolver(addresses)) as client,
    ):
        with pytest.raises(UrlRefused):
            await client.get(public.url(host="files.example"))
    assert public.connections_count == secret.connections_count == 0


async def test_a_name_that_changes_its_address_after_the_look_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = UrlPolicy.of(["127.0.0.2"], allow_http=True)
    look_up = resolver(["127.0.0.2"], ["127.0.0.1"])
    looked_up_elsewhere: list[object] = []
    real = socket.getaddrinfo

    def watched(host: object, *rest: object, **options: object) -> object:
        looked_up_elsewhere.append(host)
        return real(host, *rest, **options)

    async with (
        _on_one_port() as (public, secret),
        guarded_client(policy, resolver=look_up) as client,
    ):
        monkeypatch.setattr(socket, "getaddrinfo", watched)
        url = public.url(host="files.example")
        assert (await client.get(url)).content == b"public"  # one look, and that was connected to
        with pytest.raises(UrlRefused):
            await client.get(url)
    assert len(look_up.asked) == 2
    assert "files.example" not in looked_up_elsewhere
    assert secret.connections_count == 0


async def test_the_client_refuses_what_the_url_check_refuses() -> None:
    async with FileServer(b"secret") as server, guarded_client(LOOPBACK) as client:
        for url in (server.url(host="user:secret@127.0.0.1"), server.url().replace("http", "ftp")):
            with pytest.raises(UrlRefused):
                await client.get(url)
        async with guarded_client(UrlPolicy.of(["127.0.0.1"])) as https_only:
            with pytest.raises(UrlRefused):
                await https_only.get(server.url())
    assert server.connections_count == 0


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:{port}/", "http://[::1]:{port}/", "http://2130706433:{port}/", "//0/"],
)
async def test_a_redirect_that_is_followed_is_checked_again(target: str) -> None:
    policy = UrlPolicy.of(["127.0.0.2"], allow_http=True)
    async with (
        FileServer(b"secret") as secret,
        FileServer(host="127.0.0.2") as public,
        guarded_client(policy) as client,
    ):
        public.answer_with(redirect(target.format(port=secret.port)))
        assert (await client.get(public.url())).status_code == 302  # not unless asked for
        with pytest.raises(UrlRefused):
            await client.get(public.url(), follow_redirects=True)
    assert secret.connections_count == 0


async def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FileServer(b"proxied") as proxy, FileServer(b"direct") as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with guarded_client(LOOPBACK) as client:
            assert (await client.get(server.url())).content == b"direct"
    assert proxy.connections_count == 0


async def test_cookies_are_not_kept() -> None:
    async with FileServer(b"x") as server, guarded_client(LOOPBACK) as client:
        server.answer_with(Answer(headers={"Set-Cookie": "a=b; Path=/"}))
        await client.get(server.url())
        await client.get(server.url())
    assert all("cookie" not in request.headers for request in server.requests)


async def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path,
) -> None:
    made = make_certificates(tmp_path, "files.example")
    policy = UrlPolicy.of(["127.0.0.1"])
    async with (
        FileServer(b"hello", tls=made.server) as server,
        guarded_client(policy, resolver=resolver(["127.0.0.1"]), tls=made.client) as client,
    ):
        assert (await client.get(server.url(host="files.example"))).content == b"hello"
        for host in ("other.example", "127.0.0.1"):
            with pytest.raises(httpx2.ConnectError):
                await client.get(server.url(host=host))
        async with guarded_client(policy, resolver=resolver(["127.0.0.1"])) as distrusting:
            with pytest.raises(httpx2.ConnectError):
                await distrusting.get(server.url(host="files.example"))


async def test_the_second_address_is_tried_when_the_first_does_not_answer() -> None:
    policy = UrlPolicy.of(["127.0.0.0/8"], allow_http=True)
    look_up = resolver(["127.0.0.9", "127.0.0.1"])
    async with FileServer(b"hello") as server, guarded_client(policy, resolver=look_up) as client:
        assert (await client.get(server.url(host="files.example"))).content == b"hello"


@pytest.mark.parametrize("found", [[], ["not an address"]])
async def test_a_name_without_an_address_cannot_be_connected_to(found: list[str]) -> None:
    async with guarded_client(LOOPBACK, resolver=resolver(found)) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("https://files.example/")


async def test_a_resolver_that_fails_or_hangs_is_an_error_of_the_connection() -> None:
    async def failing(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def hanging(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with guarded_client(LOOPBACK, resolver=failing) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("https://files.example/")
    async with guarded_client(LOOPBACK, resolver=hanging, connect_timeout_s=0.05) as client:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get("https://files.example/")


async def test_the_systems_resolver_is_used_by_default_and_checked() -> None:
    async with FileServer(b"hello") as server:
        strict = UrlPolicy.of(["10.0.0.0/8"], allow_http=True)
        async with guarded_client(strict) as client:
            with pytest.raises(UrlRefused):
                await client.get(server.url(host="localhost"))
        async with guarded_client(UrlPolicy.of(["localhost"], allow_http=True)) as client:
            assert (await client.get(server.url(host="localhost"))).content == b"hello"
