"""Environment variables of a container and where their values come from."""

from windlass.apimachinery.schema import Bool, Nested, Str
from windlass.apis.core.v1.references import (
    ConfigMapKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from windlass.apis.core.v1.schema import CoreSchema


class EnvVarSource(CoreSchema):
    """Where the value of a variable comes from; exactly one source is given."""

    config_map_key_ref = Nested("Takes the value from a key of a ConfigMap.", ConfigMapKeySelector)
    field_ref = Nested("Takes the value from a field of the pod.", ObjectFieldSelector)
    resource_field_ref = Nested("Takes the value from a resource limit or request of the container.",
                                ResourceFieldSelector)
    secret_key_ref = Nested("Takes the value from a key of a Secret.", SecretKeySelector)


class EnvVar(CoreSchema):
    """One environment variable."""

    name = Str("Name of the variable.", required=True)
    value = Str("Value; $(NAME) refers to variables defined before, $$(NAME) stays as it is.")
    value_from = Nested("Source of the value, instead of a literal one.", EnvVarSource)


class ConfigMapEnvSource(CoreSchema):
    """Turns every key of a ConfigMap into a variable."""

    name = Str("Name of the ConfigMap.")
    optional = Bool("Whether the ConfigMap may be missing.")


class SecretEnvSource(CoreSchema):
    """Turns every key of a Secret into a variable."""

    name = Str("Name of the Secret.")
    optional = Bool("Whether the Secret may be missing.")


class EnvFromSource(CoreSchema):
    """A set of variables from a ConfigMap or a Secret."""

    config_map_ref = Nested("ConfigMap whose keys become variables.", ConfigMapEnvSource)
    prefix = Str("Text put before each variable's name.")
    secret_ref = Nested("Secret whose keys become variables.", SecretEnvSource)
