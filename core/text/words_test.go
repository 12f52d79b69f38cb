package text

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// firstWord is the id of "w0" for the tokenizer of numbered words.
const firstWord = 5

// numbered is a tokenizer of the words w0 to w(n-1).
func numbered(t testing.TB, n int) Tokenizer {
	t.Helper()
	tokens := bertSpecials.list()
	for i := range n {
		tokens = append(tokens, fmt.Sprintf("w%d", i))
	}
	tok, err := NewWordPiece("numbered words", tokens)
	require.NoError(t, err)
	return tok
}

// wordRange is the words from one number to before another.
func wordRange(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "w%d ", i)
	}
	return b.String()
}
