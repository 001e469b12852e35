"""Which URLs of strangers may be fetched, and an HTTP client that goes nowhere else.

Three gates, each of which holds alone:

1. `check_url` reads the URL as the HTTP library will and refuses what is wrong with it as it is
   written: no name is looked up.
2. The client checks every request in the same way, so also wherever a redirect leads.
3. Its connections look the name up themselves, check *every* address found and connect to one of
   those very addresses: a name that changes its address between look and connect wins nothing.
   TLS is verified against the name in the URL all the same.

Allowed are global unicast addresses, and what the operator lists: networks, and names that may
lead to private or loopback addresses. Link-local, metadata and multicast addresses are opened only
by a listed network that lies inside their own range: listing 100.64.0.0/10 or fc00::/7 for the
hosts in it does not open the metadata service that a cloud hides there.

What this cannot see: a NAT64 gateway under a prefix that is not the well-known one.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, Final, Self

import httpcore2
import httpx2

from backend.kernel.errors import InvalidInput
from backend.kernel.names import (
    FOR_STRANGERS,
    IPAddress,
    NamedBackend,
    Resolver,
    literal_address,
)
from backend.settings import FetchSettings, SettingsError

IPNetwork = IPv4Network | IPv6Network

LONGEST_URL = 8192


def _networks(*networks: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(network) for network in networks)


# Never by a listed name, and only by a listed network inside these.
_HIDDEN: Final = _networks(
    "0.0.0.0/8",  # "this host": connects to loopback
    "::/128",
    "169.254.0.0/16",  # link-local, and the metadata of most clouds
    "fe80::/10",
    "fec0::/10",  # site-local, given up long ago
    "100.100.100.200/32",  # metadata of Alibaba
    "168.63.129.16/32",  # the agent's server of Azure, in public space
    "192.0.0.0/24",  # protocol assignments; metadata of Oracle
    "fd00:ec2::/32",  # metadata and time of AWS
    "fd20:ce::/32",  # metadata of Google
    "224.0.0.0/4",  # multicast
    "ff00::/8",
    "255.255.255.255/32",  # broadcast
)
_NOT_GLOBAL: Final = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # relays of 6to4
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "2001::/23",  # protocol assignments, Teredo and benchmarks among them
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")  # all else is unassigned, local or a translation
_NAT64: Final = _networks("64:ff9b::/96", "64:ff9b:1::/48")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_TEREDO: Final = IPv6Network("2001::/32")

_LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_LOOPBACK_NAMES: Final = re.compile(
    r"(?:.+\.)?(?:localhost|localdomain|localhost[46]|localhost[46]?\.localdomain[46]?)"
    r"|ip6-(?:localhost|loopback)"
)
METADATA_NAMES: Final = frozenset(
    {"metadata", "instance-data", "metadata.google.internal", "metadata.goog"}
)
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>[0-9]{1,5}))?")


class UrlRefused(InvalidInput):
    """This URL, or the address that its name leads to, is not fetched from."""

    code = "url_refused"


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What may be fetched besides https from global addresses.

    Args:
        allowed_hosts: names that may lead to private and loopback addresses.
        allowed_networks: addresses that are allowed although not global.
    """

    allow_http: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    allowed_networks: tuple[IPNetwork, ...] = ()

    def __post_init__(self) -> None:
        names = frozenset(_normal_name(name) for name in self.allowed_hosts)
        object.__setattr__(self, "allowed_hosts", names)

    @classmethod
    def of(cls, entries: Iterable[str], *, allow_http: bool = False) -> Self:
        """The policy of a list in which names, addresses and CIDRs stand side by side.

        Raises:
            ValueError: an entry is none of them.
        """
        names, networks = set(), []
        for entry in (entry.strip() for entry in entries):
            try:
                networks.append(ip_network(entry.strip("[]")))
            except ValueError:
                if not _NAME.fullmatch(_normal_name(entry)) or _is_number(entry):
                    raise ValueError("neither a host name nor an address or network") from None
                names.add(entry)
        return cls(allow_http, frozenset(names), tuple(networks))


def fetch_policy(settings: FetchSettings) -> UrlPolicy:
    """What the operator's settings allow.

    Raises:
        SettingsError: an entry of the list is neither a name nor a network.
    """
    try:
        return UrlPolicy.of(settings.allowed_hosts, allow_http=settings.allow_http)
    except ValueError as error:
        raise SettingsError(f"URL_ALLOWED_HOSTS: {error}") from error


def check_url(url: str, policy: UrlPolicy) -> None:
    """Refuse a URL for what stands in it; its name is looked up and checked at each connect.

    Raises:
        UrlRefused: with a message that says what is wrong and repeats nothing of the URL.
    """
    if len(url) > LONGEST_URL:
        raise UrlRefused("The URL is too long.")
    if any(ord(char) <= 32 or 127 <= ord(char) < 160 or char.isspace() for char in url):
        raise UrlRefused("The URL has a space or a control character in it.")
    if "\\" in url:
        raise UrlRefused("The URL has a backslash in it.")
    scheme, _, rest = url.partition(":")
    schemes = {"https", "http"} if policy.allow_http else {"https"}
    if scheme.lower() not in schemes:
        raise UrlRefused(f"The URL must begin with {' or '.join(sorted(schemes))}://.")
    if not rest.startswith("//"):
        raise UrlRefused("The URL names no host.")
    _check_authority(re.split(r"[/?#]", rest[2:], maxsplit=1)[0])
    try:
        host = httpx2.URL(url).raw_host.decode("ascii")
    except (httpx2.InvalidURL, ValueError):
        raise UrlRefused("The URL is not a valid one.") from None
    _check_host(host, policy)


def is_allowed_address(address: IPAddress, policy: UrlPolicy) -> bool:
    """Whether it may be connected to: global unicast, or in a network that is listed.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4, Teredo) needs both: its own
    network listed, and the IPv4 address allowed.
    """
    return _is_allowed(address, policy, is_listed_name=False)


def is_hidden_address(address: IPAddress) -> bool:
    """Whether it is link-local, metadata, multicast or broadcast, or an IPv6 one that carries such.

    Nothing that an operator would name is there, private networks being none of these.
    """
    forms = (address, _inner(address))
    return any(form in network for form in forms if form is not None for network in _HIDDEN)


def guarded_client(
    policy: UrlPolicy,
    *,
    resolver: Resolver | None = None,
    connect_timeout_s: float = 10.0,
    read_timeout_s: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> httpx2.AsyncClient:
    """A client that connects only where the policy allows; the caller closes it.

    No proxies or credentials from the environment (a proxy would look names up for us), no
    cookies, no kept connections. Redirects are not followed unless asked for, and checked then.

    Args:
        resolver: looks names up; the system's by default, on places that all such clients share.
        connect_timeout_s: for the look-up, and again for connecting to what it found.
        read_timeout_s: for each single read or write.
        tls: the certificates to trust; the machine's by default.
    """
    return httpx2.AsyncClient(
        transport=_GuardedTransport(policy, resolver or FOR_STRANGERS, tls),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=httpx2.Timeout(read_timeout_s, connect=connect_timeout_s),
    )


def _check_authority(authority: str) -> None:
    if "@" in authority:
        raise UrlRefused("The URL has a user name or password in it.")
    if not authority:
        raise UrlRefused("The URL names no host.")
    if "%" in authority:
        raise UrlRefused("The host of the URL is escaped or has a zone.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or (parts["port"] is not None and not 0 < int(parts["port"]) < 65536):
        raise UrlRefused("The host or the port of the URL is not valid.")
    if not parts["host"]:
        raise UrlRefused("The URL names no host.")


def _check_host(host: str, policy: UrlPolicy) -> None:
    address = literal_address(host)
    if address is not None:
        if not is_allowed_address(address, policy):
            raise UrlRefused("The address in the URL is not one that is fetched from.")
        return
    name = _normal_name(host)
    if _is_number(name):
        # Octal, hexadecimal or short: resolvers and people read these in more than one way.
        raise UrlRefused("The address in the URL is not written in the usual form.")
    if not _NAME.fullmatch(name):
        raise UrlRefused("The host of the URL is not valid.")
    if name in policy.allowed_hosts:
        return
    is_loopback = _LOOPBACK_NAMES.fullmatch(name) is not None
    if name in METADATA_NAMES or (
        is_loopback and not any(is_allowed_address(address, policy) for address in _LOOPBACK)
    ):
        raise UrlRefused("The host in the URL is not one that is fetched from.")


def _is_number(name: str) -> bool:
    """Whether some resolver would take the name for an IPv4 address."""
    return _ENDS_IN_NUMBER.fullmatch(name.lower().removesuffix(".")) is not None


def _normal_name(name: str) -> str:
    if any(char in "/:@?#%[]\\" for char in name):
        return name  # no name, and like none
    with suppress(httpx2.InvalidURL, ValueError):
        name = httpx2.URL(f"https://{name}").raw_host.decode("ascii")
    return name.lower().removesuffix(".")


def _is_allowed(address: IPAddress, policy: UrlPolicy, *, is_listed_name: bool) -> bool:
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    listed = [network for network in policy.allowed_networks if address in network]
    hidden = [network for network in _HIDDEN if address in network]
    if hidden:  # networks that share an address lie one inside the other
        return any(network.prefixlen >= outer.prefixlen for network in listed for outer in hidden)
    inner = _inner(address)
    if inner is not None:
        return bool(listed) and _is_allowed(inner, policy, is_listed_name=is_listed_name)
    return bool(listed) or is_listed_name or _is_global(address)


def _is_global(address: IPAddress) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    return not any(address in network for network in _NOT_GLOBAL)


def _inner(address: IPAddress) -> IPv4Address | None:
    """The IPv4 address that packets for an IPv6 one would end at."""
    if isinstance(address, IPv4Address):
        return None
    last = int(address) & 0xFFFFFFFF
    if address in _TEREDO:
        return IPv4Address(last ^ 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    in_last = address.ipv4_mapped is not None or address in _TRANSLATED
    is_compatible = int(address) >> 32 == 0 and last > 1  # ::1 is loopback itself
    if in_last or is_compatible or any(address in network for network in _NAT64):
        return IPv4Address(last)
    return None


def connect_by(backend: NamedBackend, client: httpx2.AsyncClient) -> None:
    """Have all connections of a client made so, those to the environment's proxies as well.

    Public arguments take no network backend along with the environment's proxies, so this reaches
    into the client. Should the library rename its own, the `del` fails.
    """
    transports: list[Any] = [client._transport, *client._mounts.values()]  # noqa: SLF001
    for transport in transports:
        if transport is not None:
            pool = transport._pool  # noqa: SLF001
            del pool._network_backend  # noqa: SLF001
            pool._network_backend = backend  # noqa: SLF001


class _GuardedBackend(NamedBackend):
    """Opens connections: looks the name up, checks what is found, connects to just that."""

    def __init__(self, policy: UrlPolicy, resolver: Resolver) -> None:
        super().__init__(resolver)
        self._policy = policy

    async def connect_unix_socket(self, *_: Any, **__: Any) -> Any:
        """Never."""
        raise UrlRefused("Only hosts of the network are fetched from.")

    async def _addresses(self, host: str, port: int, limit_s: float) -> Sequence[IPAddress]:
        """All addresses of the host.

        Raises:
            UrlRefused: one of them is not allowed; none is connected to then.
        """
        addresses = await super()._addresses(host, port, limit_s)
        is_name = literal_address(host) is None
        is_listed = is_name and _normal_name(host) in self._policy.allowed_hosts
        for address in addresses:
            if not _is_allowed(address, self._policy, is_listed_name=is_listed):
                raise UrlRefused("The host in the URL leads to an address not fetched from.")
        return addresses


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """The library's transport over guarded connections, for URLs that are checked once more."""

    def __init__(self, policy: UrlPolicy, resolver: Resolver, tls: ssl.SSLContext | None) -> None:
        tls = tls or httpcore2.default_ssl_context()
        super().__init__(verify=tls, trust_env=False)
        # Public arguments take no network backend. Should the library rename its pool, this line
        # fails; it does not leave the unguarded one in place.
        del self._pool
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_keepalive_connections=0,
            network_backend=_GuardedBackend(policy, resolver),
        )
        self._policy = policy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it where its URL may lead.

        Raises:
            UrlRefused: it may not.
        """
        check_url(str(request.url), self._policy)
        return await super().handle_async_request(request)
