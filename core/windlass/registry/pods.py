"""What only pods have: binding to a node, and eviction."""

from typing import Any

from windlass.apimachinery.scheme import KindDefinition, Obj
from windlass.clock import rfc3339
from windlass.errors import BadRequestError, FieldError
from windlass.registry.admit import Target, admission_request, admit, validate
from windlass.registry.backend import Backend
from windlass.registry.commit import commit_update
from windlass.registry.current import Current, attempt
from windlass.registry.delete import check_options
from windlass.registry.eviction import evict_pod
from windlass.registry.objectmeta import place
from windlass.registry.options import Body, DeleteOptions, RequestContext, Written
from windlass.registry.refusals import conflict, invalid

BINDING_VERSIONS = ("v1", "")
EVICTION_VERSIONS = ("policy/v1", "policy/v1beta1", "")


def _checked(body: Body, kind: str, versions: tuple[str, ...], name: str) -> Obj:
    value = body.value
    if not isinstance(value, dict):
        raise BadRequestError(f"the request body must be a {kind} object")
    if value.get("kind", kind) != kind or value.get("apiVersion", "") not in versions:
        raise BadRequestError(f"the request body must be a {kind} of {versions[0]}, not {value.get('apiVersion')} {value.get('kind')}")
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRequestError("metadata: must be an object")
    if metadata.get("name", name) not in (name, ""):
        raise BadRequestError(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    return value


async def bind(backend: Backend, context: RequestContext, target: Target, body: Body) -> None:
    """Set a pod's node, once. Raises 409 when it is bound, on its way out, or another pod than the caller means."""
    binding = _checked(body, "Binding", BINDING_VERSIONS, target.name)
    node = binding.get("target") or {}
    if not isinstance(node, dict) or not isinstance(node.get("name"), str) or not node["name"]:
        raise invalid(target.kind, target.name, [FieldError("target.name", "Required value", "FieldValueRequired")])
    if node.get("kind", "Node") not in ("Node", ""):
        raise invalid(target.kind, target.name, [
            FieldError("target.kind", f'Unsupported value: "{node["kind"]}": supported values: "Node"', "FieldValueNotSupported")
        ])
    metadata = binding.get("metadata") or {}

    async def step(current: Current) -> Written:
        pod = _shell(current.obj)
        _check_bindable(target.kind, pod, metadata)
        request = admission_request(backend, context, target, obj=binding, old=current.obj)
        await admit(backend, request)
        await validate(backend, request)
        _assign(backend, pod, node["name"], metadata)
        stored = await commit_update(
            backend, context, target.kind, pod, current.revision, managed=current.managed
        )
        return Written(stored)

    await attempt(backend, target, step)


def _shell(pod: Obj) -> Obj:
    """Copy as deep as `_assign` changes a pod; the rest is shared."""
    return {**pod, "metadata": {**pod["metadata"]}, "spec": {**pod["spec"]}, "status": {**(pod.get("status") or {})}}


def _check_bindable(kind: KindDefinition, pod: Obj, metadata: dict[str, Any]) -> None:
    name, bound = pod["metadata"]["name"], pod["spec"].get("nodeName")
    uid, version = metadata.get("uid"), metadata.get("resourceVersion")
    if uid and uid != pod["metadata"]["uid"]:
        raise conflict(
            kind, name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {pod['metadata']['uid']}"
        )
    if version and version != pod["metadata"]["resourceVersion"]:
        raise conflict(kind, name)
    if pod["metadata"].get("deletionTimestamp"):
        raise conflict(kind, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if bound:
        raise conflict(kind, name, f'pod {name} is already assigned to node "{bound}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict(kind, name, f"pod {name} has non-empty .spec.schedulingGates")


def _assign(backend: Backend, pod: Obj, node: str, metadata: dict[str, Any]) -> None:
    pod["spec"]["nodeName"] = node
    if metadata.get("annotations"):
        pod["metadata"]["annotations"] = {**pod["metadata"].get("annotations", {}), **metadata["annotations"]}
    status = pod.setdefault("status", {})
    others = [item for item in status.get("conditions") or () if item.get("type") != "PodScheduled"]
    status["conditions"] = [
        *others,
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": rfc3339(backend.clock.now())},
    ]


async def evict(backend: Backend, context: RequestContext, target: Target, body: Body) -> Written:
    """Delete a pod gracefully on somebody else's wish, unless a disruption budget objects."""
    eviction = _checked(body, "Eviction", EVICTION_VERSIONS, target.name)
    place(target.kind, {"metadata": dict(eviction.get("metadata") or {})}, target.namespace, target.name)
    options = delete_options(eviction.get("deleteOptions") or {})
    if "All" in _dry_run(eviction.get("deleteOptions") or {}):
        context.dry_run = True
    check_options(options)
    return await evict_pod(backend, context, target, options)


def _dry_run(raw: Any) -> list[Any]:
    return raw.get("dryRun") or [] if isinstance(raw, dict) else []


def _given(raw: dict[str, Any], key: str, absent: Any) -> Any:
    """Return a value; null counts as absent."""
    value = raw.get(key)
    return absent if value is None else value


def delete_options(raw: Any) -> DeleteOptions:
    """Read a DeleteOptions body. Raises 400."""
    if not isinstance(raw, dict):
        raise BadRequestError("DeleteOptions must be a JSON object")
    preconditions, policy = _given(raw, "preconditions", {}), _given(raw, "propagationPolicy", "")
    grace = raw.get("gracePeriodSeconds")
    if grace is not None and (type(grace) is not int or abs(grace) >= 2**63):
        raise BadRequestError("gracePeriodSeconds: must be an integer")
    if raw.get("orphanDependents") is not None:
        if policy:
            raise BadRequestError("orphanDependents and propagationPolicy may not both be set")
        policy = "Orphan" if raw["orphanDependents"] else "Background"
    if not isinstance(policy, str) or not isinstance(preconditions, dict):
        raise BadRequestError("propagationPolicy must be a string, preconditions an object")
    uid, version = _given(preconditions, "uid", ""), _given(preconditions, "resourceVersion", "")
    if not isinstance(uid, str) or not isinstance(version, str):
        raise BadRequestError("preconditions.uid and preconditions.resourceVersion must be strings")
    return DeleteOptions(grace, policy, uid, version)
