package text

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// trainScript trains tokenizers of the decoders' kinds on lines given on stdin, writes them to folders, and answers with the ids of all lines.
const trainScript = `
import json, sys
from tokenizers import Tokenizer, Regex, models, trainers, pre_tokenizers, normalizers, decoders
folder, llama, qwen = sys.argv[1:]
lines = json.load(sys.stdin)
B = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
def bytes_(pattern, ignore):
    t = Tokenizer(models.BPE(ignore_merges=ignore))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), 'isolated'), B])
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=['<|begin|>', '<|end|>'], show_progress=False))
    return t
def chars(meta):
    t = Tokenizer(models.BPE(unk_token='<unk>', byte_fallback=True, fuse_unk=True))
    if meta: t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always')
    else: t.normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    t.train_from_iterator(lines[:40], trainers.BpeTrainer(vocab_size=500, special_tokens=['<unk>', '<s>', '</s>'] + ['<0x%02X>' % b for b in range(200)], show_progress=False))
    return t
out = {}
for name, t in {'llama3': bytes_(llama, True), 'qwen2': bytes_(qwen, False), 'llama2': chars(False), 'metaspace': chars(True)}.items():
    import os
    os.makedirs(folder + '/' + name)
    t.save(folder + '/' + name + '/tokenizer.json')
    out[name] = [t.encode(l, add_special_tokens=False).ids for l in lines]
json.dump(out, sys.stdout)
`

// Tokenizers of decoders, trained on the spot, give the ids of the tokenizers package.
func TestDecoderTokenizersMatchHuggingFace(t *testing.T) {
	texts := append(slices.Clone(readGolden(t).Texts), "I'LL we'Ve don'T", "1 12 123 1234567", "a\r\n\r\n  b \n\n c\t\t d  ", "x  <|end|> y", "日本語 é ß 🙂🙂 ıİ", "  ", "\n")
	texts = append(texts, corpusLines(t, 300)...)
	var want map[string][][]int32
	dir := t.TempDir()
	python(t, trainScript, texts, &want, dir, llamaPattern, qwenPattern)
	for name, ids := range want {
		tok, err := LoadTokenizer(filepath.Join(dir, name))
		require.NoError(t, err, name)
		require.Equal(t, int32(-1), tok.Special().CLS)
		for i, s := range texts {
			if got := tok.Encode(s); !slices.Equal(got, ids[i]) {
				t.Fatalf("%s: %q:\n got %q\nwant %q", name, s, names(tok, got), names(tok, ids[i]))
			}
		}
	}
}

func TestLlamaWords(t *testing.T) {
	for s, want := range map[string][]string{
		"I'LL go":         {"I", "'LL", " go"},
		"1234567 12":      {"123", "456", "7", " ", "12"},
		"a  b":            {"a", " ", " b"},
		"x \r\n\n  y":     {"x", " \r\n\n", " ", " y"},
		"end.\n":          {"end", ".\n"},
		"\tword (it) ...": {"\tword", " (", "it", ")", " ..."},
		"tail   ":         {"tail", "   "},
	} {
		var got []string
		llamaWords(3)(s, func(w string) { got = append(got, w) })
		require.Equal(t, want, got, "%q", s)
	}
	var got []string
	llamaWords(1)("12 ab", func(w string) { got = append(got, w) })
	require.Equal(t, []string{"1", "2", " ab"}, got)
}

// The tokenizer of tinystories-656k gives the ids of the tokenizers package (0.23: Tokenizer.from_file), and its text back.
func TestTinyStoriesTokenizer(t *testing.T) {
	path := sharedData(t, "weights", "tinystories-656k")
	tok, err := LoadTokenizer(path)
	require.NoError(t, err)
	const s = "Once upon a time, there was a little girl named Lily.\nShe said: \"Hi!\""
	ids := tok.Encode(s)
	require.Equal(t, s, tok.Decode(ids))
	require.Equal(t, []int32{1}, tok.Encode("<|start_story|>")[len(tok.Encode("<|start_story|>"))-1:])
}

func TestEncodersNeedSpecialTokens(t *testing.T) {
	tok, err := LoadTokenizer(sharedData(t, "weights", "tinystories-656k"))
	require.NoError(t, err)
	_, err = NewLoader(tok, Task{Name: "x"}, LoaderOptions{Batch: 1, MaxSeq: 16})
	require.ErrorContains(t, err, "it is a decoder's")
}
