"""Volumes made of data that the API holds."""

from windlass.apimachinery.schema import Bool, Int, ListOf, Nested, Str
from windlass.apis.core.v1.references import ObjectFieldSelector, ResourceFieldSelector
from windlass.apis.core.v1.schema import CoreSchema
from windlass.apis.meta.v1 import LabelSelector


class KeyToPath(CoreSchema):
    """Puts one key into a file."""

    key = Str("Key to take.", required=True)
    mode = Int("Permission bits of the file.")
    path = Str("Path of the file in the volume.", required=True)


class ConfigMapVolumeSource(CoreSchema):
    """Shows a ConfigMap as files."""

    default_mode = Int("Permission bits of files that set none.", default=420)
    items = ListOf("Keys to show and their paths; all keys when absent.", KeyToPath)
    name = Str("Name of the ConfigMap.")
    optional = Bool("Whether the ConfigMap or its keys may be missing.")


class SecretVolumeSource(CoreSchema):
    """Shows a Secret as files."""

    default_mode = Int("Permission bits of files that set none.", default=420)
    items = ListOf("Keys to show and their paths; all keys when absent.", KeyToPath)
    optional = Bool("Whether the Secret or its keys may be missing.")
    secret_name = Str("Name of the Secret.")


class DownwardAPIVolumeFile(CoreSchema):
    """Puts one field of the pod into a file."""

    field_ref = Nested("Field of the pod to show.", ObjectFieldSelector)
    mode = Int("Permission bits of the file.")
    path = Str("Path of the file in the volume.", required=True)
    resource_field_ref = Nested("Resource limit or request to show.", ResourceFieldSelector)


class DownwardAPIVolumeSource(CoreSchema):
    """Shows fields of the pod as files."""

    default_mode = Int("Permission bits of files that set none.", default=420)
    items = ListOf("Files and the fields that they show.", DownwardAPIVolumeFile)


class ClusterTrustBundleProjection(CoreSchema):
    """Shows trusted certificates as a file."""

    label_selector = Nested("Bundles to join, by label; only with signerName.", LabelSelector)
    name = Str("Name of one bundle to show.")
    optional = Bool("Whether the bundles may be missing.")
    path = Str("Path of the file in the volume.", required=True)
    signer_name = Str("Signer whose bundles are joined.")


class ConfigMapProjection(CoreSchema):
    """Shows a ConfigMap as files in a projected volume."""

    items = ListOf("Keys to show and their paths; all keys when absent.", KeyToPath)
    name = Str("Name of the ConfigMap.")
    optional = Bool("Whether the ConfigMap or its keys may be missing.")


class DownwardAPIProjection(CoreSchema):
    """Shows fields of the pod as files in a projected volume."""

    items = ListOf("Files and the fields that they show.", DownwardAPIVolumeFile)


class SecretProjection(CoreSchema):
    """Shows a Secret as files in a projected volume."""

    items = ListOf("Keys to show and their paths; all keys when absent.", KeyToPath)
    name = Str("Name of the Secret.")
    optional = Bool("Whether the Secret or its keys may be missing.")


class ServiceAccountTokenProjection(CoreSchema):
    """Shows a token of the pod's service account as a file."""

    audience = Str("Who the token is meant for; the API server when absent.")
    expiration_seconds = Int("Seconds that the token is good for.", bits=64, default=3600)
    path = Str("Path of the file in the volume.", required=True)


class VolumeProjection(CoreSchema):
    """One source of a projected volume; exactly one is given."""

    cluster_trust_bundle = Nested("Shows trusted certificates.", ClusterTrustBundleProjection)
    config_map = Nested("Shows a ConfigMap.", ConfigMapProjection)
    downward_api = Nested("Shows fields of the pod.", DownwardAPIProjection, data_key="downwardAPI")
    secret = Nested("Shows a Secret.", SecretProjection)
    service_account_token = Nested("Shows a token of the service account.", ServiceAccountTokenProjection)


class ProjectedVolumeSource(CoreSchema):
    """Shows several sources in one folder."""

    default_mode = Int("Permission bits of files that set none.", default=420)
    sources = ListOf("The sources.", VolumeProjection)
