"""Train a small and a large backbone by the same recipe, analyze and compare them, draw the figures.

Run it as `make figures`, or `python -m analyses.small_vs_large.run --data imagefolder:/path --budget full`.
"""

from analyses.study import main

if __name__ == "__main__":
    main(__file__, doc=__doc__)
