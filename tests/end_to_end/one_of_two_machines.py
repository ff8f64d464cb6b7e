"""Analyzes a file of vectors as one of the processes of two machines, or alone: python one_of_two_machines.py FILE OUT.

OUT gets the values of the table, and how many MiB of this process's memory are its own and how many are mapped rows.
"""

import json
import os
import sys
from pathlib import Path

import torch

from repdiag.workflows.vectors import analyze_vectors

METRICS = ["uniformity", "precision_at_1", "ami", "granularity", "class_distance_ratio", "rankme", "two_nn_dimension"]


def memory():
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Rss")}


def main():
    torch.set_num_threads(1)
    before = memory()
    found = analyze_vectors(sys.argv[1], metrics=METRICS)
    values = [[row.metric, json.dumps(dict(row.params)), row.value, row.ci_low, row.ci_high] for row in found.table]
    after = memory()
    said = {"values": values, "mapped": after["RssShmem"] - before["RssShmem"]}
    Path(f"{sys.argv[2]}{os.environ.get('RANK', '')}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
