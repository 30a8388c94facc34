"""Network families as tables, their scaling, their cost in closed form, and their torch modules.

Only :mod:`~edgekit.models.module` with its :mod:`~edgekit.models.leaves` and
:mod:`~edgekit.models.weights` import torch, and only when one of their functions is called;
everything else is plain Python and starts in milliseconds.
"""
