"""A vision transformer of two small blocks, for runs that take a second."""

from timm.models.vision_transformer import VisionTransformer


def build():
    return VisionTransformer(
        img_size=32,
        patch_size=16,
        num_classes=0,
        embed_dim=32,
        depth=2,
        num_heads=2,
        drop_path_rate=0.1,
        dynamic_img_size=True,
        dynamic_img_pad=True,
    )
