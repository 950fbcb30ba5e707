"""What gunicorn's arbiter says, where its own words would bury the one line that explains why nothing starts."""

import ast
import sys
from typing import Any

from gunicorn.glogging import Logger

START_REFUSED = 4
"""Exit code of a worker that has said itself why it cannot serve; gunicorn gives up at once on this one."""
WORKER_EXITED = "Worker (pid:%s) exited with code %s."
IN_USE = "Connection in use: %s"
RETRIES = "connection to "
GAVE_UP = "Can't connect to %s"


def say(problem: object) -> None:
    """Print why the server does not start: one line on stderr, as every command does."""
    sys.stderr.write(f"windlass: {problem}\n")
    sys.stderr.flush()


class ArbiterLogger(Logger):  # type: ignore[misc]  # untyped library
    """gunicorn's logger without what a refused start would repeat."""

    _refused = False

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an error, unless a worker or we have said it in better words."""
        if msg == WORKER_EXITED and args[1] == START_REFUSED:
            self._refused = True
        if self._refused or msg == IN_USE or str(msg).startswith(RETRIES):
            return
        if msg == GAVE_UP:
            host, port = ast.literal_eval(args[0])[:2]
            say(f"cannot listen on {host}:{port}: the address is in use, or not this machine's")
            return
        super().error(msg, *args, **kwargs)
