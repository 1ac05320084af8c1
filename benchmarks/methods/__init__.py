"""Ways to choose a network that experiments compare, by name; and the code that several of them share."""

METHODS = {
    "policy": "what a policy proposes by itself, without a measurement",
    "nat": "strategy `nat`: a policy and a surrogate model in turns, with a trained policy as prior or without",
    "surrogate": "strategy `surrogate`: Bayesian optimisation by a Gaussian process",
    "hill_climb": "strategy `hill_climb`: the first better neighbour, then anew",
    "evolution": "strategy `evolution`: regularised evolution",
    "greedy": "strategy `greedy`: the best single replacement, then the next",
    "knapsack": "strategy `knapsack`: single changes added up under the limit",
    "random": "strategy `random`: uniform among what is allowed",
    "fixed rule": "one replacement for each operation, made from the table",
    "supernet rewards": "a policy that learns from shared weights alone",
    "proxies": "scores without training",
    "advice": "`nat advise`: what each change does to the output",
    "magnitude": "without the blocks whose weights are smallest",
    "Torch-Pruning": "structured pruning, L1 and Taylor",
    "FastNAS": "search over widths by NVIDIA's Model Optimizer",
}
