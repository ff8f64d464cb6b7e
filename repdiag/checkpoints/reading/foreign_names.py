"""Which names a checkpoint may mention. None is ever imported; those that only an attack needs refuse the file."""

from __future__ import annotations

import sys

# What settings, counters and dates of honest checkpoints are made of; read inertly, like any foreign class.
_STANDARD_LIBRARY = frozenset(
    {
        "__builtin__",
        "__main__",
        "_codecs.encode",
        "argparse.Namespace",
        "array",
        "codecs.encode",
        "collections",
        "copy_reg._reconstructor",
        "copyreg._reconstructor",
        "copyreg.__newobj__",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools.partial",
        "logging.getLogger",
        "pathlib",
        "random.Random",
        "re._compile",
        "types.SimpleNamespace",
        "typing",
        "uuid",
    }
)
_BUILTINS = frozenset(
    [
        "Ellipsis",
        "NotImplemented",
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "getattr",
        "int",
        "list",
        "long",
        "object",
        "range",
        "set",
        "slice",
        "str",
        "tuple",
        "type",
        "unicode",
        "xrange",
    ]
)
_TORCH = (
    *("torch.nn.", "torch.optim.", "torch.utils.data.", "torch.amp.", "torch.cuda.amp.", "torch.distributed.fsdp."),
    *("torch.distributed.tensor.", "torch.distributed._tensor.", "torch.distributed.device_mesh.", "torch.ao.nn."),
    *(
        "torch.torch_version.TorchVersion",
        "torch._C._nn.",
        "torch._C._VariableFunctions",
        "torch._dynamo.eval_frame.OptimizedModule",
    ),
)
_TORCH_PLAIN = ("torch._utils._rebuild", "torch._tensor._rebuild", "torch.storage.", "torch.serialization._get_layout")
_NUMPY = ("numpy.core.multiarray.", "numpy._core.multiarray.", "numpy.core.numeric.", "numpy._core.numeric.")
_NUMPY_MORE = ("numpy.random.", "numpy.dtype", "numpy.ndarray", "numpy.dtypes.", "numpy.ma.core.")
# What frames, series and their indexes are made of; its readers and `eval` are not among it.
_PANDAS = (
    *("pandas.core.frame.DataFrame", "pandas.core.series.Series", "pandas.core.internals.", "pandas.core.indexes."),
    *("pandas.core.arrays.", "pandas.core.dtypes.dtypes.", "pandas._libs.internals.", "pandas._libs.arrays."),
    *(
        "pandas._libs.tslibs.",
        "pandas._libs.missing.",
        "pandas._libs.interval.",
        "pandas.indexes.",
        "pandas.api.types.",
    ),
    *("pandas.core.flags.", "pandas._libs.sparse."),
)
# Packages whose business is to run or rebuild code.
_CODE_CARRIERS = frozenset(
    [
        "IPython",
        "cloudpickle",
        "cython",
        "dill",
        "distutils",
        "joblib",
        "numba",
        "pip",
        "pkg_resources",
        "pydoc_data",
        "pytest",
        "setuptools",
        "_pytest",
        "nose",
        "ipykernel",
        "jinja2",
        "mako",
        "fabric",
        "invoke",
        "paramiko",
        "sh",
        "pexpect",
        "ptyprocess",
        "srsly",
        "sympy",
        "torchdynamo",
    ]
)


def is_suspicious(name: str) -> bool:
    """Say whether a name is one that honest checkpoints do not need."""
    module, _, short = name.rpartition(".")
    root = name.partition(".")[0]
    if module in ("builtins", "__builtin__"):
        return short not in _BUILTINS
    if root in _CODE_CARRIERS or root == "pandas":
        return root != "pandas" or not name.startswith(_PANDAS)
    if root == "torch":
        return "." in module and not name.startswith(_TORCH + _TORCH_PLAIN)
    if root == "numpy":
        return "." in module and not name.startswith(_NUMPY + _NUMPY_MORE)
    if root in sys.stdlib_module_names or root in ("posix", "nt", "commands", "__builtin__"):
        return not ({name, module, root} & _STANDARD_LIBRARY) and root != "__main__"
    return False
