"""Follows what quotas count: one informer for each resource that some quota names, made when it is first needed."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from windlass.apimachinery.scheme import Resource
from windlass.apis.core.v1.quota_charges import Pending
from windlass.apis.core.v1.quota_usage import DETAILED, Sort, concerned, counts, usage_of
from windlass.client.client import Client
from windlass.client.discovery import Discovery, discover
from windlass.client.informer import Informer, InformerFactory
from windlass.clock import Clock

Obj = dict[str, Any]
Tell = Callable[[str, str], None]
DISCOVERY_SECONDS = 30.0
REMEMBERED = 10_000
GONE, CAME = "gone", "came"


class Monitors:
    """`tell(namespace, what)` is called when the use of a namespace may have fallen (`gone`) or risen (`came`)."""

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock, tell: Tell) -> None:
        self._client, self._informers, self._clock, self._tell = client, informers, clock, tell
        self._watched: dict[Sort, Informer] = {}
        self._discovery: tuple[float, Discovery] | None = None
        self._usages: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    async def follow(self, names: Iterable[str]) -> dict[Sort, Informer]:
        """Return the informers of all served resources that some of the names are about."""
        found = {}
        for resource in await self._served():
            sort = (resource.group, resource.plural)
            if concerned(names, sort):
                found[sort] = self._watched.get(sort) or self._watch(sort, resource)
        return found

    async def _served(self) -> list[Resource]:
        now = self._clock.monotonic()
        if self._discovery is None or now - self._discovery[0] > DISCOVERY_SECONDS or self._discovery[1].failures:
            self._discovery = (now, await discover(self._client))
        wanted = {"list", "watch"}
        return [
            one.resource for one in self._discovery[1].resources if one.resource.namespaced and wanted <= one.verbs
        ]

    def _watch(self, sort: Sort, resource: Resource) -> Informer:
        informer = self._informers.informer(resource, metadata_only=sort not in DETAILED)
        self._watched[sort] = informer

        def note(_type: str, old: Obj | None, new: Obj | None) -> None:
            self._note(sort, old, new)

        informer.on_event(note)
        return informer

    def _note(self, sort: Sort, old: Obj | None, new: Obj | None) -> None:
        changed = new or old or {}
        metadata = changed["metadata"]
        if new is None:
            self._usages.pop(metadata["uid"], None)
            self._gone[metadata["uid"]] = None
            while len(self._gone) > REMEMBERED:
                self._gone.popitem(last=False)
            self._tell(metadata["namespace"], GONE)
        elif old is None:
            self._tell(metadata["namespace"], CAME)
        elif sort in DETAILED and self._usage(sort, old) != self._usage(sort, new):
            self._tell(metadata["namespace"], GONE)

    def usages(self, quota: Obj, sort: Sort, informer: Informer) -> list[Mapping[str, str]]:
        """Return what each object uses that the quota counts."""
        spec = quota.get("spec") or {}
        objects = informer.list(quota["metadata"]["namespace"])
        return [self._usage(sort, obj) for obj in objects if counts(spec, sort, obj)]

    def _usage(self, sort: Sort, obj: Obj) -> Mapping[str, str]:
        metadata = obj["metadata"]
        uid, version = metadata["uid"], metadata["resourceVersion"]
        known = self._usages.get(uid)
        if known is not None and known[0] == version:
            return known[1]
        usage = usage_of(sort, obj, self._clock.now())
        if not metadata.get("deletionTimestamp"):  # the use of what goes changes with time
            self._usages[uid] = (version, usage)
        return usage

    def seen(self, namespace: str, sort: Sort) -> dict[str, int]:
        """Return the revisions of a resource's objects by uid."""
        informer = self._watched.get(sort)
        listed = informer.list(namespace) if informer is not None else ()
        return {obj["metadata"]["uid"]: int(obj["metadata"]["resourceVersion"]) for obj in listed}

    def is_settled(self, charge: Pending, seen: Mapping[str, int]) -> bool:
        """Say whether a charge's write shows, or never will: the object has gone, or the time for it is over."""
        shown = seen.get(charge.uid, -1)
        return shown > charge.after or charge.uid in self._gone or charge.is_over(self._clock.now())
