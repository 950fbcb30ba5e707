"""Follows Ingresses and what they name, gives nginx what follows from it, and tells owners what was left out."""

import asyncio
from collections.abc import Sequence
from typing import Any

from windlass.apis.resources import ENDPOINTSLICES, INGRESSCLASSES, INGRESSES, SECRETS, SERVICES
from windlass.client.client import Client
from windlass.client.informer import Informer
from windlass.client.recorder import EventRecorder
from windlass.clock import Clock
from windlass.errors import AlreadyExistsError, ApiError, NotFoundError
from windlass.logs import get_logger
from windlass_network.ingress.certificates import read_certificate
from windlass_network.ingress.model import CONTROLLER, Certificate, Cluster, IngressPlan, Problem, key_of, served_by_us
from windlass_network.ingress.nginx import Nginx
from windlass_network.ingress.nginx_config import Listen, render
from windlass_network.ingress.plan import group_slices, plan_ingress

Obj = dict[str, Any]
SETTLE_SECONDS = 0.1
RETRY_SECONDS = 5.0
TLS = "kubernetes.io/tls"
log = get_logger(__name__)


class IngressController:
    """The loop. `published` is the address that Ingresses' status shows, '' writes none."""

    def __init__(
        self, client: Client, nginx: Nginx, listen: Listen, clock: Clock, *, published: str = "", class_name: str = ""
    ) -> None:
        self._client = client
        self._nginx = nginx
        self._listen = listen
        self._clock = clock
        self._published = published
        self._class_name = class_name
        self._recorder = EventRecorder(client, "ingress-controller", clock)
        self._changed = asyncio.Event()
        self._ingresses = Informer(client, INGRESSES, clock=clock)
        self._classes = Informer(client, INGRESSCLASSES, clock=clock)
        self._services = Informer(client, SERVICES, clock=clock)
        self._slices = Informer(client, ENDPOINTSLICES, clock=clock)
        self._secrets = Informer(client, SECRETS, clock=clock, field_selector=f"type={TLS}")
        self._informers = (self._ingresses, self._classes, self._services, self._slices, self._secrets)
        self._text = ""
        self._certificates: dict[str, Certificate] = {}
        self._told: set[tuple[str, str, str]] = set()
        for informer in self._informers:
            informer.on_event(lambda *_: self._changed.set())

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run(), name="events")
            for informer in self._informers:
                group.create_task(informer.run(), name=f"informer {informer.resource.plural}")
            for informer in self._informers:
                await informer.wait_synced()
            await self._ensure_class()
            group.create_task(self._nginx.run(), name="nginx")
            while True:
                self._changed.clear()
                await self._sync()
                await self._changed.wait()
                await self._clock.sleep(SETTLE_SECONDS)

    async def _ensure_class(self) -> None:
        """Make our IngressClass when there is none of that name; an existing one stays as it is."""
        if not self._class_name or self._classes.get("", self._class_name):
            return
        obj = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": self._class_name},
            "spec": {"controller": CONTROLLER},
        }
        try:
            await self._client.create(INGRESSCLASSES, obj)
        except AlreadyExistsError:
            log.debug("ingress_class_exists", name=self._class_name)

    def _observe(self) -> Cluster:
        return Cluster(
            served_by_us(self._ingresses.list(), self._classes.list()),
            {key_of(one): one for one in self._services.list()},
            group_slices({key_of(one): one for one in self._slices.list()}),
            {key_of(one): one for one in self._secrets.list()},
        )

    async def _sync(self) -> None:
        cluster = self._observe()
        plan = plan_ingress(cluster, read_certificate)
        self._nginx.write_certificates(plan.certificates)
        text = render(plan, self._listen)
        if text != self._text or self._certificates_changed(plan):
            plan = await self._use(cluster, plan, text)
        self._tell(plan.problems)
        await self._publish(cluster.ingresses)

    def _certificates_changed(self, plan: IngressPlan) -> bool:
        changed = self._certificates != plan.certificates
        self._certificates = dict(plan.certificates)
        return changed

    async def _use(self, cluster: Cluster, plan: IngressPlan, text: str) -> IngressPlan:
        wrong = await self._nginx.test(text)
        if wrong:
            log.warning("ingress_configuration_refused", error=wrong)
            plan = await self._without_the_bad(cluster)
        self._nginx.use_tested()
        self._nginx.drop_certificates(plan.certificates)
        self._text = text
        log.info("ingress_applied", sites=len(plan.sites), upstreams=len(plan.upstreams), problems=len(plan.problems))
        return plan

    async def _without_the_bad(self, cluster: Cluster) -> IngressPlan:
        """Find the Ingresses that nginx refuses by adding them one after another; the rest is served."""
        good: list[Any] = []
        refused: list[Problem] = []
        for ingress in cluster.ingresses:
            wrong = await self._test_plan(cluster, [*good, ingress])
            if wrong:
                refused.append(Problem(ingress, "Refused", f"nginx refuses this Ingress: {wrong[:500]}"))
            else:
                good.append(ingress)
        plan = plan_ingress(_only(cluster, good), read_certificate)
        await self._test_plan(cluster, good)
        return IngressPlan(plan.sites, plan.upstreams, plan.certificates, [*plan.problems, *refused])

    async def _test_plan(self, cluster: Cluster, ingresses: Sequence[Any]) -> str:
        return await self._nginx.test(render(plan_ingress(_only(cluster, ingresses), read_certificate), self._listen))

    def _tell(self, problems: Sequence[Problem]) -> None:
        """Tell each problem once for as long as it lasts."""
        now = {(str(p.obj["metadata"].get("uid")), p.reason, p.message): p for p in problems}
        for key, problem in now.items():
            if key not in self._told:
                log.warning(
                    "ingress_problem", ingress=key_of(problem.obj), reason=problem.reason, error=problem.message
                )
                self._recorder.event(problem.obj, "Warning", problem.reason, problem.message)
        self._told = set(now)

    async def _publish(self, ingresses: Sequence[Any]) -> None:
        """Write where the Ingresses are reached."""
        wanted = {"ingress": [{"ip": self._published}]}
        for ingress in ingresses if self._published else ():
            if (ingress.get("status") or {}).get("loadBalancer") == wanted:
                continue
            meta = ingress["metadata"]
            try:
                await self._client.patch(
                    INGRESSES,
                    meta["name"],
                    {"status": {"loadBalancer": wanted}},
                    meta["namespace"],
                    subresource="status",
                )
            except NotFoundError:
                log.debug("ingress_gone", ingress=key_of(ingress))
            except ApiError as error:
                log.warning("ingress_status_unwritten", ingress=key_of(ingress), error=str(error))
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed.set)


def _only(cluster: Cluster, ingresses: Sequence[Any]) -> Cluster:
    return Cluster(ingresses, cluster.services, cluster.slices, cluster.secrets)
