package text

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden are tokenizers and the ids that the Hugging Face package gives hard strings; see testdata/make_golden.py.
type golden struct {
	Texts      []string `json:"texts"`
	Tokenizers []struct {
		Name      string          `json:"name"`
		Tokenizer json.RawMessage `json:"tokenizer"`
		IDs       [][]int32       `json:"ids"`
	} `json:"tokenizers"`
}

func readGolden(t testing.TB) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/tokenizers.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}

func TestTokenizersGiveGoldenIDs(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Tokenizers {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := parseTokenizerJSON("golden", c.Tokenizer)
			require.NoError(t, err)
			for i, s := range g.Texts {
				if got := tok.Encode(s); !slices.Equal(got, c.IDs[i]) {
					t.Errorf("%q:\n got %q\nwant %q", s, names(tok, got), names(tok, c.IDs[i]))
				}
			}
		})
	}
}
