"""Post-training quantization: a canonical fp32 graph and images in, a quantized graph out."""

from edgekit.quantize.arithmetic import ActivationParams, pixel_params
from edgekit.quantize.observation import Observation, observe
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.quantizer import QuantizationReport, QuantizationResult, quantize

__all__ = [
    "ActivationParams",
    "Observation",
    "QuantizationReport",
    "QuantizationResult",
    "QuantizeOptions",
    "observe",
    "pixel_params",
    "quantize",
]
