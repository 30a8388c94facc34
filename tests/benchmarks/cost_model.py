"""How many configurations a second the cost model evaluates on one core, from name and scale to totals.

    python tests/benchmarks/cost_model.py [--configurations N] [--seed N]

A mixed sweep over all families at random widths, depths and resolutions, nothing cached before.
Prints one JSON object; time is the process's CPU time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time

from edgekit.models import zoo
from edgekit.models.cost import cost

REQUIRED_PER_SECOND = 2000


def evaluate(configurations: int, seed: int) -> float:
    """Seconds of CPU time for so many configurations."""
    draw = random.Random(seed)
    names = zoo.names()
    start = time.process_time()
    for _ in range(configurations):
        network = zoo.network(
            draw.choice(names),
            width=draw.uniform(0.25, 2.0),
            depth=draw.uniform(0.5, 2.5),
            resolution=draw.randrange(64, 512),
        )
        cost(network)
    return time.process_time() - start


def main() -> int:
    """Run the sweep; exit code 1 where it is too slow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    seconds = evaluate(args.configurations, args.seed)
    rate = args.configurations / seconds
    result = {
        "configurations": args.configurations,
        "seconds": round(seconds, 3),
        "configurations_per_second": round(rate),
        "required": REQUIRED_PER_SECOND,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if rate >= REQUIRED_PER_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
