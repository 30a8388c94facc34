"""Where a quantized file loses accuracy: its layers against the fp32 network's, one by one."""

from edgekit.diagnosis.comparison import compare_layers
from edgekit.diagnosis.results import LayerError, LayersComparison, WorstChannel
from edgekit.diagnosis.suggestions import Suggestion

__all__ = ["LayerError", "LayersComparison", "Suggestion", "WorstChannel", "compare_layers"]
