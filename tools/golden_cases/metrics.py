"""Metrics as scikit-learn computes them. The inputs are lists in the JSON file itself; `labels` is 0..classes.

A quotient without a denominator counts as 0 (`zero_division=0`).
"""

import warnings

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.exceptions import UndefinedMetricWarning

from .family import Family

AVERAGES = ("macro", "micro", "weighted")


def build():
    family = Family("metrics", sklearn=sklearn.__version__, numpy=np.__version__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", message="A single label was found")
        classification(family)
        top_k(family)
        roc_auc(family)
    regression(family)
    return family


def classification(family):
    random = family.random("classes")
    draws = {
        "binary": (2, random.integers(0, 2, 20), random.integers(0, 2, 20)),
        "four_classes": (4, random.integers(0, 4, 40), random.integers(0, 4, 40)),
        "perfect": (3, np.arange(9) % 3, np.arange(9) % 3),
        "all_wrong": (3, np.arange(9) % 3, (np.arange(9) + 1) % 3),
        "never_predicted": (4, random.integers(0, 4, 30), random.integers(0, 3, 30)),
        "never_true": (4, random.integers(0, 3, 30), random.integers(0, 4, 30)),
        "absent_class": (5, random.integers(0, 3, 20), random.integers(0, 3, 20)),
        "one_class_predicted": (3, random.integers(0, 3, 15), np.zeros(15, dtype=int)),
        "one_example": (3, np.array([1]), np.array([2])),
    }
    for label, (classes, truth, predicted) in draws.items():
        inputs = {"truth": truth.tolist(), "predicted": predicted.tolist()}
        labels = list(range(classes))

        def case(op, expected, attributes=None, label=label, inputs=inputs, classes=classes):
            suffix = "".join(f"_{value}" for value in (attributes or {}).values())
            family.record(
                f"{op}_{label}{suffix}", op, {"classes": classes} | (attributes or {}), inputs=inputs, expected=expected
            )

        case("accuracy", float(metrics.accuracy_score(truth, predicted)))
        case("confusion_matrix", metrics.confusion_matrix(truth, predicted, labels=labels).tolist())
        for op, score in {
            "precision": metrics.precision_score,
            "recall": metrics.recall_score,
            "f1": metrics.f1_score,
        }.items():
            options = {"labels": labels, "zero_division": 0}
            for average in AVERAGES:
                case(op, float(score(truth, predicted, average=average, **options)), {"average": average})
            each = score(truth, predicted, average=None, **options).tolist()
            case(op, each, {"average": "per_class"})


def top_k(family):
    random = family.random("top_k")
    for label, examples, classes in [("small", 8, 4), ("wide", 12, 10), ("two_classes", 6, 2)]:
        # Distinct scores in a row: the rank of a tie is nobody's contract.
        scores = np.stack([random.permutation(classes) for _ in range(examples)]) / 8.0
        truth = random.integers(0, classes, examples)
        for k in (1, 2, 3, classes):
            if k > classes or (label == "two_classes" and k == 3) or f"top_k_{label}_{k}" in family.names:
                continue
            hits = (np.argsort(-scores, axis=1)[:, :k] == truth[:, None]).any(axis=1).mean()
            if 2 < classes and k < classes:
                want = metrics.top_k_accuracy_score(truth, scores, k=k, labels=range(classes))
                if want != hits:
                    raise ValueError(f"top_k_{label}_{k} is not scikit-learn's")
            family.record(
                f"top_k_{label}_{k}", "top_k", {"k": k, "classes": classes},
                inputs={"truth": truth.tolist(), "scores": scores.tolist()}, expected=float(hits),
            )  # fmt: skip


def roc_auc(family):
    random = family.random("roc_auc")
    truth = random.integers(0, 2, 30)
    for label, y, scores in [
        ("random", truth, np.round(random.random(30), 6)),
        ("informed", truth, np.round(0.4 * truth + random.random(30), 6)),
        ("ties", truth, random.integers(0, 4, 30) / 4),
        ("all_tied", truth, np.full(30, 0.5)),
        ("perfect", np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.9])),
        ("inverted", np.array([0, 0, 1, 1]), np.array([0.9, 0.7, 0.2, 0.1])),
        ("negative_scores", np.array([0, 1, 0, 1, 1]), np.array([-3.5, -1.25, -1.25, 2.0, -4.0])),
        ("two_examples", np.array([1, 0]), np.array([0.75, 0.25])),
        ("one_class_only", np.array([1, 1, 1]), np.array([0.2, 0.4, 0.6])),
    ]:
        scores = scores.astype(np.float32)
        # With one class the area is undefined: null.
        expected = float(metrics.roc_auc_score(y, scores)) if len(set(y.tolist())) == 2 else None
        family.record(
            f"roc_auc_{label}", "roc_auc", {}, inputs={"truth": y.tolist(), "scores": shortest(scores)},
            expected=expected,
        )  # fmt: skip


def regression(family):
    random = family.random("regression")
    truth = random.normal(size=15).astype(np.float32)
    for label, y, predicted in [
        ("random", truth, random.normal(size=15)),
        ("close", truth, truth + 0.1 * random.normal(size=15)),
        ("perfect", truth, truth),
        ("two_examples", np.array([1.0, 3.0]), np.array([1.5, 2.0])),
        ("far_from_zero", 1000 + truth, 1000.5 + truth),
        ("constant_truth", np.full(4, 2.0), np.array([1.0, 2.0, 3.0, 4.0])),
        ("constant_and_right", np.full(4, 2.0), np.full(4, 2.0)),
        ("several_outputs", truth.reshape(5, 3), truth.reshape(5, 3) + 0.3 * random.normal(size=(5, 3))),
    ]:
        y, predicted = y.astype(np.float32), np.asarray(predicted, dtype=np.float32)
        wide = y.astype(np.float64), predicted.astype(np.float64)
        inputs = {"truth": shortest(y), "predicted": shortest(predicted)}
        for op, score in {
            "mse": metrics.mean_squared_error,
            "mae": metrics.mean_absolute_error,
            "r2": metrics.r2_score,
        }.items():
            family.record(f"{op}_{label}", op, {}, inputs=inputs, expected=float(score(*wide)))


def shortest(values):
    """f32 values as nested lists of the shortest decimals that read back as the same f32."""
    if values.ndim > 1:
        return [shortest(row) for row in values]
    return [float(str(value)) for value in values]
