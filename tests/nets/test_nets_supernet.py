"""A supernet computes what the fixed network of a path computes, with weights that no other path can spoil."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from nets.samples import DARTS_V2, WITH_NONES, bench201, darts, mobile, networks, uniform_wiring
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Edge, Moves, Network, Op, canonical, find_rule, is_connected, live
from nat_plugin.nets import CellNetwork, OpPath, Supernet, build, move_paths, wiring_paths

FAMILIES = {
    "darts_v2": darts(DARTS_V2, 4, 3),
    "nones": darts(WITH_NONES, 4, 5),
    "bench201": bench201("conv_3x3 skip conv_1x1 avg_pool_3x3 skip conv_1x1"),
    "mobile": mobile(),
}


def supernet(network: Network, rule: str = "nat++") -> Supernet:
    torch.manual_seed(0)
    return Supernet(network, move_paths([network], find_rule(rule)))


def fixed_like(shared: Supernet, network: Network) -> CellNetwork:
    """The fixed network with the weights of its path, and batch norms that use the batch as those of a supernet."""
    fixed = build(network)
    for norm in fixed.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
            norm.track_running_stats = False
    pairs: list[tuple[nn.Module, nn.Module, list[int] | None]] = []
    pairs += [(ours, theirs, None) for ours, theirs in zip(fixed.stem, shared.stem, strict=True)]
    columns: dict[int, list[int]] = {}
    for place, (placement, ours, theirs) in enumerate(
        zip(fixed.network.placements, fixed.cells, shared.cells, strict=True)
    ):
        cell = fixed.network.by_name[placement.cell]
        full = shared.template.by_name[placement.cell].output
        widths = [cell.nodes[node - cell.inputs].channels or placement.channels for node in full]
        starts = np.cumsum([0, *widths])
        columns[len(network.stem) + place] = [
            channel for node in cell.output for channel in range(starts[full.index(node)], starts[full.index(node) + 1])
        ]
        parts = iter(ours.parts)
        if cell.project:
            for source, projection in zip(placement.sources, theirs.projections, strict=True):
                for mine, his in zip(next(parts), (projection.act, projection.conv, projection.norm), strict=True):
                    pairs.append((mine, his, columns.get(source)))
        seen: Counter[tuple[int, int]] = Counter()
        by_target: dict[int, list[nn.Module]] = {}
        for edge in cell.edges:
            if not edge.op.is_null:
                name = f"{edge.source}_{edge.target}_{seen[edge.source, edge.target]}_{edge.op}".replace(".", "_")
                by_target.setdefault(edge.target, []).append(theirs.ops[name])
            seen[edge.source, edge.target] += 1
        for node in range(cell.inputs, cell.inputs + len(cell.nodes)):
            if node in by_target and cell.nodes[node - cell.inputs].norm:
                by_target[node].append(theirs.norms[str(node)])
            pairs += [(next(parts), module, None) for module in by_target.get(node, [])]
        assert next(parts, None) is None
    pairs.append((fixed.features, shared.features, None))
    last = columns.get(len(network.stem) + len(fixed.cells) - 1) if not network.head.layers else None
    pairs.append((fixed.classifier, shared.classifier, last))
    with torch.no_grad():
        for mine, his, picked in pairs:
            for ours_, theirs_ in zip(mine.parameters(), his.parameters(), strict=True):
                wide = picked is not None and theirs_.dim() > 1
                ours_.copy_(theirs_[:, picked] if wide else theirs_)
    return fixed


def check_equal(shared: Supernet, network: Network) -> None:
    """Same logits, in training and in evaluation, and gradients on just the active parameters."""
    fixed = fixed_like(shared, network)
    x = torch.randn(3, *network.input)
    expected, got = fixed(x), shared(x, network)
    torch.testing.assert_close(got, expected)
    with torch.no_grad():
        torch.testing.assert_close(shared.eval()(x, network), fixed.eval()(x))
    shared.train()
    shared.zero_grad(set_to_none=True)
    got.square().sum().backward()
    expected.square().sum().backward()
    touched = {id(p) for p in shared.parameters() if p.grad is not None}
    active = shared.active_parameters(network)
    assert touched == {id(p) for p in active}
    assert len(active) == len({id(p) for p in active})
    ours = sum(float(p.grad.abs().sum()) for p in fixed.parameters() if p.grad is not None)
    theirs = sum(float(p.grad.abs().sum()) for p in active)
    assert theirs == pytest.approx(ours, rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_fixed_network_of_every_sampled_path(family: str) -> None:
    network = FAMILIES[family]
    shared = supernet(network)
    check_equal(shared, network)
    moves = Moves(network, find_rule("nat++"))
    rng = np.random.default_rng(1)
    dead = 0
    for _ in range(12):
        reached = moves.apply(moves.sample(rng))
        dead += canonical(reached) != reached
        check_equal(shared, reached)
        check_equal(shared, canonical(reached))
    assert dead or family == "mobile", "some of them have dead ops"


def test_every_network_of_a_small_space_is_a_path() -> None:
    network = FAMILIES["bench201"]
    shared = supernet(network, "nat")
    moves = Moves(network, find_rule("nat"))
    x = torch.randn(2, *network.input)
    outputs = {}
    with torch.no_grad():
        for choice in moves.all():
            reached = moves.apply(choice)
            outputs[choice] = shared(x, reached)
    assert len(outputs) > 100
    for choice, other in product(list(outputs)[:20], repeat=2):
        same = canonical(moves.apply(choice)) == canonical(moves.apply(other))
        assert not same or torch.allclose(outputs[choice], outputs[other])


def test_random_wirings_with_loose_ends() -> None:
    template = darts(DARTS_V2, 4, 3)
    torch.manual_seed(0)
    shared = Supernet(template, wiring_paths(template))
    rng = np.random.default_rng(0)
    outputs, parallel = set(), 0
    for _ in range(15):
        drawn = uniform_wiring(template, rng)
        cell = drawn.by_name["normal"]
        outputs.add(cell.output)
        parallel += any(n > 1 for n in Counter((e.source, e.target, e.op) for e in cell.edges).values())
        check_equal(shared, drawn)
    assert len(outputs) > 3
    assert parallel


def test_parallel_edges_have_weights_of_their_own() -> None:
    template = darts({**DARTS_V2, "normal": [("sep_conv_3x3", 0), ("sep_conv_3x3", 0), *DARTS_V2["normal"][2:]]})
    shared = supernet(template)
    assert {"0_2_0_sep_conv_3x3", "0_2_1_sep_conv_3x3"} <= set(shared.cells[0].ops)
    check_equal(shared, template)


@settings(max_examples=25, deadline=None)
@given(networks())
def test_random_networks(network: Network) -> None:
    assume(min(network.input[1:]) > 4)  # a batch norm over a handful of values magnifies rounding
    shared = supernet(network, "nat")
    x = torch.randn(3, *network.input)
    torch.testing.assert_close(shared(x, network), fixed_like(shared, network)(x), rtol=1e-3, atol=1e-4)


def test_a_step_leaves_all_other_weights_and_paths_alone() -> None:
    network = FAMILIES["darts_v2"]
    shared = supernet(network)
    moves = Moves(network, find_rule("nat++"))
    reached = moves.apply(moves.sample(np.random.default_rng(3)))
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    active = shared.active_parameters(reached)
    optimizer = torch.optim.SGD(active, 0.1, momentum=0.9, weight_decay=1e-3)
    shared(torch.randn(4, *network.input), reached).sum().backward()
    optimizer.step()
    names = {id(parameter): name for name, parameter in shared.named_parameters()}
    stepped = {names[id(parameter)] for parameter in active}
    assert {name for name, value in shared.state_dict().items() if not torch.equal(value, before[name])} <= stepped
    assert stepped < set(before)


def test_no_running_statistics() -> None:
    shared = supernet(FAMILIES["darts_v2"])
    assert not list(shared.buffers())
    bare = Supernet(FAMILIES["darts_v2"], move_paths([FAMILIES["darts_v2"]], find_rule("nat")), affine=False)
    assert all(not norm.affine for norm in bare.modules() if isinstance(norm, nn.BatchNorm2d))


def test_unused_projections_and_unread_placements_are_not_run() -> None:
    """Every cell reads its first input only: what the last but one placement makes is lost."""
    only_first = [("skip_connect", 0), ("none", 1), ("skip_connect", 2), ("none", 1)] * 2
    network = darts({**DARTS_V2, "normal": only_first, "reduce": only_first}, 4, 4)
    shared = supernet(network)
    ran: list[str] = []
    for name, part in shared.named_modules():
        part.register_forward_hook(lambda _m, _i, _o, name=name: ran.append(name))
    check_equal(shared, network)
    assert not [name for name in ran if name.startswith(("cells.0", "cells.2")) or "projections.1" in name]


def test_same_seed_same_weights_and_a_plan_is_made_once() -> None:
    network = FAMILIES["darts_v2"]
    one, two = supernet(network), supernet(network)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    x = torch.randn(2, *network.input)
    one(x, network)
    plan = one._plan(network)
    assert one._plan(network.with_ops(network.ops)) is plan
    copied = copy.deepcopy(one)
    assert torch.equal(copied(x, network), one(x, network))
    assert {id(p) for p in copied.active_parameters(network)} <= {id(p) for p in copied.parameters()}
    one.double()
    assert one._plan(network) is not plan
    assert one(x.double(), network).dtype is torch.float64


def test_evaluating_first_does_not_hinder_training() -> None:
    dead = darts({**DARTS_V2, "normal": [*DARTS_V2["normal"][:6], ("none", 0), ("none", 2)]})
    shared = supernet(darts(DARTS_V2))
    x = torch.randn(2, *dead.input)
    reached = darts(DARTS_V2).with_ops(dead.ops)
    with torch.inference_mode():
        shared(x, reached)
    with torch.autocast("cpu", torch.bfloat16):
        logits = shared(x.to(memory_format=torch.channels_last), reached)
    logits.sum().backward()
    assert all(p.grad is not None for p in shared.active_parameters(reached))


def test_fake_cuda() -> None:
    """Fake tensors need no GPU and refuse to mix devices."""
    network = darts(DARTS_V2)
    moves = Moves(network, find_rule("nat++"))
    rng = np.random.default_rng(0)
    with FakeTensorMode():
        with torch.device("cuda"):
            shared = Supernet(network, move_paths([network], find_rule("nat++")))
        for _ in range(6):
            reached = moves.apply(moves.sample(rng))
            x = torch.empty(2, *network.input, device="cuda").to(memory_format=torch.channels_last)
            logits = shared(x, reached)
            assert logits.device.type == "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_real_cuda() -> None:
    network = darts(DARTS_V2)
    moves = Moves(network, find_rule("nat++"))
    shared = supernet(network).to("cuda").to(memory_format=torch.channels_last)
    fixed = build(network, auxiliary=True).to("cuda").to(memory_format=torch.channels_last)
    fixed.drop_path = 0.2
    x = torch.randn(4, *network.input, device="cuda").to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    with torch.autocast("cuda", torch.bfloat16):
        torch.stack([each.float().sum() for each in fixed(x)]).sum().backward()
    for _ in range(6):
        reached = moves.apply(moves.sample(rng))
        with torch.autocast("cuda", torch.bfloat16):
            logits = shared(x, reached)
        logits.float().sum().backward()
        assert all(p.grad is not None and p.grad.is_cuda for p in shared.active_parameters(reached))


def one_node(op: str, network: Network) -> Network:
    return network.with_ops([Op.parse(op), *network.ops[1:]])


def test_what_is_no_path_is_said() -> None:
    network = FAMILIES["darts_v2"]
    shared = supernet(network, "nat")
    x = torch.randn(2, *network.input)
    with pytest.raises(NATError, match="'dil_conv_3x3' on edge 0->2 of cell 'normal' is not a path"):
        shared(x, one_node("dil_conv_3x3", network))
    with pytest.raises(NATError, match="differ in their placements"):
        shared(x, darts(DARTS_V2, 8, 3))
    with pytest.raises(NATError, match="no operation leads from an input of cell 'normal'"):
        shared(x, network.with_ops([NULL] * len(network.ops)))
    cell = network.by_name["normal"]
    longer = replace(cell, nodes=(*cell.nodes, cell.nodes[0]), edges=(*cell.edges, Edge(2, 6, SKIP)), output=(6,))
    with pytest.raises(NATError, match="cell 'normal' has other nodes"):
        shared(x, network.with_cells([("normal", longer)]))
    with pytest.raises(NATError, match=r"outputs nodes \[0, 2, 3, 4, 5\]"):
        shared(x, network.with_cells([("normal", replace(cell, output=(0, *cell.output)))]))
    bench = FAMILIES["bench201"]
    inner = replace(bench.by_name["cell"], output=(2, 3))
    with pytest.raises(NATError, match=r"outputs nodes \[2, 3\], the supernet has \[3\]"):
        supernet(bench)(x, bench.with_cells([("cell", inner)]))


def reachable(network: Network, rule: str, rng: np.random.Generator, steps: int) -> Network:
    for _ in range(steps):
        moves = Moves(network, find_rule(rule))
        network = moves.apply(moves.sample(rng))
    return network


@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_move_paths_hold_every_sequence_of_moves(rule: str) -> None:
    network = FAMILIES["nones"]
    paths = move_paths([network], find_rule(rule))
    rng = np.random.default_rng(0)
    for _ in range(20):
        reached = reachable(network, rule, rng, 3)
        for name, cell in reached.cells:
            for edge, keep in zip(cell.edges, live(cell).edges, strict=True):
                assert not keep or OpPath(edge.source, edge.target, 0, edge.op) in paths[name]
    assert all(not path.op.is_null for each in paths.values() for path in each)
    one = {path.op for path in move_paths([FAMILIES["darts_v2"]], find_rule("nat"))["normal"] if path[:2] == (0, 2)}
    assert one == {Op.parse("sep_conv_3x3"), SKIP}


def test_wiring_paths_hold_what_the_format_can_say() -> None:
    network = FAMILIES["darts_v2"]
    paths = wiring_paths(network)["normal"]
    assert len(paths) == (2 + 3 + 4 + 5) * 2 * 7
    assert is_connected(network)
    levels = wiring_paths(mobile())["block"]
    assert OpPath(0, 2, 0, SKIP) in levels, "a factorized reduction; fixed edges keep their own ops"
    assert OpPath(2, 3, 0, Op.parse("conv_3x3")) in levels, "fixed edges are there too"
