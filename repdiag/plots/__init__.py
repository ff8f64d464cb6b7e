"""One figure per file: a DataFrame in, a matplotlib Figure out; computes nothing.

The frame that a function takes is exactly the CSV saved beside the figure, and its docstring lists the columns.
The modules import matplotlib at their top: import them inside the function that needs a figure.
"""
