"""Microcontrollers and the NPUs beside them, without owning one.

``arena`` plans the memory of a file, ``interpreter`` runs it in TensorFlow Lite Micro, ``vela`` estimates
it on an Ethos-U, ``c_array`` turns it into source code for a program.
"""

from __future__ import annotations

__all__: list[str] = []
