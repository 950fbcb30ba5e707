"""Which representation a client wants: plain objects, a Table, or only metadata; as JSON or YAML."""

from dataclasses import dataclass
from functools import lru_cache

from windlass.apimachinery import protobuf
from windlass.errors import NotAcceptableError, UnsupportedMediaTypeError

READABLE = ("application/json", "application/yaml")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
ANYTHING = ("", "*/*", "application/*", "application/json")
META_KINDS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True, slots=True)
class Representation:
    """`form` is '' (the objects themselves), Table or PartialObjectMetadata; `version` of the form's own API."""

    form: str = ""
    version: str = "v1"
    yaml: bool = False

    @property
    def content_type(self) -> str:
        """The media type of the answer, with the parameters that the client asked for."""
        if self.form:
            return f"application/json;as={self.form};v={self.version};g=meta.k8s.io"
        return "application/yaml" if self.yaml else "application/json"


@lru_cache(maxsize=1024)
def negotiate(accept: str, *, forms: bool = True) -> Representation:
    """Choose the first acceptable offer of ours in the client's order. Raises 406. `forms`: Table and metadata offered."""
    for offer in accept.split(","):
        media_type, parameters = _parse(offer)
        if parameters.get("q") in ("0", "0.0"):
            continue
        form = parameters.get("as", "")
        if form and not (forms and form in META_KINDS and parameters.get("g") == "meta.k8s.io"):
            continue
        if form and (parameters.get("v", "v1") not in ("v1", "v1beta1") or media_type not in ANYTHING):
            continue
        if media_type in ANYTHING:
            return Representation(form.removesuffix("List"), parameters.get("v", "v1") if form else "v1")
        if media_type in YAML_TYPES:
            return Representation(yaml=True)
    raise NotAcceptableError(f"only the following media types are accepted: {', '.join(READABLE)}")


@lru_cache(maxsize=256)
def wants_aggregated_discovery(accept: str) -> str:
    """Return the version (`v2`, `v2beta1`) of aggregated discovery that a client prefers, '' for the plain form."""
    for offer in accept.split(","):
        media_type, parameters = _parse(offer)
        if media_type not in ANYTHING:
            continue
        if not parameters.get("as"):
            return ""
        if parameters["as"] == "APIGroupDiscoveryList" and parameters.get("g") == "apidiscovery.k8s.io":
            version = parameters.get("v", "")
            if version in ("v2", "v2beta1"):
                return version
    return ""


def media_type_of(content_type: str) -> str:
    """Return a Content-Type without its parameters."""
    return content_type.split(";", 1)[0].strip().lower()


def check_readable(media_type: str) -> None:
    """Refuse bodies that are neither JSON, YAML nor Kubernetes' protobuf with 415."""
    if media_type and media_type not in ("application/json", protobuf.MEDIA_TYPE, *YAML_TYPES):
        raise UnsupportedMediaTypeError(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(READABLE)}"
        )


def _parse(offer: str) -> tuple[str, dict[str, str]]:
    media_type, *parameters = (part.strip() for part in offer.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    return media_type.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
