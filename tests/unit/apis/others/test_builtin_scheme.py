from windlass.apimachinery.scheme import Resource
from windlass.apis import resources
from windlass.apis.scheme import builtin_kinds, builtin_scheme
from windlass.registry import plugin


def test_every_constant_names_a_served_collection_and_the_other_way_round():
    named = {value for value in vars(resources).values() if isinstance(value, Resource)}
    assert named == {kind.resource for kind in builtin_kinds()}


def test_the_scheme_finds_kinds_by_path_and_by_name():
    scheme = builtin_scheme()
    assert scheme.by_resource("apps", "v1", "deployments") is scheme.by_kind("apps/v1", "Deployment")
    assert scheme.by_kind("apps/v1", "Unheard") is None


def test_the_plugin_hands_out_the_same_kinds():
    assert list(plugin.register_kinds()) == builtin_kinds()


def test_short_names_are_unique_but_for_the_two_faces_of_events():
    taken = [(name, kind.kind) for kind in builtin_kinds() for name in kind.short_names if kind.kind != "Event"]
    assert len({name for name, _ in taken}) == len(taken)


def test_every_column_and_kind_is_described():
    for kind in builtin_kinds():
        assert kind.schema.__doc__
        assert all(column.description.endswith(".") for column in kind.strategy.columns)
