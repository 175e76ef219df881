"""Counts of terms and TF-IDF as scikit-learn computes them. Texts, options, terms and values are lists in the JSON file itself.

`rows[i]` has the columns of text i that are not 0, ascending, and their values; `unseen` are rows of texts that were not fitted.
"""

import warnings

import numpy as np
import sklearn
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from .family import Family

CORPUS = (
    "The movie was a great, great movie!",
    "a dull movie; the plot was dull, so dull",
    "Great actors and a great plot",
    "",
    "It's not bad, it isn't good: it_is 2 x 100%",
    "! ?",
    "the plot of THE movie",
)
# What words are in other scripts, and what lower case is there: vowel signs, combining accents, final sigma, dotted I, ligatures.
UNICODE = (
    "Ça va, garçon? Cafe\u0301 café CAFÉ naïve",
    "ΟΔΥΣΣΕΥΣ Οδυσσεύς ΣΑΣ",
    "İstanbul ISTANBUL ıssız",
    "Straße STRASSE ẞa ﬁne ﬂ",
    "हिन्दी में किताबें",
    "Привет, МИР! Ёлка",
    "你好 世界 日本語テキスト 한국어",
    "مرحبا بالعالم ١٢٣",
    "x² ½½ ⅧⅨ Ⓐⓑ 🙂🙂 a\u200bb snake_case __ _a",
    "𝒜𝒷𝒸 𐐀𐐁 ǅǆ",
)
UNSEEN = ("A great unknown movie, the great", "nothing known", "", "plot plot MOVIE plot")
# Frequencies of 4, 3, 2, 2, 2, 1, 1: which of those with 2 and with 1 are taken is decided by their names.
TIES = ("ff ee dd aa", "ff ee dd bb", "ff ee cc bb", "ff cc gg")

COUNTS = {
    "default": {},
    "case": {"lowercase": False},
    "binary": {"binary": True},
    "bigrams": {"ngram_range": (2, 2)},
    "one_to_three": {"ngram_range": (1, 3)},
    "two_to_nine": {"ngram_range": (2, 9)},
    "min_df_count": {"min_df": 2},
    "min_df_share": {"min_df": 2 / 7},
    "max_df_count": {"max_df": 2},
    "max_df_share": {"max_df": 0.4},
    "max_df_one": {"max_df": 1},
    "both": {"min_df": 2, "max_df": 0.5},
    "features": {"max_features": 5},
    "features_pruned": {"max_features": 3, "max_df": 2, "ngram_range": (1, 2)},
    "features_binary": {"max_features": 4, "binary": True},
}
WEIGHTS = {
    "default": {},
    "l1": {"norm": "l1"},
    "none": {"norm": None},
    "no_idf": {"use_idf": False},
    "not_smooth": {"smooth_idf": False},
    "not_smooth_none": {"smooth_idf": False, "norm": None},
    "sublinear": {"sublinear_tf": True},
    "sublinear_l1": {"sublinear_tf": True, "norm": "l1"},
    "sublinear_no_idf": {"sublinear_tf": True, "use_idf": False, "norm": None},
    "all": {
        "ngram_range": (1, 2), "min_df": 2, "max_df": 0.6, "max_features": 6, "sublinear_tf": True, "smooth_idf": False,
        "norm": "l1",
    },
    "binary": {"binary": True, "ngram_range": (1, 2)},
}  # fmt: skip


def build():
    family = Family("text", sklearn=sklearn.__version__, numpy=np.__version__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, options in COUNTS.items():
            record(family, f"counts_{name}", CountVectorizer, CORPUS, options)
        for name, options in WEIGHTS.items():
            record(family, f"weights_{name}", TfidfVectorizer, CORPUS, options)
        record(family, "counts_unicode", CountVectorizer, UNICODE, {})
        record(family, "counts_unicode_case", CountVectorizer, UNICODE, {"lowercase": False})
        record(family, "weights_unicode", TfidfVectorizer, UNICODE, {"ngram_range": (1, 2)})
        for limit in range(1, 8):
            record(family, f"counts_ties_{limit}", CountVectorizer, TIES, {"max_features": limit})
    for name, texts, options in (
        ("nothing", ("", "a", "!"), {}),
        ("pruned", CORPUS, {"min_df": 6}),
        ("bounds", CORPUS, {"min_df": 0.9, "max_df": 2}),
    ):
        try:
            CountVectorizer(**options).fit(texts)
        except ValueError as error:
            family.record(f"error_{name}", "error", attributes(options), texts=texts, expected=str(error))
        else:
            raise ValueError(f"error_{name} is none")
    return family


def attributes(options):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def record(family, name, vectorizer, texts, options):
    fitted = vectorizer(**options)
    rows = fitted.fit_transform(texts)
    terms = fitted.get_feature_names_out().tolist()
    check_ties(name, texts, options, terms)
    fields = {"texts": texts, "terms": terms, "rows": listed(rows), "unseen": listed(fitted.transform(UNSEEN))}
    if vectorizer is TfidfVectorizer and options.get("use_idf", True):
        fields["idf"] = fitted.idf_.tolist()
    family.record(name, name.split("_")[0], attributes(options), **fields)


def check_ties(name, texts, options, terms):
    """NumPy's default sort is not stable on every machine: which of equally frequent terms are taken must not depend on it."""
    limit = options.get("max_features")
    if limit is None:
        return
    fitted = CountVectorizer(**{key: value for key, value in options.items() if key in COUNTS_OPTIONS})
    totals = fitted.fit_transform(texts).sum(axis=0)
    order = np.argsort(-np.asarray(totals).ravel(), kind="stable")[:limit]
    if sorted(fitted.get_feature_names_out()[order]) != terms:
        raise ValueError(f"{name}: terms of equal frequency are not taken in alphabetical order here")


COUNTS_OPTIONS = ("lowercase", "binary", "ngram_range", "min_df", "max_df")


def listed(rows):
    rows.sort_indices()
    return [
        [rows.indices[start:end].tolist(), rows.data[start:end].tolist()]
        for start, end in zip(rows.indptr, rows.indptr[1:], strict=False)
    ]
