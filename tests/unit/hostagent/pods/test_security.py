"""Security contexts, merged and judged."""

from pathlib import Path

import pytest

from windlass_hostagent.pods.security import (
    RUNTIME_DEFAULT,
    UNCONFINED,
    SecurityDefaults,
    SecurityError,
    container_security,
)


def pod(**context):
    return {
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"securityContext": context} if context else {},
    }


def secure(outer=None, inner=None, image_user="", defaults=None):
    return container_security(pod(**(outer or {})), {"name": "c", "securityContext": inner or {}}, image_user, defaults)


def test_nothing_said_is_kubelets_default():
    found = secure()
    assert (found.user, found.seccomp_profile, found.no_new_privileges) == ("", UNCONFINED, False)
    assert container_security(pod(), {"name": "c"}) == found


@pytest.mark.parametrize(
    ("outer", "inner", "image", "user"),
    [
        ({"runAsUser": 1001, "runAsGroup": 2002}, {}, "", "1001:2002"),
        ({}, {"runAsUser": 1001, "runAsGroup": 2002}, "", "1001:2002"),
        ({"runAsUser": 1, "runAsGroup": 2}, {"runAsUser": 3}, "", "3:2"),
        ({"runAsUser": 65534}, {}, "app", "65534"),
        ({"runAsGroup": 7}, {}, "app:web", "app:7"),
        ({"runAsGroup": 7}, {}, "", "0:7"),
        ({"runAsUser": 5, "supplementalGroupsPolicy": "Strict"}, {}, "", "5:0"),
        ({"supplementalGroupsPolicy": "Strict"}, {}, "8:9", "8:9"),
    ],
)
def test_users(outer, inner, image, user):
    """C292, C295, C296."""
    assert secure(outer, inner, image).user == user


@pytest.mark.parametrize(
    ("outer", "inner", "image", "message"),
    [
        ({"runAsNonRoot": True}, {}, "", "container has runAsNonRoot and image will run as root"),
        ({"runAsNonRoot": True}, {}, "0:5", "container has runAsNonRoot and image will run as root"),
        ({}, {"runAsNonRoot": True, "runAsUser": 0}, "", "container's runAsUser breaks non-root policy"),
        ({"runAsNonRoot": True}, {}, "app", r"image has non-numeric user \(app\)"),
    ],
)
def test_root_is_refused_where_it_may_not_be(outer, inner, image, message):
    with pytest.raises(SecurityError, match=message) as caught:
        secure(outer, inner, image)
    assert '(pod: "p_d(u)", container: c)' in str(caught.value)


@pytest.mark.parametrize(
    ("outer", "inner", "image"),
    [
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, ""),
        ({"runAsNonRoot": True, "runAsUser": 1}, {}, "root"),
        ({"runAsNonRoot": True}, {}, "1000:0"),
    ],
)
def test_others_are_not_refused(outer, inner, image):
    secure(outer, inner, image)


def test_groups_once_each():
    found = secure({"supplementalGroups": [5, 6], "fsGroup": 5})
    assert found.supplemental_groups == (5, 6)
    assert secure({"supplementalGroups": [1], "fsGroup": 0}).supplemental_groups == (1, 0)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ({"seccompProfile": {"type": "RuntimeDefault"}}, {}, RUNTIME_DEFAULT),
        ({"seccompProfile": {"type": "RuntimeDefault"}}, {"seccompProfile": {"type": "Unconfined"}}, UNCONFINED),
        ({}, {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}, "localhost/profiles/a/b.json"),
        ({"seccompProfile": {"type": "RuntimeDefault"}}, {"privileged": True}, UNCONFINED),
        ({}, {}, RUNTIME_DEFAULT),
    ],
)
def test_seccomp(outer, inner, expected):
    defaults = SecurityDefaults(Path("profiles"), RUNTIME_DEFAULT)
    assert secure(outer, inner, defaults=defaults).seccomp_profile == expected


def test_the_rest():
    inner = {
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "procMount": "Unmasked",
        "capabilities": {"add": ["CAP_NET_ADMIN", "sys_time"], "drop": ["ALL"]},
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"},
    }
    found = secure({}, inner)
    assert found.readonly_rootfs
    assert found.no_new_privileges
    assert found.unmasked_proc
    assert (found.add_capabilities, found.drop_capabilities) == (("NET_ADMIN", "SYS_TIME"), ("ALL",))
    assert found.apparmor_profile == "localhost/mine"
    assert secure({"appArmorProfile": {"type": "Unconfined"}}).apparmor_profile == UNCONFINED
