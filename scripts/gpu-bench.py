#!/usr/bin/env python3
"""Everything that is to be measured on a GPU, in one command on the machine that has it: `make gpu-bench` elsewhere puts what is needed into .gpu.

It runs the doctor, the kernels' conformance tests (under compute-sanitizer too, where that is installed, for a part of them), and the measurements of
the GPU issue's table beside PyTorch: the faster of eager and compile, in bfloat16. Results are printed as a table and written to --out as JSON lines.

  python3 .gpu/gpu-bench.py [--only tests,speed] [--steps 50] [--out gpu-bench.jsonl]

Needs: the files beside it (flexi, cuda.test, torch_flexibert.py), python3 with torch. Nothing else: no Go, no network.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FLEXI = os.path.join(HERE, "flexi")
TESTS = os.path.join(HERE, "cuda.test")
PEER = os.path.join(HERE, "torch_flexibert.py")


class Report:
    def __init__(self, path):
        self.file = open(path, "w")
        self.rows = []
        self.failed = False

    def add(self, what, ours=None, peer=None, target=None, met=None, **more):
        row = dict(what=what, ours=ours, peer=peer, target=target, met=met, **more)
        self.rows.append(row)
        self.failed |= met is False
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()

    def table(self):
        print("\n| measurement | flexi | PyTorch | target | met |\n| --- | --- | --- | --- | --- |")
        for r in self.rows:
            cells = ["" if r[k] is None else f"{r[k]:.4g}" if isinstance(r[k], float) else str(r[k]) for k in ("what", "ours", "peer", "target", "met")]
            print("| " + " | ".join(cells) + " |")


def run(command, seconds, **environment):
    print("$", " ".join(command), flush=True)
    start = time.time()
    try:
        p = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=dict(os.environ, **environment), cwd=HERE)
    except subprocess.TimeoutExpired:
        return None, f"longer than {seconds} s"
    print(f"  {time.time() - start:.1f} s, exit status {p.returncode}", flush=True)
    return p.returncode, p.stdout + p.stderr


def tests(report):
    _, out = run([FLEXI, "doctor", "--workspace", "/tmp/flexi-none"], 120)
    print(out)
    code, out = run([TESTS, "-test.v", "-test.run", "OnTheGPU", "-test.timeout", "240s"], 250, FLEXI_GPU="1")
    passed, failed = out.count("--- PASS"), out.count("--- FAIL")
    print("\n".join([line for line in out.splitlines() if "off by" in line or "panic" in line or "cuda" in line.lower() and "FAIL" in line][:40]))
    report.add("conformance tests passed", passed, target="all", met=code == 0 and failed == 0, failed=failed, tail=out[-3000:] if code else "")
    code, out = run([TESTS, "-test.v", "-test.run", "LossAfter500Steps", "-test.timeout", "280s"], 290, FLEXI_GPU="1")
    for line in out.splitlines():
        if "seed" in line and "loss" in line:
            print(line)
    report.add("loss after 500 steps, bf16 against the CPU in f32, 3 seeds", [s for s in out.splitlines() if "ratio" in s], target="within 1%", met=code == 0)
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer:
        command = [sanitizer, "--error-exitcode", "9", TESTS, "-test.run", "ContractOnTheGPU/.*/(attention|rows|loss|layernorm)", "-test.timeout", "240s"]
        code, out = run(command, 250, FLEXI_GPU="1")
        summary = [line for line in out.splitlines() if "ERROR SUMMARY" in line]
        report.add("compute-sanitizer", summary[-1] if summary else out[-300:], target="0 errors", met=code == 0)


def flexi(model, batch, seq, steps, candidates=1):
    command = [FLEXI, "bench", "train", "--json", "--device", "cuda", "--precision", "bf16", "--model", model, "--batch", str(batch), "--seq", str(seq),
               "--steps", str(steps), "--candidates", str(candidates)]
    code, out = run(command, 200)
    if code != 0:
        print(out[-3000:])
        return None
    return json.loads([line for line in out.splitlines() if line.startswith("{")][-1])


def torch(model, batch, seq, steps):
    best = None
    for compile in ([], ["--compile"]):
        # Compilation happens in the first steps; the median of the rest is what counts.
        command = [sys.executable, PEER, "bench", "--device", "cuda", "--bf16", "--model", model, "--batch", str(batch), "--seq", str(seq), "--steps",
                   str(steps)] + compile
        code, out = run(command, 200)
        lines = [line for line in out.splitlines() if line.startswith("{")]
        if code != 0 or not lines:
            print(out[-1500:])
            continue
        result = json.loads(lines[-1])
        if best is None or result["tokens_per_second"] > best["tokens_per_second"]:
            best = result
    return best


def speed(report, steps):
    for model, candidates, target in (("bert-mini", 1, 2.0), ("flexibert-mini", 1, 2.0), ("bert-mini", 8, 4.0)):
        ours, peer = flexi(model, 64, 128, steps, candidates), torch(model, 64, 128, steps)
        what = f"tokens/s, {model}, 64 x 128, {candidates} at once"
        compare(report, what, ours, peer, target)
    ours, peer = flexi("bert-base", 64, 512, max(5, steps // 5)), torch("bert-base", 64, 512, max(5, steps // 5))
    compare(report, "tokens/s, bert-base, 64 x 512", ours, peer, 1.0)
    if ours:
        report.add("fraction of measured bf16 peak, bert-base, 64 x 512", ours["peak_fraction"], target="0.40", met=ours["peak_fraction"] >= 0.40)
    report.add("LoRA on an 8-billion-parameter Llama shape", "not measured: flexi has no decoder yet", target="1.2", met=False)


def compare(report, what, ours, peer, target):
    if not ours or not peer:
        report.add(what, ours and ours["tokens_per_second"], peer and peer["tokens_per_second"], f"{target} times", False)
        return
    ratio = ours["tokens_per_second"] / peer["tokens_per_second"]
    report.add(what, ours["tokens_per_second"], peer["tokens_per_second"], f"{target} times", ratio >= target, ratio=ratio, flexi=ours, torch=peer)
    slow = sorted(ours["op_seconds"].items(), key=lambda x: -x[1])[:8]
    print(f"  {what}: ratio {ratio:.2f}; " + ", ".join(f"{name} {1e3 * s:.2f} ms" for name, s in slow), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default="tests,speed")
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--out", default="gpu-bench.jsonl")
    a = p.parse_args()
    report = Report(a.out)
    if "tests" in a.only:
        tests(report)
    if "speed" in a.only:
        speed(report, a.steps)
    report.table()
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
