"""Commits that share a transaction: each sees those before it, those refused write nothing."""

import pytest

from windlass.errors import GuardError, KeyExistsError, RevisionMismatchError
from windlass.store.interface import Change, ChangeType, Guard
from windlass.store.sqlite import database
from windlass.store.sqlite.group import ROWS, Compaction, Group, Operation

PUT, DELETE = ChangeType.PUT, ChangeType.DELETE


@pytest.fixture
def connection(tmp_path):
    opened = database.connect(tmp_path / "state.db")
    opened.executescript(database.SCHEMA)
    yield opened
    opened.close()


def run(connection, *operations):
    connection.execute("BEGIN IMMEDIATE")
    outcomes = Group(connection, operations).apply()
    connection.execute("COMMIT")
    return outcomes


def stored(connection):
    return [tuple(item) for item in database.read_page(connection, "", "", 0)[0]]


def test_a_key_created_updated_deleted_and_created_again(connection):
    outcomes = run(
        connection,
        Operation("a", b"1"),
        Operation("a", b"2", 1),
        Operation("a", None, 2),
        Operation("a", b"4"),
    )
    assert outcomes == [
        Change(PUT, "a", b"1", 1, 1),
        Change(PUT, "a", b"2", 2, 1),
        Change(DELETE, "a", b"2", 3, 1),
        Change(PUT, "a", b"4", 4, 4),
    ]
    assert stored(connection) == [("a", b"4", 4, 4)]
    assert database.read_changes(connection, 0, 100) == outcomes


def test_a_deletion_carries_the_value_of_an_earlier_transaction(connection):
    run(connection, Operation("a", b"1"))
    assert run(connection, Operation("a", None, 1)) == [Change(DELETE, "a", b"1", 2, 1)]
    assert stored(connection) == []


def test_what_is_refused_writes_nothing_and_takes_no_revision(connection):
    run(connection, Operation("a", b"1"))
    outcomes = run(
        connection,
        Operation("a", b"2"),
        Operation("a", b"2", 7),
        Operation("gone", None, 1),
        Operation("b", b"2", guard=Guard("a", 9)),
        Operation("b", b"2", guard=Guard("nobody", 1)),
        Operation("b", b"3", guard=Guard("a", 1)),
    )
    kinds = [KeyExistsError, RevisionMismatchError, RevisionMismatchError, GuardError, GuardError, Change]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert stored(connection) == [("a", b"1", 1, 1), ("b", b"3", 2, 2)]


def test_a_guard_sees_what_the_group_has_already_written(connection):
    """The Lease changed hands just before, in the same transaction."""
    run(connection, Operation("lease", b"one"))
    outcomes = run(connection, Operation("lease", b"two", 1), Operation("a", b"1", guard=Guard("lease", 1)))
    assert isinstance(outcomes[1], GuardError)
    assert stored(connection) == [("lease", b"two", 2, 1)]


@pytest.mark.parametrize("size", [1, 2, 3, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_groups_of_any_size_are_written_whole_and_in_order(connection, size):
    outcomes = run(connection, *(Operation(f"key-{number:04}", str(number).encode()) for number in range(size)))
    assert [outcome.revision for outcome in outcomes] == list(range(1, size + 1))
    assert database.read_changes(connection, 0, size + 1) == outcomes
    assert [item[0] for item in stored(connection)] == [f"key-{number:04}" for number in range(size)]
    deleted = run(connection, *(Operation(change.key, None, change.revision) for change in outcomes))
    assert [change.value for change in deleted] == [change.value for change in outcomes]
    assert stored(connection) == []


def test_revisions_go_on_after_everything_was_compacted_away(connection):
    run(connection, Operation("a", b"1"), Operation("b", b"2"))
    assert run(connection, Compaction(0)) == [None]
    assert database.read_changes(connection, 0, 10) == []
    assert database.compacted_revision(connection) == 2
    assert run(connection, Operation("c", b"3"))[0].revision == 3


def test_a_late_page_costs_no_more_than_an_early_one(connection):
    """Counted in SQLite's own steps: a cold start reads page by page, and must not read all before each page again."""
    run(connection, *(Operation(f"key-{number:05}", b"{}") for number in range(5000)))
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    def cost(prefix, after):
        nonlocal steps
        steps = 0
        items, _, _ = database.read_page(connection, prefix, after, 50)
        assert len(items) == 50
        return steps

    connection.set_progress_handler(count, 1)
    for prefix in ("", "key-"):
        early, late = cost(prefix, "key-00010"), cost(prefix, "key-04900")
        assert late < 2 * early
    connection.set_progress_handler(None, 1)
