"""Refuse workloads that lack the labels which this cluster requires.

[plugins.config.require-labels]
labels = ["team"]
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow

from windlass import AdmissionRequest, DriverRegistration, InvalidError, hookimpl

log = logging.getLogger(__name__)
WORKLOADS = frozenset({"deployments", "replicasets", "pods"})


class Section(marshmallow.Schema):
    """The plugin's configuration."""

    labels = marshmallow.fields.List(marshmallow.fields.String(), load_default=["team"])


class RequireLabels:
    """Asks for labels on workloads that nobody owns (what a controller makes has its owner's)."""

    name = "RequireLabels"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._labels = tuple(config["labels"])

    def admit(self, request: AdmissionRequest) -> None:
        """Change nothing."""

    def validate(self, request: AdmissionRequest) -> None:
        """Refuse with 422, naming the first missing label.

        An update may not take a label away; what lacked one before the policy came may still be changed and deleted.
        """
        if request.operation not in ("CREATE", "UPDATE") or request.subresource or request.obj is None:
            return
        metadata = request.obj["metadata"]
        if request.resource not in WORKLOADS or metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
            return
        missing = [label for label in self._labels if label not in metadata.get("labels", {})]
        if request.old is not None:
            had = request.old["metadata"].get("labels", {})
            missing = [label for label in missing if label in had]
        if missing:
            raise InvalidError(
                f"metadata.labels: this cluster requires the label {missing[0]!r}; add it and apply again"
            )


@hookimpl
def register_config_schema() -> Mapping[str, Any]:
    """Bring the schema of our own configuration section."""
    return {"section": "require-labels", "schema": Section}


@hookimpl
def register_admission_plugins() -> Sequence[DriverRegistration]:
    """Hand out the one admission plugin."""
    return [DriverRegistration("RequireLabels", RequireLabels, "workloads carry the required labels")]


@hookimpl
def on_startup(process: str) -> None:
    """Say that the policy is in force, in the process that enforces it."""
    if process == "apiserver":
        log.warning("require-labels is in force")


@hookimpl
def on_shutdown(process: str) -> None:
    """Say that it no longer is."""
    if process == "apiserver":
        log.warning("require-labels is no longer in force")
