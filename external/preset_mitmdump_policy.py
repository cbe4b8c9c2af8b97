# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy admits: the patterns, and the addresses behind them, as Sallyport's own filter judges them."""
import ipaddress
import re
import unicodedata

LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([1-9][0-9]{0,4})")
IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
METADATA = ("metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data.ec2.internal")


class Refused(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason


def canonical(text):
    """Returns a host as a name or an address, neither in more than one form."""
    if text.startswith("["):
        address = ipaddress.IPv6Address(text[1:-1])
        return "", plain(address)
    if IPV4.fullmatch(text):
        return "", ipaddress.IPv4Address(text)
    name = text.lower()
    if name.endswith("."):
        name = name[:-1]
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(part) for part in labels):
        raise ValueError("no host name")
    if NUMBER.fullmatch(labels[-1]):
        raise Refused(403, "address_not_allowed")
    if any(part.startswith("xn--") and not is_a_label(part) for part in labels):
        raise ValueError("no A-label")
    return name, None


def is_a_label(label):
    """Reports whether an A-label stands for something that ASCII could not say, and hides nothing."""
    text = label[4:].encode().decode("punycode")
    hidden = any(unicodedata.category(c) in ("Cc", "Cf") for c in text)
    return not text.isascii() and text == text.lower() and not hidden


def plain(address):
    """An IPv4 address is IPv4, however it is wrapped for IPv6 sockets; there are no zones."""
    if address.version == 6:
        if address.scope_id:
            raise ValueError("a zone")
        return address.ipv4_mapped or address
    return address


def split_authority(text):
    m = AUTHORITY.fullmatch(text)
    if not m or int(m[2]) > 65535:
        raise ValueError("no host and port")
    name, address = canonical(m[1])
    return name, address, int(m[2])


def is_localhost(name):
    return name == "localhost" or name.endswith(".localhost")


class Rule:
    def __init__(self, raw):
        self.form = raw["form"]
        self.host = raw["host"]
        self.network = ipaddress.ip_network(raw["prefix"]) if raw["prefix"] else None
        self.spans = [ipaddress.ip_network(p) for p in raw["spans"]]
        self.ports = raw["ports"]

    def has_port(self, port):
        return any(first <= port <= last for first, last in self.ports)

    def names(self, name):
        if self.form == "any":
            return True
        if self.form == "name":
            return name == self.host
        rest = name[:-len(self.host) - 1] if name.endswith("." + self.host) else ""
        return bool(rest) and (self.form == "below" or "." not in rest)


class Policy:
    def __init__(self, raw):
        self.unfiltered = raw["unfiltered"]
        self.judges = raw["judges"]
        self.upstream = tuple(raw["upstream"]) if raw["upstream"] else None
        self.intercept = raw["intercept"]
        self.head_seconds = raw["head_seconds"]
        self.allow = [Rule(r) for r in raw["allow"]]
        self.deny = [Rule(r) for r in raw["deny"]]
        blocks = [(ipaddress.ip_network(p), bits) for p, bits in raw["blocks"]]
        self.blocks = sorted(blocks, key=lambda b: -b[0].prefixlen)

    def guard(self, address):
        """How long the prefix of a pattern must be to admit address; 0: it is public."""
        for network, bits in self.blocks:
            if address.version == network.version and address in network:
                return bits
        return 0

    def admits(self, address, port):
        need = self.guard(address)
        return any(r.network and r.network.version == address.version and r.network.prefixlen >= need
                   and address in r.network and r.has_port(port) for r in self.allow)

    def denies(self, address, port):
        for r in self.deny:
            if r.has_port(port) and (r.form == "any" or any(carries(address, n) for n in r.spans)):
                return True
        return False

    def decide_name(self, name, port):
        if any(r.has_port(port) and not r.network and r.names(name) for r in self.deny):
            raise Refused(403, "denied_by_rule")
        matching = [r for r in self.allow if not r.network and r.names(name)]
        hits = [r for r in matching if r.has_port(port)]
        if not hits:
            raise Refused(403, "port_not_allowed" if matching else "host_not_allowed")
        if name in METADATA and not any(r.form == "name" for r in hits):
            raise Refused(403, "address_not_allowed")
        if is_localhost(name):
            named = any(r.form != "any" for r in hits)
            loopback = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
            if not named and not any(self.admits(a, port) for a in loopback):
                raise Refused(403, "address_not_allowed")
            return named
        return False

    def decide_addresses(self, addresses, port, localhost):
        for a in addresses:
            if self.denies(a, port):
                raise Refused(403, "denied_by_rule")
            if self.guard(a) and not self.admits(a, port) and not (localhost and a.is_loopback):
                raise Refused(403, "address_not_allowed")

    def decide_literal(self, address, port):
        if self.denies(address, port):
            raise Refused(403, "denied_by_rule")
        if not self.admits(address, port):
            raise Refused(403, "address_not_allowed")


def carries(address, network):
    """Reports whether address is in network or carries an IPv4 address of it where no prefix finds it."""
    if address.version == network.version:
        return address in network
    if address.version == 4 or network.version == 6:
        return False
    inner = []
    raw = address.packed
    if address in ipaddress.ip_network("64:ff9b:1::/48"):
        inner = [raw[6:8] + raw[9:11], raw[12:]]
    elif address.teredo:
        inner = [address.teredo[0].packed, address.teredo[1].packed]
    return any(ipaddress.IPv4Address(i) in network for i in inner)
