#!/usr/bin/env python3
"""Training speed and memory of flexi beside a peer, in turn, as medians of the ratios of pairs.

The peer is any command that takes `bench --model --batch --seq --steps --threads [--bf16] [--compile]` and prints a JSON line with
tokens_per_second. Peak memory is the largest resident set of each process (Linux: kilobytes).

  scripts/versus.py --flexi ./flexi --peer "python3 ../shared/bench/torch_flexibert.py" --models bert-tiny,bert-mini --pairs 5
  scripts/versus.py --flexi ./flexi --bench flexora --peer "python3 scripts/peft_bench.py" --models ../minilm --pairs 5
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess


def measure(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if process.returncode != 0 or not lines:
        raise SystemExit(f"{shlex.join(command)}: exit status {process.returncode}\n{out}")
    return json.loads(lines[-1])["tokens_per_second"], usage.ru_maxrss / 1024


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--flexi", default="./flexi")
    p.add_argument("--peer", required=True)
    p.add_argument("--bench", default="train", choices=["train", "flexora"], help="what of flexi's is measured")
    p.add_argument("--models", default="bert-tiny,bert-mini,flexibert-mini,conv-mini,fourier-mini,wma-mini")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seq", type=int, default=128)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    p.add_argument("--compile", action="store_true", help="let the peer compile its model")
    a = p.parse_args()
    print("| model | flexi tokens/s | peer tokens/s | ratio: median (min to max) | flexi MB | peer MB | memory ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model in a.models.split(","):
        shape = ["--model", model, "--batch", str(a.batch), "--seq", str(a.seq), "--steps", str(a.steps), "--threads", str(a.threads)]
        ours = [a.flexi, "bench", a.bench, "--json", "--precision", a.precision] + shape
        theirs = shlex.split(a.peer) + ["bench"] + shape + ["--bf16"] * (a.precision == "bf16") + ["--compile"] * a.compile
        pairs = [(measure(ours), measure(theirs)) for _ in range(a.pairs)]
        ratios = [x[0] / y[0] for x, y in pairs]
        speed = [statistics.median(side[0] for side in sides) for sides in zip(*pairs)]
        memory = [statistics.median(side[1] for side in sides) for sides in zip(*pairs)]
        print(
            f"| {model} | {speed[0]:.0f} | {speed[1]:.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {memory[0]:.0f} | {memory[1]:.0f} | {memory[0] / memory[1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
