"""The client of the Kubernetes API that controllers, scheduler, agents and plugins use."""

from windlass.client.client import Client, Fence, WatchEvent
from windlass.client.informer import Informer, InformerFactory
from windlass.client.kubeconfig import load_kubeconfig
from windlass.client.recorder import EventRecorder
from windlass.client.transport import HttpTransport, InProcessTransport, Transport
from windlass.client.workqueue import WorkQueue

__all__ = [
    "Client",
    "EventRecorder",
    "Fence",
    "HttpTransport",
    "InProcessTransport",
    "Informer",
    "InformerFactory",
    "Transport",
    "WatchEvent",
    "WorkQueue",
    "load_kubeconfig",
]
