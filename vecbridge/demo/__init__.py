"""The main job on real input: digits in FiftyOne, one ranking on three stores.

Run it with ``make demo`` or ``python -m vecbridge.demo``. Needs the extras ``fiftyone``,
``milvus``, ``sklearn`` and ``cli``.
"""
