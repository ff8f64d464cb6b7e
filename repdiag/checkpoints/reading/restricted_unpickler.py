"""Runs a pickle on inert values only: every name stays a name, every call a record of the call.

`pickletools` of the standard library decodes the opcodes; the stack machine below gives them their meaning. Since no
class is imported and no object of Python's own pickle machinery is made, there is nothing to escape from.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from io import BufferedIOBase
from typing import IO, Any, cast

from repdiag.checkpoints.reading.foreign_names import is_suspicious
from repdiag.checkpoints.reading.stand_ins import GlobalName, Placeholder, StorageRecord, TensorRecord
from repdiag.checkpoints.reading.tensor_records import build_storage, call, copied_by_call, is_plain, key_of
from repdiag.checkpoints.reading.work import Work
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief, one_line

MAX_NAME = 200
"""Characters of a class name, with its module."""


class RestrictedUnpickler:
    """One pickle program; `load` returns plain containers, numbers, strings and the nouns of `inert`."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self.stream = stream
        self.foreign: dict[str, None] = {}
        self.storages: dict[str, StorageRecord] = {}
        self._work = Work()
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Run to STOP and return the one value left; any irregularity is a `CheckpointError`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's, of a backslash that escapes nothing: files must not speak
                self._run()
        except _DAMAGE as error:
            found = one_line(str(error), 120) or type(error).__name__
            raise CheckpointError("the pickle is damaged", found=found) from error
        if self._outer or len(self._stack) != 1:
            raise CheckpointError("the pickle is damaged", found="values left over at its end")
        return self._stack[0]

    def _run(self) -> None:
        for opcode, argument, _ in pickletools.genops(cast(IO[bytes], self.stream)):
            self._work.step()
            self._step(opcode.name, argument)

    def _step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self._stack.append(argument)
            return
        action = _ACTIONS.get(name)
        if action is None:
            raise CheckpointError("the pickle uses an operation that no checkpoint needs", found=name)
        action(self, argument)

    # Stack and memo.

    def _mark(self, _: Any) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._outer.pop()
        return items

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _get(self, index: Any) -> None:
        self._stack.append(self._memo[int(index)])

    def _put(self, index: Any) -> None:
        self._memo[int(index)] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _ignore(self, _: Any) -> None:
        pass

    # Containers.

    def _push(self, make: Callable[[], Any]) -> None:
        self._stack.append(make())

    def _collect(self, make: Callable[[list[Any]], Any]) -> None:
        items = self._since_mark()
        self._stack.append(make(items))

    def _tuple(self, length: int) -> None:
        if len(self._stack) < length:
            raise CheckpointError("the pickle is damaged", found="a tuple of missing values")
        items = tuple(self._stack[-length:])
        del self._stack[-length:]
        self._stack.append(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Placeholder):
            target.arguments.extend(items)
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise CheckpointError("the pickle appends to something that is not a list", found=type(target).__name__)

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        fields = target.fields if isinstance(target, Placeholder) else target
        if not isinstance(fields, dict):
            raise CheckpointError("the pickle sets items of what is not a dictionary", found=type(target).__name__)
        fields.update(self._pairs(items))

    def _setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _setitems(self, _: Any) -> None:
        self._set_items(self._since_mark())

    def _pairs(self, items: list[Any]) -> dict[Any, Any]:
        if len(items) % 2:
            raise CheckpointError("the pickle is damaged", found="a key without its value")
        return {key_of(items[i]): items[i + 1] for i in range(0, len(items), 2)}

    # Names and calls: recorded, never followed.

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("the pickle names a class with something other than text")
        if len(module) + len(name) >= MAX_NAME:
            found = f"{len(module) + len(name) + 1:,} characters, {one_line(module, 60)}"
            raise CheckpointError("the pickle names a class by a name that none has", found=found)
        full = f"{module}.{name}"
        if is_suspicious(full):
            raise CheckpointError(
                "the pickle names a function that no checkpoint needs; it may be an attack",
                found=one_line(full),
                hint="do not load this file; ask its author for a safetensors file",
            )
        if not is_plain(full):
            self.foreign[one_line(full)] = None
        self._stack.append(GlobalName(full))

    def _global(self, argument: Any) -> None:
        module, _, name = argument.partition(" ")
        self._name(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, GlobalName) or not isinstance(arguments, tuple):
            raise CheckpointError("the pickle calls something that is not a named class", found=brief(function))
        self._work.step(len(arguments) + copied_by_call(function, arguments))
        self._work.text(len(arguments[0]) if arguments and isinstance(arguments[0], str) else 0)
        self._stack.append(call(function, arguments))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _newobj_ex(self, _: Any) -> None:
        keywords, arguments, function = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(function, arguments)
        if keywords:
            self._set_state(keywords)

    def _inst(self, argument: Any) -> None:
        items = self._since_mark()
        self._global(argument)
        self._call(self._stack.pop(), tuple(items))

    def _obj(self, _: Any) -> None:
        function, *arguments = self._since_mark()
        self._call(function, tuple(arguments))

    def _build(self, _: Any) -> None:
        self._set_state(self._stack.pop())

    def _set_state(self, state: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, Placeholder):
            for part in state if isinstance(state, tuple) else (state,):
                self._work.step()
                if isinstance(part, dict):
                    self._work.step(len(part))
                    target.fields.update(part)
                elif part is not None:
                    target.arguments.append(part)
        elif not isinstance(target, dict):  # attributes of a state dict, such as `_metadata`, are not needed
            kind = "a tensor after it was made" if isinstance(target, TensorRecord) else "something that it may not"
            raise CheckpointError(f"the pickle alters {kind}", found=brief(target))

    def _persistent(self, _: Any) -> None:
        storage = build_storage(self._stack.pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise CheckpointError(
                "the pickle declares one storage in two ways", found=f"storage {one_line(storage.key, 40)}"
            )
        self._stack.append(storage)


_DAMAGE = (
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    MemoryError,
)

_CONSTANTS = frozenset(
    {
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    }
)

_ACTIONS: dict[str, Callable[[RestrictedUnpickler, Any], None]] = {
    "NONE": lambda machine, _: machine._push(lambda: None),
    "NEWTRUE": lambda machine, _: machine._push(lambda: True),
    "NEWFALSE": lambda machine, _: machine._push(lambda: False),
    "EMPTY_LIST": lambda machine, _: machine._push(list),
    "EMPTY_DICT": lambda machine, _: machine._push(dict),
    "EMPTY_TUPLE": lambda machine, _: machine._push(tuple),
    "EMPTY_SET": lambda machine, _: machine._push(list),
    "LIST": lambda machine, _: machine._collect(list),
    "TUPLE": lambda machine, _: machine._collect(tuple),
    "FROZENSET": lambda machine, _: machine._collect(list),
    "DICT": lambda machine, _: machine._collect(machine._pairs),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "MARK": RestrictedUnpickler._mark,
    "POP": RestrictedUnpickler._pop,
    "POP_MARK": RestrictedUnpickler._pop_mark,
    "DUP": RestrictedUnpickler._dup,
    "GET": RestrictedUnpickler._get,
    "BINGET": RestrictedUnpickler._get,
    "LONG_BINGET": RestrictedUnpickler._get,
    "PUT": RestrictedUnpickler._put,
    "BINPUT": RestrictedUnpickler._put,
    "LONG_BINPUT": RestrictedUnpickler._put,
    "MEMOIZE": RestrictedUnpickler._memoize,
    "APPEND": RestrictedUnpickler._append,
    "APPENDS": RestrictedUnpickler._appends,
    "ADDITEMS": RestrictedUnpickler._appends,
    "SETITEM": RestrictedUnpickler._setitem,
    "SETITEMS": RestrictedUnpickler._setitems,
    "GLOBAL": RestrictedUnpickler._global,
    "STACK_GLOBAL": RestrictedUnpickler._stack_global,
    "REDUCE": RestrictedUnpickler._reduce,
    "NEWOBJ": RestrictedUnpickler._reduce,
    "NEWOBJ_EX": RestrictedUnpickler._newobj_ex,
    "INST": RestrictedUnpickler._inst,
    "OBJ": RestrictedUnpickler._obj,
    "BUILD": RestrictedUnpickler._build,
    "BINPERSID": RestrictedUnpickler._persistent,
    "PROTO": RestrictedUnpickler._ignore,
    "FRAME": RestrictedUnpickler._ignore,
    "STOP": RestrictedUnpickler._ignore,
}
