"""Float, 12-bit, 16-bit and many-channel images: scaled as said, or refused without a known white."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repdiag.core.errors import DataError, UsageError
from repdiag.data.assembly import ReadRequest
from repdiag.data.decode import UnreadableImage, decode, decode_with_notes
from repdiag.data.image_folder import open_image_folder
from repdiag.data.reading import Reading, parse_reading

tifffile = pytest.importorskip("tifffile", reason="TIFFs of many channels need the extra images")
SHAPE = (20, 26)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def many(channels: int = 12, kind: str = "uint16") -> np.ndarray:
    """[C, H, W] with another mean in each channel."""
    steps = np.arange(channels)[:, None, None] * 300 + np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    return steps.astype(kind)


LAYOUTS = {
    "pages": tiff,
    "planes": lambda array: tiff(array, photometric="minisblack", planarconfig="separate"),
    "pixels": lambda array: tiff(array.transpose(1, 2, 0), photometric="minisblack", planarconfig="contig"),
    "packed": lambda array: tiff(
        array.transpose(1, 2, 0), photometric="minisblack", planarconfig="contig", compression="deflate"
    ),
    "last axis": lambda array: tiff(np.ascontiguousarray(array.transpose(1, 2, 0))),
    "named": lambda array: tiff(array, metadata={"axes": "CYX"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_twelve_channels_are_read_in_any_layout(layout: str) -> None:
    found = decode(LAYOUTS[layout](many()))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), many() / 65535.0, atol=1e-7)


@pytest.mark.parametrize("layout", ["pages", "planes", "packed"])
def test_cut_off_anywhere_many_channels_are_refused_or_whole(layout: str) -> None:
    data = LAYOUTS[layout](many())
    whole, refused = decode(data), 0
    for length in np.unique(np.linspace(8, len(data) - 1, 40).astype(int)).tolist():
        try:
            found = decode(data[:length])
        except UnreadableImage:
            refused += 1
        else:
            assert torch.equal(found, whole), f"cut at {length} of {len(data)} bytes"
    assert refused >= 20


def test_levels_say_black_and_white_of_many_channels() -> None:
    found = decode_with_notes(tiff(many()), Reading(levels=(300.0, 3000.0)))
    np.testing.assert_allclose(found.pixels.numpy(), ((many() - 300.0) / 2700.0).clip(0, 1), atol=1e-6)
    assert {"scaled", "clipped"} <= set(found.notes)


def test_channels_choose_red_green_and_blue() -> None:
    found = decode(tiff(many()), Reading(channels=(4, 3, 2), levels=(0.0, 5100.0)))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), np.rint(many()[[3, 2, 1]] / 20.0))
    with pytest.raises(UnreadableImage, match="12 channels, and channel 13"):
        decode(tiff(many()), Reading(channels=(13,)))


@pytest.mark.parametrize(
    ("levels", "kind"),
    [(np.linspace(0, 1, 520), "float"), (np.arange(520) * 9.0, "float"), (np.arange(520) - 260, "signed"),
     (np.arange(520) * 100_000, "signed|32-bit")],
)  # fmt: skip
def test_levels_without_a_known_white_are_refused_and_read_when_it_is_said(levels: np.ndarray, kind: str) -> None:
    array = levels.reshape(SHAPE)
    array = array.astype("float32" if array.dtype.kind == "f" else "int32")
    low, high = float(array.min()), float(array.max())
    by_pillow = io.BytesIO()
    Image.fromarray(array).save(by_pillow, "TIFF")
    for data in (tiff(array), by_pillow.getvalue()):
        with pytest.raises(UnreadableImage, match=r"no known white; levels=LOW\.\.HIGH"):
            decode(data)
        for reading in (Reading(levels=(low, high)), Reading(levels="each")):
            wanted = np.rint((array.astype(float) - low) / (high - low) * 255.0)
            found = decode(data, reading)
            assert np.abs(found.numpy() - wanted).max() <= 1.0
            assert int(found.max()) == 255


def test_pixels_that_are_no_number_are_black_and_counted() -> None:
    array = np.full(SHAPE, 0.5, np.float32)
    array[0, 0], array[0, 1] = np.nan, np.inf
    found = decode_with_notes(tiff(array), Reading(levels=(0.0, 1.0)))
    assert "not-finite" in found.notes
    assert found.pixels[0, 0, :3].tolist() == [0, 0, 128]


def test_twelve_bits_in_sixteen_are_said_and_scaled_when_asked(tmp_path: Path) -> None:
    for name, factor in (("a", 16), ("b", 15)):
        (tmp_path / name).mkdir()
        for number in range(4):
            level = np.full(SHAPE, 255 * factor - number, np.uint16)
            Image.fromarray(level).save(tmp_path / name / f"{number}.png")
    found = open_image_folder(tmp_path, "train")
    said = "; ".join(map(str, found.notes))
    assert "8 of 8 images of 16 bits have no level above 4080 of 65535 and are dark; levels=12bit" in said
    assert int(found.image(0).max()) == 16
    read = ReadRequest(reading=parse_reading({"levels": "12bit"}))
    bright = open_image_folder(tmp_path, "train", request=read)
    assert int(bright.image(0).max()) == 254
    assert bright.fingerprint != found.fingerprint
    assert bright.row_ids.tolist() == found.row_ids.tolist()


def test_sixteen_bit_colour_keeps_its_bits_when_levels_are_said() -> None:
    import struct
    import zlib

    levels = (np.arange(12 * 12 * 3) * 9).reshape(12, 12, 3).astype(">u2")

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 12, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    found = decode(data, Reading(levels=(0.0, 4095.0)))
    np.testing.assert_array_equal(found.numpy(), np.rint(levels.transpose(2, 0, 1) * (255.0 / 4095.0)))


def test_pages_are_the_first_or_channels_as_asked() -> None:
    frames = [Image.fromarray(np.full(SHAPE, level, np.uint8)) for level in (10, 20, 30, 40)]
    stream = io.BytesIO()
    frames[0].save(stream, "TIFF", save_all=True, append_images=frames[1:])
    first = decode_with_notes(stream.getvalue())
    assert "pages" in first.notes
    assert int(first.pixels.max()) == 10
    both = decode(stream.getvalue(), Reading(pages="channels"))
    assert (both[:, 0, 0] * 255.0).round().tolist() == [10, 20, 30, 40]


def test_alpha_is_dropped_or_kept_as_asked() -> None:
    array = np.random.default_rng(0).integers(0, 256, (*SHAPE, 4), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    assert "alpha" in decode_with_notes(stream.getvalue()).notes
    found = decode(stream.getvalue(), Reading(channels="all"))
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy() * 255.0, array, atol=1e-4)


def test_what_was_done_is_noted_image_by_image() -> None:
    def noted(image: Image.Image, kind: str, **options: object) -> set[str]:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return set(decode_with_notes(stream.getvalue()).notes)

    plain = Image.fromarray(np.zeros((*SHAPE, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert noted(plain, "PNG") == set()
    assert noted(plain, "JPEG", exif=exif) == {"turned"}
    assert noted(plain.convert("CMYK"), "JPEG") == {"colours"}
    assert noted(plain.convert("P"), "PNG") == {"palette"}
    assert noted(plain.convert("LA"), "PNG") == {"gray", "alpha"}
    assert noted(plain, "GIF", save_all=True, append_images=[plain.point(lambda level: level + 9)]) >= {"frames"}
    assert noted(Image.fromarray(np.zeros(SHAPE, np.uint16)), "PNG") == {"gray", "16-bit"}


def test_images_above_pillows_warning_and_below_its_error_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    stream = io.BytesIO()
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(stream, "PNG")
    assert int(decode(stream.getvalue()).max()) == 9  # 600 pixels; a warning would be an error here
    Image.fromarray(np.zeros((20, 50), np.uint8)).save(stream := io.BytesIO(), "PNG")
    with pytest.raises(UnreadableImage, match="limit of 800"):
        decode(stream.getvalue())


def dicom(levels: np.ndarray, **tags: object) -> bytes:
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs the extra images")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Rows, file.Columns = levels.shape
    file.SamplesPerPixel, file.BitsAllocated, file.BitsStored, file.HighBit = 1, 16, 12, 11
    file.PixelRepresentation, file.PhotometricInterpretation = 0, "MONOCHROME2"
    file.PixelData = levels.astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, file, enforce_file_format=True)
    return stream.getvalue()


def test_dicom_is_seen_through_its_window_in_rescaled_units() -> None:
    levels = np.arange(520).reshape(SHAPE) * 4
    plain = decode_with_notes(dicom(levels))
    assert "stored-bits" in plain.notes
    np.testing.assert_array_equal(plain.pixels[0].numpy(), np.rint(levels / 4095 * 255))
    units = levels * 2.0 - 1024.0
    rescaled = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    seen = decode_with_notes(dicom(levels, WindowCenter=40, WindowWidth=401, **rescaled))
    assert "window" in seen.notes
    wanted = np.rint(((units - (39.5 - 200)) / 400).clip(0, 1) * 255)  # PS3.3 C.11.2.1.2.1
    assert np.abs(seen.pixels[0].numpy() - wanted).max() <= 1
    asked = decode(dicom(levels, WindowCenter=40, WindowWidth=401, **rescaled), Reading(levels=(-1000.0, 1000.0)))
    assert np.abs(asked[0].numpy() - np.rint(((units + 1000) / 2000).clip(0, 1) * 255)).max() <= 1
    inverted = decode_with_notes(dicom(levels, PhotometricInterpretation="MONOCHROME1"))
    assert torch.equal(inverted.pixels, 255 - plain.pixels)
    assert "inverted" in inverted.notes


@pytest.mark.parametrize("text", ["levels=5", "levels=9..1", "levels=40bit", "channels=0", "channels=1+x", "pages=all"])
def test_options_without_sense_are_refused_with_what_there_is(text: str) -> None:
    name, value = text.split("=")
    with pytest.raises(UsageError, match=f"{name} must be"):
        parse_reading({name: value})


def test_images_of_several_numbers_of_channels_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.tif").write_bytes(tiff(many()))
    (tmp_path / "b/odd.tif").write_bytes(tiff(many(5)))
    with pytest.raises(DataError, match=r"not have one number of channels(.|\n)*1 of 5, 6 of 12(.|\n)*b/odd\.tif"):
        open_image_folder(tmp_path, "train")
