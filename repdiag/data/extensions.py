"""What the ends of file names say: images that are read, images that are not, and everything else."""

from __future__ import annotations

EXTENSIONS = frozenset(
    {
        ".apng",
        ".avif",
        ".bmp",
        ".dcm",
        ".dib",
        ".gif",
        ".heic",
        ".heif",
        ".hif",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpf",
        ".jpg",
        ".jpx",
        ".mpo",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Files with these are decoded, and named with a reason where no decoder is here."""

_RAW = "a camera's raw file; convert it to TIFF, PNG or JPEG"
_VOLUME = "a volume; write its slices as PNG or TIFF"
UNREAD_IMAGES = {
    ".arw": _RAW,
    ".cr2": _RAW,
    ".cr3": _RAW,
    ".dng": _RAW,
    ".nef": _RAW,
    ".orf": _RAW,
    ".raf": _RAW,
    ".rw2": _RAW,
    ".nii": _VOLUME,
    ".nrrd": _VOLUME,
    ".mha": _VOLUME,
    ".czi": _VOLUME,
    ".nd2": _VOLUME,
    ".svs": "a whole slide; cut it into tiles",
    ".ndpi": "a whole slide; cut it into tiles",
    ".mrxs": "a whole slide; cut it into tiles",
    ".jxl": "JPEG XL is not read; convert it to PNG or JPEG",
    ".exr": "OpenEXR is not read; convert it to TIFF",
    ".hdr": "Radiance HDR is not read; convert it to TIFF",
    ".psd": "Photoshop's form is not read; export it as PNG",
    ".ico": "icons are not read; export them as PNG",
    ".svg": "a drawing without pixels; render it to PNG",
    ".eps": "a drawing without pixels; render it to PNG",
    ".pdf": "a document; render its pages to PNG",
    ".npy": "an array and no image file; write it as TIFF, or name vectors with --embeddings",
    ".npz": "arrays and no image file; write them as TIFF, or name vectors with --embeddings",
    ".mp4": "a film; write its frames as images",
    ".avi": "a film; write its frames as images",
    ".mov": "a film; write its frames as images",
    ".webm": "a film; write its frames as images",
}


def extension(name: str) -> str:
    """Return the end of a file's name from its last dot on, in small letters; empty where there is none."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""
