"""The auxiliary classifier of DARTS, for maps of any size."""

from __future__ import annotations

from torch import Tensor, nn

from nat_plugin.ir.layers import Pair, Shape, strided


def _window(size: int) -> Pair:
    """Kernel and stride of a pooling to two values (one of a single pixel): DARTS has 5 and 3 for 8 pixels, 5 and 2 for
    7; larger maps are covered whole."""
    kernel = min(max(size - 1, 1), max(5, strided(size, 2)))
    return kernel, max(size - kernel, 1)


class AuxiliaryHead(nn.Module):
    """ReLU, average pooling to 2x2, a pointwise convolution to 128, a 2x2 convolution to 768, a linear classifier.

    DARTS ``model.py``, ``AuxiliaryHeadCIFAR``. Its ImageNet twin lacks the second batch norm, by a slip of which a
    comment there tells; here both have it. Input ``shape`` (C, H, W), output (N, classes).
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        windows = [_window(size) for size in shape[1:]]
        kernel, stride = ((windows[0][i], windows[1][i]) for i in range(2))
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(kernel, stride, count_include_pad=False),
            nn.Conv2d(shape[0], 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, (min(shape[1], 2), min(shape[2], 2)), bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits
