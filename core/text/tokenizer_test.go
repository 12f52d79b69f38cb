package text

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// goldenFile is the tokenizer.json of one golden tokenizer.
func goldenFile(t testing.TB, name string) tokenizerJSON {
	t.Helper()
	for _, c := range readGolden(t).Tokenizers {
		if c.Name == name {
			var j tokenizerJSON
			require.NoError(t, json.Unmarshal(c.Tokenizer, &j))
			return j
		}
	}
	t.Fatalf("there is no golden tokenizer %q", name)
	return tokenizerJSON{}
}

// vocabTxt is a vocabulary, one token a line.
func vocabTxt(t testing.TB, j tokenizerJSON) string {
	t.Helper()
	tokens, err := byID("golden", j.Model.Vocab)
	require.NoError(t, err)
	return strings.Join(tokens, "\n") + "\n"
}

func mergesTxt(j tokenizerJSON) string {
	out := "#version: 0.2\n"
	for _, m := range j.Model.Merges {
		out += string(m) + "\n"
	}
	return out
}

// TestLoadTokenizerForms loads the same tokenizer from every kind of file, plain and packed, by folder and by file.
func TestLoadTokenizerForms(t *testing.T) {
	g := readGolden(t)
	wordpiece, bpe := goldenFile(t, "wordpiece uncased"), goldenFile(t, "bpe")
	vocabJSON, err := json.Marshal(bpe.Model.Vocab)
	require.NoError(t, err)
	for _, c := range []struct {
		golden string
		files  files
		load   string
	}{
		{"wordpiece uncased", files{"vocab.txt": vocabTxt(t, wordpiece)}, ""},
		{"wordpiece uncased", files{"vocab.txt.gz": vocabTxt(t, wordpiece)}, ""},
		{"wordpiece uncased", files{"vocab.txt": strings.ReplaceAll(vocabTxt(t, wordpiece), "\n", "\r\n")}, "vocab.txt"},
		{"wordpiece uncased", files{"vocab.txt.gz": vocabTxt(t, wordpiece)}, "vocab.txt.gz"},
		{"bpe", files{"vocab.json": string(vocabJSON), "merges.txt": mergesTxt(bpe)}, ""},
		{"bpe", files{"encoder.json.gz": string(vocabJSON), "vocab.bpe.gz": mergesTxt(bpe)}, ""},
		{"bpe", files{"encoder.json": string(vocabJSON), "merges.txt.gz": mergesTxt(bpe)}, "encoder.json"},
	} {
		dir := c.files.write(t)
		tok, err := LoadTokenizer(filepath.Join(dir, c.load))
		require.NoError(t, err)
		for _, golden := range g.Tokenizers {
			for i, s := range g.Texts {
				if golden.Name == c.golden {
					require.Equal(t, len(golden.IDs[i]), len(tok.Encode(s)), "%q", s)
					require.True(t, slices.Equal(golden.IDs[i], tok.Encode(s)), "%q", s)
				}
			}
		}
	}
}

func TestLoadTokenizerRefuses(t *testing.T) {
	const minimal = `"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"[MASK]":4,"a":5,"b":6}`
	file := func(normalizer, pre, model string) string {
		return fmt.Sprintf(`{"normalizer":%s,"pre_tokenizer":%s,"model":{%s,%s},"added_tokens":[]}`, normalizer, pre, model, minimal)
	}
	for _, c := range []struct{ name, content, want string }{
		{"tokenizer.json", `{`, "unexpected end of JSON input"},
		{"tokenizer.json", `{}`, "the model has no vocabulary"},
		{"tokenizer.json", file(`{"type":"Nmt"}`, `null`, `"type":"WordPiece"`), `normalizer "Nmt" is not supported`},
		{"tokenizer.json", file(`{"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"Precompiled"}]}`, `null`, `"type":"WordPiece"`), `normalizer "Precompiled" is not supported`},
		{"tokenizer.json", file(`{"lowercase":true}`, `null`, `"type":"WordPiece"`), `a component without a type`},
		{"tokenizer.json", file(`null`, `{"type":"Digits"}`, `"type":"WordPiece"`), `pre-tokenizer "Digits" is not supported`},
		{"tokenizer.json", file(`null`, `{"type":"ByteLevel"}`, `"type":"WordPiece"`), `ByteLevel with a WordPiece model is not supported`},
		{"tokenizer.json", file(`null`, `{"type":"ByteLevel","use_regex":false}`, `"type":"BPE"`), `use_regex false`},
		{"tokenizer.json", file(`null`, `{"type":"BertPreTokenizer"}`, `"type":"BPE"`), `BPE model with pre-tokenizer "BertPreTokenizer" is not supported`},
		{"tokenizer.json", file(`null`, `{"type":"ByteLevel"}`, `"type":"BPE","byte_fallback":true`), `byte_fallback or fuse_unk is not supported`},
		{"tokenizer.json", file(`null`, `{"type":"ByteLevel"}`, `"type":"BPE","dropout":0.1`), `dropout is not supported`},
		{"tokenizer.json", file(`null`, `{"type":"ByteLevel"}`, `"type":"BPE","merges":["a b"]`), `needs the token "ab"`},
		{"tokenizer.json", file(`null`, `{"type":"ByteLevel"}`, `"type":"BPE","merges":[["a","b","c"]]`), `has 3 parts`},
		{"tokenizer.json", file(`null`, `null`, `"type":"Unigram"`), `model type "Unigram" is not supported`},
		{"tokenizer.json", file(`null`, `null`, `"type":"WordPiece","unk_token":"<oov>"`), `lacks the unknown token "<oov>"`},
		{"tokenizer.json", `{"model":{"type":"WordPiece","vocab":{"a":0,"b":0}}}`, `tokens "a" and "b" share the id 0`},
		{"tokenizer.json", `{"model":{"type":"WordPiece","vocab":{"a":-1}}}`, `token "a" has the id -1`},
		{"tokenizer.json", `{"model":{"type":"WordPiece","vocab":{"a":0}},"added_tokens":[{"id":1,"content":"a"}]}`, `added token "a" has the id 1, in the vocabulary it is 0`},
		{"vocab.txt", "a\nb\n", "lacks the special token [PAD]"},
		{"vocab.txt", "a\nb\na\n", `token "a" has the ids 0 and 2`},
		{"vocab.json", `{"a":0}`, "merges.txt or vocab.bpe must stand beside it"},
		{"vocab.json", `[]`, "cannot unmarshal array"},
		{"other.bin", ``, "holds none of tokenizer.json, vocab.txt, vocab.json, encoder.json"},
	} {
		dir := files{c.name: c.content}.write(t)
		_, err := LoadTokenizer(dir)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, dir, "the error names the file")
	}
	_, err := LoadTokenizer(filepath.Join(t.TempDir(), "nowhere"))
	require.ErrorContains(t, err, "does not exist")
	_, err = NewByteBPE("x", []string{"<|endoftext|>", "a"}, []string{"a"})
	require.ErrorContains(t, err, `merge 1 is "a", expected two tokens`)
}

// TestDecode checks that byte-level BPE gives every text back, and WordPiece its words.
func TestDecode(t *testing.T) {
	j, err := json.Marshal(goldenFile(t, "bpe"))
	require.NoError(t, err)
	bpe, err := parseTokenizerJSON("golden", j)
	require.NoError(t, err)
	for _, s := range append(readGolden(t).Texts, "\xff\xfe invalid \xc3", strings.Repeat("-", 50_000)) {
		require.Equal(t, s, bpe.Decode(bpe.Encode(s)))
	}
	wordpiece, err := NewWordPiece("test", []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "!"})
	require.NoError(t, err)
	require.Equal(t, []int32{5, 6, 7, 8, 1, 4}, wordpiece.Encode("Unaffable! unknown [MASK]"))
	require.Equal(t, "unaffable ! [UNK] [MASK]", wordpiece.Decode(wordpiece.Encode("Unaffable! unknown [MASK]")))
	require.Equal(t, "", wordpiece.Token(99))
	require.Equal(t, Special{Pad: 0, Unknown: 1, CLS: 2, SEP: 3, Mask: 4}, wordpiece.Special())
	require.Equal(t, 9, wordpiece.Size())
}

// TestTokenizerName checks that two tokenizers that differ in anything have different names, and equal ones the same.
func TestTokenizerName(t *testing.T) {
	seen := map[string]string{}
	for _, c := range readGolden(t).Tokenizers {
		for range 2 {
			tok, err := parseTokenizerJSON("golden", c.Tokenizer)
			require.NoError(t, err)
			if other, ok := seen[tok.Name()]; ok {
				require.Equal(t, other, c.Name)
			}
			seen[tok.Name()] = c.Name
		}
	}
	require.Len(t, seen, len(readGolden(t).Tokenizers))
}

// TestTokenizerConcurrent is for the race detector; it also fills the cache beyond the words of one goroutine.
func TestTokenizerConcurrent(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Tokenizers[:1] {
		tok, err := parseTokenizerJSON("golden", c.Tokenizer)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i, s := range g.Texts {
					if !slices.Equal(c.IDs[i], tok.Encode(s)) {
						t.Errorf("%q differs under concurrency", s)
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestWordCacheIsBounded checks that neither long words nor too many are kept.
func TestWordCacheIsBounded(t *testing.T) {
	var c wordCache
	calls := 0
	model := func(string) []int32 { calls++; return []int32{1} }
	long := strings.Repeat("x", cachedWordBytes+1)
	for range 2 {
		c.get("short", model)
		c.get(long, model)
	}
	require.Equal(t, 3, calls, "short once, long twice")
	c.size.Store(cachedWords)
	for range 2 {
		c.get("late", model)
	}
	require.Equal(t, 5, calls)
}

func FuzzTokenizers(f *testing.F) {
	g := readGolden(f)
	var all []Tokenizer
	for _, c := range g.Tokenizers {
		tok, err := parseTokenizerJSON("golden", c.Tokenizer)
		require.NoError(f, err)
		all = append(all, tok)
	}
	for _, s := range g.Texts {
		f.Add(s)
	}
	f.Add("\xff\xc3(\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, s string) {
		for i, tok := range all {
			ids := tok.Encode(s)
			for _, id := range ids {
				if tok.Token(id) == "" {
					t.Fatalf("%s gives %q the id %d, which does not exist", tok.Name(), s, id)
				}
			}
			if g.Tokenizers[i].Name == "bpe" && utf8.ValidString(s) && tok.Decode(ids) != s {
				t.Fatalf("%q becomes %q", s, tok.Decode(ids))
			}
		}
	})
}

func FuzzTokenizerJSON(f *testing.F) {
	for _, c := range readGolden(f).Tokenizers {
		f.Add([]byte(c.Tokenizer))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		if tok, err := parseTokenizerJSON("fuzz", b); err == nil {
			tok.Decode(tok.Encode("some text"))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"bert-base-uncased", "roberta"} {
		b.Run(name, func(b *testing.B) {
			tok, err := LoadTokenizer(sharedData(b, "tokenizers", name))
			require.NoError(b, err)
			text, err := readFile(sharedData(b, "lm", "wikitext-2", "wiki.valid.raw.gz"))
			require.NoError(b, err)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for _, l := range lines(text) {
					tok.Encode(l)
				}
			}
		})
	}
}
