"""`python -m lab.bench._lookups_child SECONDS LATER`: a worker that looks up what is due, and says what it came to.

LATER moves its clock on by so many seconds: what a killed worker had claimed is free again then.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from db.engine import warehouse
from tasks.enrich.look_up import look_up


def main(seconds: float, later: float) -> None:
    """Look up until nothing is due, or the time is up."""
    with warehouse(pooled=True) as engine:
        print("ready", flush=True)
        looked = look_up(engine, seconds=seconds, clock=lambda: datetime.now(UTC) + timedelta(seconds=later))
    print(f"answered {looked.answered} later {looked.later} given up {looked.given_up}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
