"""Settings of each training method; the field `name` says which."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Temperature = Annotated[float, Field(gt=0.0)]


class _Method(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MoCoV2Settings(_Method):
    """Momentum contrast: queries against their key and a queue of earlier keys (He et al. 2020, Chen et al. 2020)."""

    name: Literal["moco_v2"] = "moco_v2"
    queue_size: Positive = 65536
    momentum: Fraction = 0.999
    temperature: Temperature = 0.2
    shuffle_groups: Positive = 1
    """Groups of shuffled images that the key encoder normalises separately (on one device this is what keeps batch
    statistics from giving the positive away); 1 normalises the whole batch together."""
    balance: tuple[float, float] | None = None
    """Weights (a, b) of the mean global and the mean local term under multi-crop; None averages all terms."""


class SimCLRSettings(_Method):
    """In-batch contrast with the NT-Xent loss (Chen et al. 2020)."""

    name: Literal["simclr"] = "simclr"
    temperature: Temperature = 0.1


class SupervisedSettings(_Method):
    """Cross-entropy on the labels: the upper reference."""

    name: Literal["supervised"] = "supervised"
    label_smoothing: Fraction = 0.0


class SeedSettings(_Method):
    """Distillation of a frozen teacher's similarities (Fang et al. 2021)."""

    name: Literal["seed"] = "seed"
    teacher: str = ""
    """Path of the teacher's checkpoint."""
    teacher_backbone: str | None = None
    """Its architecture, a name or file.py:function, where the checkpoint does not say or may not decide."""
    queue_size: Positive = 65536
    student_temperature: Temperature = 0.2
    teacher_temperature: Temperature = 1e-4
    """1e-4 is what the authors' code uses; their text says 0.01."""
    teacher_head: bool = True
    """Compare with the teacher's projections where its checkpoint has a projector, else with its features."""


class SwAVSettings(_Method):
    """Swapped assignments to prototypes (Caron et al. 2020)."""

    name: Literal["swav"] = "swav"
    prototypes: Positive = 3000
    freeze_prototypes_epochs: Natural = 1
    temperature: Temperature = 0.1
    epsilon: Temperature = 0.05
    sinkhorn_iterations: Positive = 3
    queue_size: Natural = 3840
    queue_from_epoch: Natural = 15
    balance: tuple[float, float] | None = None
    """Weights (a, b) of the mean global-global and the mean global-local term; None averages all terms."""


class DINOSettings(_Method):
    """Self-distillation without labels (Caron et al. 2021)."""

    name: Literal["dino"] = "dino"
    outputs: Positive = 4096
    hidden_dim: Positive = 2048
    bottleneck_dim: Positive = 256
    head_batch_norm: bool = True
    student_temperature: Temperature = 0.1
    teacher_temperature: tuple[Temperature, Temperature] = (0.04, 0.07)
    teacher_warmup_epochs: Natural = 50
    """Epochs over which the teacher's temperature rises from the first value to the second."""
    center_momentum: Fraction = 0.9
    momentum: Fraction = 0.996
    """EMA momentum at the start; a cosine takes it to 1."""
    freeze_last_layer_epochs: Natural = 1
    learn_scales: bool = False
    """Let each output learn the length of its row of the last layer, as for small transformers; else it stays 1."""
    balance: tuple[float, float] | None = None
    """Weights (a, b) of the mean global-global and the mean global-local term; None averages all terms."""


MethodSettings = MoCoV2Settings | SimCLRSettings | SupervisedSettings | SeedSettings | SwAVSettings | DINOSettings
