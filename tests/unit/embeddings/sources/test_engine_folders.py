"""Folders as Ray Data, Hugging Face's datasets and Spark themselves write them, shuffled, are read as they are."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repdiag.embeddings.as_embedding_set import as_embedding_set

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
NAMES = np.array(["cat", "dog", "fox"])[np.arange(40) % 3]
START = """
import sys
import numpy as np
rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
names = [["cat", "dog", "fox"][n % 3] for n in range(40)]
order = np.random.default_rng(1).permutation(40).tolist()
records = [{"id": f"r{n:02d}", "label": names[n], "embedding": rows[n]} for n in order]
"""
ENGINES = {
    "datasets": """
import datasets
table = datasets.Dataset.from_dict({key: [record[key] for record in records] for key in records[0]})
table = table.cast_column("label", datasets.ClassLabel(names=["fox", "dog", "cat"]))
table.save_to_disk(sys.argv[1], num_shards=2)
""",
    "ray": """
import ray
ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
ray.data.from_items(records, override_num_blocks=2).write_parquet(sys.argv[1])
""",
    "pyspark": """
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
plain = [(one["id"], one["label"], one["embedding"].tolist()) for one in records]
table = spark.createDataFrame(plain, "id string, label string, embedding array<float>").repartition(2)
table.select("id", "label", array_to_vector("embedding").alias("embedding")).write.parquet(sys.argv[1])
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_wrote_is_read_row_by_row(tmp_path: Path, engine: str) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is of the extra `engines`")
    surroundings = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", START + ENGINES[engine], str(tmp_path / "written")]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    found = as_embedding_set(tmp_path / "written")
    numbers = [int(row[1:]) for row in found.row_ids]
    assert sorted(numbers) == list(range(40))
    assert np.allclose(found.features.numpy(), ROWS[numbers], atol=1e-6)
    assert [found.class_names[label] for label in found.labels.tolist()] == NAMES[numbers].tolist()
