"""What may be a name: DNS labels, qualified names, label values, port names, with Kubernetes' own messages.

Every function returns a list of messages, empty when the text is fine, as the `Is...` functions of Kubernetes'
validation do. They are pure and linear in the length of the text.
"""

import ipaddress
import re
from functools import lru_cache

DNS1123_LABEL_MAX = 63
DNS1123_SUBDOMAIN_MAX = 253
QUALIFIED_NAME_MAX = 63
LABEL_VALUE_MAX = 63
PORT_NAME_MAX = 15

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = "(" + _QUALIFIED + ")?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_ENV_NAME = r"[ -<>-~]+"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN)
_LABEL_1035_RE = re.compile(_LABEL_1035)
_QUALIFIED_RE = re.compile(_QUALIFIED)
_LABEL_VALUE_RE = re.compile(_LABEL_VALUE)
_CONFIG_KEY_RE = re.compile(_CONFIG_KEY)
_ENV_NAME_RE = re.compile(_ENV_NAME)
_C_IDENTIFIER_RE = re.compile(_C_IDENTIFIER)

_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character"
)
_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
_CONFIG_KEY_MESSAGE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_ENV_NAME_MESSAGE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_C_IDENTIFIER_MESSAGE = (
    "a valid C identifier must start with alphabetic character or '_', "
    "followed by a string of alphanumeric characters or '_'"
)
_WILDCARD_MESSAGE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)


def max_length_message(limit: int) -> str:
    """Return Kubernetes' words for a text that is too long."""
    return f"must be no more than {limit} characters"


def regex_message(message: str, pattern: str, *examples: str) -> str:
    """Return Kubernetes' words for a text that does not match, with examples (and its double space)."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def is_dns1123_label(text: str) -> list[str]:
    """Check a DNS label as RFC 1123 has it: `my-name`, `123-abc`."""
    errors = [max_length_message(DNS1123_LABEL_MAX)] if len(text) > DNS1123_LABEL_MAX else []
    if not _LABEL_RE.fullmatch(text):
        if _SUBDOMAIN_RE.fullmatch(text):
            return [*errors, "must not contain dots"]
        errors.append(regex_message(_LABEL_MESSAGE, _LABEL, "my-name", "123-abc"))
    return errors


def is_dns1123_subdomain(text: str) -> list[str]:
    """Check a DNS subdomain: labels joined by dots."""
    errors = [max_length_message(DNS1123_SUBDOMAIN_MAX)] if len(text) > DNS1123_SUBDOMAIN_MAX else []
    if not _SUBDOMAIN_RE.fullmatch(text):
        errors.append(regex_message(_SUBDOMAIN_MESSAGE, _SUBDOMAIN, "example.com"))
    return errors


def is_wildcard_dns1123_subdomain(text: str) -> list[str]:
    """Check `*.` followed by a DNS subdomain, as Ingress hosts may be."""
    errors = [max_length_message(DNS1123_SUBDOMAIN_MAX)] if len(text) > DNS1123_SUBDOMAIN_MAX else []
    if not (text.startswith("*.") and _SUBDOMAIN_RE.fullmatch(text[2:])):
        errors.append(regex_message(_WILDCARD_MESSAGE, r"\*\." + _SUBDOMAIN, "*.example.com"))
    return errors


def is_dns1035_label(text: str) -> list[str]:
    """Check a DNS label as RFC 1035 has it (Service names): starts with a letter."""
    errors = [max_length_message(DNS1123_LABEL_MAX)] if len(text) > DNS1123_LABEL_MAX else []
    if not _LABEL_1035_RE.fullmatch(text):
        errors.append(regex_message(_LABEL_1035_MESSAGE, _LABEL_1035, "my-name", "abc-123"))
    return errors


def _qualified_part(text: str) -> list[str]:
    if not text:
        return ["must be non-empty"]
    errors = [max_length_message(QUALIFIED_NAME_MAX)] if len(text) > QUALIFIED_NAME_MAX else []
    if not _QUALIFIED_RE.fullmatch(text):
        errors.append(regex_message(_QUALIFIED_MESSAGE, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return errors


def is_qualified_name(text: str) -> list[str]:
    """Check `[prefix/]name`, as label keys, annotation keys, finalizers and resource names are."""
    if len(text) > DNS1123_SUBDOMAIN_MAX + 1 + QUALIFIED_NAME_MAX:
        return _qualified_name(text)
    return list(_known_qualified_name(text))


@lru_cache(maxsize=16384)
def _known_qualified_name(text: str) -> tuple[str, ...]:
    """Remember what was found of a short name: a cluster's objects share a few hundred of them."""
    return tuple(_qualified_name(text))


def _qualified_name(text: str) -> list[str]:
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        message = regex_message(_QUALIFIED_MESSAGE, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"a qualified name {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    errors = []
    if slash:
        found = ["must be non-empty"] if not prefix else is_dns1123_subdomain(prefix)
        errors = [f"prefix part {message}" for message in found]
    return errors + [f"name part {message}" for message in _qualified_part(name)]


def is_label_value(text: str) -> list[str]:
    """Check a label's value; it may be empty."""
    errors = [max_length_message(LABEL_VALUE_MAX)] if len(text) > LABEL_VALUE_MAX else []
    if not _LABEL_VALUE_RE.fullmatch(text):
        errors.append(regex_message(_LABEL_VALUE_MESSAGE, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def _is_not_path(text: str) -> list[str]:
    if text == ".":
        return ["must not be '.'"]
    if text == "..":
        return ["must not be '..'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def is_env_var_name(text: str) -> list[str]:
    """Check the name of an environment variable, with the relaxed rule that 1.32 has on by default."""
    if not text:
        return ["environment variable name must be non-empty"]
    return [] if _ENV_NAME_RE.fullmatch(text) else [regex_message(_ENV_NAME_MESSAGE, f"^{_ENV_NAME}$")]


def is_config_key(text: str) -> list[str]:
    """Check a key of a ConfigMap or Secret: it may become a file name."""
    errors = [max_length_message(DNS1123_SUBDOMAIN_MAX)] if len(text) > DNS1123_SUBDOMAIN_MAX else []
    if not _CONFIG_KEY_RE.fullmatch(text):
        errors.append(regex_message(_CONFIG_KEY_MESSAGE, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errors + _is_not_path(text)


def is_c_identifier(text: str) -> list[str]:
    """Check a C identifier."""
    return (
        []
        if _C_IDENTIFIER_RE.fullmatch(text)
        else [regex_message(_C_IDENTIFIER_MESSAGE, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]
    )


def is_port_name(text: str) -> list[str]:
    """Check a port's name: an IANA service name (RFC 6335)."""
    errors = [max_length_message(PORT_NAME_MAX)] if len(text) > PORT_NAME_MAX else []
    if not re.fullmatch("[-a-z0-9]+", text):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        errors.append("must contain at least one letter (a-z)")
    if "--" in text:
        errors.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def is_port_number(port: int) -> list[str]:
    """Check a port's number."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def is_path_segment(text: str, *, prefix: bool = False) -> list[str]:
    """Check that a name can be one segment of a URL path; `prefix` allows what only a whole name may not be."""
    if not prefix and text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{banned}'" for banned in ("/", "%") if banned in text]


def is_ip_address(text: str) -> list[str]:
    """Check an IPv4 or IPv6 address, without zone."""
    try:
        if "%" not in text:
            ipaddress.ip_address(text)
            return []
    except ValueError:
        pass
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]


def is_cidr(text: str) -> list[str]:
    """Check an address with a prefix length; host bits may be set, as Kubernetes allows."""
    try:
        if "/" in text and text.rpartition("/")[2].isascii() and text.rpartition("/")[2].isdecimal():
            ipaddress.ip_interface(text)
            return []
    except ValueError:
        pass
    return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
