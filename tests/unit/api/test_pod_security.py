"""A namespace's Pod Security Standard, over HTTP: what is refused is not stored, and who is warned reads it in a header."""

import pytest

LABELS = {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted"}
FORBIDDEN = {
    "hostPath volumes": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
    "host namespaces": {"hostPID": True},
    "privileged": {"containers": [{"name": "main", "image": "i", "securityContext": {"privileged": True}}]},
}


@pytest.mark.parametrize("rule", FORBIDDEN)
async def test_what_the_standard_forbids_is_403_and_not_stored(api, make, rule):
    """N68."""
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop", "labels": LABELS}})
    pods = "/api/v1/namespaces/shop/pods"
    refused = await api.call("POST", pods, make.pod(**FORBIDDEN[rule]))
    assert refused.status == 403
    assert f'violates PodSecurity "baseline:latest": {rule} (' in refused.json["message"]
    assert (await api.get(pods))["items"] == []


async def test_what_is_only_warned_of_is_stored(api, make):
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop", "labels": LABELS}})
    made = await api.call("POST", "/api/v1/namespaces/shop/pods", make.pod())
    assert made.status == 201
    assert any('would violate PodSecurity \\"restricted:latest\\"' in warning for warning in made.warnings)
