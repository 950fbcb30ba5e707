"""Built-in authorisers, asked in order until one has an opinion: health, discovery and oneself, administrators, nodes."""

from windlass.plugin.interfaces.authn import Attributes, Decision, ObjectReader

ADMIN_GROUP = "system:masters"
HEALTH_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
DISCOVERY_PREFIXES = ("/api", "/apis", "/openapi", "/version", "/.well-known", "/openid")
NO_OPINION = Decision(None)
ALLOWED = Decision(True)
SELF_REVIEWS = frozenset(
    {("authentication.k8s.io", "selfsubjectreviews"), ("authorization.k8s.io", "selfsubjectaccessreviews")}
)
READ_VERBS = frozenset({"get", "list", "watch"})


class AdminAuthorizer:
    """Members of `system:masters` may do everything."""

    def authorize(self, attributes: Attributes, reader: ObjectReader) -> Decision:  # noqa: ARG002 - Protocol
        """Allow administrators."""
        return ALLOWED if ADMIN_GROUP in attributes.user.groups else NO_OPINION


class DiscoveryAuthorizer:
    """Everybody may ask after health; the authenticated may read discovery and OpenAPI, and ask about themselves."""

    def authorize(self, attributes: Attributes, reader: ObjectReader) -> Decision:  # noqa: ARG002 - Protocol
        """Allow health and discovery paths, and reviews of oneself."""
        authenticated = "system:authenticated" in attributes.user.groups
        if (attributes.group, attributes.resource) in SELF_REVIEWS and attributes.verb == "create" and authenticated:
            return ALLOWED
        if attributes.resource or attributes.verb != "get":
            return NO_OPINION
        if attributes.path in HEALTH_PATHS or attributes.path.startswith(("/livez/", "/readyz/")):
            return ALLOWED
        if not authenticated:
            return NO_OPINION
        first = "/" + attributes.path.strip("/").split("/", 1)[0]
        return ALLOWED if first in DISCOVERY_PREFIXES else NO_OPINION
