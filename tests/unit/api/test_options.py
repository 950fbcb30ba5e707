"""dryRun, fieldValidation, Warning headers, fencing, object size."""

import pytest

CMS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
MERGE = {"content-type": "application/merge-patch+json"}


async def test_dry_run_on_every_verb_writes_nothing(api, make):
    """A41."""
    await api.ok("POST", DEPLOYMENTS, make.deployment())
    await api.ok("POST", PODS, make.pod())
    before = await api.store.barrier()
    dry = "dryRun=All"
    made = await api.call("POST", f"{CMS}?{dry}", make.config_map())
    assert made.status == 201
    assert made.json["metadata"]["uid"]
    target = {"target": {"kind": "Node", "name": "n1"}}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}
    answers = [
        await api.call("PUT", f"{DEPLOYMENTS}/web?{dry}", make.deployment(replicas=7)),
        await api.call("PATCH", f"{DEPLOYMENTS}/web?{dry}", {"spec": {"replicas": 8}}, headers=MERGE),
        await api.call("PATCH", f"{DEPLOYMENTS}/web/status?{dry}", {"status": {"replicas": 8}}, headers=MERGE),
        await api.call("PATCH", f"{DEPLOYMENTS}/web/scale?{dry}", {"spec": {"replicas": 8}}, headers=MERGE),
        await api.call("POST", f"{PODS}/web/binding?{dry}", target),
        await api.call("POST", f"{PODS}/web/eviction?{dry}", eviction),
        await api.call("DELETE", f"{DEPLOYMENTS}/web?{dry}"),
        await api.call("DELETE", f"{DEPLOYMENTS}/web", {"dryRun": ["All"]}),
        await api.call("DELETE", f"{DEPLOYMENTS}?{dry}"),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 201, 201, 200, 200, 200]
    assert answers[0].json["spec"]["replicas"] == 7
    assert await api.store.barrier() == before
    assert (await api.call("POST", f"{DEPLOYMENTS}?{dry}", make.deployment())).status == 409, "a dry run meets real conflicts"
    assert (await api.call("POST", f"{CMS}?dryRun=Some", make.config_map())).status == 400


async def test_field_validation(api, make):
    """C053, C055, A44: Strict refuses, Warn names, Ignore drops."""
    body = (b'{"metadata":{"name":"one","bogus":1},"data":{"a":"1"},"foo":{"x":1},"immutable":false,"immutable":true}')
    strict = await api.call("POST", f"{CMS}?fieldValidation=Strict", body)
    assert strict.status == 400
    message = strict.json["message"]
    assert "strict decoding error: " in message
    for words in ('unknown field "foo"', 'unknown field "metadata.bogus"', 'duplicate field "immutable"'):
        assert words in message
    warned = await api.call("POST", f"{CMS}?fieldValidation=Warn&dryRun=All", body)
    assert warned.status == 201
    assert '299 - "unknown field \\"foo\\""' in warned.warnings
    assert '299 - "duplicate field \\"immutable\\""' in warned.warnings
    ignored = await api.call("POST", f"{CMS}?fieldValidation=Ignore", body)
    assert ignored.status == 201
    assert not ignored.warnings
    assert "foo" not in ignored.json
    assert (await api.call("POST", f"{CMS}?fieldValidation=Perhaps", body)).status in (400, 422)


async def test_field_validation_of_patches(api, make):
    await api.ok("POST", DEPLOYMENTS, make.deployment())
    answer = await api.call("PATCH", f"{DEPLOYMENTS}/web?fieldValidation=Strict", {"spec": {"foo": 1}}, headers=MERGE)
    assert answer.status == 400
    assert 'strict decoding error: unknown field "spec.foo"' in answer.json["message"]
    warned = await api.call("PATCH", f"{DEPLOYMENTS}/web", {"spec": {"foo": 1}}, headers=MERGE)
    assert warned.warnings == ['299 - "unknown field \\"spec.foo\\""']


async def lease(api, holder="m1", transitions=3):
    spec = {"holderIdentity": holder, "leaseTransitions": transitions, "leaseDurationSeconds": 15}
    body = {"metadata": {"name": "manager"}, "spec": spec}
    if (await api.call("GET", f"{LEASES}/manager")).status == 404:
        return await api.ok("POST", LEASES, body)
    return await api.patch(f"{LEASES}/manager", body)


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
async def test_only_the_leader_of_the_lease_may_write(api, make, verb):
    """R09: a stale leader's write is refused by the fence."""
    await lease(api)
    await api.ok("POST", CMS, make.config_map())
    path, body = (CMS, make.config_map("two")) if verb == "POST" else (f"{CMS}/one", {"data": {"a": verb}})
    body = None if verb == "DELETE" else body
    headers = {**(MERGE if verb == "PATCH" else {}), "windlass-fence": "kube-system/manager/other/3"}
    for fence in ("kube-system/manager/other/3", "kube-system/manager/m1/2", "kube-system/nobody/m1/3"):
        answer = await api.call(verb, path, body, headers={**headers, "windlass-fence": fence})
        assert answer.status == 409, answer
        assert "fenced off" in answer.json["message"]
    good = {**headers, "windlass-fence": "kube-system/manager/m1/3"}
    assert (await api.call(verb, path, body, headers=good)).status in (200, 201)
    assert (await api.call(verb, path, body, headers={**headers, "windlass-fence": "nonsense"})).status == 400


async def test_a_renewal_between_check_and_commit_is_not_a_lost_lease(api, make):
    await lease(api)
    create, renewals = api.store.create, []

    async def renewed_first(key, value, *, guard=None):
        if guard is not None and not renewals:
            renewals.append(1)
            await api.patch(f"{LEASES}/manager", {"spec": {"renewTime": "2026-01-01T00:00:05.000000Z"}})
        return await create(key, value, guard=guard)

    api.store.create = renewed_first
    headers = {"windlass-fence": "kube-system/manager/m1/3"}
    assert (await api.call("POST", CMS, make.config_map(), headers=headers)).status == 201
    assert renewals


async def test_objects_have_a_bound_before_the_store(api, make):
    """R12: 2 MB at once, then 1.2 MB by patches, are refused with 413."""
    big = make.config_map()
    big["data"] = {"key": "x" * 2_000_000}
    answer = await api.call("POST", CMS, big)
    assert answer.status in (413, 422)
    await api.ok("POST", CMS, make.config_map())
    statuses = []
    for number in range(4):
        patch = {"data": {f"k{number}": "x" * 300_000}}
        statuses.append((await api.call("PATCH", f"{CMS}/one", patch, headers=MERGE)).status)
    assert statuses[:3] == [200, 200, 200]
    assert statuses[3] in (413, 422)
