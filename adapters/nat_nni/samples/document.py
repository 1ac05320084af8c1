"""A sample as text: a JSON object of labels and values, or one that says of which space the sample is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nat_nni.samples.values import Sample, few
from nat_nni.spaces.hub import CELL_SPACES, SUFFIX
from nat_plugin import NATError
from nat_plugin.extending import parse_literal, strict_json

FIELDS = ("space", "arguments", "sample")
MAX_CHARS = 1_000_000
_LABEL = re.compile(
    r"(normal|reduce)/(op|input)_\d+_\d+|cell/(\d+_\d+|(op|input)\d+|num_nodes)|s\d+_(i\d+.*|depth)|layer_\d+|stem_ks"
)
"""Labels of the hub's spaces."""
_BUILT_LABELS = {
    "cell/num_nodes": "NasBench101",
    "cell/0_1": "NasBench201",
    "layer_1": "ShuffleNetSpace",
    "stem_ks": "MobileNetV3Space",
    "s2_i0": "ProxylessNAS",
}


@dataclass(frozen=True)
class SampleText:
    """A sample, and the space that it names (None: it is bare) with its arguments."""

    sample: Sample
    space: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pretty: bool = False
    """Written over several lines."""

    def render(self) -> str:
        value: Any = self.sample
        if self.space is not None:
            arguments = {"arguments": dict(self.arguments)} if self.arguments else {}
            value = {"space": self.space, **arguments, "sample": self.sample}
        return json.dumps(value, indent=2 if self.pretty else None)


def looks_like_one(text: str) -> bool:
    if not text.lstrip().startswith("{") or len(text) > MAX_CHARS:
        return False
    try:
        value = _parsed(text)
    except NATError:
        return False
    if not isinstance(value, dict):
        return False
    return {"space", "sample"} <= value.keys() or any(
        isinstance(label, str) and _LABEL.fullmatch(label) for label in value
    )


def read_document(text: str) -> SampleText:
    """NATError for anything but JSON (or a Python dict as it is printed) of one of the two forms."""
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; a sample has at most {MAX_CHARS:,}")
    value = _parsed(text)
    if not isinstance(value, dict):
        raise NATError(f"an NNI sample is an object of labels and values, not a {type(value).__name__}")
    pretty = "\n" in text.strip()
    if "sample" not in value and "space" not in value:
        return SampleText(value, pretty=pretty)
    unknown = [str(name) for name in value if name not in FIELDS]
    if unknown or "sample" not in value:
        what = f"has no '{unknown[0][:60]}'" if unknown else "needs 'sample' too"
        raise NATError(f"an NNI document {what}; its fields are {', '.join(FIELDS)}")
    space, arguments, sample = value.get("space"), value.get("arguments", {}), value["sample"]
    if not isinstance(space, str) or not isinstance(arguments, dict) or not isinstance(sample, dict):
        raise NATError("an NNI document: space is a name, arguments and sample are objects")
    return SampleText(sample, space, arguments, pretty)


def _parsed(text: str) -> Any:
    text = text.strip()
    return parse_literal(text) if "'" in text else strict_json(text)


def guess_space(sample: Sample) -> str:
    """The hub space that a bare sample is of, by its labels. NATError where it could be of several, or of none."""
    for label, name in _BUILT_LABELS.items():
        if label in sample:
            return name
    nodes = {int(match[1]) for label in sample if (match := re.fullmatch(r"normal/op_(\d{1,3})_\d+", str(label)))}
    ops = {str(value) for label, value in sample.items() if "/op_" in str(label)}
    stock = not any(op == "none" for op in ops)
    fits = [
        name
        for name, space in CELL_SPACES.items()
        if space.nodes == len(nodes) and ops <= {*space.ops} and stock != name.endswith(SUFFIX)
    ]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        raise NATError(
            f"this sample is of no NNI space known here; its labels are {few([str(each) for each in sample])}"
        )
    raise NATError(
        f"this sample could be of {' or '.join(fits)}: say which, as in "
        f'{{"space": "{fits[0]}", "sample": {{...}}}} or in a recipe as adapter: {{name: nni, space: {fits[0]}}}'
    )
