"""How the one graph is said to each ONNX-reading runtime: small edits before a file is written.

A rendering changes how numbers are written down or where a runtime finds its integer kernels, never
which integers a layer computes with. One edit is one module and one function ``(model) -> bool`` that
edits in place and says whether it changed anything, like the passes of :mod:`edgekit.graph.passes`.
"""
