"""The policy: a score for every candidate op of every editable edge, in one pass over a batch of graphs.

``graph`` is the default. ``blind`` has the same parameters with the messages turned off (an ablation: what does wiring
tell?). ``paper`` is the two-layer graph convolution of NAT, for reproduction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.policy.describe import WIDTH
from nat_plugin.policy.geometric import gcn_conv, sage_conv, scatter
from nat_plugin.policy.graphs import (
    CANDIDATE_HEADROOM,
    CANDIDATE_WIDTH,
    EDGE_HEADROOM,
    EDGE_WIDTH,
    GRAPH_HEADROOM,
    GRAPH_WIDTH,
    NODE_WIDTH,
    Batch,
)

Tensor = torch.Tensor

RANKS = 8
"""Edges into one node that the paper's encoder tells apart; later ones share the last place."""


@dataclass(frozen=True)
class PolicyConfig:
    """Sizes of a policy. ``vocabulary`` (texts of ops) is needed by the encoder of the paper, and only there.
    ``headroom``: whether it is told what candidates take of what a budget leaves."""

    encoder: str = "graph"
    hidden: int = 64
    rounds: int = 3
    vocabulary: tuple[str, ...] = ()
    headroom: bool = True

    def as_json(self) -> dict[str, Any]:
        """As files have it, where ``headroom`` is called ``room``."""
        named = {"room" if name == "headroom" else name: value for name, value in asdict(self).items()}
        return {**named, "vocabulary": list(self.vocabulary)}


def _mlp(wide: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(wide, hidden), nn.SiLU(), nn.Linear(hidden, hidden))


class _Round(nn.Module):
    """One exchange of messages: nodes hear the edges that enter and that leave, then edges the nodes at their two ends.
    Four relations, each a graph layer of its own, and self-connections; residual, with layer norm."""

    def __init__(self, hidden: int) -> None:
        super().__init__()

        self.from_source, self.from_target = sage_conv(hidden), sage_conv(hidden)
        self.from_entering, self.from_leaving = sage_conv(hidden), sage_conv(hidden)
        self.edge_own, self.node_own = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.edge_out, self.node_out = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.edge_norm, self.node_norm = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

    def forward(self, nodes: Tensor, edges: Tensor, links: _Links) -> tuple[Tensor, Tensor]:
        """(N, H), (E, H) to the same."""
        heard = self.node_own(nodes)
        heard = heard + self.from_entering((links.sources(edges, nodes), nodes), links.entering)
        heard = heard + self.from_leaving((links.sources(edges, nodes), nodes), links.leaving)
        nodes = self.node_norm(nodes + self.node_out(nn.functional.silu(heard)))
        heard = self.edge_own(edges)
        heard = heard + self.from_source((links.sources(nodes, edges), edges), links.to_source)
        heard = heard + self.from_target((links.sources(nodes, edges), edges), links.to_target)
        return nodes, self.edge_norm(edges + self.edge_out(nn.functional.silu(heard)))


class _Links:
    """The four relations as index pairs (2, E); with ``blind`` every vertex hears itself instead."""

    def __init__(self, batch: Batch, blind: bool) -> None:
        self._blind = blind
        each = torch.arange(len(batch.source), device=batch.source.device)
        if blind:
            own = torch.arange(len(batch.node_x), device=batch.source.device)
            self.to_source = self.to_target = torch.stack([each, each])
            self.entering = self.leaving = torch.stack([own, own])
        else:
            self.to_source = torch.stack([batch.source, each])
            self.to_target = torch.stack([batch.target, each])
            self.entering = torch.stack([each, batch.target])
            self.leaving = torch.stack([each, batch.source])

    def sources(self, others: Tensor, own: Tensor) -> Tensor:
        return own if self._blind else others


def _width(columns: slice) -> int:
    return int(columns.stop - columns.start)


def _without(x: Tensor, columns: slice) -> Tensor:
    return torch.cat([x[:, : columns.start], x[:, columns.stop :]], 1)


class GraphEncoder(nn.Module):
    """Messages over nodes and edges. What policies and critics have in common."""

    blind = False

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.config = config
        self.op = _mlp(WIDTH, hidden)
        self.op_norm = nn.LayerNorm(hidden)
        graph = GRAPH_WIDTH - (0 if config.headroom else _width(GRAPH_HEADROOM))
        self.node = nn.Linear(NODE_WIDTH + graph, hidden)
        self.edge = nn.Linear(EDGE_WIDTH - (0 if config.headroom else _width(EDGE_HEADROOM)) + graph, hidden)
        self.edge_op = nn.Linear(hidden, hidden, bias=False)
        self.rounds = nn.ModuleList(_Round(hidden) for _ in range(config.rounds))
        self.summary = _mlp(hidden, hidden)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Ops (U, H), edges (E, H), and a summary of each graph (G, H)."""
        ops = self.op_norm(self.op(batch.op_x))
        graph_x, edge_x = batch.graph_x, batch.edge_x
        if not self.config.headroom:
            graph_x, edge_x = _without(graph_x, GRAPH_HEADROOM), _without(edge_x, EDGE_HEADROOM)
        nodes = self.node(torch.cat([batch.node_x, graph_x[batch.node_graph]], 1))
        edges = self.edge(torch.cat([edge_x, graph_x[batch.edge_graph]], 1))
        edges = edges + self.edge_op(ops)[batch.edge_op]
        links = _Links(batch, self.blind)
        for layer in self.rounds:
            nodes, edges = layer(nodes, edges, links)
        return ops, edges, self.summary(scatter(edges, batch.edge_graph, 0, len(batch.graph_x), "mean"))


class GraphPolicy(GraphEncoder):
    """An encoder and a scorer of (edge, candidate op) pairs, which also sees the summary of the graph."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.from_edge, self.from_graph = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden, bias=False)
        self.from_op = nn.Linear(hidden, hidden, bias=False)
        self.from_row = nn.Linear(CANDIDATE_WIDTH - (0 if config.headroom else _width(CANDIDATE_HEADROOM)), hidden)
        last = nn.Linear(hidden, 1)
        self.score = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)
        with torch.no_grad():  # nearly uniform at first, so that nothing is ruled out before anything was measured
            last.weight.mul_(0.1)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of all candidate rows, (R,): logits within each slot."""
        ops, edges, whole = self.encode(batch)
        rows = self.from_edge(edges)[batch.row_edge] + self.from_graph(whole)[batch.row_graph]
        row_x = batch.row_x if self.config.headroom else _without(batch.row_x, CANDIDATE_HEADROOM)
        rows = rows + self.from_op(ops)[batch.row_op] + self.from_row(row_x)
        scores: Tensor = self.score(rows).squeeze(1)
        return scores


class BlindPolicy(GraphPolicy):
    """``GraphPolicy`` without messages: an edge knows its own op and place and the mean of the graph."""

    blind = True


class PaperPolicy(nn.Module):
    """Z = A s(A X W0) W1 W_fc (NAT, section 4.2): X has per node the sum of learned embeddings of the ops on its
    in-edges, A is the directed adjacency of the wiring without self-connections, s is ReLU.

    The logits of an edge are read at its target: one set over the whole vocabulary for each place among the edges into
    that node (of ``RANKS``), of which the legal candidates are taken. As published, a logit does not depend on the op
    of its own edge. Neither costs nor the budget are seen.
    """

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        if not config.vocabulary:
            raise NATError("the encoder 'paper' needs a vocabulary of ops")
        self.config = config
        self._numbers = {text: number for number, text in enumerate(config.vocabulary)}
        self.embedding = nn.Embedding(len(config.vocabulary), config.hidden)
        self.first = gcn_conv(config.hidden, config.hidden)
        self.second = gcn_conv(config.hidden, config.hidden)
        self.last = nn.Linear(config.hidden, RANKS * len(config.vocabulary))

    def forward(self, batch: Batch) -> Tensor:
        """Scores of all candidate rows, (R,). NATError for an op that is not in the vocabulary."""
        texts = [str(op) for op in batch.ops]
        unknown = [text for text in texts if text not in self._numbers]
        if unknown:
            raise NATError(
                f"the policy (encoder 'paper') does not know the op '{unknown[0][:80]}'; it knows "
                f"{', '.join(self.config.vocabulary)}"
            )
        numbers = torch.tensor([self._numbers[text] for text in texts], dtype=torch.int64).to(batch.op_x.device)
        embedded = self.embedding(numbers)[batch.edge_op]
        nodes = scatter(embedded, batch.target, 0, len(batch.node_x), "sum")
        links = torch.stack([batch.source, batch.target])
        nodes = self.last(self.second(torch.relu(self.first(nodes, links)), links))
        logits = nodes.view(len(batch.node_x), RANKS, len(self._numbers))
        edge = batch.row_edge
        found: Tensor = logits[batch.target[edge], batch.rank[edge].clamp(max=RANKS - 1), numbers[batch.row_op]]
        return found


ENCODERS: dict[str, type[nn.Module]] = {"graph": GraphPolicy, "blind": BlindPolicy, "paper": PaperPolicy}


class Policy(nn.Module):
    """A policy of any encoder, made from its configuration."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        if config.encoder not in ENCODERS:
            raise NATError(f"unknown encoder '{config.encoder[:40]}'; allowed: {', '.join(ENCODERS)}")
        self.config = config
        self.net = ENCODERS[config.encoder](config)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of all candidate rows, (R,): logits within each slot."""
        scores: Tensor = self.net(batch)
        return scores

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


def new_policy(config: PolicyConfig, seed: int, device: torch.device) -> Policy:
    """A policy with weights drawn from ``seed``, the same on every device; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = Policy(config)
    return policy.to(device)
