"""`python -m benchmarks` knows every script that can be run."""

from pathlib import Path

from benchmarks.__main__ import BY_HAND, LONG, SCRIPTS, purpose


def test_every_benchmark_is_listed_once_with_its_purpose():
    folder = Path(__file__).parents[2] / "benchmarks"
    runnable = {path.stem for path in folder.glob("[!_]*.py") if 'if __name__ == "__main__"' in path.read_text("utf-8")}
    listed = [*SCRIPTS, *LONG, *BY_HAND]
    assert sorted(listed) == sorted(runnable)
    assert all(purpose(script) for script in listed)
