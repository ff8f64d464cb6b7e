"""Analyzes and compares files of vectors, and embeds images, as one of the processes of two machines, or alone.

python one_of_two_machines.py FILE OTHER OUT: OUT gets the values of the tables, sums of the embedded rows, and how many
MiB of this process's memory are mapped rows.
"""

import gc
import json
import os
import sys
from pathlib import Path

import torch

import repdiag
from repdiag.core.distributed.world import join_world
from repdiag.workflows.vectors import analyze_vectors

METRICS = ["uniformity", "precision_at_1", "ami", "granularity", "class_distance_ratio", "rankme", "two_nn_dimension"]
COMPARED = ["uniformity", "r_precision", "rankme"]


def mapped():
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssShmem"))


def values_of(table):
    return [[row.metric, json.dumps(dict(row.params)), row.value, row.ci_low, row.ci_high] for row in table]


def main():
    torch.set_num_threads(1)
    file, other, out = sys.argv[1:]
    with join_world(on_gpu=False):
        before = mapped()
        found = analyze_vectors(file, metrics=METRICS)
        said = {"values": values_of(found.table), "mapped": mapped() - before}
        compared = repdiag.compare({"one": file, "two": other}, metrics=COMPARED, out=f"{out}-compared")
        said["compared"] = values_of(compared.table)
        said["tests"] = compared.paired.tests["p_value"].tolist()
        net = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
        del found, compared
        gc.collect()  # else their rows leave the memory while those of the images come in
        before = mapped()
        rows = repdiag.embed(
            repdiag.load_encoder(net, image_size=32), data="digits", limit=150, views=1, out=f"{out}-rows"
        )
        said["embedded"] = [*rows.features.double().sum(dim=1).tolist(), *rows.views[0].double().sum(dim=1).tolist()]
        said["mapped rows"] = mapped() - before
        said["MiB"] = (rows.features.nbytes + rows.views.nbytes) / 2**20
    Path(f"{out}{os.environ.get('RANK', '')}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
