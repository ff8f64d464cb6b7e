"""The page: what was found, as one HTML file that opens offline; shows and does not compute.

`Analysis.report` and `Comparison.report` write it.

Example:
    >>> import tempfile, numpy as np, repdiag
    >>> vectors = np.random.default_rng(0).normal(size=(40, 6))
    >>> analysis = repdiag.analyze(vectors, metrics=["uniformity"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = analysis.report(f"{folder}/page.html", map_method="none", figures=False)
    ...     page.read_text().startswith("<!doctype html>")
    True
"""
