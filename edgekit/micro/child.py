"""Runs one file in TensorFlow Lite Micro; a process of its own, because the interpreter may abort.

``python -m edgekit.micro.child MODEL ARENA_BYTES NUM_OUTPUTS FEEDS.npz ANSWERS.npz``: inputs and outputs are
named ``0``, ``1`` … in the file's order. The interpreter writes its allocations to stderr.
"""

from __future__ import annotations

import sys

__all__ = ["NOT_INSTALLED", "main"]

NOT_INSTALLED = 3
"""Exit code for a package that is missing."""


def main(model: str, arena_bytes: str, num_outputs: str, feeds: str, answers: str) -> int:
    """Run every input through the network once; the exit code."""
    import numpy as np

    try:
        from tflite_micro import runtime
    except ImportError:
        return NOT_INSTALLED
    interpreter = runtime.Interpreter.from_file(model, arena_size=int(arena_bytes))
    with np.load(feeds) as arrays:
        for name in arrays.files:
            interpreter.set_input(arrays[name], int(name))
    interpreter.invoke()
    interpreter.print_allocations()
    np.savez(answers, **{str(i): interpreter.get_output(i) for i in range(int(num_outputs))})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
