"""Uvicorn inside the agent's event loop, with mutual TLS and the peer certificate in the ASGI scope."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from windlass.errors import ConfigError
from windlass.websocket import SETTINGS, PeerWebSocketProtocol


class PeerCertProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also puts the verified client certificate into `scope["extensions"]`."""

    _peer: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the peer's certificate once per connection."""
        super().connection_made(transport)
        secure = transport.get_extra_info("ssl_object")
        self._peer = (secure.getpeercert() if secure is not None else None) or {}

    def on_message_begin(self) -> None:
        """Put it into each request's scope."""
        super().on_message_begin()
        extensions: dict[str, Any] = {"windlass.peercert": self._peer}
        self.scope["extensions"] = extensions


def make_config(app: Any, tls: tuple[Path, Path, Path]) -> uvicorn.Config:
    """Configure uvicorn. `tls` is (certificate, key, client CA); a client may come without a certificate (/healthz)."""
    certificate, key, client_ca = tls
    return uvicorn.Config(
        app,
        http=PeerCertProtocol,
        ws=PeerWebSocketProtocol,
        **SETTINGS,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        ssl_ca_certs=str(client_ca),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        timeout_graceful_shutdown=2,
    )


def bind(host: str, port: int) -> socket.socket:
    """Bind the listening socket. Raises ConfigError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"the host agent cannot listen on {host} port {port}: {error}; choose another --port"
        ) from error
    return listener


async def serve(config: uvicorn.Config, listener: socket.socket) -> None:
    """Serve until cancelled, then close connections within 2 s."""
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        await server.main_loop()
    finally:
        await server.shutdown(sockets=[listener])
