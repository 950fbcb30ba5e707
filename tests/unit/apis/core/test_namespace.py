import pytest


@pytest.fixture
def namespaces(served):
    return served("v1", "Namespace")


def test_a_new_namespace_is_active_finalized_and_labelled_by_name(namespaces):
    """C065."""
    made = namespaces.create(metadata={"name": "web"}, status={"phase": "Terminating"})
    assert made["status"] == {"phase": "Active"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}


def test_finalizers_of_the_creator_are_kept(namespaces):
    made = namespaces.create(spec={"finalizers": ["example.com/mine"]})
    assert made["spec"]["finalizers"] == ["example.com/mine", "kubernetes"]


def test_an_update_changes_labels_but_neither_status_nor_finalizers(namespaces):
    """C064, C068."""
    old = namespaces.create(metadata={"name": "web"})
    labels = {"team": "a", "kubernetes.io/metadata.name": "other"}
    new = namespaces.update(old, metadata={"name": "web", "labels": labels}, spec={}, status={"phase": "Gone"})
    assert new["spec"] == old["spec"]
    assert new["status"] == old["status"]
    assert new["metadata"]["labels"] == {"team": "a", "kubernetes.io/metadata.name": "web"}


def test_a_name_is_one_dns_label(namespaces):
    assert namespaces.problems(metadata={"name": "a.b"}) == [
        'metadata.name: Invalid value: "a.b": must not contain dots'
    ]
    assert namespaces.problems(metadata={"name": "a-b"}) == []


def test_a_finalizer_says_whose_it_is(namespaces):
    assert namespaces.problems(spec={"finalizers": ["mine"]}) == [
        'spec.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'
    ]


def test_columns_names_and_selection(namespaces):
    made = namespaces.create()
    assert namespaces.row(made) == {"Name": "x", "Status": "Active", "Age": "60m"}
    assert namespaces.strategy.selectable_fields(made) == {"status.phase": "Active"}
    assert namespaces.kind.short_names == ("ns",)
    assert namespaces.kind.subresources == ("status", "finalize")
    assert not namespaces.kind.namespaced
