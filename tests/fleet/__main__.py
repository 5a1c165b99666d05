"""`python -m fleet`: fleets in virtual time; ends with 1 when a property breaks."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from fleet.simulator import Fleet


def main():
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__)
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rounds", type=int, default=3, help="seeds, one after another"
    )
    args = parser.parse_args()
    logging.getLogger("osupdate.lock").setLevel(logging.ERROR)  # jumps are meant
    # Not a disk: what a power cut leaves is for other tests.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        for seed in range(args.seed, args.seed + args.rounds):
            fleet = Fleet(seed, args.nodes, args.slots, Path(directory))
            began = time.monotonic()
            print(f"seed {seed}")
            try:
                asyncio.run(fleet.run())
            except AssertionError as error:
                print(f"BROKEN: {error}", file=sys.stderr)
                return 1
            for line in fleet.report(time.monotonic() - began):
                print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
