# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
"""Sallyport's policy in mitmproxy: CONNECT to what is admitted, and nothing else.

A name is resolved once, every answer is judged, and only a judged address is
dialled or sent to the upstream. What is inside a tunnel is for the host of the
tunnel: another name in the TLS hello or in the Host field is refused.

Every decision fails closed: a tunnel exists only when http_connect has finished,
and server_connect dials for tunnels only.
"""
import asyncio
import contextvars
import ipaddress
import json
import os
import re
import socket
import weakref

from mitmproxy import ctx, http
from mitmproxy.proxy import commands, events, layer, layers
from mitmproxy.proxy.layers.http import HTTPMode

from sallyport_policy import Policy, Refused, is_localhost, plain, split_authority

try:
    from mitmproxy.net.tls import parse_client_hello  # mitmproxy 9 and later
except ImportError:
    from mitmproxy.proxy.layers.tls import parse_client_hello

METHODS = ("GET POST PUT HEAD DELETE OPTIONS PATCH TRACE PRI PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK "
           "REPORT SEARCH MKACTIVITY CHECKOUT MERGE").split()

# The judged addresses of the connection that the current task opens; None: any.
judged = contextvars.ContextVar("judged")


class Tunnel:
    def __init__(self, name, address, port, addresses):
        self.name = name  # "" for an address
        self.address = address
        self.port = port
        self.addresses = addresses  # None: not resolved here
        self.target = None  # what mitmproxy is to dial


class Refuse(layer.Layer):
    """Ends a tunnel with something in it that may not be there."""

    def _handle_event(self, event):
        if isinstance(event, events.Start):
            yield from self.end()
        yield from ()

    def end(self):
        for connection in (self.context.client, self.context.server):
            if connection.connected:
                yield commands.CloseConnection(connection)


class Sallyport:
    def __init__(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "policy.json"), encoding="utf-8") as f:
            self.policy = Policy(json.load(f))
        self.tunnels = weakref.WeakKeyDictionary()
        self.serving = False
        self.heard = weakref.WeakSet()  # clients that have sent a whole head

    def running(self):
        loop = asyncio.get_running_loop()
        resolve = loop.getaddrinfo

        async def getaddrinfo(host, port, **kwargs):
            addresses = judged.get(None)
            if addresses is None:
                return await resolve(host, port, **kwargs)
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (str(a), port, 0, 0)) if a.version == 6 else
                    (socket.AF_INET, socket.SOCK_STREAM, 6, "", (str(a), port)) for a in addresses]

        self.resolve, loop.getaddrinfo = resolve, getaddrinfo
        # mitmproxy loads a script anew when its file changes; this one is what it was at the start.
        for script in ctx.master.addons.get("scriptloader").addons:
            if script.reloadtask:
                script.reloadtask.cancel()
        self.serving = True

    def done(self):
        # mitmproxy would wait for lookups in progress. What it has yet to write down is written first.
        if self.serving:
            save = ctx.master.addons.get("save")
            if save:
                save.done()
            os._exit(0)

    def client_connected(self, client):
        asyncio.get_running_loop().call_later(self.policy.head_seconds, lambda: client in self.heard or hang_up(client))

    async def http_connect(self, flow):
        self.heard.add(flow.client_conn)
        if flow.response:  # 407
            flow.response.headers["Connection"] = "close"
            return
        flow.response = refusal(flow, 403, "policy_closed")  # until the end of this function
        try:
            tunnel = await self.judge(flow.request, flow.client_conn)
        except Refused as e:
            flow.response = refusal(flow, e.status, e.reason)
            return
        except ValueError:
            flow.response = refusal(flow, 400, "malformed_request")
            return
        self.tunnels[flow.client_conn] = tunnel
        flow.request.data.host, flow.request.data.port = tunnel.target
        flow.response = None

    async def judge(self, request, client):
        if client in self.tunnels:
            raise Refused(403, "policy_closed")
        name, address, port = split_authority(request.data.authority.decode("ascii"))
        check_head(request)
        addresses, policy = None, self.policy
        if policy.unfiltered:
            addresses = [address] if address else None
        elif address:
            policy.decide_literal(address, port)
            addresses = [address]
        else:
            localhost = policy.decide_name(name, port)
            if policy.judges:
                addresses = await self.lookup(name, port)
                policy.decide_addresses(addresses, port, localhost)
        if port == ctx.options.listen_port and addresses and any(a.is_loopback or a.is_unspecified for a in addresses):
            raise Refused(403, "address_not_allowed")  # to itself
        tunnel = Tunnel(name, address, port, addresses)
        tunnel.target = (name or str(address), port)
        if policy.upstream and addresses:
            # mitmproxy writes the target of its own CONNECT without brackets.
            tunnel.target = (str(addresses[0]) if addresses[0].version == 4 else "[%s]" % addresses[0], port)
        return tunnel

    async def lookup(self, name, port):
        if is_localhost(name):
            return [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
        try:
            answers = await asyncio.wait_for(self.resolve(name, port, type=socket.SOCK_STREAM), 10)
        except (OSError, asyncio.TimeoutError, UnicodeError):
            raise Refused(502, "dns_error") from None
        found = [ipaddress.ip_address(a[4][0].partition("%")[0]) for a in answers]
        found = list(dict.fromkeys(plain(a) for a in found))
        if not found:
            raise Refused(502, "dns_error")
        return found

    def server_connect(self, data):
        judged.set([])
        tunnel = self.tunnels.get(data.client)
        if tunnel is None:
            data.server.error = "no tunnel was admitted"
        elif self.policy.upstream:
            if tuple(data.server.address) == self.policy.upstream:
                judged.set(None)
            else:
                data.server.error = "not the upstream"
        elif tuple(data.server.address) != tunnel.target:
            data.server.error = "not the tunnel's target"
        else:
            judged.set(tunnel.addresses)

    def server_connected(self, data):
        tunnel = self.tunnels.get(data.client)
        if self.policy.upstream or tunnel and tunnel.addresses is None:
            return
        peer = plain(ipaddress.ip_address(data.server.peername[0].partition("%")[0]))
        if tunnel is None or peer not in tunnel.addresses:
            # This mitmproxy does not resolve as the addon knows it: no network is better than an unjudged one.
            os.write(2, b"sallyport: a connection to an address that was not judged; this version of mitmproxy cannot be used\n")
            os._exit(70)

    def requestheaders(self, flow):
        self.heard.add(flow.client_conn)
        if flow.response:
            flow.response.headers["Connection"] = "close"
            return
        tunnel = self.tunnels.get(flow.client_conn)
        if tunnel is None:
            flow.request.stream = False
            flow.response = refusal(flow, 405, "method_not_allowed")
            flow.response.headers["Allow"] = "CONNECT"
        elif not within(tunnel, flow, self.policy.unfiltered):
            flow.request.stream = False
            flow.response = refusal(flow, 421, "host_not_allowed")

    def response(self, flow):
        if flow.request.method == "CONNECT":  # it could not be dialled: there is no tunnel
            self.tunnels.pop(flow.client_conn, None)
            flow.response.headers["Connection"] = "close"
            # mitmproxy waits for the end of a body that a CONNECT does not have.
            client = flow.client_conn
            asyncio.get_running_loop().call_later(0.05, lambda: hang_up(client))

    def next_layer(self, nextlayer):
        context = nextlayer.context
        tunnel = self.tunnels.get(context.client)
        if tunnel is None and nextlayer.data_client()[:1] != b"\x16":
            return
        if nextlayer.layer in context.layers:  # what mitmproxy had in mind
            del context.layers[context.layers.index(nextlayer.layer):]
        if tunnel is None:  # TLS to the proxy itself
            nextlayer.layer = Refuse(context)
        elif self.policy.intercept == "nothing":
            nextlayer.layer = layers.TCPLayer(context, ignore=True)
        else:
            nextlayer.layer = self.inside(nextlayer, context, tunnel)

    def inside(self, nextlayer, context, tunnel):
        """Returns the layer for what begins in a tunnel, or None as long as that cannot be told."""
        data = nextlayer.data_client()
        opened = any(isinstance(l, layers.ClientTLSLayer) for l in context.layers)
        if not opened and data[:1] == b"\x16" and not nextlayer.data_server():
            if len(data) < 3:
                return None
            if data[1] == 3 and data[2] <= 3:
                return self.hello(data, context, tunnel)
        if opened and context.client.alpn in (b"h2", b"http/1.1", b"http/1.0"):
            return layers.HttpLayer(context, HTTPMode.transparent)
        if not nextlayer.data_server():
            word, blank, _ = data.partition(b" ")
            text = word.decode("latin-1")
            if blank and text in METHODS:
                return layers.HttpLayer(context, HTTPMode.transparent)
            if not blank and any(m.startswith(text) for m in METHODS):
                return None
        if self.policy.intercept == "known":
            return layers.TCPLayer(context)
        ctx.log.warn("sallyport: a tunnel with neither TLS nor HTTP in it was ended")
        return Refuse(context)

    def hello(self, data, context, tunnel):
        try:
            hello = parse_client_hello(data)
        except Exception:  # whatever this version raises
            return Refuse(context)
        if hello is None:
            return None
        if tunnel.name and hello.sni and hello.sni.lower().rstrip(".") != tunnel.name:
            ctx.log.warn("sallyport: a tunnel with TLS for another host in it was ended")
            return Refuse(context)
        opening = layers.ServerTLSLayer(context)
        opening.child_layer = layers.ClientTLSLayer(context)
        return opening


def hang_up(client):
    """Ends a client's connection behind what is still to be sent, where this mitmproxy lets an addon do so."""
    server = ctx.master.addons.get("proxyserver")
    connections = getattr(server, "_connections", None) or getattr(server, "connections", None) or {}
    for handler in list(connections.values()):
        transport = getattr(handler, "transports", {}).get(client)
        if transport and transport.writer:
            transport.writer.close()


def within(tunnel, flow, unfiltered):
    """Reports whether a request in a tunnel is for the tunnel's host and port."""
    hosts = flow.request.headers.get_all("host")
    if flow.request.authority:
        hosts.append(flow.request.authority)
    name = tunnel.name or (flow.client_conn.sni or "").lower().rstrip(".")
    # A filter in front that looks names up itself asks for addresses, and has judged the one that is reached. Without
    # TLS nothing says what name it was: any may be meant.
    any_name = unfiltered and not name
    usual = 443 if flow.client_conn.tls else 80
    for text in hosts:
        try:
            written = text if re.search(r":[0-9]+$", text) and not text.endswith("]") else "%s:%d" % (text, usual)
            host, address, port = split_authority(written)
        except (ValueError, Refused):
            return False
        same = any_name or host == name if host else tunnel.address is not None and address == tunnel.address
        if not same or port != tunnel.port:
            return False
    return bool(hosts) or flow.request.http_version == "HTTP/1.0"


def check_head(request):
    """RFC 9112 sections 2.3, 3.2 and 5, and RFC 9110 section 9.3.6, as far as mitmproxy shows the head."""
    if request.http_version not in ("HTTP/1.0", "HTTP/1.1"):
        raise ValueError("version")
    for name, value in request.headers.fields:
        if not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError("name of a field")  # mitmproxy has answered, and asks all the same
        if any(c < 32 and c != 9 or c == 127 for c in value):
            raise ValueError("control character")
    hosts = request.headers.get_all("host")
    if len(hosts) > 1 or not hosts and request.http_version == "HTTP/1.1":
        raise ValueError("Host")
    for text in hosts:
        if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", text):
            raise ValueError("Host")
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0":
        raise ValueError("body")


def refusal(flow, status, reason):
    target = flow.request.data.authority.decode("ascii", "replace")
    text = "%s: %s\n" % (re.sub(r"[^A-Za-z0-9.:_\[\]-]", "?", target)[:300], reason)
    return http.Response.make(status, text, {"Content-Type": "text/plain", "Connection": "close"})


addons = [Sallyport()]
