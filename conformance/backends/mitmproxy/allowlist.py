# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
"""An allow list for mitmproxy: CONNECT to a listed name on port 443 or 80, and nothing else."""
import re

from mitmproxy import ctx, http
from mitmproxy.proxy import layers


class Allowlist:
    def __init__(self):
        self.names = []

    def load(self, loader):
        loader.add_option("allowlist", str, "", "A file with one regular expression a line.")

    def configure(self, updated):
        if "allowlist" in updated:
            with open(ctx.options.allowlist) as f:
                self.names = [re.compile(line.strip(), re.I) for line in f]

    def http_connect(self, flow):
        request = flow.request
        listed = any(name.fullmatch(request.host) for name in self.names)
        if not listed or request.port not in (443, 80):
            text = f"{request.host}:{request.port} is not allowed\n"
            flow.response = http.Response.make(403, text, {"Content-Type": "text/plain"})

    def requestheaders(self, flow):
        flow.response = http.Response.make(405, "CONNECT only\n", {"Allow": "CONNECT"})

    def next_layer(self, nextlayer):
        # Within a tunnel every byte passes as it is. By itself mitmproxy waits for three bytes, to guess the protocol.
        if any(isinstance(layer, layers.HttpLayer) for layer in nextlayer.context.layers):
            nextlayer.layer = layers.TCPLayer(nextlayer.context, ignore=True)


addons = [Allowlist()]
