"""NNI samples as text: ``nat show``, ``convert``, ``transform`` and ``run``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_darts import DartsAdapter
from nat_enas import MicroAdapter
from nat_nni.adapter import NNIAdapter
from nat_nni.spaces.hub import BUILT, NAMES

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, NetworkSize, canonical, cost
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import plan
from nat_plugin.sources import find_adapter
from nat_plugin.writing import translate
from tests.reporting.pages import read

ADAPTER = NNIAdapter()
SIZE = NetworkSize()
DARTS_V2 = DartsAdapter().published()["DARTS_V2"].text
ENAS = MicroAdapter().published()["ENAS_micro"].text
SAMPLE: dict[str, Any] = json.loads(ADAPTER.published()["darts-v2"].text)["sample"]
NB201 = {f"cell/{end}": "conv_3x3" for end in ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")}


def document(space: str, sample: dict[str, Any], **arguments: Any) -> str:
    return json.dumps({"space": space, "arguments": arguments, "sample": sample})


def test_a_genotype_becomes_a_sample_and_back() -> None:
    darts = DartsAdapter()
    text = translate(darts.read(DARTS_V2, SIZE), ADAPTER, SIZE)
    assert json.loads(text) == SAMPLE, "DARTS_V2 is NNI's darts-v2"
    assert translate(ADAPTER.read(text, SIZE), darts, SIZE) == darts.write(darts.read(DARTS_V2, SIZE))


def test_an_enas_string_becomes_a_sample_and_back() -> None:
    enas = MicroAdapter()
    text = translate(enas.read(ENAS, SIZE), ADAPTER, SIZE)
    assert json.loads(text)["space"] == "ENAS"
    assert json.loads(text)["sample"]["normal/op_2_0"] == "avg_pool_3x3"
    assert enas.write(ADAPTER.read(text, SIZE)).split() == ENAS.replace("+", " ").split()


def test_an_enas_string_whose_cell_gives_out_an_input_is_refused() -> None:
    unused = "0 0 0 0 " * 5 + "0 0 0 0 " * 5
    with pytest.raises(NATError, match="no NNI space can say this network"):
        translate(MicroAdapter().read(unused, SIZE), ADAPTER, SIZE)


def test_a_string_of_nasbench201_becomes_a_sample_and_back() -> None:
    adapter = plugins().adapters["nasbench201"]
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    sample = translate(adapter.read(text, SIZE), ADAPTER, SIZE)
    assert json.loads(sample)["cell/0_2"] == "none"
    assert translate(ADAPTER.read(sample, SIZE), adapter, SIZE) == text


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SAMPLE),
        json.dumps(SAMPLE, indent=4) + "\n",
        str(SAMPLE),
        json.dumps({label: value[0] if isinstance(value, list) else value for label, value in SAMPLE.items()}),
        document("DARTS", SAMPLE, width=16, num_cells=8),
        document("DARTS", {**SAMPLE, "width": 24, "depth": 8}),
        json.dumps(NB201),
    ],
)
def test_what_did_not_move_comes_back_unchanged(text: str) -> None:
    assert ADAPTER.recognises(text)
    assert ADAPTER.write(ADAPTER.read(text, SIZE)) == text
    assert [name for name, each in plugins().adapters.items() if each.recognises(text)] == ["nni"]


def test_sizes_come_from_the_reader_the_sample_or_the_arguments() -> None:
    def size(text: str, size: NetworkSize = SIZE) -> tuple[int, int]:
        network = ADAPTER.read(text, size)
        return network.placements[0].channels, len(network.placements)

    assert size(json.dumps(SAMPLE)) == (36, 20)
    assert size(document("DARTS", SAMPLE, width=16, num_cells=8)) == (16, 8)
    assert size(document("DARTS", {**SAMPLE, "width": 24, "depth": 8})) == (24, 8)
    assert size(document("DARTS", SAMPLE, width=16, num_cells=8), NetworkSize(4, 5)) == (4, 5)


def test_null_goes_into_a_space_with_none_and_without_null_the_stock_space_returns() -> None:
    text = document("DARTSWithNone", {**SAMPLE, "normal/op_2_0": "none"})
    network = ADAPTER.read(text, SIZE)
    ops = list(network.ops)
    assert ops[0] == NULL
    moved = network.with_ops([NULL, NULL, *ops[2:]])
    written = json.loads(ADAPTER.write(canonical(moved)))
    assert written["space"] == "DARTSWithNone"
    assert written["sample"]["normal/op_2_1"] == "none"
    assert cost(ADAPTER.read(json.dumps(written), SIZE)) == cost(moved)
    stock = network.with_ops([ops[1], *ops[1:]])
    assert json.loads(ADAPTER.write(canonical(stock))) == {"space": "DARTS", "sample": SAMPLE}
    with pytest.raises(NATError, match=r"DARTS cannot represent 'null' \(normal/op_2_0\)"):
        stocked = ADAPTER.read(json.dumps(SAMPLE), SIZE)
        ADAPTER.write(stocked.with_ops([NULL, *ops[1:]]))


def test_the_zoo_is_what_nni_has() -> None:
    import nni.nas.hub.pytorch as hub

    for name, entry in ADAPTER.published().items():
        text = json.loads(entry.text)
        found: dict[str, Any] = {}

        class Caught(Exception):
            pass

        class Probe:
            @staticmethod
            def frozen_factory(sample: dict[str, Any], found: dict[str, Any] = found, end: type = Caught) -> Any:
                def build(**arguments: Any) -> None:
                    found.update(sample=sample, arguments=json.loads(json.dumps(arguments)))
                    raise end

                return build

        with pytest.raises(Caught):
            getattr(hub, text["space"]).load_searched_model.__func__(Probe, name)
        assert found == {"arguments": {}, **{key: value for key, value in text.items() if key != "space"}}


def test_a_searched_model_has_the_parameters_that_nni_builds() -> None:
    import torch
    from nni.nas.hub.pytorch import ShuffleNetSpace

    with torch.device("meta"):
        model = ShuffleNetSpace.load_searched_model("spos")
    network = ADAPTER.read(ADAPTER.published()["spos"].text, NetworkSize(input=(3, 64, 64), classes=1000))
    assert cost(network).params == sum(each.numel() for each in model.parameters())
    assert len(network.slots) == 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "JSON"),
        ("[1]", "an object of labels and values, not a list"),
        ("{'a': __import__('os')}", "not"),
        ('{"space": "DARTS"}', "needs 'sample' too"),
        ('{"space": "DARTS", "sample": {}, "weights": 1}', "has no 'weights'; its fields are space, arguments, sample"),
        ('{"space": 3, "sample": {}}', "space is a name"),
        (document("Darts", SAMPLE), "unknown NNI space 'Darts'; allowed: DARTS, "),
        (document("DARTS", SAMPLE, widht=3), "DARTS has no argument 'widht'; it has width, num_cells"),
        (document("DARTS", SAMPLE, width="x"), "width is 'x'; it takes a whole number"),
        (document("DARTS", SAMPLE, width=-1), "width is -1"),
        (document("DARTS", SAMPLE, dataset="mnist"), "dataset 'mnist' is not known; allowed: cifar, imagenet"),
        (document("DARTS", {**SAMPLE, "width": 17, "depth": 8}), "'width' is 17; allowed: 16, 24, 32"),
        (json.dumps({"normal/op_2_0": "sep_conv_3x3"}), "of no NNI space known here"),
        (document("ProxylessNAS", {}, base_widths=[1]), "ProxylessNAS cannot be built with"),
        (document("NasBench201", NB201, num_modules_per_stack=0), "num_modules_per_stack is 0"),
    ],
)
def test_text_that_is_wrong_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(NATError, match=complaint):
        ADAPTER.read(text, SIZE)


def test_a_sample_that_could_be_of_several_spaces_asks_which() -> None:
    labels = {
        f"{cell}/op_{n}_{k}": "sep_conv_3x3" for cell in ("normal", "reduce") for n in range(2, 7) for k in (0, 1)
    }
    sample = {**labels, **{label.replace("op", "input"): [0] for label in labels}}
    with pytest.raises(NATError, match="could be of ENAS or AmoebaNet or NASNet or PNAS: say which"):
        ADAPTER.read(json.dumps(sample), SIZE)
    chosen = find_adapter({"name": "nni", "space": "PNAS", "arguments": {"num_cells": 8}}, plugins())
    assert len(chosen.read(json.dumps(sample), SIZE).placements) == 8
    with pytest.raises(NATError, match="the document is of space 'ENAS', the recipe says 'PNAS'"):
        chosen.read(document("ENAS", sample), SIZE)


@given(
    st.text(max_size=60) | st.dictionaries(st.sampled_from([*SAMPLE, "x"]), st.integers() | st.none()).map(json.dumps)
)
@settings(max_examples=60, deadline=None)
def test_any_text_is_a_network_or_one_line(text: str) -> None:
    ADAPTER.recognises(text)
    try:
        ADAPTER.read(text, SIZE)
    except NATError as error:
        assert "\n" not in str(error)


def test_recipes_name_a_space_and_its_arguments() -> None:
    recipe = {"source": json.dumps(SAMPLE), "strategy": {"name": "random"}}
    with pytest.raises(
        NATError, match=r"adapter\.spaec: unknown key; did you mean 'space'\? \(allowed: arguments, space\)"
    ):
        plan({**recipe, "adapter": {"name": "nni", "spaec": "DARTS"}}, plugins())
    with pytest.raises(NATError, match=r"adapter\.name: 'nnni' is not known"):
        plan({**recipe, "adapter": {"name": "nnni"}}, plugins())
    with pytest.raises(NATError, match="unknown NNI space 'Darts'"):
        find_adapter({"name": "nni", "space": "Darts"}, plugins())
    with pytest.raises(NATError, match="arguments are those of a space"):
        find_adapter({"name": "nni", "arguments": {"width": 4}}, plugins())


def test_a_recipe_runs_on_a_space_of_the_hub(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    (tmp_path / "sample.json").write_text(json.dumps(SAMPLE))
    recipe.write_text(
        json.dumps(
            {
                "source": str(tmp_path / "sample.json"),
                "adapter": {"name": "nni", "space": "DARTSWithNone", "arguments": {"width": 4, "num_cells": 3}},
                "strategy": {"name": "random"},
                "search": {"rounds": 1, "proposals": 1, "steps": 0},
                "evaluator": {"name": "supernet", "data": {"name": "digits"}},
            }
        )
    )
    folder = tmp_path / "run"
    subprocess.run([sys.executable, "-m", "nat_plugin", "run", str(recipe), "--out", str(folder)], check=True)
    written = folder / "architecture.txt"
    network = find_adapter({"name": "nni", "space": "DARTSWithNone"}, plugins()).read(written.read_text(), SIZE)
    assert cost(network).macs <= cost(ADAPTER.read(json.dumps(SAMPLE), SIZE)).macs
    page = read(folder / "report.html").text
    assert f"All {len(SAMPLE)} choices, by label" in page
    label = next(iter(SAMPLE))
    assert f"{label}\n{json.dumps(SAMPLE[label])}" in page


def test_nni_is_not_imported_for_what_needs_none_of_it() -> None:
    code = (
        "import sys; from nat_plugin.plugins import plugins; found = plugins().adapters['nni']; found.published(); "
        "from nat_plugin.ir import Frame; network = found.read(found.published()['darts-v2'].text, Frame()); "
        "found.write(network); assert not {'nni', 'torch'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_nni_a_space_that_needs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import nat_nni.adapter
    import nat_nni.framework

    monkeypatch.setattr(nat_nni.framework, "missing", lambda: ["nni"])
    monkeypatch.setattr(nat_nni.adapter, "missing", lambda: ["nni"])
    nat_nni.framework.load.cache_clear()
    assert "pip install 'nat-plugin[nni]'" in ADAPTER.summary
    with pytest.raises(NATError, match="NNI model spaces need nni, not installed here: pip install"):
        nat_nni.framework.load("nni.nas.strategy")
    assert set(BUILT) < set(NAMES)
