#!/usr/bin/env python3
"""Everything that is to be measured on a GPU, in one command on the machine that has it: `make gpu-bench` elsewhere puts what is needed into .gpu.

It runs the doctor, the kernels' conformance tests (under compute-sanitizer too, where that is installed, for a part of them), and the measurements of
the GPU issue's table beside PyTorch: the faster of eager and compile, in bfloat16. Results are printed as a table and written to --out as JSON lines.

  python3 .gpu/gpu-bench.py [--only tests,speed,lora] [--steps 50] [--out gpu-bench.jsonl]

Needs: the files beside it (flexi, cuda.test, torch_flexibert.py, peft_bench.py), python3 with torch, transformers and peft. Nothing else: no Go, no
network.
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
PEFT_PEER = os.path.join(HERE, "peft_bench.py")
# The shape of Llama 3 8B, in the words of its config.json.
LLAMA_8B = dict(
    model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
    num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False,
    hidden_act="silu", bos_token_id=128000, eos_token_id=128001,
)


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
        command = [sanitizer, "--error-exitcode", "9", TESTS, "-test.run", "ContractOnTheGPU/.*/(attention|grouped|rows|loss|layernorm|rmsnorm|swiglu|adapters)", "-test.timeout", "240s"]
        code, out = run(command, 250, FLEXI_GPU="1")
        summary = [line for line in out.splitlines() if "ERROR SUMMARY" in line]
        report.add("compute-sanitizer", summary[-1] if summary else out[-300:], target="0 errors", met=code == 0)


def measured(command, seconds):
    """The JSON line that a bench printed last; None if it failed."""
    code, out = run(command, seconds)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if code != 0 or not lines:
        print(out[-3000:])
        return None
    return json.loads(lines[-1])


def shape(model, batch, seq, steps):
    return ["--device", "cuda", "--model", model, "--batch", str(batch), "--seq", str(seq), "--steps", str(steps)]


def flexi(model, batch, seq, steps, candidates=1):
    return measured([FLEXI, "bench", "train", "--json", "--precision", "bf16", "--candidates", str(candidates)] + shape(model, batch, seq, steps), 200)


def faster(command, seconds):
    """The faster of eager and compile. Compilation happens in the first steps; the median of the rest is what counts."""
    results = [r for r in (measured(command + more, seconds) for more in ([], ["--compile"])) if r]
    return max(results, key=lambda r: r["tokens_per_second"], default=None)


def torch(model, batch, seq, steps):
    return faster([sys.executable, PEER, "bench", "--bf16"] + shape(model, batch, seq, steps), 200)


def lora(report, steps):
    folder = os.path.join(HERE, "llama-8b")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(LLAMA_8B, f)
    for more in ([], ["--recompute"]):
        same = ["--random"] + shape(folder, 8, 512, steps) + more
        ours = measured([FLEXI, "bench", "flexora", "--json", "--precision", "bf16"] + same, 400)
        peer = faster([sys.executable, PEFT_PEER, "bench", "--bf16"] + same, 300)
        compare(report, " ".join(["tokens/s, LoRA on Llama 8B's shape, 8 x 512"] + more), ours, peer, 1.2)


def speed(report, steps):
    for model, candidates, target in (("bert-mini", 1, 2.0), ("flexibert-mini", 1, 2.0), ("bert-mini", 8, 4.0)):
        ours, peer = flexi(model, 64, 128, steps, candidates), torch(model, 64, 128, steps)
        what = f"tokens/s, {model}, 64 x 128, {candidates} at once"
        compare(report, what, ours, peer, target)
    ours, peer = flexi("bert-base", 64, 512, max(5, steps // 5)), torch("bert-base", 64, 512, max(5, steps // 5))
    compare(report, "tokens/s, bert-base, 64 x 512", ours, peer, 1.0)
    if ours:
        report.add("fraction of measured bf16 peak, bert-base, 64 x 512", ours["peak_fraction"], target="0.40", met=ours["peak_fraction"] >= 0.40)


def compare(report, what, ours, peer, target):
    if not ours or not peer:
        report.add(what, ours and ours["tokens_per_second"], peer and peer["tokens_per_second"], f"{target} times", False)
        return
    ratio = ours["tokens_per_second"] / peer["tokens_per_second"]
    report.add(what, ours["tokens_per_second"], peer["tokens_per_second"], f"{target} times", ratio >= target, ratio=ratio, flexi=ours, torch=peer)
    slow = sorted(ours.get("op_seconds", {}).items(), key=lambda x: -x[1])[:8]
    print(f"  {what}: ratio {ratio:.2f}; " + ", ".join(f"{name} {1e3 * s:.2f} ms" for name, s in slow), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default="tests,speed,lora")
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--out", default="gpu-bench.jsonl")
    a = p.parse_args()
    report = Report(a.out)
    if "tests" in a.only:
        tests(report)
    if "speed" in a.only:
        speed(report, a.steps)
    if "lora" in a.only:
        lora(report, max(5, a.steps // 10))
    report.table()
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
