#!/usr/bin/env python3
"""Matrix products of flexi beside those of numpy (OpenBLAS), in turn: medians of GFLOP/s, of the ratio and of the fraction of the measured peak.

  go test -c -o /tmp/kern.test ./core/device/cpu/kern
  scripts/gemm-versus.py --kern /tmp/kern.test --python /usr/bin/python3

OPENBLAS_CORETYPE=SKYLAKEX makes an OpenBLAS that does not know the processor take its AVX-512 kernels.
"""

import argparse
import os
import re
import statistics
import subprocess

SHAPES = [(4096, 256, 1024), (4096, 1024, 256), (256, 1024, 4096)]


# Run by the peer's interpreter, for no other code shares its threads.
PEER = """
import sys, time, numpy
layout, (m, n, k) = sys.argv[1], map(int, sys.argv[2:])
x, y = (numpy.random.rand(r, c).astype("f") for r, c in (((k, m) if layout[0] == "T" else (m, k)), ((n, k) if layout[1] == "T" else (k, n))))
x, y = (v.T if t == "T" else v for v, t in zip((x, y), layout))
out = numpy.empty((m, n), "f")
numpy.dot(x, y, out=out)
calls, start = 0, time.perf_counter()
while time.perf_counter() < start + 0.5:
    numpy.dot(x, y, out=out)
    calls += 1
print(2 * m * n * k * calls / (time.perf_counter() - start) / 1e9)
"""


def numpy(python, layout, shape, threads):
    """GFLOP/s of numpy.dot."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": str(threads)}
    return float(subprocess.run([python, "-c", PEER, layout, *map(str, shape)], capture_output=True, text=True, check=True, env=env).stdout)


def flexi(kern, level, layout, shape, threads):
    """GFLOP/s, and the fraction of the peak measured by the same process."""
    m, n, k = shape
    name = f"^BenchmarkGemm$/^{level}$/^bf16=false$/^{m}x{n}x{k}$/^{layout}$/^threads={threads}$"
    out = subprocess.run([kern, "-test.run", "^$", "-test.bench", name, "-test.benchtime", "0.5s"], capture_output=True, text=True, check=True).stdout
    rate, share = re.search(r"([\d.]+) GFLOP/s", out), re.search(r"([\d.]+) of-peak", out)
    if not rate or not share:
        raise SystemExit(f"{kern} has no benchmark {name}:\n{out}")
    return float(rate[1]), float(share[1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kern", required=True, help="test binary of core/device/cpu/kern")
    p.add_argument("--python", default="python3", help="an interpreter with numpy")
    p.add_argument("--level", default="avx512", choices=["avx512", "avx2"])
    p.add_argument("--pairs", type=int, default=5)
    a = p.parse_args()
    print("| product | threads | flexi GFLOP/s | of the peak | numpy GFLOP/s | ratio: median (min to max) |")
    print("| --- | --- | --- | --- | --- | --- |")
    for threads in (1, 2):
        for shape in SHAPES:
            for layout in ("NN", "NT", "TN"):
                pairs = [
                    (*flexi(a.kern, a.level, layout, shape, threads), numpy(a.python, layout, shape, threads)) for _ in range(a.pairs)
                ]
                ratios = [rate / theirs for rate, _, theirs in pairs]
                rate, share, theirs = (statistics.median(column) for column in zip(*pairs))
                print(
                    f"| {layout} {'x'.join(map(str, shape))} | {threads} | {rate:.0f} | {share:.2f} | {theirs:.0f} "
                    f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
