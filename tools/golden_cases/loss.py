"""Losses with their reductions, as torch.nn.functional defines them."""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family, f32, i32

REDUCTIONS = ("mean", "sum", "none")


def each_reduction(family, name, op, function, inputs, attributes=None, differentiable=None, reductions=REDUCTIONS):
    for reduction in reductions:
        family.case(
            f"{name}_{reduction}", op, lambda *x, reduction=reduction: function(*x, reduction=reduction), inputs,
            {**(attributes or {}), "reduction": reduction}, differentiable,
        )  # fmt: skip


def build():
    family = Family("loss")
    distances(family)
    binary_cross_entropies(family)
    classes(family)
    distributions(family)
    margins(family)
    return family


def distances(family):
    def pair(name, shape, scale=2):
        random = family.random(name)
        # Differences of 0.05 and more, clear of the kinks at 0; huber's deltas below are not near any of them.
        target = random.normal(size=shape)
        difference = random.uniform(0.05, scale, shape) * random.choice([-1, 1], shape)
        return [f32(target + difference), f32(target)]

    for label, shape in {"matrix": (4, 3), "rank_0": (), "rank_3": (2, 3, 2), "one": (1,)}.items():
        each_reduction(family, f"mse_{label}", "mse", F.mse_loss, pair(f"mse_{label}", shape))
        each_reduction(family, f"l1_{label}", "l1", F.l1_loss, pair(f"l1_{label}", shape))
        for delta in (1.0, 0.3):
            name = f"huber_{delta}_{label}"

            def huber(x, y, reduction, delta=delta):
                return F.huber_loss(x, y, reduction=reduction, delta=delta)

            each_reduction(family, name, "huber", huber, pair(name, shape), {"delta": delta})
    far = [f32([1e15, -1e15, 1e-15, 3]), f32([-1e15, 1e15, 2e-15, -2])]
    each_reduction(family, "mse_extremes", "mse", F.mse_loss, far)
    each_reduction(family, "l1_extremes", "l1", F.l1_loss, far)
    each_reduction(family, "huber_extremes", "huber", F.huber_loss, far, {"delta": 1.0})


def binary_cross_entropies(family):
    only_input = [True, False]
    for label, shape in {"line": (7,), "matrix": (4, 3), "one": (1,)}.items():
        random = family.random(f"binary_cross_entropy_{label}")
        probabilities, targets = f32(random.uniform(0.05, 0.95, shape)), f32(random.integers(0, 2, shape))
        each_reduction(
            family, f"binary_cross_entropy_{label}", "binary_cross_entropy", F.binary_cross_entropy,
            [probabilities, targets], differentiable=only_input,
        )  # fmt: skip
        each_reduction(
            family, f"binary_cross_entropy_with_logits_{label}", "binary_cross_entropy_with_logits",
            F.binary_cross_entropy_with_logits, [f32(random.normal(size=shape) * 3), targets],
            differentiable=only_input,
        )  # fmt: skip
    random = family.random("soft")
    soft = f32(random.uniform(0, 1, (3, 4)))
    each_reduction(
        family, "binary_cross_entropy_soft_targets", "binary_cross_entropy", F.binary_cross_entropy,
        [f32(random.uniform(0.05, 0.95, (3, 4))), soft], differentiable=only_input,
    )  # fmt: skip
    each_reduction(
        family, "binary_cross_entropy_with_logits_soft_targets", "binary_cross_entropy_with_logits",
        F.binary_cross_entropy_with_logits, [f32(random.normal(size=(3, 4))), soft], differentiable=only_input,
    )  # fmt: skip

    # Certain and right: neither loss nor gradient is NaN. Certain and wrong: the logarithm stops at -100; there the
    # gradient is an accident of PyTorch's formula, so only the value is given.
    right = [f32([0, 1, 0.5, 0.001, 0.999]), f32([0, 1, 1, 0, 1])]
    each_reduction(
        family, "binary_cross_entropy_certain", "binary_cross_entropy", F.binary_cross_entropy, right,
        differentiable=only_input,
    )  # fmt: skip
    wrong = [f32([1, 0, 0.5]), f32([0, 1, 1])]
    each_reduction(
        family, "binary_cross_entropy_clamped", "binary_cross_entropy", F.binary_cross_entropy, wrong,
        differentiable=[False, False],
    )  # fmt: skip
    logits = [-1e4, -100, -88, -20, -1e-4, 0, 1e-4, 20, 88, 100, 1e4]
    extremes = [f32(logits + logits), f32([0] * len(logits) + [1] * len(logits))]
    each_reduction(
        family, "binary_cross_entropy_with_logits_extremes", "binary_cross_entropy_with_logits",
        F.binary_cross_entropy_with_logits, extremes, differentiable=only_input,
    )  # fmt: skip

    def weighted(x, y, pos_weight, reduction):
        return F.binary_cross_entropy_with_logits(x, y, pos_weight=pos_weight, reduction=reduction)

    for label, shape, weights in [("scalar", (7,), 3.0), ("row", (4, 3), [0.5, 1.0, 4.0])]:
        random = family.random(f"pos_weight_{label}")
        inputs = [f32(random.normal(size=shape) * 3), f32(random.integers(0, 2, shape)), f32(weights)]
        each_reduction(
            family, f"binary_cross_entropy_with_logits_pos_weight_{label}", "binary_cross_entropy_with_logits",
            weighted, inputs, {"pos_weight": True}, [True, False, False],
        )  # fmt: skip


def classes(family):
    """cross_entropy on logits, nll on log-probabilities. Class weights are a third input; the class axis is 1."""

    def cross_entropy(x, y, weight=None, *, reduction, label_smoothing=0.0, ignore_index=-100):
        return F.cross_entropy(
            x, y.long(), weight, reduction=reduction, label_smoothing=label_smoothing, ignore_index=ignore_index
        )

    def nll(x, y, weight=None, *, reduction, ignore_index=-100):
        return F.nll_loss(x, y.long(), weight, reduction=reduction, ignore_index=ignore_index)

    def case(op, label, logits, targets, weights=None, **options):
        base = cross_entropy if op == "cross_entropy" else nll
        x = logits if op == "cross_entropy" else torch.log_softmax(torch.from_numpy(logits), 1).numpy()
        inputs = [x, targets] + ([] if weights is None else [weights])
        attributes = ({} if weights is None else {"class_weights": True}) | options
        each_reduction(
            family, f"{op}_{label}", op, lambda *x, reduction: base(*x, reduction=reduction, **options), inputs,
            attributes, [True] + [False] * (len(inputs) - 1),
        )  # fmt: skip

    weights = f32([0.5, 2.0, 1.0, 0.0, 3.0])
    for op in ("cross_entropy", "nll"):
        random = family.random(op)
        logits, targets = f32(random.normal(size=(7, 5)) * 2), i32([0, 4, 1, 2, 2, 3, 4])
        ignored = i32([0, -100, 1, 2, -100, 3, 4])
        case(op, "plain", logits, targets)
        case(op, "one_row", logits[:1], targets[:1])
        case(op, "one_class", logits[:3, :1], i32([0, 0, 0]))
        case(op, "many_classes", f32(random.normal(size=(3, 519))), i32([0, 518, 257]))
        case(op, "class_weights", logits, targets, weights)
        case(op, "ignored", logits, ignored, ignore_index=-100)
        case(op, "ignored_class", logits, targets, ignore_index=2)
        case(op, "class_weights_ignored", logits, ignored, weights, ignore_index=-100)
        case(op, "spatial", f32(random.normal(size=(2, 3, 4))), i32(random.integers(0, 3, (2, 4))))
    logits = f32(family.random("smoothing").normal(size=(7, 5)) * 2)
    targets, ignored = i32([0, 4, 1, 2, 2, 3, 4]), i32([0, -100, 1, 2, -100, 3, 4])
    case("cross_entropy", "smoothing", logits, targets, label_smoothing=0.1)
    case("cross_entropy", "smoothing_class_weights", logits, targets, weights, label_smoothing=0.2)
    case("cross_entropy", "smoothing_ignored", logits, ignored, label_smoothing=0.1, ignore_index=-100)
    case(
        "cross_entropy", "smoothing_class_weights_ignored", logits, ignored, weights, label_smoothing=0.1,
        ignore_index=-100,
    )  # fmt: skip
    extreme = f32([[1000, -1000, 0], [-1000, -999, -1001], [100, 88, -88], [0, 0, 0], [1e30, 1, 0]])
    case("cross_entropy", "extremes", extreme, i32([0, 2, 1, 2, 0]))
    case("cross_entropy", "extremes_wrong", extreme[:4], i32([1, 0, 2, 1]))


def distributions(family):
    def softmax(values):
        powers = np.exp(values - values.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    reductions = (*REDUCTIONS, "batchmean")
    for label, shape in {"matrix": (4, 5), "rank_3": (2, 3, 4), "one": (1, 1)}.items():
        random = family.random(f"kl_div_{label}")
        inputs = [f32(np.log(softmax(random.normal(size=shape)))), f32(softmax(random.normal(size=shape)))]
        each_reduction(family, f"kl_div_{label}", "kl_div", F.kl_div, inputs, None, [True, True], reductions)
    random = family.random("kl_div_zeros")
    target = softmax(random.normal(size=(3, 4)))
    target[0, 1] = target[2, 3] = 0
    target[1] = [0, 1, 0, 0]
    inputs = [f32(np.log(softmax(random.normal(size=(3, 4)) * 3))), f32(target / target.sum(-1, keepdims=True))]
    each_reduction(family, "kl_div_zeros", "kl_div", F.kl_div, inputs, None, [True, False], reductions)

    def of_logs(x, y, reduction):
        return F.kl_div(x, y, reduction=reduction, log_target=True)

    random = family.random("kl_div_log_target")
    inputs = [f32(np.log(softmax(random.normal(size=(4, 5)) * scale))) for scale in (1, 3)]
    each_reduction(
        family, "kl_div_log_target", "kl_div", of_logs, inputs, {"log_target": True}, [True, True], reductions
    )


def margins(family):
    def hinge(x, t, reduction):
        values = torch.clamp(1 - t * x, min=0)
        return {"mean": values.mean, "sum": values.sum, "none": lambda: values}[reduction]()

    for label, shape in {"line": (9,), "matrix": (4, 3), "one": (1,)}.items():
        random = family.random(f"hinge_{label}")
        # Margins t * x on both sides of 1, none within 0.05 of it.
        margin = 1 + random.uniform(0.05, 2.5, shape) * random.choice([-1, 1], shape)
        target = random.choice([-1, 1], shape)
        each_reduction(
            family, f"hinge_{label}", "hinge", hinge, [f32(margin * target), f32(target)], None, [True, False]
        )

    def negative_sampling(x, _, reduction):
        values = -F.logsigmoid(x[:, 0]) - F.logsigmoid(-x[:, 1:]).sum(1)
        return {"mean": values.mean, "sum": values.sum, "none": lambda: values}[reduction]()

    for label, shape in {"pairs": (5, 6), "without_negatives": (4, 1), "one": (1, 3)}.items():
        x = f32(3 * family.random(f"negative_sampling_{label}").normal(size=shape))
        each_reduction(
            family, f"negative_sampling_{label}", "negative_sampling", negative_sampling, [x, f32(np.zeros(1))], None,
            [True, False],
        )  # fmt: skip

    for label, shape, margin in [("plain", (6, 5), 0.0), ("margin", (6, 5), 0.4), ("one_row", (1, 3), 0.2)]:
        random = family.random(f"cosine_embedding_{label}")
        x = random.normal(size=shape)
        # Rows from nearly alike to unlike, so that both branches of the margin occur.
        y = x * np.linspace(2, -1, shape[0])[:, None] + random.normal(size=shape)
        target = np.where(np.arange(shape[0]) % 2 == 0, 1, -1)

        def cosine(x, y, t, reduction, margin=margin):
            return F.cosine_embedding_loss(x, y, t, margin=margin, reduction=reduction)

        each_reduction(
            family, f"cosine_embedding_{label}", "cosine_embedding", cosine, [f32(x), f32(y), f32(target)],
            {"margin": margin}, [True, True, False],
        )  # fmt: skip
