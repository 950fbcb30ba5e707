"""WebSockets of clients: the same pipeline as every request, then a stream instead of an answer."""

from typing import Any

import orjson

from windlass.api.pipeline import Pipeline
from windlass.api.request import ApiRequest
from windlass.api.response import ApiResponse, Stream, Upgraded, error_response
from windlass.apimachinery.status import to_status
from windlass.errors import BadRequestError
from windlass.logs import get_logger
from windlass.websocket import INTERNAL_ERROR, PeerGoneError, Receive, Send, WebSocketPeer, first_of

LOG_PROTOCOLS = ("binary.k8s.io", "")
log = get_logger(__name__)


class WebSocketEntry:
    """Serves ASGI's WebSockets through the pipeline. Whoever is refused gets a Status as the handshake's answer."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket from its opening to its end."""
        peer = WebSocketPeer(scope, receive, send)
        await peer.connect()
        request = ApiRequest({**scope, "method": "GET"}, None)
        response = await self._pipeline.serve(request)
        if isinstance(response, ApiResponse):
            await _refuse(peer, response)
            return
        try:
            if isinstance(response, Upgraded):
                await peer.accept(response.protocol)
                await response.run(peer)
            elif request.path.subresource == "log":
                await _stream(peer, response)
            else:
                await _refuse(peer, error_response(BadRequestError("this stream is not served over a WebSocket")))
        except PeerGoneError:
            log.debug("websocket_client_went_away", path=request.path.text)
        except Exception:
            log.exception("websocket_failed", audit_id=request.audit_id, path=request.path.text)
            await peer.close(INTERNAL_ERROR, "internal error")
        finally:
            if response.close is not None:
                await response.close()


async def _refuse(peer: WebSocketPeer, response: ApiResponse) -> None:
    body = response.body
    if response.status < 300:
        error = BadRequestError("this path has no stream: ask for it without a WebSocket")
        response, body = error_response(error), orjson.dumps(to_status(error))
    await peer.refuse(response.status, [("content-type", response.content_type), *response.headers], body)


async def _stream(peer: WebSocketPeer, response: Stream) -> None:
    """Send a container's output as binary frames, as Kubernetes does for `pods/{name}/log` (C271)."""
    offered = peer.offered or ("",)
    protocol = next((known for known in LOG_PROTOCOLS if known in offered), None)
    if protocol is None:
        await _refuse(peer, error_response(BadRequestError(f"none of the subprotocols {list(offered)} is known")))
        return
    await peer.accept(protocol)
    await first_of(response.run(peer.send), _until_gone(peer), peer.lost())
    await peer.close()


async def _until_gone(peer: WebSocketPeer) -> None:
    while await peer.receive() is not None:
        continue
