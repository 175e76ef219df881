"""Tests of the analysis on small pieces of assembly, one for each driver: python3 -m unittest discover tools/lab"""

import pathlib
import unittest

import machine_code
import report

SNIPPETS = pathlib.Path(__file__).parent / "snippets"


def analysed(name):
    return machine_code.analyse(machine_code.KINDS[name], (SNIPPETS / f"{name}.s").read_text())


def loops(name):
    kind = machine_code.KINDS[name]
    code = kind.parse((SNIPPETS / f"{name}.s").read_text())
    return sorted((len(loop), machine_code.turns_of(kind, code.instructions, loop)) for loop in machine_code.loops_of(code))


class MachineCode(unittest.TestCase):
    def expect(self, name, **figures):
        found = analysed(name)
        self.assertEqual(figures, {key: found[key] for key in figures})

    def test_amd(self):
        # A tile: 8 turns of 3 multiply-adds, a shift and the other half of a dual instruction; a multiplication and a minimum.
        self.expect("amd", fma=24, share=57.1, inner_share=60.0, multiplications=1, divisions=0, all_divisions=1)
        self.expect("amd", loads={"2": 1, "16": 1}, shared_loads={"16": 8})
        self.assertEqual([8, 1], [turns for _, turns in loops("amd")])

    def test_nvidia(self):
        # The exit lies between the loop's instructions, and is no part of it.
        self.expect("nvidia", fma=16, loop_instructions=54, multiplications=1, all_divisions=1, loads={"4": 1}, shared_loads={"16": 8})
        self.assertEqual([8, 1], [turns for _, turns in loops("nvidia")])

    def test_intel(self):
        self.expect("intel", fma=8, multiplications=1, divisions=0, all_divisions=2, loads={"16": 1}, shared_loads={"16": 4})
        self.assertEqual([4, 1], [turns for _, turns in loops("intel")])

    def test_adreno(self):
        self.expect("adreno", fma=64, multiplications=1, all_divisions=1, loads={"16": 1}, shared_loads={"16": 16})
        self.assertEqual([16, 1], [turns for _, turns in loops("adreno")])

    def test_what_is_a_multiply_add(self):
        fused = "v_fma_f32 v_fmac_f32_e32 v_fmac_f32_dpp v_pk_fma_f16 v_dual_fmac_f32 v_fma_mix_f32 v_mad_f32 v_fmaak_f32"
        for operation in fused.split():
            self.assertEqual(machine_code.FMA, machine_code.amd_instruction(f"{operation} v0, v1, v2").kind, operation)
        for operation in ("v_mad_u32_u24", "v_mul_f32_e32", "v_mad_i32_i24"):
            self.assertEqual(machine_code.VECTOR, machine_code.amd_instruction(f"{operation} v0, v1, v2").kind, operation)
        matrix = machine_code.amd_instruction("v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]")
        self.assertEqual(machine_code.MATRIX, matrix.kind)
        self.assertEqual(machine_code.MATRIX, machine_code.nvidia_kind("hmma.m16n8k16.f32"))
        self.assertEqual(machine_code.MATRIX, machine_code.intel_kind("dpas", "F"))

    def test_numbers(self):
        numbers = {"16": 16, "0x10": 16, "16D": 16, "0x00000010UD": 16, "rZ": 0, "-4": -4, "s4": None, "0x3f800000F": None}
        for text, number in numbers.items():
            self.assertEqual(number, machine_code.number_of(text), text)


class Report(unittest.TestCase):
    def result(self, code, **changes):
        figures = analysed("amd") | {"kernel": "matmul 8x8", "subgroup": 64, "registers": 64, "spills": 0, "scratch": 0, "occupancy": 8}
        figures |= changes
        use = {"case": "matmul/f32", "kernel": "matmul 8x8", "number": 0, "code": code}
        return {"target": "navi21", "kernels": {code: figures}, "uses": [use]}

    def test_comparison(self):
        old = self.result("a")
        self.assertIn("changed kernels: none", report.comparison([old], [old]))
        worse = report.comparison([old], [self.result("b", spills=12)])
        self.assertTrue(worse.startswith("worse") and "spills 0 -> 12" in worse, worse)
        self.assertIn("mixed", report.comparison([old], [self.result("b", share=80.0, occupancy=4)]))
        self.assertIn("1 same", report.comparison([old], [self.result("b")]))

    def test_table(self):
        text = report.table([self.result("a")])
        self.assertIn("matmul 8x8", text)
        self.assertIn("1x2 1x16", text)
        self.assertIn("| matmul 8x8 |", report.wide([self.result("a")], markdown=True))

    def test_start_up(self):
        old, new = self.result("a"), self.result("b")
        self.assertEqual("", report.start_up([old]), "a run that did not measure it")
        old["uses"][0]["seconds"] = 1.5
        new["uses"] = [use | {"seconds": 0.25} for use in new["uses"] * 2]
        rows = [line.split() for line in report.start_up([new]).splitlines()]
        self.assertEqual([["matmul/f32", "0.50", "s,", "2"], ["all", "0.50", "s,", "2"]], rows[1:])
        self.assertIn("driver navi21    1.50 s -> 0.50 s", report.comparison([old], [new]))
        self.assertNotIn("driver", report.comparison([self.result("a")], [new]))


if __name__ == "__main__":
    unittest.main()
