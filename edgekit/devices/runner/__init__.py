"""How long files take on the machine that runs this, as JSON lines on stdout.

Python 3.9 and later, its standard library, and the runtime of the file: nothing of edgekit outside this
package, which :mod:`edgekit.devices.archive` makes into the one file that is copied to a device. This
machine runs that file too, so there is one protocol.

Every artifact is loaded in a process of its own, so that peak memory is its own, and run until its time is
steady. Then they take turns, A B B A, so that a drift of the machine cancels in their ratio, and every
sample is kept. One inference is what is timed: its input is set before, its output is not copied.

The lines have an ``event`` each: ``start`` (the machine before), ``loading``, ``loaded``, ``warm``, ``turn``
(samples), ``end`` (the machine after); or ``error`` with a ``kind``, and exit code 1.
"""
