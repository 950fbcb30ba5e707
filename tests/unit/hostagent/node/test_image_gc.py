"""Which images go."""

import pytest

from windlass.plugin.interfaces.runtime import Image
from windlass_hostagent.node.image_gc import ImageGcPolicy, bytes_to_free, choose_images
from windlass_hostagent.stats.sample import FilesystemSample, MemorySample, NodeSample

IMAGES = [Image("a", ("a:1",), 10), Image("b", ("b:1",), 20), Image("c", ("c:1",), 30), Image("p", (), 99, pinned=True)]


def sample(available):
    disk = FilesystemSample("/", 1000, available, 1000 - available, 0, 0)
    return NodeSample(0.0, 0, MemorySample(1, 1), disk, disk, 1, 1)


@pytest.mark.parametrize(("available", "wanted"), [(500, 0), (151, 0), (150, 50), (0, 200)])
def test_how_much(available, wanted):
    assert bytes_to_free(sample(available), ImageGcPolicy()) == wanted


@pytest.mark.parametrize(
    ("in_use", "wanted", "expected"),
    [(set(), 5, ["b"]), (set(), 25, ["b", "a"]), ({"b"}, 25, ["a", "c"]), ({"b:1", "a"}, 1000, ["c"]), (set(), 0, [])],
)
def test_the_longest_unused_go_first(in_use, wanted, expected):
    used = {"a": 200.0, "b": 100.0, "c": 300.0}
    assert [i.id for i in choose_images(IMAGES, in_use, used, 1000.0, wanted)] == expected


def test_a_new_image_has_two_minutes():
    assert choose_images(IMAGES, set(), {"a": 950.0, "b": 950.0}, 1000.0, 99) == []
