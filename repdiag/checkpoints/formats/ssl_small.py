"""ssl-small (WOWNICE/ssl-small): MoCo with small networks of its own making; BINGO lays its files out alike."""

from __future__ import annotations

from dataclasses import replace

from repdiag.checkpoints.formats import moco
from repdiag.checkpoints.reading.contents import Contents


def _recognise(file: Contents) -> bool:
    own_networks = ("encoder_q.features.1.conv.", "encoder_q._conv_stem.", "encoder_q.to_patch_embedding.")
    return moco.FORMAT.recognise(file) and any(
        file.has(place, prefix) for place in moco.PLACES for prefix in own_networks
    )


FORMAT = replace(moco.FORMAT, name="ssl_small", title="ssl-small", recognise=_recognise)
