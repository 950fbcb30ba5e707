"""Kubernetes' rules for names, labels and the like. Each returns the messages of what is wrong, [] when nothing is."""

import re

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS1123_LABEL = re.compile(LABEL)
_DNS1123_SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
_DNS1035_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_PORT_NAME = re.compile(r"[-a-z0-9]+")


def _too_long(length: int) -> str:
    return f"must be no more than {length} bytes"


def is_dns1123_label(value: str) -> list[str]:
    """Check a DNS label of RFC 1123, as namespaces and containers are named."""
    messages = [] if len(value) <= 63 else [_too_long(63)]
    if not _DNS1123_LABEL.fullmatch(value):
        messages.append(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
            "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )
    return messages


def is_dns1123_subdomain(value: str) -> list[str]:
    """Check a DNS subdomain of RFC 1123, as most objects are named."""
    messages = [] if len(value) <= 253 else [_too_long(253)]
    if not _DNS1123_SUBDOMAIN.fullmatch(value):
        messages.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
            "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    return messages


def is_dns1035_label(value: str) -> list[str]:
    """Check a DNS label of RFC 1035, as Services are named."""
    messages = [] if len(value) <= 63 else [_too_long(63)]
    if not _DNS1035_LABEL.fullmatch(value):
        messages.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
            "is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        )
    return messages


def is_qualified_name(value: str) -> list[str]:
    """Check a label key or the like: `name` or `prefix/name`."""
    prefix, slash, name = value.rpartition("/")
    messages = []
    if slash:
        if not prefix:
            messages.append("prefix part must be non-empty")
        messages += [f"prefix part {message}" for message in (is_dns1123_subdomain(prefix) if prefix else ())]
    if not name:
        messages.append("name part must be non-empty")
    elif len(name) > 63:
        messages.append(f"name part {_too_long(63)}")
    if not _QUALIFIED.fullmatch(name):
        messages.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    return messages


def is_label_value(value: str) -> list[str]:
    """Check a label's value."""
    messages = [] if len(value) <= 63 else [_too_long(63)]
    if not _LABEL_VALUE.fullmatch(value):
        messages.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
            "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
            "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    return messages


def is_env_var_name(value: str) -> list[str]:
    """Check the name of an environment variable."""
    if _ENV_NAME.fullmatch(value):
        return []
    return [
        "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
        "start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is "
        "'[-._a-zA-Z][-._a-zA-Z0-9]*')"
    ]


def is_config_key(value: str) -> list[str]:
    """Check a key of a ConfigMap or Secret."""
    messages = [] if len(value) <= 253 else [_too_long(253)]
    if not _CONFIG_KEY.fullmatch(value):
        messages.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    if value == ".":
        messages.append("must not be '.'")
    if value.startswith(".."):
        messages.append("must not be '..'" if value == ".." else "must not start with '..'")
    return messages


def is_port_name(value: str) -> list[str]:
    """Check a port's name (IANA_SVC_NAME)."""
    messages = [] if len(value) <= 15 else ["must be no more than 15 characters"]
    if not _PORT_NAME.fullmatch(value):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        messages.append("must contain at least one letter (a-z)")
    if "--" in value:
        messages.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        messages.append("must not begin or end with a hyphen")
    return messages


def is_path_segment(value: str) -> list[str]:
    """Check that a name is one segment of a URL path and nothing else."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]
