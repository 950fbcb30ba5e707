"""What a hook hands out: a driver under a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DriverRegistration:
    """A driver that can be chosen by name. `build` gets the driver's configuration and returns the driver.

    Names are unique per driver kind over all plugins; a second claim is a start-up error that names both owners.
    """

    name: str
    build: Callable[[Mapping[str, Any]], Any]
    description: str = ""
