"""Learning rates a step: `rates[i]` is the rate that step i uses, after i calls of the scheduler's `step`."""

import torch
from torch.optim import lr_scheduler

from .family import Family

METRICS = [1.0, 0.9, 0.85, 0.85, 0.86, 0.8499, 0.87, 0.9, 0.9, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76, 0.6, 0.6, 0.6]
PLATEAU = {
    "mode": "min", "factor": 0.1, "patience": 2, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0,
    "min_lr": 0.0, "eps": 1e-8,
}  # fmt: skip
ONE_CYCLE = {
    "max_lr": 0.1, "total_steps": 20, "pct_start": 0.3, "anneal_strategy": "cos", "div_factor": 25.0,
    "final_div_factor": 1e4, "three_phase": False,
}  # fmt: skip
CYCLIC = {
    "base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3, "step_size_down": 5, "mode": "triangular", "gamma": 1.0,
}  # fmt: skip


def sequential(optimizer, milestones):
    """A warm-up, a decay and restarts, one after the other."""
    parts = [
        lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 4),
        lr_scheduler.ExponentialLR(optimizer, 0.5),
        lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, 2, 0.01),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones)


# name: (op, scheduler, base rate, PyTorch's arguments, steps)
CASES = {
    "step": ("step_lr", lr_scheduler.StepLR, 0.1, {"step_size": 3, "gamma": 0.5}, 12),
    "step_each": ("step_lr", lr_scheduler.StepLR, 1.0, {"step_size": 1, "gamma": 0.1}, 6),
    "exponential": ("exponential_lr", lr_scheduler.ExponentialLR, 0.1, {"gamma": 0.9}, 12),
    "cosine": ("cosine_annealing_lr", lr_scheduler.CosineAnnealingLR, 0.1, {"T_max": 10, "eta_min": 0.0}, 11),
    "cosine_min": ("cosine_annealing_lr", lr_scheduler.CosineAnnealingLR, 0.1, {"T_max": 7, "eta_min": 0.01}, 8),
    "linear_warm_up": (
        "linear_lr", lr_scheduler.LinearLR, 0.1, {"start_factor": 0.1, "end_factor": 1.0, "total_iters": 5}, 10,
    ),
    "linear_decay": (
        "linear_lr", lr_scheduler.LinearLR, 0.1, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 8}, 10,
    ),
    "one_cycle": ("one_cycle_lr", lr_scheduler.OneCycleLR, 0.1, ONE_CYCLE, 20),
    "one_cycle_linear": ("one_cycle_lr", lr_scheduler.OneCycleLR, 0.1, ONE_CYCLE | {"anneal_strategy": "linear"}, 20),
    "one_cycle_three_phase": ("one_cycle_lr", lr_scheduler.OneCycleLR, 0.1, ONE_CYCLE | {"three_phase": True}, 20),
    "one_cycle_short": (
        "one_cycle_lr", lr_scheduler.OneCycleLR, 0.1,
        ONE_CYCLE | {"total_steps": 7, "pct_start": 0.5, "div_factor": 10.0, "final_div_factor": 100.0}, 7,
    ),
    "plateau": ("reduce_lr_on_plateau", lr_scheduler.ReduceLROnPlateau, 0.1, PLATEAU, len(METRICS)),
    "plateau_cooldown": (
        "reduce_lr_on_plateau", lr_scheduler.ReduceLROnPlateau, 0.1,
        PLATEAU | {"factor": 0.5, "patience": 1, "cooldown": 2, "min_lr": 0.02}, len(METRICS),
    ),
    "plateau_absolute": (
        "reduce_lr_on_plateau", lr_scheduler.ReduceLROnPlateau, 0.1,
        PLATEAU | {"patience": 0, "threshold": 0.04, "threshold_mode": "abs", "factor": 0.5}, len(METRICS),
    ),
    "plateau_max": (
        "reduce_lr_on_plateau", lr_scheduler.ReduceLROnPlateau, 0.1,
        PLATEAU | {"mode": "max", "patience": 3, "factor": 0.2}, len(METRICS),
    ),
    "one_cycle_three_phase_linear": (
        "one_cycle_lr", lr_scheduler.OneCycleLR, 0.1,
        ONE_CYCLE | {"total_steps": 13, "pct_start": 0.25, "three_phase": True, "anneal_strategy": "linear"}, 13,
    ),
    "plateau_absolute_max": (
        "reduce_lr_on_plateau", lr_scheduler.ReduceLROnPlateau, 0.1,
        PLATEAU | {"mode": "max", "patience": 1, "threshold": 0.05, "threshold_mode": "abs", "eps": 0.02}, len(METRICS),
    ),
    "multi_step": ("multi_step_lr", lr_scheduler.MultiStepLR, 0.1, {"milestones": [2, 5, 5, 9], "gamma": 0.5}, 12),
    "constant": ("constant_lr", lr_scheduler.ConstantLR, 0.1, {"factor": 0.25, "total_iters": 4}, 8),
    "polynomial": ("polynomial_lr", lr_scheduler.PolynomialLR, 0.1, {"total_iters": 6, "power": 2.0}, 9),
    "polynomial_line": ("polynomial_lr", lr_scheduler.PolynomialLR, 0.1, {"total_iters": 5, "power": 1.0}, 9),
    "cosine_restarts": (
        "cosine_annealing_warm_restarts", lr_scheduler.CosineAnnealingWarmRestarts, 0.1,
        {"T_0": 3, "T_mult": 2, "eta_min": 0.01}, 26,
    ),
    "cosine_restarts_equal": (
        "cosine_annealing_warm_restarts", lr_scheduler.CosineAnnealingWarmRestarts, 0.1,
        {"T_0": 4, "T_mult": 1, "eta_min": 0.0}, 13,
    ),
    "cyclic": ("cyclic_lr", lr_scheduler.CyclicLR, 0.1, CYCLIC, 17),
    "cyclic_halving": ("cyclic_lr", lr_scheduler.CyclicLR, 0.1, CYCLIC | {"mode": "triangular2"}, 23),
    "cyclic_exponential": (
        "cyclic_lr", lr_scheduler.CyclicLR, 0.1, CYCLIC | {"mode": "exp_range", "gamma": 0.9, "step_size_down": 3}, 17,
    ),
    "sequential": ("sequential_lr", sequential, 0.1, {"milestones": [5, 9]}, 22),
}  # fmt: skip


def build():
    family = Family("schedule")
    for name, (op, scheduler_class, base_rate, arguments, steps) in CASES.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base_rate)
        extra = {"cycle_momentum": False} if op in ("one_cycle_lr", "cyclic_lr") else {}
        scheduler = scheduler_class(optimizer, **arguments, **extra)
        with_metrics = op == "reduce_lr_on_plateau"
        rates = []
        for step in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            if step + 1 < steps:
                scheduler.step(*([METRICS[step]] if with_metrics else []))
        # After step i the scheduler sees metrics[i]; the last one has no rate after it.
        metrics = {"metrics": METRICS[: steps - 1]} if with_metrics else {}
        family.record(name, op, arguments, base_rate=base_rate, rates=rates, **metrics)
    return family
