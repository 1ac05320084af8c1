"""Operations that only the networks of the benchmarks have."""

from __future__ import annotations

from nat_plugin.ir import Act, Attributes, Conv, Layer, Norm, Op, OpKind, Role, Site


def _identity(_attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    if site.keeps_shape:
        return ()
    return (Conv(site.c_in, site.c_out, stride=(site.stride, site.stride)), Norm(site.c_out))


def _block(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """An inverted residual with ReLU where MobileNetV2, and so ``mbconv``, has ReLU6."""
    layers = Op.parse(f"mbconv_k{attributes['k']}_e{attributes['e']}_se0").layers(site)
    return tuple(Act() if isinstance(layer, Act) else layer for layer in layers)


def _block_valid(attributes: Attributes) -> bool:
    return (attributes["k"], attributes["e"]) in ((3, 3), (5, 6))


KINDS = (
    OpKind("nbmacro_identity", "nbmacro_identity", _identity, role=Role.SKIP),
    OpKind("nbmacro_mb", "nbmacro_mb_k{k}_e{e}", _block, order=0, residual=True, valid=_block_valid),
)

MACRO = (Op("nbmacro_identity"), Op("nbmacro_mb", (("k", 3), ("e", 3))), Op("nbmacro_mb", (("k", 5), ("e", 6))))
"""What the digits of NAS-Bench-Macro mean."""
