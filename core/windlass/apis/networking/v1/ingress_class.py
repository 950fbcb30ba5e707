"""Ingress classes: which controller serves which Ingresses."""

from datetime import datetime

from windlass.apimachinery import names
from windlass.apimachinery.field_errors import forbidden, immutable, invalid, invalid_each, required
from windlass.apimachinery.schema import Nested, Str
from windlass.apimachinery.scheme import Column, KindDefinition, Obj, Strategy
from windlass.apimachinery.table import AGE
from windlass.apis.meta.v1 import ApiObject
from windlass.apis.networking.v1.schema import GROUP, NetworkingSchema
from windlass.errors import FieldError

MAX_CONTROLLER_LENGTH = 250


class IngressClassParametersReference(NetworkingSchema):
    """An object that configures the controller."""

    api_group = Str("Its API group; none means core.")
    kind = Str("Its kind.", required=True)
    name = Str("Its name.", required=True)
    namespace = Str("Its namespace, where it has one.")
    scope = Str("Whether it is namespaced.", default="Cluster", enum=("Cluster", "Namespace"))


class IngressClassSpec(NetworkingSchema):
    """The class's controller."""

    controller = Str("Name of the controller, a domain and a path.")
    parameters = Nested("An object that configures the controller.", IngressClassParametersReference)


class IngressClass(ApiObject):
    """Names a controller of Ingresses."""

    openapi_prefix = NetworkingSchema.openapi_prefix

    spec = Nested("The class's controller.", IngressClassSpec)


def _parameters(obj: Obj, _now: datetime) -> str:
    found = (obj.get("spec") or {}).get("parameters")
    if not found:
        return "<none>"
    return f"{found['kind']}{'.' + found['apiGroup'] if found.get('apiGroup') else ''}/{found['name']}"


class IngressClassStrategy(Strategy):
    """Behaviour of Ingress classes."""

    has_generation = True
    columns = (
        Column("Controller", lambda obj, _now: (obj.get("spec") or {}).get("controller") or "",
               description="Name of the controller."),
        Column("Parameters", _parameters, description="Object that configures it."),
        AGE,
    )  # fmt: skip

    def validate(self, obj: Obj) -> list[FieldError]:
        """Check the controller's name and the parameters' scope."""
        spec = obj.get("spec") or {}
        controller, parameters = spec.get("controller") or "", spec.get("parameters")
        found = []
        if len(controller) > MAX_CONTROLLER_LENGTH:
            found.append(invalid("spec.controller", controller, names.max_length_message(MAX_CONTROLLER_LENGTH)))
        domain, slash, rest = controller.partition("/")
        if not slash or not rest:
            message = 'must be a domain-prefixed path (such as "acme.io/foo")'
            found.append(invalid("spec.controller", controller, message))
        else:
            found += invalid_each("spec.controller", controller, names.is_dns1123_subdomain(domain))
        if parameters is not None:
            found += _validate_parameters(parameters)
        return found

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """Keep the controller."""
        return immutable(
            "spec.controller", (new.get("spec") or {}).get("controller"), (old.get("spec") or {}).get("controller")
        )


def _validate_parameters(parameters: Obj) -> list[FieldError]:
    path = "spec.parameters"
    if parameters.get("scope") == "Namespace":
        namespace = parameters.get("namespace") or ""
        if not namespace:
            return [required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")]
        return invalid_each(f"{path}.namespace", namespace, names.is_dns1123_label(namespace))
    if parameters.get("namespace"):
        return [forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")]
    return []


KINDS = (
    KindDefinition(
        group=GROUP,
        version="v1",
        kind="IngressClass",
        plural="ingressclasses",
        singular="ingressclass",
        namespaced=False,
        schema=IngressClass,
        strategy=IngressClassStrategy(),
    ),
)
