"""Scores of the policy: what they see, that batches do not mix, that all of it stays on one device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import ladder, random_darts, random_ladder
from torch._subclasses import FakeTensorMode

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, Op, find_rule
from nat_plugin.policy.graphs import CANDIDATE_HEADROOM, EDGE_HEADROOM, GRAPH_HEADROOM, Batch, build_batch, build_graph
from nat_plugin.policy.network import ENCODERS, Policy, PolicyConfig, new_policy
from nat_plugin.policy.reinforce import surrogate
from nat_plugin.policy.sampling import draw, gather_decisions, score_batch
from tests.networks import DARTS_OPS, genotype_network, networks, published

NAT = find_rule("nat")
CPU = torch.device("cpu")
VOCABULARY = ("null", "skip", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
              "dil_conv_5x5", "conv_1x1", "conv_3x3")  # fmt: skip


def batch_of(*found: Network, device: torch.device = CPU) -> Batch:
    return build_batch([build_graph(network, Moves(network, NAT)) for network in found], device)


def edge_states(policy: Policy, batch: Batch) -> torch.Tensor:
    """A score for each edge by itself: of the same op in every slot, so that only what is seen of the graph differs."""
    rows = torch.arange(len(batch.source))
    values = {**vars(batch), "row_edge": rows, "row_graph": batch.edge_graph, "row_op": torch.zeros_like(rows),
              "row_x": torch.zeros(len(rows), batch.row_x.shape[1])}  # fmt: skip
    return policy(Batch(**values))


def test_every_change_of_an_op_is_seen_by_its_own_edge_and_by_another() -> None:
    """The published code fails this: in a DARTS cell none of 104 changes alters any logit."""
    policy = new_policy(PolicyConfig(), 0, CPU).eval()
    for name in published():
        network = genotype_network(name)
        assert len(network.slots) == sum(len(cell.edges) for _, cell in network.cells)  # so a slot is a vertex
        changed, owners = [network], []
        for number, before in enumerate(network.ops):
            for op in DARTS_OPS:
                if op != before:
                    changed.append(network.with_ops([*network.ops[:number], op, *network.ops[number + 1 :]]))
                    owners.append(number)
        graphs = []
        for each in changed:
            moves = Moves(network, NAT)  # the same candidates for all: only what stands on the edges differs
            graphs.append(build_graph(each, moves))
        batch = build_batch(graphs)
        with torch.no_grad():
            scores = edge_states(policy, batch).view(len(changed), -1)
        seen = (scores[1:] - scores[0]).abs() > 1e-7
        assert seen[torch.arange(len(seen)), owners].all(), name
        assert (seen.sum(1) >= 2).all(), name


def test_the_scores_of_the_papers_encoder_do_not_see_their_own_op() -> None:
    """Kept on purpose for reproduction, and the reason why it is not the default."""
    policy = new_policy(PolicyConfig("paper", vocabulary=VOCABULARY), 0, CPU)
    one, other = ladder([3, 3, 3, 3, 3, 3]), ladder([3, 3, 3, 3, 3, 2])
    with torch.no_grad():
        scores = [policy(batch_of(each))[-3:] for each in (one, other)]
    assert torch.equal(scores[0][1:], scores[1][1:])  # skip and null on the edge that was changed


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_scores_of_a_batch_are_those_of_each_alone(encoder: str, device: torch.device) -> None:
    rng = np.random.default_rng(0)
    found = [make(rng) for make in (random_darts, random_ladder) for _ in range(5)]
    policy = new_policy(PolicyConfig(encoder, vocabulary=VOCABULARY), 0, device)
    together = score_batch(policy, batch_of(*found, device=device))
    for network, scores in zip(found, together, strict=True):
        [alone] = score_batch(policy, batch_of(network, device=device))
        assert alone == pytest.approx(scores, abs=1e-5)


@settings(max_examples=40)
@given(st.lists(networks(), min_size=1, max_size=4))
def test_any_networks_can_be_scored_together(found: list[Network]) -> None:
    kept = []
    for network in found:
        try:
            kept.append((network, Moves(network, find_rule("nat++"))))
        except NATError:
            continue
    assume(kept)
    policy = new_policy(PolicyConfig(hidden=8), 0, CPU)
    batch = build_batch([build_graph(*each) for each in kept])
    for scores, (_, moves) in zip(score_batch(policy, batch), kept, strict=True):
        assert scores.shape == (sum(map(len, moves.candidates)),)
        assert np.isfinite(scores).all()


def test_blind_has_the_same_parameters_and_does_not_see_wiring() -> None:
    shapes = [
        {name: value.shape for name, value in new_policy(PolicyConfig(encoder), 0, CPU).net.state_dict().items()}
        for encoder in ("graph", "blind")
    ]
    assert shapes[0] == shapes[1]
    policy = new_policy(PolicyConfig("blind"), 0, CPU)
    graphs = [build_graph(each, Moves(each, NAT)) for each in [random_darts(np.random.default_rng(1))]]
    batch = build_batch(graphs)
    other = Batch(**{**vars(batch), "source": batch.source.flip(0), "target": batch.target.flip(0)})
    assert torch.equal(policy(batch), policy(other))
    seeing = new_policy(PolicyConfig("graph"), 0, CPU)
    assert not torch.allclose(seeing(batch), seeing(other))


def test_the_room_is_seen_by_a_policy_that_is_told_of_it_and_by_no_other() -> None:
    network = random_darts(np.random.default_rng(1))
    moves = Moves(network, NAT, Budget.parse({"macs": "0.8x"}).resolve(network))
    batch = build_batch([build_graph(network, moves)])
    changed = {"row_x": CANDIDATE_HEADROOM, "edge_x": EDGE_HEADROOM, "graph_x": GRAPH_HEADROOM}
    for name, columns in changed.items():
        values = getattr(batch, name).clone()
        values[:, columns] += 0.5
        other = Batch(**{**vars(batch), name: values})
        told, not_told = (new_policy(PolicyConfig(headroom=headroom), 0, CPU) for headroom in (True, False))
        assert not torch.allclose(told(batch), told(other)), name
        assert torch.equal(not_told(batch), not_told(other)), name


def test_an_op_outside_the_vocabulary_of_the_papers_encoder_is_named() -> None:
    policy = new_policy(PolicyConfig("paper", vocabulary=("null", "skip")), 0, CPU)
    with pytest.raises(NATError, match="does not know the op 'conv_3x3'; it knows null, skip"):
        policy(batch_of(ladder([3, 3, 3, 3, 3, 3])))


def test_weights_come_from_the_seed_and_leave_the_global_generator_alone(device: torch.device) -> None:
    before = torch.get_rng_state()
    one, same, other = (new_policy(PolicyConfig(), seed, device) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    weights = [torch.cat([p.flatten() for p in each.parameters()]) for each in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("encoder", list(ENCODERS))
@pytest.mark.parametrize("kind", ["cuda", "meta"])
def test_nothing_leaves_the_device(encoder: str, kind: str) -> None:
    """On fake tensors, which raise where devices mix. The backward pass runs on ``meta`` only: the autograd engine
    asks for a real device of any other kind."""
    rng = np.random.default_rng(0)
    found = [random_darts(rng), random_ladder(rng)]
    moves = [Moves(network, NAT) for network in found]
    batch = build_batch([build_graph(each.network, each) for each in moves])
    scores = score_batch(new_policy(PolicyConfig(hidden=8), 0, CPU), batch)
    samples = [(n, draw(s, batch.sizes[n], moves[n], rng)[0]) for n, s in enumerate(scores)]
    decisions = gather_decisions(batch, samples, CPU)
    there = torch.device(kind)
    with FakeTensorMode() as mode:

        def moved(values: dict[str, object]) -> dict[str, object]:
            return {k: mode.from_tensor(v).to(there) if isinstance(v, torch.Tensor) else v for k, v in values.items()}

        with there:
            policy = Policy(PolicyConfig(encoder, hidden=8, vocabulary=VOCABULARY))
            values, old = torch.ones(2), torch.zeros(2)
        loss, _ = surrogate(
            policy(Batch(**moved(vars(batch)))), type(decisions)(**moved(vars(decisions))), values, old, 0.1, 0.2
        )
        assert loss.device.type == kind
        if kind == "meta":
            loss.backward()
            gradients = [p.grad for p in policy.parameters() if p.grad is not None]
            assert gradients
            assert all(gradient.device.type == kind for gradient in gradients)


def test_every_weight_of_the_default_takes_part() -> None:
    policy = new_policy(PolicyConfig(), 0, CPU)
    policy(batch_of(random_darts(np.random.default_rng(0)))).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in policy.parameters())


def test_unknown_encoder_is_refused() -> None:
    with pytest.raises(NATError, match="unknown encoder 'x'; allowed: graph, blind, paper"):
        Policy(PolicyConfig("x"))


def test_ops_never_seen_can_be_scored() -> None:
    network = ladder([3, 3, 3, 3, 3, 3])
    odd = network.with_ops([Op.parse("opaque:my.block:1000:5000"), *network.ops[1:]])
    assert torch.isfinite(new_policy(PolicyConfig(), 0, CPU)(batch_of(odd))).all()
