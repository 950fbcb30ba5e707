"""The API server's socket in an event loop that is not its own."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn

from windlass.api.protocols import PeerCertificateProtocol
from windlass.websocket import SETTINGS, PeerWebSocketProtocol


def listening_socket(host: str) -> socket.socket:
    """Return a socket bound to a port of the system's choice."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((host, 0))
    return listener


@asynccontextmanager
async def served(app: Any, listener: socket.socket, pki: Path) -> AsyncIterator[None]:
    """Serve over TLS for the length of a block, the application's lifespan included; then cut off whoever is left."""
    config = uvicorn.Config(
        app,
        http=PeerCertificateProtocol,
        ws=PeerWebSocketProtocol,
        **SETTINGS,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=str(pki / "apiserver.crt"),
        ssl_keyfile=str(pki / "apiserver.key"),
        ssl_ca_certs=str(pki / "ca.crt"),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        # Not uvicorn's shutdown, which waits for clients: watches have no end.
        for acceptor in server.servers:
            acceptor.close()
        listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await server.lifespan.shutdown()
