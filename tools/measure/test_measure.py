"""Tests of `measure.py` that need no GPU: commands of a few words in wgrad's stead."""

import sys
import time
import unittest

import measure


def script(text):
    return [sys.executable, "-c", text]


CASE = ('{"event":"case","name":"step/mlp","median_s":2e-3,"gflops":1000.0,"gbytes_per_s":1.0,"fraction_of_peak":0.5,'
        '"dispatches":3,"host_s":1e-5}')


class Sections(unittest.TestCase):
    def test_lines_are_read_and_others_are_not(self):
        section = measure.Section("steps", script(f"print('words')\nprint('{CASE}')"), 1)
        section.run(20)
        self.assertEqual((section.outcome, len(section.lines)), ("done", 1))

    def test_what_is_out_of_time_is_there_as_far_as_it_came(self):
        slow = measure.Section("slow", script(f"import time\nprint('{CASE}', flush=True)\ntime.sleep(60)"), 1)
        begun = time.monotonic()
        slow.run(1)
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual(len(slow.lines), 1)
        self.assertIn("out of time", slow.outcome)

    def test_a_failure_is_its_last_line(self):
        section = measure.Section("bad", script("import sys\nsys.exit('error: no adapter')"), 1)
        section.run(20)
        self.assertEqual(section.outcome, "failed: error: no adapter")
        missing = measure.Section("none", ["/no/such/file"], 1)
        missing.run(20)
        self.assertIn("not run", missing.outcome)

    def test_all_end_in_time(self):
        sections = [measure.Section(str(number), script("import time\ntime.sleep(60)"), 1) for number in range(4)]
        begun = time.monotonic()
        measure.run(sections, 4, say=lambda *_, **__: None)
        self.assertLess(time.monotonic() - begun, 20)
        self.assertTrue(all("time" in section.outcome for section in sections))

    def test_the_page_compares(self):
        before, torch = measure.Section("steps", script(f"print('{CASE}')"), 1), measure.Section(
            "PyTorch", script("print('{}')".format('{"event":"case","name":"step/mlp","median_s":3e-3}')), 1)
        before.run(20), torch.run(20)
        text = measure.page([before, torch], "gpu", "measure.py")
        self.assertIn("| step/mlp | 2,000.0 |  | 10.0 | 3 | 3,000.0 | 1.50 |", text)


if __name__ == "__main__":
    unittest.main()
