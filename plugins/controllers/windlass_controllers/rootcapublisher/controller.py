"""Publishes the cluster's CA in every namespace, so that pods know the API server when they meet it (C152)."""

from typing import Any

from windlass.apis.resources import CONFIGMAPS, NAMESPACES
from windlass.errors import AlreadyExistsError, ConflictError, ForbiddenError, NotFoundError
from windlass.logs import get_logger
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key
from windlass_controllers.serviceaccount.controller import is_active, namespace_key

Obj = dict[str, Any]
NAME, KEY = "kube-root-ca.crt", "ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
log = get_logger(__name__)


class RootCaPublisher:
    """One key is one namespace."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._certificate = context.client, context.root_ca
        self._namespaces = context.informers.informer(NAMESPACES)
        self._published = context.informers.informer(CONFIGMAPS, field_selector=f"metadata.name={NAME}")
        self.loop = KeyedLoop("root-ca-certificate-publisher", context.clock)
        self.loop.feed(self._namespaces, own_key)
        self.loop.feed(self._published, namespace_key)

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._certificate:
            log.warning("root_ca_unknown", why="the manager's kubeconfig names no certificate authority")
        await self.loop.run(self.reconcile)

    async def reconcile(self, namespace: str) -> float | None:
        """Publish in one namespace, or put right what somebody changed."""
        if not self._certificate or not is_active(self._namespaces.get("", namespace)):
            return None
        found = self._published.get(namespace, NAME)
        data = {KEY: self._certificate}
        try:
            if found is None:
                await self._client.create(CONFIGMAPS, self._config_map(namespace), namespace)
            elif found.get("data") != data or found.get("binaryData"):
                wanted = {**found, "data": data}
                wanted.pop("binaryData", None)
                await self._client.update(CONFIGMAPS, wanted)
        except (AlreadyExistsError, ConflictError, ForbiddenError, NotFoundError):
            return None  # the next event tells what there is now; a namespace on its way out takes nothing
        return None

    def _config_map(self, namespace: str) -> Obj:
        annotations = {"kubernetes.io/description": DESCRIPTION}
        metadata = {"name": NAME, "namespace": namespace, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: self._certificate}}
