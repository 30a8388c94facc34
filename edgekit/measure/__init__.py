"""Measuring what a file does on a device, as opposed to predicting it."""

from edgekit.measure.timing import Timing, time_file

__all__ = ["Timing", "time_file"]
