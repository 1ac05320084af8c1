"""Search spaces of experiments, by name; and those whose networks were all trained, as arrays."""

from dataclasses import dataclass

from benchmarks.common.files import DARTS214, MACRO, NB101, NB201, NB301, SUITE_ZERO, TRANSNAS


@dataclass(frozen=True)
class SearchSpace:
    """``file``: the measured accuracies of its networks, where experiments look them up."""

    about: str
    file: str | None = None


SPACES = {
    "NAS-Bench-201": SearchSpace("15,625 cells, CIFAR-10 and CIFAR-100, all measured", NB201),
    "TransNAS-Bench-101": SearchSpace("4,096 cells, seven tasks, all measured", TRANSNAS),
    "NAS-Bench-Macro": SearchSpace("6,561 networks of eight layers, CIFAR-10, all measured", MACRO),
    "NAS-Bench-101": SearchSpace("500 random cells, CIFAR-10", NB101),
    "NAS-Bench-301": SearchSpace("725 DARTS cells, CIFAR-10 by a surrogate", NB301),
    "DARTS, trained": SearchSpace("214 DARTS cells, CIFAR-10, trained", DARTS214),
    "SVHN": SearchSpace("random cells of three spaces, SVHN", SUITE_ZERO),
    "DARTS": SearchSpace("DARTS cells, trained here or at random"),
    "landscapes": SearchSpace("scores made up over the moves of DARTS cells"),
    "NNI hub": SearchSpace("samples of the spaces of NNI's hub"),
    "timm": SearchSpace("convolutional models of timm"),
}
