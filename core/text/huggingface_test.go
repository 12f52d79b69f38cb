package text

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// encodeScript answers JSON strings on stdin with the ids of the real tokenizers package.
const encodeScript = `
import json, sys
from tokenizers import Tokenizer, BertWordPieceTokenizer, ByteLevelBPETokenizer
kind, path = sys.argv[1], sys.argv[2]
if kind == 'json':
    tok = Tokenizer.from_file(path + '/tokenizer.json')
    tok.no_padding(); tok.no_truncation()
elif kind == 'wordpiece': tok = BertWordPieceTokenizer(path + '/vocab.txt', lowercase=True)
else:
    tok = ByteLevelBPETokenizer(path + '/vocab.json', path + '/merges.txt')
    tok.add_special_tokens(['<s>', '</s>', '<pad>', '<unk>', '<mask>'] if kind == 'roberta' else ['<|endoftext|>'])
json.dump([tok.encode(l, add_special_tokens=False).ids for l in json.load(sys.stdin)], sys.stdout)
`

// wordsScript answers JSON strings with the words of BERT and of GPT-2.
const wordsScript = `
import json, sys
from tokenizers import normalizers, pre_tokenizers
n, b, g = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), pre_tokenizers.ByteLevel(add_prefix_space=False)
json.dump([[n.normalize_str(s), [w for w, _ in b.pre_tokenize_str(s)], [s[x:y] for _, (x, y) in g.pre_tokenize_str(s)]] for s in json.load(sys.stdin)], sys.stdout)
`

// python runs a script of the tokenizers package on a JSON value, or skips the test where Python lacks it.
func python(t *testing.T, script string, input, output any, args ...string) {
	t.Helper()
	if out, err := exec.Command("python3", "-c", "import tokenizers").CombinedOutput(); err != nil {
		t.Skipf("needs Python with the tokenizers package (pip install tokenizers): %s", out)
	}
	in, err := json.Marshal(input)
	require.NoError(t, err)
	cmd := exec.Command("python3", append([]string{"-c", script}, args...)...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(in)), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, output))
}

// corpusLines are lines of real text in all its variety.
func corpusLines(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"lm/wikipedia/part-3.txt.gz", "lm/wikitext-2/wiki.valid.raw.gz", "lm/tinyshakespeare/input.txt.gz", "glue/QQP/dev.json.gz"} {
		b, err := readFile(filepath.Join(sharedData(t), filepath.FromSlash(name)))
		require.NoError(t, err)
		all := lines(b)
		step := max(1, len(all)/n)
		for i := 0; i < len(all); i += step {
			out = append(out, strings.ToValidUTF8(all[i], "?"))
		}
	}
	return out
}

// unpackTokenizer copies files, from anywhere in the shared data, into one folder.
func unpackTokenizer(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, from := range files {
		b, err := readFile(sharedData(t, "tokenizers", from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return dir
}

func TestTokenizersMatchHuggingFace(t *testing.T) {
	texts := append(slices.Clone(readGolden(t).Texts), corpusLines(t, 1500)...)
	for kind, files := range map[string]map[string]string{
		"wordpiece": {"vocab.txt": "bert-base-uncased/vocab.txt.gz"},
		"json":      {"tokenizer.json": "bert-base-uncased/tokenizer.json.gz"},
		"roberta":   {"vocab.json": "roberta/vocab.json.gz", "merges.txt": "roberta/merges.txt.gz"},
		"gpt2":      {"vocab.json": "gpt2/encoder.json.gz", "merges.txt": "roberta/merges.txt.gz"},
	} {
		t.Run(kind, func(t *testing.T) {
			dir := unpackTokenizer(t, files)
			var want [][]int32
			python(t, encodeScript, texts, &want, kind, dir)
			tok, err := LoadTokenizer(dir)
			require.NoError(t, err)
			wrong := 0
			for i, s := range texts {
				if got := tok.Encode(s); !slices.Equal(got, want[i]) {
					if wrong++; wrong <= 10 {
						t.Errorf("%q:\n got %q\nwant %q", s, names(tok, got), names(tok, want[i]))
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d texts differ", wrong, len(texts))
			}
		})
	}
}

// TestEveryCharacter compares how each character of Unicode is cleaned, folded and cut. Characters that Go's tables do not know yet are left out, as is
// most of the large blocks whose characters are all alike.
func TestEveryCharacter(t *testing.T) {
	var texts []string
	for r := rune(1); r <= unicode.MaxRune; r++ {
		known := unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co)
		alike := unicode.In(r, unicode.Han, unicode.Hangul, unicode.Co) && r%97 != 0
		if r == 0x11938 {
			continue // since Unicode 13 it can be decomposed; the tokenizers package decomposes by older tables
		}
		if known && !alike {
			texts = append(texts, "a"+string(r)+"b", " "+string(r)+"1")
		}
	}
	var want [][3]any
	python(t, wordsScript, texts, &want)
	bert := bertNormalizer{CleanText: true, ChineseChars: true, StripAccents: true, Lowercase: true}
	collect := func(split func(string, func(string)), s string) (out []any) {
		split(s, func(w string) { out = append(out, w) })
		return out
	}
	wrong := 0
	for i, s := range texts {
		got := [3]any{bert.normalize(s), collect(bertWords, s), collect(gptWords, s)}
		if !equalJSON(got, want[i]) {
			if wrong++; wrong <= 20 {
				t.Errorf("%+q: got %+q, want %+q", s, got, want[i])
			}
		}
	}
	t.Logf("%d texts, %d differ", len(texts), wrong)
}

func equalJSON(a, b any) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}

func names(tok Tokenizer, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = tok.Token(id)
	}
	return out
}
