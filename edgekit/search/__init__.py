"""Compound scaling against a budget: what is the most accurate network that a device can afford?

Torch-free, and free of numpy but for the fits::

    budget.py        what a network may cost
    space.py         what can be searched, compound.py the rule of EfficientNet
    accuracy.py      predicted top-1, accuracy_fit.py its coefficients
    work.py          what time is spent on, latency.py predicted milliseconds, latency_fit.py their prices
    search.py        the search, front.py what it leaves to choose from
"""
