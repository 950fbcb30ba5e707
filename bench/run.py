"""Run every benchmark, one after another: two cores are all there is."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = {"run.py", "load.py"}


def main() -> int:
    """Run them all; the exit code is the number of those that failed."""
    failed = 0
    for path in sorted(HERE.glob("*.py")):
        if path.name not in LIBRARIES:
            print(f"\n== {path.stem}: {path.read_text().split(chr(34) * 3)[1].splitlines()[0]}", flush=True)
            failed += subprocess.run([sys.executable, path], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
