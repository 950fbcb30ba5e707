"""Listings: by prefix, in key order, in pages."""


async def fill(store, count=25):
    return {
        key: await store.create(key, key.encode())
        for key in (f"{prefix}/{n:02}" for prefix in ("a/pods/x", "a/pods/y", "a/podsets/x") for n in range(count))
    }


async def test_prefix_and_order(store):
    written = await fill(store)
    page = await store.list("a/pods/")
    expected = sorted(key for key in written if key.startswith("a/pods/"))
    assert [item.key for item in page.items] == expected
    assert [(item.value, item.revision) for item in page.items] == [(key.encode(), written[key]) for key in expected]
    assert not page.more
    assert page.revision >= max(written.values())
    assert len((await store.list("")).items) == 75
    assert (await store.list("nothing/")).items == []


async def test_pages_meet_without_gap_or_overlap(store):
    """R14: paged lists."""
    written = await fill(store)
    found, after = [], ""
    while True:
        page = await store.list("a/", limit=7, after=after)
        assert len(page.items) <= 7
        found += [item.key for item in page.items]
        if not page.more:
            break
        after = page.items[-1].key
    assert found == sorted(written)


async def test_exact_page_has_no_more(store):
    await fill(store, 5)
    page = await store.list("a/podsets/", limit=5)
    assert (len(page.items), page.more) == (5, False)


async def test_deleted_objects_are_not_listed(store):
    written = await fill(store, 6)
    for key in list(written)[::2]:
        await store.delete(key, revision=written.pop(key))
    assert [item.key for item in (await store.list("a/")).items] == sorted(written)


async def test_list_then_watch_misses_nothing(store, changes):
    """The list's revision is where a watch may begin."""
    await fill(store, 3)
    page = await store.list("a/")
    late = await store.create("a/pods/x/late", b"{}")
    assert [c.key for c in await changes(store, page.revision, late)] == ["a/pods/x/late"]


async def test_ping(store):
    await store.ping()
