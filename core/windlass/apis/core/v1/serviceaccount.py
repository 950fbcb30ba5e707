"""ServiceAccounts."""

from windlass.apimachinery.schema import Bool, ListOf
from windlass.apimachinery.scheme import Column, KindDefinition, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.core.v1.references import LocalObjectReference, ObjectReference
from windlass.apis.core.v1.schema import CoreObject


class ServiceAccount(CoreObject):
    """An identity for what runs in pods."""

    automount_service_account_token = Bool("Whether pods get the account's token mounted unless they say otherwise.")
    image_pull_secrets = ListOf("Secrets for pulling images, given to pods that name none.", LocalObjectReference)
    secrets = ListOf(
        "Secrets that pods of the account may use.",
        ObjectReference,
        patch_strategy="merge",
        patch_merge_key="name",
        list_type="map",
        list_map_keys=("name",),
    )


class ServiceAccountStrategy(Strategy):
    """Behaviour of service accounts."""

    columns = (
        Column("Secrets", lambda obj, _now: len(obj.get("secrets") or ()), description="Number of secrets."),
        AGE,
    )


KINDS = (
    KindDefinition(
        group="",
        version="v1",
        kind="ServiceAccount",
        plural="serviceaccounts",
        singular="serviceaccount",
        namespaced=True,
        schema=ServiceAccount,
        strategy=ServiceAccountStrategy(),
        short_names=("sa",),
        subresources=("token",),
    ),
)
