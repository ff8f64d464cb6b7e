"""Compare three spaces of scikit-learn's digits that nobody trained: pixels, standardised pixels, whitened pixels.

python -m analyses.digit_spaces.run                 seconds of one core; draws docs/results/digit_spaces.md with --write

An old question, asked without a network: does whitening help or hurt neighbours and clusters?
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet

PAGE = Path(__file__).parents[2] / "docs" / "results" / "digit_spaces.md"
ROWS = 500


def spaces() -> dict[str, EmbeddingSet]:
    """Return the first rows of the digits: as they are, with unit variance a pixel, and with it in all directions."""
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    from repdiag.embeddings.as_embedding_set import as_embedding_set

    digits = load_digits()
    pixels, labels = digits.data[:ROWS] - digits.data[:ROWS].mean(0), digits.target[:ROWS]
    made = {
        "pixels": pixels,
        "standardised": StandardScaler().fit_transform(pixels),
        "whitened": PCA(n_components=40, whiten=True, random_state=0).fit_transform(pixels),
    }
    return {name: as_embedding_set(rows.astype("float32"), labels=labels) for name, rows in made.items()}


def main() -> None:
    """Compare, print, and draw the page where that is asked for."""
    import repdiag
    from analyses.results_page import measured, redraw

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures") / "digit_spaces")
    parser.add_argument("--write", metavar="WHEN", help="draw the page, made WHEN: a date and a commit")
    options = parser.parse_args()
    print(repdiag.compare(spaces(), out=options.out, overwrite=True))
    if options.write:
        redraw(PAGE, f"Made by `python -m analyses.digit_spaces.run` on {options.write}.", measured(options.out))


if __name__ == "__main__":
    main()
