"""Gives every namespace the service account `default`, which its pods run as unless they say otherwise."""

from typing import Any

from windlass.apis.resources import NAMESPACES, SERVICEACCOUNTS
from windlass.errors import AlreadyExistsError, ForbiddenError, NotFoundError
from windlass.plugin.interfaces.controller import ControllerContext
from windlass_controllers.keyed import KeyedLoop, own_key

Obj = dict[str, Any]
DEFAULT = "default"


class ServiceAccountController:
    """One key is one namespace."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._namespaces = context.informers.informer(NAMESPACES)
        self._accounts = context.informers.informer(SERVICEACCOUNTS, field_selector=f"metadata.name={DEFAULT}")
        self.loop = KeyedLoop("serviceaccount", context.clock)
        self.loop.feed(self._namespaces, own_key)
        self.loop.feed(self._accounts, namespace_key)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.loop.run(self.reconcile)

    async def reconcile(self, name: str) -> float | None:
        """Make the account of a namespace that is there to stay."""
        if not is_active(self._namespaces.get("", name)) or self._accounts.get(name, DEFAULT) is not None:
            return None
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT, "namespace": name}}
        try:
            await self._client.create(SERVICEACCOUNTS, account, name)
        except (AlreadyExistsError, ForbiddenError, NotFoundError):
            return None  # somebody else made it, or the namespace is on its way out
        return None


def namespace_key(obj: Obj) -> list[str]:
    """Return the key of the namespace that an object is in."""
    return [obj["metadata"]["namespace"]]


def is_active(namespace: Obj | None) -> bool:
    """Say whether a namespace is there and not being deleted."""
    return namespace is not None and (namespace.get("status") or {}).get("phase", "Active") == "Active"
