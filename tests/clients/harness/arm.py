"""A stand-in for Azure Resource Manager: as much of it as `az cloud register` and `az login` ask.

It has one tenant with one subscription, whoever shows a token. What that token is worth is no
concern of the suites: none of the vaults' operations go this way.

Source: https://learn.microsoft.com/azure/azure-resource-manager/management/authenticate-multi-tenant,
https://learn.microsoft.com/rest/api/resources/subscriptions/list
"""

import http.server
import json
import ssl
import threading
import urllib.parse

AUDIENCE = "https://management.azure.com"
SUBSCRIPTION = "d3a5c7e9-1b2f-4c68-8e90-7f4b6a2d1c35"


class Arm:
    """A running stand-in on a free port of 127.0.0.1, under the name `localhost`."""

    def __init__(self, certificate, key, issuer_url, tenant):
        self.issuer_url, self.tenant = issuer_url, tenant
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def _handler(self):
        arm = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802: the name that the base class looks for
                path = urllib.parse.urlsplit(self.path).path
                status, body = arm.answer(path, self.headers.get("Authorization"))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Keeps silent: what matters here reaches the vault."""

        return Handler

    def answer(self, path, authorization):
        """Status and body for a GET."""
        if path == "/metadata/endpoints":
            return 200, self._endpoints()
        if not (authorization or "").startswith("Bearer "):
            return 401, _error("AuthenticationFailed", "the request has no token")
        found = {
            "/subscriptions": {"value": [self._subscription()]},
            f"/subscriptions/{SUBSCRIPTION}": self._subscription(),
            "/tenants": {"value": [{"id": f"/tenants/{self.tenant}", "tenantId": self.tenant}]},
        }.get(path)
        return (404, _error("NotFound", f"nothing at {path}")) if found is None else (200, found)

    def _endpoints(self):
        return {
            "name": "Portcullis",
            "authentication": {
                "loginEndpoint": self.issuer_url, "audiences": [AUDIENCE], "tenant": self.tenant,
                "identityProvider": "AAD"},
            "resourceManager": self.url,
            # Nobody asks these, but `az` wants to know them.
            "graphAudience": self.url, "suffixes": {},
        }

    def _subscription(self):
        return {
            "id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION,
            "tenantId": self.tenant, "displayName": "Portcullis", "state": "Enabled",
            "subscriptionPolicies": {}, "authorizationSource": "RoleBased"}


def _error(code, message):
    return {"error": {"code": code, "message": message}}
