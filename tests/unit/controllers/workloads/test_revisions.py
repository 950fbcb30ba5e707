"""Snapshots of templates: found, made, renumbered, dropped."""

from windlass_controllers.revisions import HASH_LABEL, hash_of, new_revision, plan_revisions, snapshot, template_hash


def owner(image="a:1"):
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1", "kind": "DaemonSet", "spec": {"template": template},
        "metadata": {"name": "agent", "namespace": "default", "uid": "u"},
    }  # fmt: skip


def revision(image, number):
    return new_revision(owner(image), number, 0)


def test_the_first_template_is_number_one():
    plan = plan_revisions(owner(), [], set(), 0, 10)
    assert plan.create
    assert plan.current["revision"] == 1
    assert plan.current["data"] == snapshot(owner())
    assert plan.current["metadata"]["name"] == f"agent-{hash_of(plan.current)}"
    assert plan.current["metadata"]["labels"] == {"app": "x", HASH_LABEL: hash_of(plan.current)}


def test_the_same_template_writes_nothing():
    plan = plan_revisions(owner(), [revision("a:1", 1)], set(), 0, 10)
    assert (plan.create, plan.renumber, plan.delete) == (False, False, [])


def test_a_template_that_comes_back_takes_the_highest_number():
    plan = plan_revisions(owner("a:1"), [revision("a:1", 1), revision("a:2", 2)], set(), 0, 10)
    assert plan.renumber
    assert plan.current["revision"] == 3


def test_old_ones_go_but_those_in_use_stay():
    history = [revision(f"a:{n}", n) for n in range(1, 6)]
    plan = plan_revisions(owner("a:5"), history, {hash_of(history[0])}, 0, 2)
    assert [r["revision"] for r in plan.delete] == [2]


def test_a_collision_gives_another_name():
    assert template_hash(owner(), 0) != template_hash(owner(), 1)
    assert template_hash(owner(), 0) == template_hash(owner(), 0)
