"""One figure per file: a DataFrame in, a matplotlib Figure out; computes nothing.

The frame that a function takes is exactly the CSV saved beside the figure, and its docstring lists the columns.
The modules import matplotlib at their top: import them inside the function that needs a figure.

Example:
    >>> import repdiag
    >>> from repdiag.plots.singular_spectrum import singular_spectrum
    >>> from repdiag.workflows.vector_frames import spectra
    >>> rows = repdiag.EmbeddingSet(features=[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> figure = singular_spectrum(spectra({"mine": rows}, repdiag.MetricTable()))
    >>> len(figure.axes) > 0
    True
"""
