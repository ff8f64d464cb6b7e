"""ImageNet and Caltech-101: named datasets that are folders of images."""

from __future__ import annotations

from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.open_request import OpenRequest, missing

IMAGENET = "imagenet"
CALTECH101 = "caltech101/101_ObjectCategories"
_BACKGROUND = "BACKGROUND_Google"


def open_imagenet(request: OpenRequest) -> ImageSplit:
    """Return ILSVRC 2012 from imagenet/train and imagenet/val, one folder per class."""
    folder = request.root / IMAGENET
    if not folder.is_dir():
        raise missing(
            "imagenet", folder, how="its licence forbids fetching it here: unpack train/ and val/, one folder per class"
        )
    return open_image_folder(folder, request.split, name="imagenet", request=request.read_request())


def open_caltech101(request: OpenRequest) -> ImageSplit:
    """Return Caltech-101 without its background class: a fifth of each class, drawn by hash, is val."""
    folder = request.root / CALTECH101
    if request.download and not folder.is_dir():
        from torchvision.datasets import Caltech101

        try:
            Caltech101(root=request.root, download=True)
        except (RuntimeError, OSError) as error:
            raise missing(
                "caltech101", folder, how=f"the download failed ({error}); unpack it there by hand"
            ) from error
    if not folder.is_dir():
        raise missing("caltech101", folder, how="ask for the download, or unpack 101_ObjectCategories there")
    return open_image_folder(
        folder, request.split, name="caltech101", skip=(_BACKGROUND,), request=request.read_request()
    )
