"""`windlass ingress`: builds the controller and runs it until a signal."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

from windlass.client.client import Client
from windlass.client.kubeconfig import load_kubeconfig
from windlass.clock import SystemClock
from windlass.logs import get_logger
from windlass_network.ingress.controller import IngressController
from windlass_network.ingress.nginx import Nginx
from windlass_network.ingress.nginx_config import Listen

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IngressOptions:
    """Everything that `windlass ingress` can be told."""

    kubeconfig: Path
    data_dir: Path
    address: str = ""
    http_port: int = 80
    https_port: int = 443
    publish_address: str = ""
    ingress_class: str = "nginx"
    nginx: str = "nginx"


async def serve(options: IngressOptions) -> None:
    """Serve until TERM or INT. Raises ConfigError when nginx or the kubeconfig is missing."""
    transport = load_kubeconfig(options.kubeconfig)
    clock = SystemClock()
    nginx = Nginx(options.data_dir / "nginx", clock, program=options.nginx)
    controller = IngressController(
        Client(transport, user_agent="windlass-ingress"),
        nginx,
        Listen(options.address, options.http_port, options.https_port),
        clock,
        published=options.publish_address or options.address,
        class_name=options.ingress_class,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running, stopping = asyncio.ensure_future(controller.run()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await transport.close()
    if not running.cancelled():
        running.result()
    log.info("ingress_stopped")
