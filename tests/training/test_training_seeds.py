"""Seeds: repeatable, independent of each other, and invisible to the rest of the program."""

from __future__ import annotations

import torch

from nat_plugin.training.seeds import derive_seed, generator, seeded

CPU = torch.device("cpu")


def test_seeds_depend_on_every_part() -> None:
    found = {
        derive_seed(0),
        derive_seed(1),
        derive_seed(0, "a"),
        derive_seed(0, "a", 1),
        derive_seed(0, "a", 2),
        derive_seed(0, "a1"),
    }
    assert len(found) == 6
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    assert torch.equal(torch.rand(3, generator=generator(5, "x")), torch.rand(3, generator=generator(5, "x")))


def test_the_global_generator_is_seeded_inside_and_untouched_outside() -> None:
    before = torch.get_rng_state()
    with seeded(CPU, 7):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    with seeded(CPU, 7):
        assert torch.equal(torch.rand(4), first)
