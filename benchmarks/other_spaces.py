"""The over-clustering verdict on spaces of other kinds than the calibration's; `--write` puts the table into its page.

python -m benchmarks.other_spaces --write
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence

import torch

from benchmarks.calibration import CLUSTER_METRICS, DOCUMENT
from benchmarks.odd_spaces import NOT, OPEN, OVER, Space, odd_spaces, unseen_spaces
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_text
from repdiag.diagnosis.diagnose import judge
from repdiag.metrics.evaluate import evaluate


def islands(
    sizes: Sequence[int],
    *,
    number: int,
    dims: int,
    seed: int,
    within: float = 0.5,
    spread: tuple[float, float] = (1.0, 1.0),
    nested: int = 1,
) -> Space:
    """Return classes of these sizes, each in some islands of unequal spread, each of those in some nested ones."""
    draw = torch.Generator().manual_seed(seed)
    rows, labels = [], []
    for label, size in enumerate(sizes):
        centres = torch.randn(number, dims, generator=draw) / math.sqrt(dims)
        if nested > 1:
            apart = 0.4 * torch.randn(number, nested, dims, generator=draw) / math.sqrt(dims)
            centres = (centres[:, None] + apart).reshape(-1, dims)
        spreads = torch.empty(len(centres)).uniform_(*spread, generator=draw)
        mine = torch.arange(size) % len(centres)
        noise = torch.randn(size, dims, generator=draw) / math.sqrt(dims)
        rows.append(centres[mine] + within * spreads[mine][:, None] * noise)
        labels.append(torch.full((size,), label))
    return torch.cat(rows), torch.cat(labels)


def sheets(*, classes: int, size: int, dims: int, curve: float, seed: int) -> Space:
    """Return classes that lie along two-dimensional sheets, bent the more the larger `curve` is."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(classes):
        place = torch.rand(size, 2, generator=draw)
        bent = torch.cat([place, torch.sin(curve * place), torch.cos(curve * place)], dim=1)
        axes = torch.randn(6, dims, generator=draw) / math.sqrt(dims)
        centre = 2 * torch.randn(dims, generator=draw) / math.sqrt(dims)
        rows.append(centre + bent @ axes + 0.05 * torch.randn(size, dims, generator=draw))
    return torch.cat(rows), torch.arange(classes).repeat_interleave(size)


def spaces(seed: int) -> Iterator[tuple[str, Space, tuple[str, ...]]]:
    """Yield each space with the answers that are right; where two are, the space does not say which."""
    yield "3 classes of 100, one island", islands([100] * 3, number=1, dims=64, seed=seed), (NOT,)
    yield "3 classes of 100, 4 islands", islands([100] * 3, number=4, dims=64, seed=seed), (OVER,)
    yield "100 classes of 12, one island", islands([12] * 100, number=1, dims=256, seed=seed), (NOT,)
    yield "60 classes of 20, 3 islands", islands([20] * 60, number=3, dims=256, seed=seed), (OVER,)
    yield "2048 dimensions, classes of 20, one island", islands([20] * 20, number=1, dims=2048, seed=seed), (NOT,)
    yield "2048 dimensions, classes of 24, 4 islands", islands([24] * 20, number=4, dims=2048, seed=seed), (OVER,)
    unequal = {"dims": 128, "within": 0.25, "spread": (1.0, 4.0), "seed": seed}
    yield "one island, spreads 1 to 4", islands([60] * 10, number=1, **unequal), (NOT,)  # type: ignore[arg-type]
    yield "4 islands, spreads 1 to 4", islands([80] * 10, number=4, **unequal), (OVER,)  # type: ignore[arg-type]
    giant = [600, *[24] * 9]
    yield "one class of 600 among classes of 24, one island", islands(giant, number=1, dims=64, seed=seed), (NOT,)
    yield "one class of 600 among classes of 24, 4 islands", islands(giant, number=4, dims=64, seed=seed), (OVER,)
    steps = [10, 15, 25, 40, 80, 150, 250, 400]
    yield "classes of 10 to 400, one island", islands(steps, number=1, dims=64, seed=seed), (NOT,)
    nested = islands([90] * 8, number=2, nested=3, dims=128, within=0.1, seed=seed)
    yield "3 islands inside each of 2 islands", nested, (OVER,)
    for name, curve in (("hardly bent", 1.0), ("bent", 6.0)):
        yield f"sheets, {name}", sheets(classes=8, size=80, dims=64, curve=curve, seed=seed), (NOT, OPEN)
    rows, labels = islands([60] * 10, number=4, dims=64, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    yield "4 islands, labels permuted", (rows, labels[torch.randperm(len(labels), generator=draw)]), (OPEN,)
    yield (
        "uniform noise, labels at random",
        (torch.rand(500, 64, generator=draw) - 0.5, torch.arange(500) % 10),
        (OPEN,),
    )
    rows, labels = islands([60] * 10, number=1, dims=64, seed=seed)
    copied = torch.where(
        torch.rand(600, generator=draw) < 0.3,
        60 * labels + torch.randint(60, (600,), generator=draw),
        torch.arange(600),
    )
    yield "one island, 30 % exact copies", (rows[copied], labels), (NOT,)


def answer(space: Space) -> str:
    """Return the verdict."""
    rows = EmbeddingSet(features=space[0].float(), labels=space[1])
    table = evaluate(rows, list(CLUSTER_METRICS[0])) + evaluate(rows, list(CLUSTER_METRICS[1]), intervals=False)
    return judge(table).over_clustering.verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, action="append", help="draw only this table (default: all)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/calibration.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.part or PARTS:
        table = drawn(PARTS[part](arguments.seed))
        if arguments.write:
            begin, end = (f"<!-- {part} spaces: {word} -->" for word in ("begin", "end"))
            head, rest = DOCUMENT.read_text("utf-8").split(begin)
            write_text(DOCUMENT, f"{head}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}")


def drawn(found: Iterator[tuple[str, Space, tuple[str, ...]]]) -> str:
    """Return the table of these spaces, printed line by line as it grows."""
    lines = ["| space | right | verdict | |", "|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for name, space, right in found:
        verdict = answer(space)
        mark = "" if verdict in right else "open" if verdict == OPEN else "**wrong**"
        lines.append(f"| {name} | {' or '.join(right)} | {verdict} | {mark} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


PARTS = {"other": spaces, "odd": odd_spaces, "unseen": unseen_spaces}


if __name__ == "__main__":
    main()
