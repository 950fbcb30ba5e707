"""The size budget of the house. An exemption is listed with its reason."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = [path for part in ("core", "hostagent", "plugins") for path in sorted((ROOT / part).rglob("*.py"))]
FILE_CEILING, FILE_P90, FILE_MEDIAN = 500, 350, 120
FUNCTION_CEILING, FUNCTION_P90, FUNCTION_MEDIAN = 60, 30, 8
EXEMPT_FILES: dict[str, str] = {}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "misc"}


def lines(path):
    return path.read_text().count("\n")


def functions():
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


@pytest.mark.parametrize("path", SOURCE, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_within_the_ceiling_and_well_named(path):
    assert lines(path) <= FILE_CEILING or str(path.relative_to(ROOT)) in EXEMPT_FILES
    assert not FORBIDDEN_NAMES & {path.stem, path.parent.name}


def test_files_are_small():
    sizes = [lines(path) for path in SOURCE if path.name != "__init__.py"]
    assert statistics.median(sizes) <= FILE_MEDIAN
    assert percentile(sizes, 0.9) <= FILE_P90


def test_functions_are_small():
    sizes = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path, node in functions()
    }
    assert [name for name, size in sizes.items() if size > FUNCTION_CEILING] == []
    assert percentile(sizes.values(), 0.9) <= FUNCTION_P90
    assert statistics.median(sizes.values()) <= FUNCTION_MEDIAN


def test_no_error_is_swallowed_without_a_word():
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]
    assert silent == []
