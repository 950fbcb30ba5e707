"""Get and list, from the watch cache, with Kubernetes' resourceVersion semantics.

Unset: consistent, behind a barrier. 0: whatever is here. N: not older than N, waiting a while for it. Exact N: only while
it is still what is here, as no old versions are kept; else 410.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windlass.apimachinery.scheme import KindDefinition
from windlass.apimachinery.selectors import FieldSelector, LabelSelector, parse_field_selector, parse_label_selector
from windlass.errors import BadRequestError, FieldError, StoreUnavailableError
from windlass.registry.backend import Backend
from windlass.registry.continuation import INCONSISTENT, Snapshots, Token, decode_token, position
from windlass.registry.options import ListOptions
from windlass.registry.refusals import expired, invalid, not_found, too_large_resource_version

if TYPE_CHECKING:
    from windlass.store.watchcache import CachedObject

FUTURE_TIMEOUT_SECONDS = 3.0
MAX_SELECTOR_LENGTH = 64 * 1024
COMPACTED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A page. `remaining` is None when the list ends here or nobody has counted (selectors)."""

    items: "Sequence[CachedObject]"
    revision: int
    continue_: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The selectors of a request, parsed; None selects everything."""

    namespace: str
    labels: LabelSelector | None
    fields: FieldSelector | None


def parse_revision(text: str) -> int:
    """Read a resourceVersion. Raises 400."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise BadRequestError(f'Invalid value: "{text}": resourceVersion must be a decimal number as the server gave it')
    return int(text)


def parse_selection(kind: KindDefinition, namespace: str, options: ListOptions) -> Selection:
    """Parse both selectors. Raises 400 for bad syntax, and for a field that the kind does not offer."""
    if max(len(options.label_selector), len(options.field_selector)) > MAX_SELECTOR_LENGTH:
        raise BadRequestError(f"a selector may have at most {MAX_SELECTOR_LENGTH} characters")
    labels = parse_label_selector(options.label_selector) if options.label_selector else None
    fields = parse_field_selector(options.field_selector) if options.field_selector else None
    if fields is not None:
        known = {"metadata.name", "metadata.namespace", *kind.strategy.selectable_fields({"metadata": {}, "spec": {}, "status": {}})}
        for name, _, _ in fields.requirements:
            if name not in known:
                raise BadRequestError(
                    f'Unable to find "{kind.resource.qualified}" that match label selector "{options.label_selector}", '
                    f'field selector "{options.field_selector}": "{name}" is not a known field selector: '
                    f"only {', '.join(sorted(known))}"
                )
    return Selection(namespace, labels, fields)


async def wait_for_version(backend: Backend, resource_version: str) -> None:
    """Make the cache as new as the request asks. Raises 504 for a version that does not come in time."""
    if not resource_version:
        await backend.cache.read_barrier(backend.barrier_timeout_seconds)
        return
    revision = parse_revision(resource_version)
    if revision > backend.cache.revision:
        try:
            await backend.cache.wait_revision(revision, FUTURE_TIMEOUT_SECONDS)
        except (TimeoutError, StoreUnavailableError):
            raise too_large_resource_version(revision, backend.cache.revision) from None


async def get(
    backend: Backend, kind: KindDefinition, namespace: str, name: str, *, resource_version: str = ""
) -> "CachedObject":
    """Return one cached object. Raises NotFoundError."""
    await wait_for_version(backend, resource_version)
    cached = backend.cache.kind_cache(kind).get(namespace, name)
    if cached is None:
        raise not_found(kind, name)
    return cached


class Lister:
    """Lists of one kind, whole or in pages."""

    def __init__(self, kind: KindDefinition, backend: Backend, snapshots: Snapshots) -> None:
        self._kind = kind
        self._backend = backend
        self._snapshots = snapshots

    async def list(self, namespace: str, options: ListOptions) -> Listing:
        """Return a page, or everything when no limit is set. Raises 400, 410, 504."""
        self._check(options)
        selection = parse_selection(self._kind, namespace, options)
        if options.continue_:
            return await self._continue(selection, options, decode_token(options.continue_))
        await wait_for_version(self._backend, options.resource_version)
        if options.resource_version_match == "Exact":
            self._check_exact(parse_revision(options.resource_version))
        return self._first(selection, options, after="")

    def _first(self, selection: Selection, options: ListOptions, *, after: str) -> Listing:
        """Read the present, from `after` on; keep a snapshot when it does not fit one page."""
        revision = self._backend.cache.revision
        items, _, _ = self._backend.cache.kind_cache(self._kind).select(
            selection.namespace, selection.labels, selection.fields, 0, after
        )
        if not options.limit or len(items) <= options.limit:
            return Listing(items, revision)
        self._snapshots.keep(self._key(selection, options, revision), items)
        return self._page(items, 0, revision, options)

    async def _continue(self, selection: Selection, options: ListOptions, token: Token) -> Listing:
        if token.revision == INCONSISTENT:
            await wait_for_version(self._backend, "")
            return self._first(selection, options, after=token.start)
        snapshot = self._snapshots.find(self._key(selection, options, token.revision))
        if snapshot is not None:
            return self._page(snapshot.items, bisect.bisect_right(snapshot.keys, token.start), token.revision, options)
        if not self._unchanged_since(token.revision):
            raise expired(COMPACTED, Token(INCONSISTENT, token.start).encode())
        return self._first(selection, options, after=token.start)

    def _page(self, items: "Sequence[CachedObject]", start: int, revision: int, options: ListOptions) -> Listing:
        end = start + options.limit if options.limit else len(items)
        page = items[start:end]
        if end >= len(items):
            return Listing(page, revision)
        selective = bool(options.label_selector or options.field_selector)
        return Listing(
            page, revision, Token(revision, position(page[-1])).encode(), None if selective else len(items) - end
        )

    def _key(self, selection: Selection, options: ListOptions, revision: int) -> tuple[str, str, str, str, int]:
        return (
            self._kind.storage_prefix, selection.namespace, options.label_selector, options.field_selector, revision
        )

    def _unchanged_since(self, revision: int) -> bool:
        """Whether the present is what was at that revision."""
        return revision == self._backend.cache.revision

    def _check_exact(self, revision: int) -> None:
        if not self._unchanged_since(revision):
            raise expired(
                f"The resourceVersion for the provided list is too old: {revision}, current: {self._backend.cache.revision}; "
                "only the present can be listed"
            )

    def _check(self, options: ListOptions) -> None:
        match, version = options.resource_version_match, options.resource_version
        problem = ""
        if match and options.continue_:
            problem = "Forbidden: resourceVersionMatch is forbidden for continue"
        elif match and not version:
            problem = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        elif match not in ("", "Exact", "NotOlderThan"):
            problem = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        elif match == "Exact" and version == "0":
            problem = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        if problem:
            raise invalid(self._kind, "", [FieldError("resourceVersionMatch", problem, "FieldValueForbidden")])
        if options.continue_ and version not in ("", "0"):
            raise BadRequestError("specifying resource version is not allowed when using continue")
        if options.limit < 0:
            raise BadRequestError(f"limit: Invalid value: {options.limit}: must not be negative")
