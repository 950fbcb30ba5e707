"""The compatibility page says no more and no less than the tests show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/compatibility.md"
IDENTIFIER = re.compile(r"\bC\d{3}\b")
LINE = re.compile(r"^\| (C\d{3}) \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$")
STATES = {"works", "partly", "not yet"}


def page_lines():
    return [found for line in PAGE.read_text().splitlines() if (found := LINE.match(line))]


def states():
    return {found[1]: found[3] for found in page_lines()}


def cited():
    paths = (ROOT / "tests").rglob("*.py")
    return {one for path in paths for one in IDENTIFIER.findall(path.read_text(encoding="utf-8"))}


def test_every_cited_behaviour_has_one_line():
    identifiers = [found[1] for found in page_lines()]
    assert cited() - set(identifiers) == set()
    assert len(identifiers) == len(set(identifiers))


def test_a_line_has_one_of_three_states():
    assert set(states().values()) <= STATES


def test_what_works_is_cited_by_a_test():
    assert sorted(one for one, state in states().items() if state == "works" and one not in cited()) == []


def test_what_is_cited_works_at_least_partly():
    assert sorted(one for one in cited() if states()[one] == "not yet") == []


def test_a_named_test_cites_the_behaviour():
    for found in page_lines():
        for path in re.findall(r"`(tests/[^`]+\.py)`", found[4]):
            assert found[1] in (ROOT / path).read_text(encoding="utf-8"), found[1]
