"""Image files of every mode, depth, turn and kind of damage: decoded right, or named with a reason."""

import io
import itertools
import random
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from repdiag.data.decode import UnreadableImage, decode

SIDE = 24


def gradient(height: int = SIDE, width: int = SIDE + 8) -> np.ndarray:
    """A smooth RGB image without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 127 + 100 * np.sin(x / 5 + y / 9)], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def rgb(found: torch.Tensor) -> np.ndarray:
    return found.permute(1, 2, 0).numpy()


FORMATS = {
    "JPEG": {"quality": 90},
    "JPEG progressive": {"quality": 90, "progressive": True},
    "PNG": {},
    "BMP": {},
    "GIF": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "TIFF deflate": {"compression": "tiff_deflate"},
    "PPM": {},
}
LOSSLESS = ("PNG", "BMP", "WEBP", "TIFF", "TIFF deflate", "PPM")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes(kind: str) -> None:
    data = encoded(Image.fromarray(gradient()), kind.split(maxsplit=1)[0], **FORMATS[kind])
    found = decode(data)
    assert found.dtype == torch.uint8
    assert found.shape == (3, SIDE, SIDE + 8)
    if kind in LOSSLESS:
        np.testing.assert_array_equal(rgb(found), gradient())


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_at_any_offset_it_is_refused_or_whole(kind: str) -> None:
    data = encoded(Image.fromarray(gradient()), kind.split(maxsplit=1)[0], **FORMATS[kind])
    whole = decode(data)
    refused = 0
    for length in np.unique(np.linspace(0, len(data) - 1, 60).astype(int)).tolist():
        try:
            found = decode(data[:length])
        except UnreadableImage:
            refused += 1
        else:  # only bytes that hold no pixel were lost
            assert torch.equal(found, whole), f"{kind} cut at {length} of {len(data)} bytes lost pixels unnoticed"
    assert refused >= 50


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xd8" * 9, b"not an image" * 99, b"\x89PNG\r\n\x1a\n"],
    ids=range(7),
)
def test_what_is_no_image_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"\w"):
        decode(data)


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(13_400, 13_400), (2**31 - 1, 2**31 - 1)])
def test_decompression_bombs_are_refused_before_they_are_unpacked(width: int, height: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UnreadableImage, match=r"pixels|limit|bomb"):
            decode(png(width, height))


def test_a_jpeg_that_declares_a_bomb_is_refused() -> None:
    data = bytearray(encoded(Image.fromarray(gradient()), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(UnreadableImage, match=r"pixels|limit|bomb"):
        decode(bytes(data))


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bit_gray_is_scaled_and_not_saturated(byte_order: str) -> None:
    levels = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE)
    image = Image.fromarray(levels.astype(f"{byte_order}u2"))
    for kind in ("PNG", "TIFF"):
        found = rgb(decode(encoded(image, kind)))
        assert np.abs(found - (levels / 257)[..., None]).max() <= 1.0
        assert (found == found[..., :1]).all()


def test_sixteen_bit_colour_is_scaled() -> None:
    levels = np.linspace(0, 65535, 12 * 12 * 3).reshape(12, 12, 3).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    data = png(12, 12)
    body = struct.pack(">IIBBBBB", 12, 12, 16, 2, 0, 0, 0)
    packed = zlib.compress(rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    data = data[:8] + chunk(b"IHDR", body) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    assert np.abs(rgb(decode(data)) - levels / 257.0).max() <= 1.0


def test_float_and_32_bit_levels_without_a_known_white_are_refused() -> None:
    for image in (Image.fromarray(np.full((4, 4), 100_000, np.int32)), Image.fromarray(np.full((4, 4), -5, np.int32))):
        with pytest.raises(UnreadableImage, match="white"):
            decode(encoded(image, "TIFF"))


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def kinds_of_jpeg() -> Iterator[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE + 5, SIDE + 3, 3), dtype=np.uint8)
    for pixels in (gradient(), noise, gradient(7, 5)):
        image = Image.fromarray(pixels)
        for quality, progressive in itertools.product((5, 75, 100), (False, True)):
            yield encoded(image.convert("L"), "JPEG", quality=quality, progressive=progressive)
            yield encoded(image, "JPEG", quality=quality, progressive=progressive, keep_rgb=True)
            for subsampling in range(3):
                yield encoded(image, "JPEG", quality=quality, progressive=progressive, subsampling=subsampling)


def test_jpegs_have_the_very_pixels_of_pillow() -> None:
    for data in kinds_of_jpeg():
        np.testing.assert_array_equal(rgb(decode(data)), by_pillow(data))


def test_a_damaged_jpeg_is_refused_or_read_as_pillow_does() -> None:
    data, draw, refused = encoded(Image.fromarray(gradient()), "JPEG", quality=90), random.Random(0), 0
    for _ in range(200):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            wanted = by_pillow(bytes(damaged))
        except Exception:  # whatever its parser runs into
            refused += 1
            with pytest.raises(UnreadableImage):
                decode(bytes(damaged))
        else:
            np.testing.assert_array_equal(rgb(decode(bytes(damaged))), wanted)
    assert 0 < refused < 200


def test_flawless_jpegs_do_not_go_through_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(gradient()), "JPEG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    assert decode(data).shape == (3, *gradient().shape[:2])


def test_where_simplejpeg_is_missing_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repdiag.data.decode._turbo", lambda: None)
    data = encoded(Image.fromarray(gradient()), "JPEG")
    np.testing.assert_array_equal(rgb(decode(data)), by_pillow(data))


@pytest.mark.parametrize("inverted", [False, True])
def test_cmyk_jpegs_have_the_colours_of_pillow(inverted: bool) -> None:
    cmyk = Image.fromarray(gradient()).convert("CMYK")
    data = encoded(cmyk, "JPEG", quality=95)
    if not inverted:  # Pillow writes Adobe's marker, which says that levels are inverted; without it they are not
        at = data.index(b"\xff\xee")
        data = data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(rgb(decode(data)).astype(int) - wanted).max() <= 1
    if inverted:
        assert np.abs(wanted.astype(int) - gradient()).mean() < 10  # the reference itself shows the image


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *((mode, "TIFF") for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
        *((mode, "WEBP") for mode in ("L", "RGB", "RGBA")),
    ],
)
def test_every_mode_becomes_what_pillow_makes_of_it(mode: str, kind: str) -> None:
    image = Image.fromarray(gradient())
    image = Image.merge("PA", (image.convert("P"), image.convert("L"))) if mode == "PA" else image.convert(mode)
    data = encoded(image, kind)
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(rgb(decode(data)), wanted)


def test_a_palette_with_transparency_is_looked_up() -> None:
    palette = Image.fromarray(gradient()).convert("P")
    data = encoded(palette, "PNG", transparency=bytes(range(256)))
    np.testing.assert_array_equal(rgb(decode(data)), np.asarray(palette.convert("RGB")))


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 200)]
    for kind in ("PNG", "WEBP", "GIF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert abs(int(decode(data).float().mean()) - 40) <= 2


# How the upright image looks when it is stored with each EXIF orientation (EXIF 2.3, table 6), as numpy turns.
STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_turned_images_stand_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](gradient()))
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    found = rgb(decode(encoded(Image.fromarray(stored), kind, exif=exif, **options)))
    assert found.shape == gradient().shape
    assert np.abs(found.astype(int) - gradient()).max() <= (12 if kind == "JPEG" else 0)


def test_a_damaged_exif_block_costs_no_image() -> None:
    plain = encoded(Image.fromarray(gradient()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remark on the damage
        assert decode(plain).shape == (3, SIDE, SIDE + 8)
