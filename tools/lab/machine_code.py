"""What a kernel's tile loop is made of, for the assembly that each of Mesa's drivers prints.

An assembly is parsed into a list of instructions of a few kinds. Loops are branches backward. The *tile loop* is the outermost loop with
most of the multiply-adds in it; an inner loop with a constant number of turns counts that many times. Code without a loop counts whole.
"""

import collections
import dataclasses
import math
import re

# Kinds of instructions. VECTOR is other arithmetic on vectors; OTHER is control, memory, and what is computed once for all lanes.
FMA, MATRIX, MULTIPLY, VECTOR, LOAD, SHARED, OTHER = "fma", "matrix", "multiply", "vector", "load", "shared", "other"
ARITHMETIC = {FMA, MATRIX, MULTIPLY, VECTOR}
# Where no bound of an inner loop is found, or it is more than this, its instructions count once.
MOST_TURNS = 256


@dataclasses.dataclass
class Instruction:
    operation: str
    writes: str = ""
    reads: tuple = ()
    kind: str = OTHER
    times: int = 1
    width: int = 0  # of a load, in bytes a lane
    target: str = ""  # of a branch
    falls: bool = True  # whether the next instruction may follow


@dataclasses.dataclass
class Code:
    instructions: list
    labels: dict  # a label's name, and the number of the instruction that it stands before


@dataclasses.dataclass(frozen=True)
class Kind:
    """How to read one kind of assembly, and the driver's names of its statistics."""

    parse: object
    convert: str  # operations that make a float of an integer
    reciprocal: str
    compare: str
    add: str
    move: str
    figures: object
    divide: str = "never"  # an instruction that is a division by itself


def analyse(kind, assembly, inner_turns=lambda multiply_adds: []):
    """Figures of the tile loop, or of the whole code where there is no loop. Where the code does not say how often the innermost loop with most
    multiply-adds and those around it are run, `inner_turns` does, from inside out, by its multiply-adds."""
    code = kind.parse(assembly)
    instructions = code.instructions
    divisions = set(integer_divisions(kind, instructions))
    loops = loops_of(code)
    once = [instruction.times for instruction in instructions]
    weights = list(once)
    within = [loop for loop in loops if any(loop < other for other in loops)]
    innermost = [loop for loop in within if not any(other < loop for other in within)]

    def multiply_adds(loop, factors):
        return sum(factors[number] for number in loop if instructions[number].kind in (FMA, MATRIX))

    most = max(innermost, key=lambda loop: multiply_adds(loop, once), default=frozenset())
    around = sorted((loop for loop in within if most <= loop), key=len)
    known = dict(zip(around, inner_turns(multiply_adds(most, once)) if multiply_adds(most, once) else []))
    for loop in within:
        turns = turns_of(kind, instructions, loop)
        if turns == 1:
            turns = known.get(loop, 1)
        for number in loop:
            weights[number] *= turns

    outer = [loop for loop in loops if not any(loop < other for other in loops)]
    tile = max(outer, key=lambda loop: (multiply_adds(loop, weights), len(loop)), default=frozenset(range(len(instructions))))
    inner = [loop for loop in loops if loop <= tile and not any(other < loop and multiply_adds(other, once) for other in loops)]
    hottest = max(inner, key=lambda loop: multiply_adds(loop, once), default=tile)
    counts, loads, shared = collections.Counter(), collections.Counter(), collections.Counter()
    for number in tile:
        instruction = instructions[number]
        counts[instruction.kind] += weights[number]
        if instruction.kind in (LOAD, SHARED):
            (loads if instruction.kind == LOAD else shared)[instruction.width] += weights[number]
    return {
        "has_loop": bool(loops),
        "instructions": len(instructions),
        "loop_instructions": sum(weights[number] for number in tile),
        "fma": counts[FMA],
        "matrix": counts[MATRIX],
        "share": share(instructions, weights, tile),
        "inner_share": share(instructions, once, hottest),
        "multiplications": counts[MULTIPLY],
        "divisions": sum(weights[number] for number in divisions & tile),
        "all_divisions": len(divisions),
        "loads": {str(width): count for width, count in sorted(loads.items())},
        "shared_loads": {str(width): count for width, count in sorted(shared.items())},
    }


def share(instructions, weights, loop):
    """Multiply-adds, in per cent of the arithmetic."""
    counts = collections.Counter()
    for number in loop:
        counts[instructions[number].kind] += weights[number]
    return round(100 * (counts[FMA] + counts[MATRIX]) / max(1, sum(counts[kind] for kind in ARITHMETIC)), 1)


def loops_of(code):
    """The natural loops: what reaches a branch backward without passing the instruction that it goes to.

    They are no ranges of the code: compilers put what follows a loop between its parts.
    """
    before, backward = collections.defaultdict(list), collections.defaultdict(list)
    for number, instruction in enumerate(code.instructions):
        if instruction.falls:
            before[number + 1].append(number)
        target = code.labels.get(instruction.target)
        if target is not None:
            before[target].append(number)
            if target <= number:
                backward[target].append(number)
    loops = []
    for head, ends in sorted(backward.items()):
        loop, waiting = {head}, list(ends)
        while waiting:
            number = waiting.pop()
            if number not in loop:
                loop.add(number)
                waiting += before[number]
        loops.append(frozenset(loop))
    return loops


def turns_of(kind, instructions, loop):
    """How often a loop is run whose counter is compared with a constant; 1 where that is not to be seen."""
    body = [instructions[number] for number in sorted(loop)]
    for compared in body:
        if not re.match(kind.compare, compared.operation) or len(compared.reads) < 2:
            continue
        register, bound = compared.reads[0], number_of(compared.reads[1])
        adds = [one for one in body if one.writes == register]
        if bound is None or len(adds) != 1 or not re.match(kind.add, adds[0].operation):
            continue
        steps = [number for number in map(number_of, adds[0].reads) if number]
        before = next((one for one in reversed(instructions[: min(loop)]) if one.writes == register), None)
        start = number_of(before.reads[0]) if before and before.reads and re.match(kind.move, before.operation) else None
        if len(steps) == 1 and start is not None and 1 <= (turns := math.ceil((bound - start) / steps[0])) <= MOST_TURNS:
            return turns
    return 1


def number_of(text):
    """The integer that an operand is, if it is one."""
    match = re.fullmatch(r"(-?(?:0x[0-9a-f]+|\d+))[UDWB]*", text)
    if match:
        return int(match[1], 0) if match[1].lstrip("-") in ("0", "00") or not re.match(r"-?0\d", match[1]) else None
    return 0 if text == "rZ" else None


def integer_divisions(kind, instructions):
    """Numbers of the reciprocals of converted integers: each is one division or remainder that the driver has expanded."""
    writers = {}
    for number, instruction in enumerate(instructions):
        if re.match(kind.divide, instruction.operation):
            yield number
        elif re.match(kind.reciprocal, instruction.operation) and instruction.reads:
            if re.match(kind.convert, writers.get(instruction.reads[0], "")):
                yield number
        if instruction.writes:
            writers[instruction.writes] = instruction.operation


# ---- AMD: RADV's ACO ----

AMD_FMA = re.compile(
    r"v_(dual_)?(pk_)?(fma|fmac|mac|mad|madak|madmk|fmaak|fmamk|dot\d\w*?|dot2acc)(_legacy)?_b?f(16|32|64)|v_(fma|mad)_mix"
)
AMD_LOAD = re.compile(
    r"(buffer|global|flat|scratch|ds)_(load|read)(2(?:st64)?)?_(?:format_)?"
    r"(?:b(\d+)|dword(?:x(\d))?|([us])?(byte|short|i8|u8|i16|u16))"
)


def parse_amd(text):
    code = Code([], {})
    for line in text.splitlines():
        line = line.split(";")[0].strip()
        if label := re.match(r"(BB\d+):", line):
            code.labels[label[1]] = len(code.instructions)
        elif re.match(r"[a-z]\w+( |$)", line):
            # Two instructions may be issued as one.
            code.instructions += [amd_instruction(part.strip()) for part in line.split(" :: ")]
    return code


def amd_instruction(text):
    operation, _, rest = text.partition(" ")
    operands = [operand.strip() for operand in rest.split(",")] if rest else []
    if operation.startswith(("s_branch", "s_cbranch")):
        return Instruction(operation, target=operands[0], falls=operation != "s_branch")
    if operation.startswith("s_cmp"):
        return Instruction(operation, reads=tuple(operands))
    kind, width = OTHER, 0
    if load := AMD_LOAD.match(operation):
        bits, words, name = load[4], load[5], load[7]
        width = int(bits) // 8 if bits else 1 if name and ("byte" in name or "8" in name) else 2 if name else 4 * int(words or 1)
        kind, width = (SHARED if load[1] == "ds" else LOAD), width * (2 if load[3] else 1)
    elif operation.startswith(("v_wmma", "v_mfma", "v_swmmac")):
        kind = MATRIX
    elif AMD_FMA.match(operation):
        kind = FMA
    elif operation.startswith(("v_mul_lo_", "v_mul_hi_", "v_mad_u64", "v_mad_i64", "v_mad_co_u64")):
        kind = MULTIPLY
    elif operation.startswith("v_"):
        kind = VECTOR
    return Instruction(operation, operands[0] if operands else "", tuple(operands[1:]), kind, width=width)


def amd_figures(statistics):
    return {
        "registers": statistics["VGPRs"],
        "spills": statistics["Spilled VGPRs"] + statistics["Spilled SGPRs"],
        "scratch": statistics["Scratch size"],
        "occupancy": statistics["Subgroups per SIMD"],
        "shared_memory": statistics["LDS size"],
    }


# ---- NVIDIA: NVK's NAK ----


def parse_nvidia(text):
    code = Code([], {})
    for line in text.splitlines():
        if block := re.match(r"\s*block\S*\s+\d+\s+(?:(L\d+)\s+)?\[", line):
            if block[1]:
                code.labels[block[1]] = len(code.instructions)
            continue
        if "//" not in line or not (words := re.sub(r"^\s*@!?\w+\s+", "", line.split("//")[0]).split()):
            continue
        writes = ""
        if "=" in words:
            equals = words.index("=")
            writes, words = words[0], words[equals + 1 :]
        operation, reads = words[0], tuple(words[1:])
        kind, width, target = nvidia_kind(operation), 0, ""
        # What uniform registers hold is computed once for all lanes.
        if writes.startswith("u") and kind == MULTIPLY:
            kind = VECTOR
        if kind in (LOAD, SHARED):
            width = int((re.search(r"\.[bui](\d+)", operation) or ["", "32"])[1]) // 8
        if operation.startswith("bra"):
            target = reads[-1]
        # A branch may have a guard before it or a condition behind it.
        is_certain = "@" not in line.split("//")[0] and (operation == "exit" or operation == "bra" and reads[0] == "pT")
        code.instructions.append(Instruction(operation, writes, reads, kind, width=width, target=target, falls=not is_certain))
    return code


def nvidia_kind(operation):
    name = operation.split(".")[0]
    if name in ("hmma", "imma", "dmma"):
        return MATRIX
    if name in ("ffma", "hfma2", "dfma"):
        return FMA
    if name in ("imad", "imad64", "imul"):
        return MULTIPLY
    if operation.startswith(("ld.global", "ldg")):
        return LOAD
    if operation.startswith(("ld.shared", "lds")):
        return SHARED
    # All instructions share the issue slots, so all count.
    return VECTOR


def nvidia_figures(statistics):
    return {
        "registers": statistics["Number of GPRs"],
        "spills": statistics["Spills to memory"],
        "fills": statistics["Fills from memory"],
        "scratch": statistics["SLM size"],
        "occupancy": statistics["Max warps/SM"] // 4,
    }


# ---- Intel: ANV ----

INTEL_CONTROL = "send sends sendc sync nop if else endif while break cont halt jmpi wait illegal do iff goto join brd brc call ret".split()


def parse_intel(text):
    code = Code([], {})
    for line in text.splitlines():
        if label := re.match(r"\s*(LABEL\d+):", line):
            code.labels[label[1]] = len(code.instructions)
        elif message := re.match(r"\s+.*MsgDesc:\s*(\(.*)", line):
            describe_message(code.instructions[-1], line)
        elif match := re.match(r"(?:\([^)]*\)\s*)?([a-z]\w*)((?:\.\w+)*)( \w+)?\((\d+)\)\s*([^{]*)", line):
            name, modifier, function, _, rest = match.groups()
            operands = rest.split()
            target = (re.search(r"JIP:\s*(LABEL\d+)", rest) or ["", ""])[1] if name in ("while", "jmpi", "cont") else ""
            operation = name + modifier + (function or "").replace(" ", ".")
            types = [re.search(r"([UD]|[UDQWBHF]+)$", operand) for operand in operands[:2]]
            types = [found[1] if found else "" for found in types]
            if name == "mov" and types == ["F", "UD"] or name == "mov" and types == ["F", "D"]:
                operation = "mov.convert"
            writes = intel_register(operands[0]) if operands else ""
            reads = tuple(intel_register(operand) for operand in operands[1:])
            code.instructions.append(Instruction(operation, writes, reads, intel_kind(name, types[0] if types else ""), target=target))
    return code


def intel_kind(name, kind):
    if name in INTEL_CONTROL:
        return OTHER
    if name.startswith("dpas"):
        return MATRIX
    if name in ("mad", "mac") and "F" in kind:
        return FMA
    if name in ("mul", "mach", "macl") and "F" not in kind:
        return MULTIPLY
    return VECTOR


def describe_message(instruction, line):
    """A load's width, which stands in the line below it. Block loads, which serve all lanes at once, do not count."""
    if match := re.search(r"(ugm|tgm|slm) MsgDesc: \( load(?:_cmask)?, a\d+, d(\d+)(?:u32)?, (?:V(\d+)|([xyzw]+)), (.*)", line):
        lanes = int(match[3]) if match[3] else len(match[4])
        if "transpose" not in match[5]:
            instruction.kind = SHARED if match[1] == "slm" else LOAD
            instruction.width = int(match[2]) // 8 * lanes
    elif match := re.search(r"MsgDesc:\s*\(.*untyped surface read.*Surface = (\d+).*Mask = 0x([0-9a-f]+)", line):
        # A mask's bits are the words that are not read.
        instruction.kind = SHARED if match[1] == "254" else LOAD
        instruction.width = 4 * (4 - bin(int(match[2], 16) & 15).count("1"))
    elif match := re.search(r"MsgDesc:\s*\(.*byte scattered read.*Surface = (\d+)", line):
        instruction.kind, instruction.width = (SHARED if match[1] == "254" else LOAD), 4


def intel_register(operand):
    return re.sub(r"^[-~]?(?:\(abs\))?(g\d+(?:\.\d+)?|a0\.\d|acc\d)<.*$", r"\1", operand).replace(".0", "")


def intel_figures(statistics):
    return {
        "registers": statistics["Max live registers"],
        "spills": statistics["Spill Count"],
        "fills": statistics["Fill Count"],
        "scratch": statistics["Scratch Memory Size"],
        "occupancy": None,
        "shared_memory": statistics["Workgroup Memory Size"],
    }


# ---- Adreno: Turnip's ir3 ----

ADRENO_OTHER = """nop jump br bany ball getone getlast shps shpe shlg predt prede predf bar fence end chmask chsh ld st isam sam resinfo
    getinfo atomic mova a1 kill ret call meta""".split()
SIZES = {"u8": 1, "s8": 1, "u16": 2, "s16": 2, "f16": 2, "u32": 4, "s32": 4, "f32": 4}


def parse_adreno(text):
    code = Code([], {})
    for line in text.splitlines():
        line = line.split(";")[0].strip()
        if label := re.match(r"(l\d+):", line):
            code.labels[label[1]] = len(code.instructions)
            line = line[label.end() :].strip()
        if line.startswith(("@", "Native", "//")):
            continue
        match = re.match(r"((?:\((?:sy|ss|jp|ul|sat|eq|eolm|eogm|eostsc|rpt\d|nop\d)\)\s*)*)([a-z][\w.]*)\s*(.*)", line)
        if not match:
            continue
        flags, operation, rest = match.groups()
        repeat = re.search(r"rpt(\d)", flags)
        operands = [re.sub(r"\((?:r|last|neg|abs|x|y|z|w|xy|xyz|xyzw|[us]\d+|f\d+)\)", "", operand).strip() for operand in rest.split(",")]
        target = (re.search(r"#(l\d+)", rest) or ["", ""])[1]
        kind, width = adreno_kind(operation), 0
        if kind in (LOAD, SHARED):
            width = adreno_width(operation, rest)
        times = 1 + int(repeat[1]) if repeat and kind in ARITHMETIC else 1
        falls = operation not in ("jump", "end")
        code.instructions.append(Instruction(operation, operands[0], tuple(operands[1:]), kind, times, width, target, falls))
    return code


def adreno_kind(operation):
    name = operation.split(".")[0]
    if operation.startswith(("mad.f", "fma")):
        return FMA
    if operation.startswith(("mull.u", "mul.u24", "mul.s24", "mad.u24", "mad.s24")):
        return MULTIPLY
    if name in ("isam", "ldib", "ldg"):
        return LOAD
    if name == "ldl":
        return SHARED
    return OTHER if operation.startswith(tuple(ADRENO_OTHER)) else VECTOR


def adreno_width(operation, rest):
    if operation.startswith("isam"):
        size, parts = re.search(r"\(([usf]\d+)\)", rest), re.search(r"\(([xyzw]+)\)", rest)
        return SIZES[size[1] if size else "u32"] * len(parts[1] if parts else "x")
    size = re.search(r"\.([usf]\d+)", operation)
    parts = re.search(r"\.([1-4])(?:\.|$)", operation) if operation.startswith("ldib") else re.search(r",\s*(\d+)$", rest)
    return SIZES[size[1] if size else "u32"] * int(parts[1] if parts else 1)


def adreno_figures(statistics):
    return {
        "registers": 4 * statistics["Registers used"],
        "spills": statistics["STP Count"],
        "fills": statistics["LDP Count"],
        "scratch": None,
        "occupancy": statistics["Max Waves Per Core"],
    }


KINDS = {
    "amd": Kind(parse_amd, r"v_cvt_f32_[ui]32", r"v_rcp_(iflag_)?f32|v_s_rcp_f32", r"s_cmpk?_", r"s_add", r"s_movk?_", amd_figures),
    "nvidia": Kind(parse_nvidia, r"i2f", r"mufu\.rcp", r"isetp", r"iadd", r"mov", nvidia_figures),
    "intel": Kind(parse_intel, r"mov\.convert", r"math\.inv", r"cmp", r"add$", r"mov", intel_figures, r"math\.int(div|mod)"),
    "adreno": Kind(parse_adreno, r"cov\.[us]32f32", r"rcp", r"cmps\.[us]", r"add\.[us]", r"mov\.", adreno_figures),
}
