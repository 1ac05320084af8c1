"""Figures of the answers, by the tables of the pages that they are read off."""

from __future__ import annotations

from benchmarks.answers import At, Beside, Figure, Percent, Said, Total

NO_QUERY, QUERIES, SUMMARY = "leave-one-out-no-query", "leave-one-out-queries", "leave-one-out-summary"
HOME, SUPERNET, COMPACT = "home-gains", "supernet-gains", "timm_compact-mnasnet_050"
PEERS, ADVICE, PROXIES = "timm_pretrained-mobilenetv2_100", "timm_advice", "proxies-trained"
GOOD, BEST = "CIFAR-10, ≥ 90", "CIFAR-10, ≥ 93"
LEARNED = {"class_object", "jigsaw", "autoencoder"}
"""Tasks left out whose space was learned."""
WHOLE = "nasbench201, its whole space"
MACS, LATENCY = "macs=0.8x, no training", "latency=0.8x@1, no training"
FINAL, ALONE = (
    "**policy on supernet rewards, then input and 3 candidates trained**",
    "**policy on supernet rewards alone**",
)
AGAINST = "against `nat`, p"
OTHERS = {"Torch-Pruning Taylor", "Torch-Pruning L1", "FastNAS"}
SHIPPED = {"policies": "policy-nasbench201"}
LEFT_OUT = {"tasks left out": "policy-leave-one-out"}
COVERAGE = {"coverage": "timm-coverage"}
OTHER_TOOLS = {"other tools": "timm-pretrained"}


def with_interval(name: str, at: At, first: int = 1) -> dict[str, Figure]:
    """A figure and the ends of its interval, which stand in the same cell from number ``first`` on."""
    return {name: at, f"{name}_low": Beside(at, first), f"{name}_high": Beside(at, first + 1)}


def lost(gains: list[float]) -> float:
    (gain,) = gains
    return -gain


def least_behind(differences: list[float]) -> float:
    return -max(differences)


GAIN: dict[str, Figure] = {
    "all": At(HOME, ("no query",), "CIFAR-10, all"),
    "all_share": At(HOME, ("no query",), "CIFAR-10, all", 1),
    "good": At(HOME, ("no query",), GOOD),
    "good_share": At(HOME, ("no query",), GOOD, 1),
    "best": At(HOME, ("no query",), BEST),
    "best_share": At(HOME, ("no query",), BEST, 1),
}
SHARES: dict[str, Figure] = {
    name: figure
    for group in ("all", "good")
    for end, of in (("least", min), ("most", max))
    for name, figure in with_interval(
        f"{group}_{end}", At(NO_QUERY, (LEARNED, "nat", group), "of the best gain", of=of)
    ).items()
}
AHEAD = "`nat` with the policy ahead of the best without"
PLACES = {
    name: At(SUMMARY, (), column, block=1, of=sum)
    for name, column in (("ahead", AHEAD), ("level", "level"), ("behind", "behind"))
}
EVERY_PLACE: dict[str, Figure] = {**PLACES, "places": Total(list(PLACES.values()))}
NOT_BEHIND = Total([PLACES["ahead"], PLACES["level"]])
AFTER_THREE: dict[str, Figure] = {
    "three": At(QUERIES, (WHOLE, "nat", "all"), "Q = 3"),
    **with_interval("three_ahead", At(QUERIES, (WHOLE, "nat", "all"), "Q = 3", 2), 3),
}
STAYS: dict[str, Figure] = {
    name: At(NO_QUERY, ({WHOLE, "macro"},), "kept", of=of) for name, of in (("least_kept", min), ("most_kept", max))
} | with_interval("most", At(NO_QUERY, ({WHOLE, "macro"},), "gain", of=max))
TRUST: dict[str, Figure] = {
    f"{task}_{name}": At(NO_QUERY, (task, "nat", "all"), name) for task in LEARNED for name in ("said", "better")
}
TRAINED: dict[str, Figure] = {
    "share": Percent(At(SUPERNET, (FINAL,), "≥ 90"), At(SUPERNET, ("best by validation",), "≥ 90")),
    "trained": At(SUPERNET, (FINAL,), "≥ 90"),
    "trained_half": At(SUPERNET, (FINAL,), "≥ 90", 1),
    "reachable": At(SUPERNET, ("best by validation",), "≥ 90"),
}
ALONE_BEST: dict[str, Figure] = {
    "alone": At(SUPERNET, (ALONE,), "≥ 93"),
    "alone_half": At(SUPERNET, (ALONE,), "≥ 93", 1),
}
LEANER: dict[str, Figure] = {
    f"{name}{share[2]}": At(COMPACT, (f"{share} nat",), column, number)
    for share in ("0.8x", "0.6x")
    for name, column, number in (
        ("less", "against the input", 0),
        ("half", "against the input", 1),
        ("macs", "MACs", 0),
    )
}
READ: dict[str, Figure] = {
    "names": Said("timm_coverage", r"^(\d+) of"),
    "exact": Said("timm_coverage", r"unmoved and moved: (\d+)"),
    "reach": At("timm_coverage", ("macs, widths and moves",), "0.6x"),
}
TOOLS: dict[str, Figure] = {
    "original": At(PEERS, ("–", "original"), "top-1"),
    "macs": At(PEERS, (MACS, "**nat**"), "top-1"),
    "latency": At(PEERS, (LATENCY, "**nat**"), "top-1"),
    "splits": At(PEERS, (MACS, "**nat**"), "splits"),
    "fastnas_splits": At(PEERS, (MACS, "FastNAS"), "splits"),
    "knapsack": At(PEERS, (MACS, "knapsack"), AGAINST),
    "knapsack_p": At(PEERS, (MACS, "knapsack"), AGAINST, 1),
    "macs_behind": At(PEERS, (MACS, OTHERS), AGAINST, of=least_behind),
    "macs_p": At(PEERS, (MACS, OTHERS), AGAINST, 1, of=max),
    "latency_behind": At(PEERS, (LATENCY, OTHERS), AGAINST, of=least_behind),
    "latency_p": At(PEERS, (LATENCY, OTHERS), AGAINST, 1, of=max),
}
OVER: dict[str, Figure] = {
    name: Total([At(place, (), column, of=sum) for place in ("budgets-nat", "budgets-nat++")])
    for name, column in (("over", "over"), ("results", "inputs (nothing fits)"))
}
LEARNING: dict[str, Figure] = {
    f"{name}{part}": At("policies-learning", (row,), GOOD, number)
    for name, row in (
        ("critic", "what a critic predicts"),
        ("reused", "the same, five times, with clipped importance weights"),
        ("once", "what was measured, every batch used once"),
    )
    for number, part in enumerate(("", "_half"))
}
SCRATCH: dict[str, Figure] = {
    f"{strategy}_{space}{part}": At("search-gains", (f"{strategy}, after",), f"{panel}: 120", number)
    for strategy in ("nat", "surrogate")
    for space, panel in (("made_up", "landscapes"), ("cells", "NAS-Bench-201"))
    for number, part in enumerate(("", "_half"))
}
OWN: dict[str, Figure] = {
    f"{name}{part}": figure
    for name, place, row, queries, of in (
        ("ahead", "own-mobilenetv2-digits", ("evolution",), 40, None),
        ("level", "own-mobilenetv2-digits", ("evolution",), 120, None),
        ("digits", "own-quickstart", (), 40, max),
    )
    for at in [At(place, row, f"`nat` ahead, points, {queries}", of=of)]
    for part, figure in (("", at), ("_half", Beside(at, 1)))
}
IMAGES: dict[str, Figure] = {
    f"{name}{part}": At("supernet-measurements", (row,), "rank correlation, 90 to 93", number)
    for name, row in (
        ("same", "all networks on the same 250 images"),
        ("other", "each on 250 images of its own"),
        ("centred", "300 further steps on what the input can become"),
    )
    for number, part in enumerate(("", "_half"))
}
MOVED: dict[str, Figure] = {
    "moved": Said("timm_faithful", r"moved networks \| (\d+)"),
    "equal": Said("timm_faithful", r"with equal outputs \| (\d+)"),
    "checks": At("timm_offers", (), "unmoved models that pass", of=sum),
    "passed": At("timm_offers", (), "of these moved that pass", of=sum),
}
DEPLOYED: dict[str, Figure] = {
    name: figure
    for end, of in (("least", min), ("most", max))
    for name, figure in with_interval(end, At("timm_deployed", ("nat", "", "1"), "result, of that", of=of)).items()
}
FITTED: dict[str, Figure] = {
    "best": At("timm_fits", (), "3x3", of=max),
    "worst": At("timm_fits", (), "3x3", of=min),
}
PROPOSAL: dict[str, Figure] = {
    f"{strategy}_{count}": At("speed-search", (f"{strategy}, after",), observations)
    for strategy in ("nat", "surrogate")
    for count, observations in (("few", "50"), ("many", "5,000"))
}
