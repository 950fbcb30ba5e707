"""Windlass' fixtures for pytest. A package of its own, because every pytest run of its environment imports it.

It imports nothing of Windlass until a test asks for a cluster, so that other tests pay next to nothing. See
docs/testing_plugins.md.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from windlass.testing.cluster import InProcessCluster

MARKER = "windlass(**options): options of the fixture `windlass_cluster`, see windlass.testing.cluster.ClusterOptions"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


def _marked_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of the nearest markers; a test's own win over its class' and module's."""
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers("windlass"):
        if marker.args:
            raise pytest.UsageError("windlass: give options by name, as in @pytest.mark.windlass(nodes=3)")
        options = {**marker.kwargs, **options}
    return options


@pytest.fixture
def windlass_cluster_factory(tmp_path: Path) -> "Iterator[Callable[..., InProcessCluster]]":
    """Start clusters with `factory(nodes=3, ...)`; they end with the test."""
    from windlass.testing.cluster import ClusterOptions, InProcessCluster  # noqa: PLC0415 - see the module's docstring

    with ExitStack() as stack:
        count = 0

        def start(**options: Any) -> InProcessCluster:
            nonlocal count
            count += 1
            cluster = InProcessCluster(tmp_path / f"windlass-{count}", ClusterOptions(**options))
            return stack.enter_context(cluster)

        yield start


@pytest.fixture
def windlass_cluster(
    request: pytest.FixtureRequest, windlass_cluster_factory: "Callable[..., InProcessCluster]"
) -> "InProcessCluster":
    """Run a cluster for one test, with the options of `@pytest.mark.windlass(...)`."""
    return windlass_cluster_factory(**_marked_options(request))


@pytest.fixture(scope="module")
def windlass_module_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[InProcessCluster]":
    """Run one cluster for a module's tests, with the options of `pytestmark = pytest.mark.windlass(...)`."""
    from windlass.testing.cluster import ClusterOptions, InProcessCluster  # noqa: PLC0415

    options = ClusterOptions(**_marked_options(request))
    with InProcessCluster(tmp_path_factory.mktemp("windlass"), options) as cluster:
        yield cluster


@pytest.fixture
def windlass_kubeconfig(windlass_cluster: "InProcessCluster", monkeypatch: pytest.MonkeyPatch) -> str:
    """Point KUBECONFIG at the test's cluster and return its path, for clients that look for it themselves."""
    path = str(windlass_cluster.kubeconfig)
    monkeypatch.setenv("KUBECONFIG", path)
    return path
