"""Every experiment by name: what it asks, what it reads, which code its figures are of, where they are kept."""

from __future__ import annotations

import difflib

from benchmarks.common.experiment import Experiment as Experiment
from benchmarks.common.files import (
    CIFAR10,
    DARTS214,
    MACRO,
    MOBILENETV2,
    NB101,
    NB201,
    NB201_LATENCY,
    NB301,
    PICTURES,
    SUITE_ZERO,
    TRANSNAS,
)
from benchmarks.spaces import SPACES
from nat_plugin.errors import NATError

IR, POLICY, SEARCH = "nat_plugin/ir", "nat_plugin/policy", "nat_plugin/search"
EXECUTION, RUNS = "nat_plugin/execution", "nat_plugin/runs"
SHARED = ("nat_plugin/evaluators", "nat_plugin/nets", "nat_plugin/training")
TIMM = "adapters/nat_timm"
TABLES = (NB201, NB201_LATENCY, TRANSNAS, MACRO, NB101, NB301, DARTS214, SUITE_ZERO)
"""What the recipe ``train-general`` may read."""
TABLED = tuple(name for name, space in SPACES.items() if space.file in TABLES)
"""The spaces of these."""

EXPERIMENTS: dict[str, Experiment] = {
    "policy-nasbench201": Experiment(
        "policy.nasbench201",
        "What does a policy trained on NAS-Bench-201 gain on cells that it has not seen, without a query?",
        (IR, POLICY),
        (NB201,),
        "nasbench201_general",
        quick="--policy general --inputs 40",
        spaces=("NAS-Bench-201",),
        methods=("policy", "random", "hill_climb", "fixed rule"),
    ),
    "policy-budgets": Experiment(
        "policy.budgets",
        "What is gained on NAS-Bench-201 under limits on MACs and on measured latency?",
        (IR, POLICY, SEARCH),
        (NB201, NB201_LATENCY),
        quick="--inputs 12 --searched 1 --rules nat",
        spaces=("NAS-Bench-201",),
        methods=("policy", "random", "hill_climb", "greedy"),
    ),
    "policy-macro": Experiment(
        "policy.macro",
        "What is gained on the lean networks of NAS-Bench-Macro under limits on MACs?",
        (IR, POLICY, SEARCH),
        (MACRO,),
        quick="--policy general --inputs 60 --searched 1 --work SCRATCH/work",
        spaces=("NAS-Bench-Macro",),
        methods=("policy", "random", "hill_climb", "greedy"),
    ),
    "policy-learning": Experiment(
        "policy.learning",
        "What do a critic and the reuse of measurements add to what a policy learns?",
        (IR, POLICY, SEARCH),
        (NB201,),
        quick=(
            "--work SCRATCH/work --seeds 1 --rows 24 --proposals 128 --inputs 8 --set report=8 "
            '\'stages=[{"updates":2,"critic":{"members":1,"steps":4,"doubt_steps":2}}]\' policy.inputs=24 '
            "policy.batch=8"
        ),
        spaces=("NAS-Bench-201",),
        methods=("policy",),
    ),
    "policy-leave-one-out": Experiment(
        "policy.leave_one_out",
        "What does a policy gain on a task that its training never saw, without and with queries?",
        (IR, POLICY, SEARCH),
        TABLES,
        "leave_one_out",
        quick=(
            "--recipe DATA/made_up.yaml --leave one --policy general --rules nat --limits none --inputs "
            "2 --searched 1 --queries 0 1 --strategies random --work SCRATCH/work"
        ),
        stand_ins=("made_up.yaml",),
        spaces=TABLED,
        methods=("policy", "nat", "surrogate", "hill_climb", "evolution", "random"),
    ),
    "policy-critic-proxies": Experiment(
        "policy.critic_proxies",
        "What do training-free proxies add to a critic on tasks that it has not learned?",
        (IR, POLICY, "nat_plugin/evaluators/proxies"),
        TABLES,
        "critic_proxies",
        quick=(
            "--recipe DATA/made_up.yaml --leave one --networks 24 --steps 2 --members 1 --inputs 1 "
            "--kept SCRATCH/kept.jsonl"
        ),
        stand_ins=("made_up.yaml",),
        spaces=TABLED,
        methods=("policy", "proxies"),
    ),
    "search-few-queries": Experiment(
        "search.few_queries",
        "What does each strategy gain on single cells of NAS-Bench-201 with few queries?",
        (IR, POLICY, SEARCH),
        (NB201, NB201_LATENCY),
        quick="--inputs 1 --groups all --datasets CIFAR-10 --strategies surrogate --processes 1",
        spaces=("NAS-Bench-201",),
        methods=("nat", "surrogate", "hill_climb", "evolution", "greedy", "random"),
    ),
    "search-gains": Experiment(
        "search.gains",
        "What has each strategy gained after so many trials, from scratch?",
        (IR, SEARCH),
        (NB201,),
        "search_gains",
        quick="--places 1 --strategies random --processes 1",
        spaces=("NAS-Bench-201", "landscapes"),
        methods=("nat", "surrogate", "hill_climb", "evolution", "random"),
    ),
    "search-own-architecture": Experiment(
        "search.own_architecture",
        "What does each strategy find for one's own architecture with few measurements, and what is it worth?",
        (IR, POLICY, SEARCH, *SHARED),
        (CIFAR10,),
        "own_architecture",
        quick=(
            "quickstart --seeds 1 --trials 1 2 --strategies nat random --work SCRATCH/work --set "
            "'network={channels: 4, cells: 3}' final.schedule.epochs=1 evaluator.steps=2 "
            "evaluator.data.limit=200 'search={warmup: 2, rounds: 1, steps: 0}'"
        ),
        stand_ins=(),
        spaces=("DARTS", "NNI hub", "timm"),
        methods=("nat", "surrogate", "hill_climb", "evolution", "random"),
    ),
    "search-cifar10": Experiment(
        "search.cifar10",
        "What does the whole method gain on DARTS cells and real images, against random search?",
        (IR, POLICY, SEARCH, *SHARED),
        (CIFAR10,),
        quick=(
            "--seeds 1 --budgets 1.0 --jobs 1 --work SCRATCH/work --set 'network={channels: 4, cells: "
            "3}' --set final.schedule.epochs=1 --set 'search={warmup: 1, rounds: 1, proposals: 2, steps: "
            "0}' --set final.seeds=1"
        ),
        spaces=("DARTS",),
        methods=("nat", "random"),
    ),
    "proxies-ranks": Experiment(
        "proxies.ranks",
        "How do training-free proxies rank networks, and what is gained by choosing by them?",
        (IR, "nat_plugin/evaluators/proxies"),
        TABLES,
        "proxies",
        quick="--spaces macro --inputs 1 --networks 5",
        stand_ins=(MACRO,),
        spaces=TABLED,
        methods=("proxies",),
    ),
    "proxies-trained": Experiment(
        "proxies.trained",
        "Is what a search on proxies proposes better when it is trained?",
        (IR, SEARCH, "nat_plugin/evaluators/proxies"),
        (CIFAR10,),
        "proxies_trained",
        quick=(
            "--seeds 1 --random 1 --within 0.5 --work SCRATCH/work --search 'search={rounds: 1, "
            "proposals: 2}' evaluator.references=2 --set 'network={channels: 4, cells: 3}' final.schedule.epochs=1"
        ),
        spaces=("DARTS",),
        methods=("proxies", "random"),
    ),
    "supernet-nasbench201": Experiment(
        "supernet.nasbench201",
        "What does a policy gain that learns from shared weights alone, looked up in NAS-Bench-201?",
        (IR, POLICY, SEARCH, *SHARED),
        (NB201, CIFAR10),
        quick=(
            "--seeds 1 --work SCRATCH/work --steps 2 --channels 4 --cells 3 --resolution 8 --images 40 "
            "--pool 8 --updates 1 --policy-inputs 8 --inputs 1 --queries 1"
        ),
        spaces=("NAS-Bench-201",),
        methods=("supernet rewards", "policy", "fixed rule", "random", "hill_climb", "greedy"),
    ),
    "supernet-ablations": Experiment(
        "supernet.ablations",
        "What do the rewards of shared weights owe to how they are measured and trained?",
        (IR, *SHARED),
        (NB201, CIFAR10),
        quick=(
            "--seeds 1 --work SCRATCH/work --steps 2 --channels 4 --cells 3 --resolution 8 --images 40 "
            "--inputs 2 --reached 2 --steps-more 1"
        ),
        spaces=("NAS-Bench-201",),
        methods=("supernet rewards",),
    ),
    "nni-nasbench201": Experiment(
        "nni.nasbench201",
        "How many models does a search inside NNI need on NAS-Bench-201?",
        (IR, POLICY, "adapters/nat_nni"),
        (NB201,),
        quick="--inputs 1 --models 10 --datasets CIFAR-10 --groups all",
        tables="nni.nasbench201_tables",
        spaces=("NAS-Bench-201", "NNI hub"),
        methods=("nat", "hill_climb", "evolution", "random"),
    ),
    "nni-spaces": Experiment(
        "nni.spaces",
        "Do samples of every space of NNI's hub come back unchanged, with exact costs?",
        (IR, "adapters/nat_nni"),
        quick="--spaces NasBench201 --samples 1",
        spaces=("NNI hub",),
    ),
    "timm-coverage": Experiment(
        "timm.coverage",
        "Which convolutional models of the installed timm convert, with how many moves, how exactly?",
        (IR, TIMM),
        results="timm_coverage",
        quick="--out SCRATCH/coverage.json --names test_resnet",
        spaces=("timm",),
    ),
    "timm-faithful": Experiment(
        "timm.faithful",
        "Do moved models of timm cost what was said, and load through plain timm with equal outputs?",
        (IR, TIMM),
        results="timm_faithful",
        quick="--out SCRATCH/faithful.json --names test_resnet",
        spaces=("timm",),
    ),
    "timm-offers": Experiment(
        "timm.offers",
        "Does a moved model offer all that timm offers of the unmoved one?",
        (IR, TIMM),
        results="timm_offers",
        quick="--out SCRATCH/offers.json --names test_resnet --walks 1 --size 32",
        spaces=("timm",),
    ),
    "timm-fits": Experiment(
        "timm.fits",
        "What accuracy is left where blocks are replaced by fitted convolutions, without training?",
        (TIMM,),
        (MOBILENETV2, PICTURES),
        quick="--out SCRATCH/fits.json --fit 4 --test 4 --blocks 3.2 --cut-blocks",
        stand_ins=(MOBILENETV2, PICTURES),
        spaces=("timm",),
    ),
    "timm-advice": Experiment(
        "timm.advice",
        "How well does `nat advise` rank changes, against a short fine-tuning of each?",
        (TIMM, "nat_plugin/advising"),
        (MOBILENETV2, PICTURES),
        quick=(
            "--out SCRATCH/advice.json --model test_efficientnet --model-args {} --untrained --size 32 "
            "--changes 3 --advise 4 --tune 4 --test 4 --epochs 1 --batch 4"
        ),
        stand_ins=(PICTURES,),
        spaces=("timm",),
        methods=("advice",),
    ),
    "timm-compact": Experiment(
        "timm.compact",
        "What is left of a trained model's accuracy when it is made leaner and fine-tuned?",
        (IR, SEARCH, TIMM),
        (CIFAR10,),
        "timm_compact",
        quick=(
            "--out SCRATCH/out --model mnasnet_050 --budgets 0.8x --seeds 0 --epochs 1 --tuning 1 --warmup 1 "
            "--evaluations 8 --weights 64 --reward 16 --selection 16 --unused 16 --strategies random"
        ),
        spaces=("timm",),
        methods=("nat", "random", "greedy", "magnitude"),
    ),
    "timm-pretrained": Experiment(
        "timm.pretrained.experiment",
        "What is left of pretrained models by every method, peers included, at the same limits and pictures?",
        (IR, SEARCH, TIMM, "nat_plugin/advising"),
        (MOBILENETV2, PICTURES, CIFAR10),
        "timm_pretrained",
        quick="--out SCRATCH/out --models quick --splits 0 --tunings none --limits macs=0.8x --methods magnitude "
        "--batches 1 --evaluations 8 --measured 16 --candidates 1",
        spaces=("timm",),
        methods=("nat", "knapsack", "greedy", "random", "magnitude", "Torch-Pruning", "FastNAS"),
    ),
    "timm-deployed": Experiment(
        "timm.pretrained.deployed",
        "How much faster is a result in each way of deploying it?",
        (TIMM, "nat_plugin/measuring"),
        (MOBILENETV2, PICTURES, CIFAR10),
        "timm_deployed",
        quick="--out SCRATCH/out --models quick --splits 0 --tunings none --limits macs=0.8x --methods knapsack "
        "--batches 1 --evaluations 4 --measured 16 --candidates 1 "
        "--ways 'timm folder' 'ONNX, onnxruntime'",
        spaces=("timm",),
        methods=("nat", "knapsack", "greedy", "random", "magnitude", "Torch-Pruning", "FastNAS"),
    ),
    "speed-core": Experiment(
        "speed.core",
        "How long do the step of a supernet and the policy over many architectures take?",
        (IR, "nat_plugin/nets", POLICY),
        quick="--cells 2 --space 8 --channels 4 --layers 3 --batch 2 --within 9 --here --device cpu",
        spaces=("DARTS", "NAS-Bench-201"),
        methods=("policy",),
    ),
    "speed-policy": Experiment(
        "speed.policy",
        "How fast is the policy in one batch, against one architecture at a time?",
        (IR, POLICY),
        quick="--cells 2 --space 8 --here --device cpu",
        part_of="speed-core",
        spaces=("DARTS",),
        methods=("policy",),
    ),
    "speed-supernet": Experiment(
        "speed.supernet",
        "What does weight sharing cost in a training step?",
        (IR, "nat_plugin/nets"),
        quick="--channels 4 --cells 3 --batch 2 --within 9",
        part_of="speed-core",
        spaces=("DARTS",),
    ),
    "training-devices": Experiment(
        "training.devices",
        "Do two devices learn what one does, and can either go on where the other stopped?",
        ("nat_plugin/parallel", *SHARED, TIMM),
        quick="--steps 2",
        spaces=("DARTS", "timm"),
    ),
    "speed-search": Experiment(
        "speed.search",
        "How long does a proposal take after so many observations?",
        (IR, SEARCH),
        results="speed_search",
        quick="--observations 10 --proposals 2",
        spaces=("DARTS",),
        methods=("nat", "surrogate"),
    ),
    "scale": Experiment(
        "speed.scaling.experiment",
        "How well do several workers use their time, on each engine, and what does a task cost beside its work?",
        (EXECUTION, RUNS),
        results="scale",
        tables="speed.scaling.tables",
        quick="--engines local --workers 1 --tasks 3 --trainings 1 --queries 1 --lines 3 --pretended 1100",
        spaces=("NAS-Bench-201", "DARTS"),
        methods=("random",),
    ),
    "chaos": Experiment(
        "speed.chaos",
        "Do runs end as if nothing had been while their workers and the command itself are killed?",
        (EXECUTION, RUNS),
        results="chaos",
        quick="--engines local --runs 1 --proposals 1 --every 0.05",
        spaces=("DARTS",),
        methods=("random",),
    ),
}


def find_experiment(name: str) -> Experiment:
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, 1, 0.3)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NATError(f"'{name[:80]}' is no experiment{hint} `python -m benchmarks` lists them")
    return EXPERIMENTS[name]
