"""Means and standard deviations that families use for images in [0, 1], by the name of the dataset or the habit."""

from repdiag.checkpoints.formats.format import Preprocessing

PIXELS_AS_THEY_ARE = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
CIFAR10 = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010), image_size=32)
CIFAR10_SOLO = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.243, 0.261), image_size=32)
CIFAR100 = Preprocessing(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761), image_size=32)
OPENAI = Preprocessing(
    mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711), interpolation="bicubic"
)
SWAV = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.228, 0.224, 0.225))
HALVES = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
STL10 = Preprocessing(mean=(0.4914, 0.4823, 0.4466), std=(0.247, 0.243, 0.261), image_size=96)
