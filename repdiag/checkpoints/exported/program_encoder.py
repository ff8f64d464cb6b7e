"""A .pte program as an encoder, run by ExecuTorch."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.assembled import Runner, assembled, refuse_other_options
from repdiag.checkpoints.exported.exported_module import ExportedModule, could_not_run
from repdiag.checkpoints.exported.ports import ImageInput, chosen_output, image_input
from repdiag.checkpoints.exported.program_file import ProgramFile, read_program
from repdiag.checkpoints.read_options import ReadOptions


class ProgramModule(ExportedModule):
    """Images [B, 3, S, S] -> features [B, D] through one output of a program."""

    def __init__(self, file: ProgramFile, image: ImageInput, output: str, *, pool: str | None = None) -> None:
        super().__init__(file, image, output, pool=pool)
        self.file = file
        self.place = [port.name for port in file.outputs].index(output)
        self.runtime = f"ExecuTorch {version('executorch')}"

    def ran(self, images: Any) -> Any:
        """Return the output for one batch."""
        try:
            found = self.file.method.execute((torch.from_numpy(images),))[self.place]
        except (RuntimeError, ValueError) as error:  # ExecuTorch's own
            raise could_not_run("ExecuTorch", images, error) from error
        return found.to(torch.float32).numpy().astype(np.float32)  # the runtime writes over its own memory

    def again(self) -> ExportedModule:
        """Return the same module of a program that is loaded anew."""
        return type(self)(read_program(self.file.path), self.image, self.output, pool=self.pool)


def program_encoder(path: Path, read_options: ReadOptions, *, name: str, partner: EncoderInfo | None = None) -> Encoder:
    """Return the encoder that runs the method `forward` of a program through ExecuTorch."""
    refuse_other_options(read_options)
    file = read_program(path)
    output = chosen_output(file, read_options.output)
    module = ProgramModule(file, image_input(file), output, pool=read_options.pool)
    runner = Runner(family="pte", backbone="ExecuTorch program", by=f"{module.runtime}, CPU")
    return assembled(file, module, runner, read_options=read_options, name=name, partner=partner)
