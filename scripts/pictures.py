#!/usr/bin/env python3
"""Draws the pictures of the README: real runs, seen through the real workbench in tmux, written as SVG.

    scripts/pictures.py --flexi ./flexi [--model FOLDER --data FOLDER] [--out docs/pictures]

Searches on the built-in demo; with a pretrained encoder and a data folder, also fine-tunes it on STS-B with Flexora. Needs tmux.
"""
import argparse
import html
import os
import re
import shutil
import subprocess
import tempfile
import time

COLUMNS, ROWS = 120, 36
CELL_W, CELL_H, PAD = 7.23, 15, 10
BACKGROUND, FOREGROUND = "#16181d", "#d8d8d8"
SGR = re.compile(r"\x1b\[([0-9;:]*)m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\(B|[\x0e\x0f]")


class Terminal:
    """A tmux session in which a command runs."""

    def __init__(self, folder, command):
        self.socket = os.path.join(folder, "tmux")
        conf = os.path.join(folder, "tmux.conf")
        with open(conf, "w") as f:
            f.write('set -g default-terminal "tmux-256color"\nset -g status off\nset -ga terminal-overrides ",*:Tc"\n')
        env = dict(os.environ, COLORTERM="truecolor", LC_ALL="C.UTF-8")
        env.pop("TMUX", None)
        subprocess.run(["tmux", "-u", "-S", self.socket, "-f", conf, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", folder, command], env=env, check=True)

    def tmux(self, *args):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *args], capture_output=True, text=True).stdout

    def keys(self, *keys):
        for key in keys:
            self.tmux("send-keys", key)
            time.sleep(0.4)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def until(self, pattern, seconds):
        deadline = time.time() + seconds
        while not re.search(pattern, self.text()):
            if time.time() > deadline:
                raise SystemExit(f"pictures: waited {seconds} s in vain for {pattern!r}; the screen:\n{self.text()}")
            time.sleep(0.5)

    def picture(self, path, title):
        time.sleep(1.5)
        lines = self.tmux("capture-pane", "-e", "-p").split("\n")[:ROWS]
        with open(path, "w") as f:
            f.write(svg(lines, title))

    def close(self):
        self.tmux("kill-server")


def pieces(line):
    """Text with its colour, boldness, faintness and reversal."""
    look, at = {}, 0
    for m in SGR.finditer(line):
        if m.start() > at:
            yield line[at:m.start()], dict(look)
        at = m.end()
        if m.group(1) is not None:
            apply(look, [int(n) if n else 0 for n in re.split("[;:]", m.group(1))])
    if at < len(line):
        yield line[at:], dict(look)


def apply(look, codes):
    while codes:
        c = codes.pop(0)
        if c == 0:
            look.clear()
        elif c in (1, 2, 7):
            look[c] = True
        elif c in (22, 27):
            for k in {22: (1, 2), 27: (7,)}[c]:
                look.pop(k, None)
        elif c == 38 and codes[:1] == [2]:
            look["colour"] = "#%02x%02x%02x" % tuple(codes[1:4])
            del codes[:4]
        elif c == 38 and codes[:1] == [5]:
            look["colour"] = indexed(codes[1])
            del codes[:2]
        elif c == 39:
            look.pop("colour", None)


def indexed(n):
    """The usual colour of an index from 16 on: a cube of six levels a side, then greys."""
    if n >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (n - 232),) * 3)
    levels = (0, 95, 135, 175, 215, 255)
    n -= 16
    return "#%02x%02x%02x" % (levels[n // 36], levels[n // 6 % 6], levels[n % 6])


# The dots of a braille character in the order of its bits: column and row.
DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
WORDS = re.compile(r"[\u2800-\u28ff]+|[^ \u2800-\u28ff│┃]+(?: [^ \u2800-\u28ff│┃]+)*|[│┃]")


def braille(text, x, y):
    """A path with a small square for each dot: fonts draw them too differently, or not at all."""
    d = []
    for i, c in enumerate(text):
        for bit, (column, row) in enumerate(DOTS):
            if (ord(c) - 0x2800) >> bit & 1:
                d.append(f"M{x + (i + 0.5 * column + 0.12) * CELL_W:.1f} {y + (row + 0.25) * CELL_H / 4:.1f}h1.7v1.7h-1.7z")
    return "".join(d)


def svg(lines, title):
    w, h = COLUMNS * CELL_W + 2 * PAD, ROWS * CELL_H + 2 * PAD
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>',
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="12" xml:space="preserve">',
    ]
    for row, line in enumerate(lines):
        column, y = 0, PAD + row * CELL_H
        for text, look in pieces(line):
            n = len(text)
            colour, behind = look.get("colour", FOREGROUND), None
            if look.get(7):
                colour, behind = BACKGROUND, colour
            x = PAD + column * CELL_W
            if behind:
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{n * CELL_W:.1f}" height="{CELL_H}" fill="{behind}"/>')
            style = f' fill="{colour}"' + (' font-weight="bold"' if look.get(1) else "") + (' opacity="0.6"' if look.get(2) else "")
            for m in WORDS.finditer(text):
                at, word = x + m.start() * CELL_W, m.group()
                if "\u2800" <= word[0] <= "\u28ff":
                    out.append(f'<path d="{braille(word, at, y)}"{style}/>')
                else:
                    out.append(f'<text x="{at:.1f}" y="{y + 11.5}" textLength="{len(word) * CELL_W:.1f}" lengthAdjust="spacingAndGlyphs"{style}>{html.escape(word)}</text>')
            column += n
    return "\n".join(out + ["</g>", "</svg>", ""])


def search(flexi, folder, out):
    t = Terminal(folder, f"{flexi} search --demo")
    try:
        t.until(r"[6-9]/10", 600)
        t.picture(os.path.join(out, "overview.svg"), "the overview of a search that goes on")
        t.keys("3")
        t.picture(os.path.join(out, "architecture.svg"), "an architecture, its learning curves, neighbours and result")
        t.keys("1", "q")
    finally:
        subprocess.run([flexi, "serve", "--stop"], cwd=folder, capture_output=True)
        t.close()


FLEXORA = "max_seq: 64\nsearch: {outer_steps: 120, micro_batch: 16, examples: 2000}\ntune: {examples: 500, epochs: 1, batch: 16}\ndata: {dev_limit: 200}\n"


def flexora(flexi, folder, out, model, data):
    with open(os.path.join(folder, "flexora.yaml"), "w") as f:
        f.write(FLEXORA)
    t = Terminal(folder, f"{flexi} flexora --data {data} --model {model} --task STS-B --config flexora.yaml --selectors flexora,all")
    try:
        t.until(r"choosing layers", 120)
        t.keys("4")
        t.until(r"outer step +[6-9]\d of", 300)
        t.picture(os.path.join(out, "layers.svg"), "how a Flexora run chooses layers")
        t.keys("1", "q")
    finally:
        subprocess.run([flexi, "serve", "--stop"], cwd=folder, capture_output=True)
        t.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--flexi", required=True)
    p.add_argument("--model", help="folder of a pretrained encoder")
    p.add_argument("--data", help="data folder with glue/STS-B")
    p.add_argument("--out", default="docs/pictures")
    a = p.parse_args()
    if not shutil.which("tmux"):
        raise SystemExit("pictures: tmux is missing; install it with the system's package manager")
    flexi, out = os.path.abspath(a.flexi), os.path.abspath(a.out)
    os.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        search(flexi, folder, out)
    if a.model and a.data:
        with tempfile.TemporaryDirectory() as folder:
            flexora(flexi, folder, out, os.path.abspath(a.model), os.path.abspath(a.data))


if __name__ == "__main__":
    main()
