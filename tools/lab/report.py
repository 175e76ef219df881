"""Tables of results, and comparisons of two runs."""

import collections

# Kernels that a table shows one by one, in this order. Others are counted, unless something is wrong with them.
FAMILIES = ["matmul", "convolution", "lstm", "gru", "rnn", "recurr", "attention", "rows"]
SMALL = ("matmul_sum",)
HEADINGS = ["kernel", "target", "forms", "registers", "spills", "scratch", "occupancy", "FMA %", "inner %", "int *", "int /", "loads"]
# What a comparison looks at: a figure, how it is called, whether more is better, and what is noise.
COMPARED = [
    ("spills", "spills", False, 0),
    ("fills", "fills", False, 0),
    ("scratch", "scratch", False, 0),
    ("occupancy", "occupancy", True, 0),
    ("share", "FMA %", True, 0.4),
    ("multiplications", "int *", False, 0),
    ("divisions", "int /", False, 0),
    ("loop_instructions", "instructions", False, 2),
    ("registers", "registers", False, 7),
]


def family(name):
    if name.startswith(SMALL):
        return len(FAMILIES)
    return next((number for number, prefix in enumerate(FAMILIES) if name.startswith(prefix)), len(FAMILIES))


def table(results, markdown=False, show_all=False):
    """A row for each kernel and target. Kernels of one name whose code differs are one row, with the worst of their figures."""
    rows, others = [], collections.defaultdict(list)
    for place, result in enumerate(results):
        named = collections.defaultdict(list)
        for figures in result["kernels"].values():
            named[figures["kernel"]].append(figures)
        for name, forms in named.items():
            is_wrong = any(figures["spills"] or figures["scratch"] or figures["divisions"] for figures in forms)
            if show_all or family(name) < len(FAMILIES) or is_wrong and forms[0]["has_loop"]:
                rows.append(((family(name), name, place), row(name, result["target"], forms)))
            else:
                others[result["target"]] += forms
    lines = lay_out([HEADINGS, *(cells for _, cells in sorted(rows, key=lambda found: found[0]))], markdown)
    for target, forms in others.items():
        waves = [figures["occupancy"] for figures in forms if figures["occupancy"] is not None]
        occupancy = f", occupancy from {min(waves)}" if waves else ""
        spilling = sum(bool(figures["spills"] or figures["scratch"]) for figures in forms)
        lines.append(f"{target}: {len(forms)} other kernels, {spilling or 'none'} with spills or scratch{occupancy}")
        if markdown:
            lines[-1] = ("\n" if len(lines) and lines[-2].startswith("|") else "") + f"- {lines[-1]}"
    return "\n".join(lines)


def start_up(results, markdown=False):
    """A row for each case and a column for each target: the seconds in which the driver compiled the case's kernels, and their number."""
    cells, totals = collections.defaultdict(dict), {}
    for result in results:
        cases = collections.defaultdict(list)
        for use in result["uses"]:
            if use.get("seconds") is not None:
                cases[use["case"]].append(use["seconds"])
        for case, times in cases.items():
            cells[case][result["target"]] = f"{sum(times):.2f} s, {len(times)}"
        if cases:
            totals[result["target"]] = f"{sum(map(sum, cases.values())):.2f} s, {sum(map(len, cases.values()))}"
    if not totals:
        return ""
    rows = [[case, *(cells[case].get(target, "-") for target in totals)] for case in sorted(cells)]
    return "\n".join(lay_out([["driver's seconds, kernels", *totals], *rows, ["all", *totals.values()]], markdown))


def seconds_of(result):
    """The driver's seconds for all kernels of each case, by case; nothing of runs that did not measure them."""
    cases = collections.Counter()
    for use in result["uses"]:
        cases[use["case"]] += use.get("seconds") or 0
    return cases


def row(name, target, forms):
    worst = min(forms, key=lambda figures: figures["share"])
    most = {key: most_of(forms, key) for key in ("registers", "scratch", "multiplications", "divisions", "all_divisions")}
    waves = [figures["occupancy"] for figures in forms if figures["occupancy"] is not None]
    occupancy = str(min(waves)) if waves else f"simd{min(figures['subgroup'] for figures in forms)}"
    divisions = f"{most['divisions']} of {most['all_divisions']}" if most["all_divisions"] else "0"
    loads = " ".join(f"{count}x{width}" for width, count in worst["loads"].items()) or "-"
    shares = [span(figures[key] for figures in forms) for key in ("share", "inner_share")]
    if any(figures["matrix"] for figures in forms):
        shares[0] += " matrix"
    scratch = "?" if most["scratch"] is None else str(most["scratch"])
    registers, multiplications = str(most["registers"]), str(most["multiplications"])
    return [name, target, str(len(forms)), registers, spills(forms), scratch, occupancy, *shares, multiplications, divisions, loads]


def spills(forms):
    stored, loaded = most_of(forms, "spills"), most_of(forms, "fills")
    return f"{stored} +{loaded}" if loaded else str(stored)


def most_of(forms, key):
    return max((figures[key] for figures in forms if figures.get(key) is not None), default=None)


def span(values):
    values = sorted(round(value) for value in values)
    return f"{values[0]}" if values[0] == values[-1] else f"{values[0]}-{values[-1]}"


def wide(results, markdown=False):
    """A row for each kernel and a column for each target: multiply-adds of the tile loop and of the innermost, occupancy, spills."""
    cells = collections.defaultdict(dict)
    for result in results:
        named = collections.defaultdict(list)
        for figures in result["kernels"].values():
            if family(figures["kernel"]) < len(FAMILIES):
                named[figures["kernel"]].append(figures)
        for name, forms in named.items():
            waves = [figures["occupancy"] for figures in forms if figures["occupancy"] is not None]
            shares = (span(figures[key] for figures in forms) for key in ("share", "inner_share"))
            text = "/".join(dict.fromkeys(shares)) + " %"
            text += f", {min(waves)} w" if waves else f", simd{min(figures['subgroup'] for figures in forms)}"
            if most_of(forms, "spills"):
                text += f", {most_of(forms, 'spills')} spills"
            elif most_of(forms, "scratch"):
                text += f", {most_of(forms, 'scratch')} B"
            cells[name][result["target"]] = text
    targets = [result["target"] for result in results]
    names = sorted(cells, key=lambda name: (family(name), name))
    rows = [[name, *(cells[name].get(target, "-") for target in targets)] for name in names]
    return "\n".join(lay_out([["kernel", *targets], *rows], markdown))


def comparison(old, new):
    """Kernels whose code has changed, with what is better and what is worse."""
    before = {result["target"]: result for result in old}
    lines, verdicts = [], collections.Counter()
    for result in new:
        target = result["target"]
        if target not in before:
            lines.append(f"{target}: not in the baseline")
            continue
        codes = {(use["case"], use["kernel"], use["number"]): use["code"] for use in before[target]["uses"]}
        now = {(use["case"], use["kernel"], use["number"]): use["code"] for use in result["uses"]}
        pairs = {(codes[key], code): key for key, code in now.items() if key in codes and codes[key] != code}
        seen = set()
        for (was, code), (case, kernel, _) in sorted(pairs.items(), key=lambda found: (family(found[1][1]), found[1][1], found[1][0])):
            verdict, changes = judge(before[target]["kernels"][was], result["kernels"][code])
            verdicts[verdict] += 1
            if verdict != "same" and (line := f"{verdict:6} {target:9} {kernel:34} {', '.join(changes)}") not in seen:
                seen.add(line)
                lines.append(f"{line}  ({case})")
        old_names, new_names = ({use["kernel"] for use in side["uses"]} for side in (before[target], result))
        was, is_now = seconds_of(before[target]), seconds_of(result)
        both = [case for case in is_now if was.get(case) and is_now[case]]
        if both:
            lines.append(f"driver {target:9} {sum(was[case] for case in both):.2f} s -> {sum(is_now[case] for case in both):.2f} s")
        for sign, names in (("gone", old_names - new_names), ("new", new_names - old_names)):
            lines += [f"{sign:6} {target:9} {name}" for name in sorted(names)]
    total = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return "\n".join([*lines, f"changed kernels: {total or 'none'}"])


def judge(was, now):
    good, bad, changes = False, False, []
    for key, called, more_is_better, noise in COMPARED:
        before, after = was.get(key), now.get(key)
        if before is None or after is None or abs(after - before) <= noise:
            continue
        is_better = (after > before) == more_is_better
        # Registers alone say nothing: what they cost is occupancy and spills.
        if key not in ("registers", "loop_instructions"):
            good, bad = good or is_better, bad or not is_better
        changes.append(f"{called} {before} -> {after}")
    return {(True, True): "mixed", (True, False): "better", (False, True): "worse", (False, False): "same"}[good, bad], changes


def lay_out(rows, markdown):
    if markdown:
        lines = ["| " + " | ".join(cells) + " |" for cells in rows]
        return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in rows]
