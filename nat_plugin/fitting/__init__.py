"""Fitting in closed form: weights of convolutions by ridge regression on what goes in and what is to come out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.fitting.elimination import elimination_order as elimination_order
    from nat_plugin.fitting.linear import MAX_INPUTS as MAX_INPUTS
    from nat_plugin.fitting.linear import LinearMap as LinearMap
    from nat_plugin.fitting.moments import Moments as Moments
    from nat_plugin.fitting.sampling import HELD_OUT_EVERY as HELD_OUT_EVERY
    from nat_plugin.fitting.sampling import MAX_SUM_BYTES as MAX_SUM_BYTES
    from nat_plugin.fitting.sampling import FitSample as FitSample
    from nat_plugin.fitting.sampling import add_batch as add_batch
    from nat_plugin.fitting.sampling import add_sample as add_sample
    from nat_plugin.fitting.sampling import draw_sample as draw_sample
    from nat_plugin.fitting.sampling import empty_moments as empty_moments
    from nat_plugin.fitting.sampling import moments_bytes as moments_bytes
    from nat_plugin.fitting.sampling import sample_pixels as sample_pixels
    from nat_plugin.fitting.sampling import split_by_size as split_by_size
    from nat_plugin.fitting.solving import Solution as Solution
    from nat_plugin.fitting.solving import best_ridge as best_ridge
    from nat_plugin.fitting.solving import solve as solve
    from nat_plugin.fitting.windows import Window as Window
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "elimination": ("elimination_order",),
            "linear": ("MAX_INPUTS", "LinearMap"),
            "moments": ("Moments",),
            "sampling": (
                "HELD_OUT_EVERY",
                "MAX_SUM_BYTES",
                "FitSample",
                "add_batch",
                "add_sample",
                "draw_sample",
                "empty_moments",
                "moments_bytes",
                "sample_pixels",
                "split_by_size",
            ),
            "solving": ("Solution", "best_ridge", "solve"),
            "windows": ("Window",),
        },
    )
