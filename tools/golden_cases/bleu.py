"""BLEU as sacrebleu computes it. Texts and scores are lists and numbers in the JSON file itself."""

import sacrebleu
from sacrebleu.metrics import BLEU

from .family import Family

TRANSLATIONS = (
    "The dog bit the man.",
    "It wasn't surprising.",
    "The man had just bitten him.",
)
REFERENCES = (
    ("The dog bit the man.", "It was not unexpected.", "The man bit him first."),
    ("The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."),
)
# Marks, numbers, entities, other scripts, spaces of other kinds.
AWKWARD = (
    "Prices rose by 3,000.5 dollars, i.e. 20-30% (in 1999-2000); \"well-known\" & others...",
    "  &quot;A &lt;b&gt; &amp;amp; C&quot;\t—  naïve café, 3.14,15 .5 5. -5 5- a-b  ",
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    "你好,世界。Привет, мир!",
    "it's John's 'quote' and/or [this] {that} ~x^y_z`w @home #1 $5 *bold* +1 = 2 | \\",
    "end of line-\nnext line\nanother",
)
AWKWARD_REFERENCES = (
    "Prices rose by 3,000.5 dollars, that is 20-30% (in 1999-2000); \"well known\" and others ...",
    "\"A <b> & C\" - naive café, 3.14,15 .5 5. -5 5- a-b",
    "Ein Mann mit orangefarbenem Hut, der etwas anstarrt.",
    "你好,世界。Привет, Мир!",
    "it's John's 'quote' and / or [this] {that} ~x^y_z`w @home #1 $5 *bold* +1 = 3 | \\",
    "end of linenext line another",
)
SETS = {
    "two_references": (TRANSLATIONS, REFERENCES),
    "one_reference": (TRANSLATIONS, REFERENCES[:1]),
    "awkward": (AWKWARD, (AWKWARD_REFERENCES,)),
    "perfect": (REFERENCES[0], REFERENCES[:1]),
    "case": (("THE DOG BIT the man.",), (("The dog bit the man.",),)),
    "no_match": (("completely different words here",), (("The dog bit the man.",),)),
    "one_word_fits": (("dog one two three four",), (("The dog bit the man.",),)),
    "empty_translation": (("", "The dog bit the man."), (("Nobody came.", "The dog bit the man."),)),
    "all_empty": (("", ""), (("Nobody came.", "a b c d"),)),
    "empty_reference": (("a b c d e", "f g h i j"), (("", "f g h i j"),)),
    "shorter_than_four": (("the dog",), (("the dog",),)),
    "longer": (("the dog bit the man and the man bit the dog again and again",), (("the dog bit the man",),)),
    "repeated": (("the the the the the the the",), (("the cat is on the mat", ), ("there is a cat on the mat",))),
    "nearest_length": (("a b c d e f",), (("a b c d",), ("a b c d e f g h",), ("a b c",))),
}
SMOOTHING = {"exp": [None], "none": [None], "floor": [0.1, 0.01], "add-k": [1.0, 0.5]}


def build():
    family = Family("bleu", sacrebleu=sacrebleu.__version__)
    for name, (translations, references) in SETS.items():
        for lowercase in (False, True):
            for method, values in SMOOTHING.items():
                for value in values:
                    if method != "exp" and lowercase:
                        continue
                    attributes = {"lowercase": lowercase, "smoothing": method, "value": value}
                    inputs = {"translations": list(translations), "references": [list(own) for own in references]}
                    metric = BLEU(lowercase=lowercase, smooth_method=method, smooth_value=value, force=True)
                    found = metric.corpus_score(list(translations), [list(own) for own in references])
                    suffix = f"_{method}" + (f"_{value}" if value else "") + ("_lowercase" if lowercase else "")
                    family.record(f"{name}{suffix}", "corpus", attributes, inputs=inputs, expected=expected(found))
    metric = BLEU(effective_order=True)
    for name, (translations, references) in SETS.items():
        own = [set[0] for set in references]
        inputs = {"translations": [translations[0]], "references": [[reference] for reference in own]}
        found = metric.sentence_score(translations[0], own)
        attributes = {"lowercase": False, "smoothing": "exp", "value": None}
        family.record(f"{name}_sentence", "sentence", attributes, inputs=inputs, expected=expected(found))
    return family


def expected(found):
    return {
        "score": found.score,
        "precisions": found.precisions,
        "brevity_penalty": found.bp,
        "length": found.sys_len,
        "reference_length": found.ref_len,
    }
