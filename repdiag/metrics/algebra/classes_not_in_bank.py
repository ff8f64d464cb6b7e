"""Rows and a bank without a class in common: nothing that the bank says of the rows can be right."""

from __future__ import annotations

import torch
from torch import Tensor

NO_CLASS_IN_COMMON = "the rows and the bank have no class in common: are their labels numbered alike?"


def share_no_class(labels: Tensor, bank_labels: Tensor) -> bool:
    """Say whether no row's class is in the bank, so that no vote can be right whatever the features."""
    return not bool(torch.isin(labels, bank_labels).any())
