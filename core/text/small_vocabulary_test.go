package text

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Vocabularies of a few tokens, and texts with the ids that version 0.23.3 of the Hugging Face tokenizers package gives them.
var (
	smallPieces = strings.Fields("[PAD] [UNK] [CLS] [SEP] [MASK] tra ##m ##s run ##ning late in the e ##au ! don ' t 市")
	smallTokens = strings.Fields("<s> <pad> </s> <unk> <mask> Ġ t h e r a m 1 2 Ã © ' s ! Ċ Ġt he Ġthe ra ram ĠĠ 12")
	smallMerges = []string{"Ġ t", "h e", "Ġt he", "r a", "ra m", "Ġ Ġ", "1 2"}

	pieceIDs = map[string][]int32{
		"Trams running LATE in the eau!": {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		"don't tram":                     {16, 17, 18, 5, 6},
		"trams[MASK]RUN":                 {5, 6, 7, 4, 8},
		"市the":                           {19, 12},
		"the zebra tramss":               {12, 1, 5, 6, 7, 7},
		"é au\u00adx":                    {13, 1},
		"\tIn\u200bthe \n":               {1},
	}
	byteIDs = map[string][]int32{
		"the ram's the  ram!": {6, 21, 5, 24, 16, 17, 22, 5, 5, 24, 18},
		"ram the12 121":       {24, 22, 26, 5, 26, 12},
		"thé\n the":           {6, 7, 14, 15, 19, 22},
		"  \n the":            {25, 19, 22},
		"<s>ram<mask>the</s>": {0, 24, 4, 6, 21, 2},
		"tram xyz ther":       {6, 24, 5, 22, 9}, // x, y and z are no tokens, and there is no unknown token without a tokenizer.json
	}
)

func TestSmallVocabularies(t *testing.T) {
	ids := map[string]int{}
	for i, token := range smallTokens {
		ids[token] = i
	}
	vocabulary, err := json.Marshal(ids)
	require.NoError(t, err)
	dir := files{
		"vocab.txt": strings.Join(smallPieces, "\n"), "bpe/vocab.json": string(vocabulary), "bpe/merges.txt": "#version: 0.2\n" + strings.Join(smallMerges, "\n"),
		"wordpiece/tokenizer.json": smallJSON(t, smallPieces, `{"type":"BertNormalizer"}`, `{"type":"BertPreTokenizer"}`, `"type":"WordPiece","unk_token":"[UNK]"`),
		"byte/tokenizer.json":      smallJSON(t, smallTokens, "null", `{"type":"ByteLevel","add_prefix_space":false}`, `"type":"BPE","merges":["`+strings.Join(smallMerges, `","`)+`"]`),
		"pairs/tokenizer.json": smallJSON(t, smallTokens, "null", `{"type":"ByteLevel","add_prefix_space":false}`,
			`"type":"BPE","merges":[["`+strings.ReplaceAll(strings.Join(smallMerges, `"],["`), " ", `","`)+`"]]`),
	}.write(t)
	for path, want := range map[string]map[string][]int32{"vocab.txt": pieceIDs, "wordpiece": pieceIDs, "bpe": byteIDs, "byte": byteIDs, "pairs": byteIDs} {
		tok, err := LoadTokenizer(filepath.Join(dir, path))
		require.NoError(t, err)
		for s, ids := range want {
			require.Equal(t, ids, tok.Encode(s), "%s: %q becomes %q", path, s, names(tok, tok.Encode(s)))
		}
	}
}

// smallJSON is a tokenizer.json whose first five tokens are special.
func smallJSON(t *testing.T, tokens []string, normalizer, preTokenizer, model string) string {
	t.Helper()
	ids := map[string]int{}
	var added []addedJSON
	for i, token := range tokens {
		ids[token] = i
		if i < firstWord {
			added = append(added, addedJSON{ID: int32(i), Content: token})
		}
	}
	parts, err := json.Marshal(map[string]any{"vocab": ids, "added_tokens": added})
	require.NoError(t, err)
	var raw map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(parts, &raw))
	return fmt.Sprintf(`{"normalizer":%s,"pre_tokenizer":%s,"model":{%s,"vocab":%s},"added_tokens":%s}`, normalizer, preTokenizer, model, raw["vocab"], raw["added_tokens"])
}

// TestByteBPEKeepsAllBytes: with all bytes in the vocabulary every string comes back, whatever its bytes.
func TestByteBPEKeepsAllBytes(t *testing.T) {
	tokens := robertaSpecials.list()
	for _, r := range byteRunes {
		tokens = append(tokens, string(r))
	}
	tokens = append(tokens, "Ġt", "he", "Ġthe", "ra", "ram", "ĠĠ", "12")
	tok, err := NewByteBPE("bytes", tokens, smallMerges)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.SliceOf(rapid.SampledFrom([]byte(" theram12\n's")))).Draw(t, "bytes")
		require.Equal(t, string(b), tok.Decode(tok.Encode(string(b))))
	})
}

// TestMergesMatchTheDefinition compares the queue with looking for the pair of lowest rank again and again.
func TestMergesMatchTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]string{"a", "b", "c"})
		known, ranks := []string{"a", "b", "c"}, map[[2]string]int{}
		for range rapid.IntRange(0, 8).Draw(t, "merges") {
			pair := [2]string{rapid.SampledFrom(known).Draw(t, "left"), rapid.SampledFrom(known).Draw(t, "right")}
			if _, dup := ranks[pair]; !dup {
				ranks[pair] = len(ranks)
				known = append(known, pair[0]+pair[1])
			}
		}
		word := rapid.SliceOfN(letters, 0, 30).Draw(t, "word")
		want := naiveMerges(slices.Clone(word), ranks)
		require.Equal(t, strings.Join(want, " "), strings.Join(mergePairs(slices.Clone(word), ranks), " "))
	})
}

func naiveMerges(word []string, ranks map[[2]string]int) []string {
	for {
		at, best := -1, len(ranks)
		for i := range len(word) - 1 {
			if r, ok := ranks[[2]string{word[i], word[i+1]}]; ok && r < best {
				at, best = i, r
			}
		}
		if at < 0 {
			return word
		}
		word = slices.Replace(word, at, at+2, word[at]+word[at+1])
	}
}
