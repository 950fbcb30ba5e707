"""Interned node labels: one column of small numbers per label key that somebody asked about."""

from collections.abc import Iterable, Mapping

import numpy as np

from windlass.plugin.interfaces.arrays import Counts, Mask, Scores


def _number(text: str) -> float:
    try:
        return float(int(text))
    except ValueError:
        return np.nan


class _KeyColumn:
    """One label key: a code per row, -1 where absent, and what each code stands for."""

    def __init__(self, capacity: int) -> None:
        self.codes: Counts = np.full(capacity, -1, dtype=np.int64)
        self.values: dict[str, int] = {}
        self.numbers: list[float] = []

    def code(self, value: str) -> int:
        code = self.values.get(value)
        if code is None:
            code = self.values[value] = len(self.values)
            self.numbers.append(_number(value))
        return code

    def put(self, row: int, labels: Mapping[str, str], key: str) -> None:
        if row >= len(self.codes):
            more = np.full(max(row + 1, 2 * len(self.codes)) - len(self.codes), -1, dtype=np.int64)
            self.codes = np.concatenate([self.codes, more])
        value = labels.get(key)
        self.codes[row] = -1 if value is None else self.code(value)


class LabelColumns:
    """Columns per label key, made at the first question and kept up to date from then on.

    Codes rather than a boolean column per value: a key such as `kubernetes.io/hostname` has as many values as nodes.
    """

    def __init__(self) -> None:
        self._rows: list[Mapping[str, str]] = []
        self._columns: dict[str, _KeyColumn] = {}

    def set_row(self, row: int, labels: Mapping[str, str]) -> None:
        """Take note of a node's labels."""
        while row >= len(self._rows):
            self._rows.append({})
        self._rows[row] = labels
        for key, column in self._columns.items():
            column.put(row, labels, key)

    def row(self, row: int) -> Mapping[str, str]:
        """Return a node's labels."""
        return self._rows[row]

    def _column(self, key: str) -> _KeyColumn:
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = _KeyColumn(max(1, len(self._rows)))
            for row, labels in enumerate(self._rows):
                column.put(row, labels, key)
        return column

    def codes(self, key: str) -> Counts:
        """Return the code of each row's value, -1 where absent. At least as long as the table."""
        return self._column(key).codes

    def is_in(self, key: str, values: Iterable[str], codes: Counts) -> Mask:
        """Say which of the rows with these codes have one of the values."""
        known = self._column(key).values
        wanted = [known[value] for value in values if value in known]
        if len(wanted) == 1:
            return np.equal(codes, wanted[0])
        mask: Mask = np.isin(codes, wanted)
        return mask

    def numbers(self, key: str, codes: Counts) -> Scores:
        """Read the values behind codes as integers, NaN where absent or not one."""
        table = np.array([*self._column(key).numbers, np.nan])
        numbers: Scores = table[codes]
        return numbers
