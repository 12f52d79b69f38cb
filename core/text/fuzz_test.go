package text

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// checkRows holds the good and the bad rows of any file to what readers promise.
func checkRows(t *testing.T, l layout, content []byte, rows []Example, bad []BadRow, err error) {
	t.Helper()
	if err != nil {
		require.Contains(t, err.Error(), "file")
		return
	}
	for _, e := range rows {
		require.True(t, utf8.ValidString(e.A+e.B))
		require.NotEmpty(t, strings.TrimSpace(e.A))
		require.Equal(t, l.Pair, e.B != "")
		require.True(t, e.Target >= 0 && e.Target <= 5 && e.Label >= 0 && e.Label < max(1, len(l.Labels)), "%+v", e)
	}
	last := 0
	for _, b := range bad {
		require.NotEmpty(t, b.Reason)
		require.GreaterOrEqual(t, b.Line, max(1, last), "bad rows come in the order of the file")
		last = b.Line
	}
	require.LessOrEqual(t, last, strings.Count(string(content), "\n")+1)
}

func FuzzTSV(f *testing.F) {
	for i, name := range TaskNames() {
		f.Add([]byte(official[name].train), uint8(i))
	}
	for _, c := range malformed {
		f.Add([]byte(c.content), uint8(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, task uint8) {
		l := layouts[int(task)%len(layouts)]
		rows, bad, err := l.readTSV("file", b)
		checkRows(t, l, b, rows, bad, err)
		header := 1
		if l.columns != nil {
			header = 0
		}
		if err == nil {
			require.Len(t, lines(b), len(rows)+len(bad)+header, "every line is a row, good or bad")
		}
	})
}

func FuzzJSONRows(f *testing.F) {
	f.Add([]byte(`{"0": {"text_a": "a", "text_b": "b", "label": 0}, "1": {}}`), uint8(4))
	f.Add([]byte(`{"sentence": "a", "label": "1"}`+"\n\n[1]"), uint8(1))
	for i, c := range malformed {
		f.Add([]byte(c.content), uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, task uint8) {
		l := layouts[int(task)%len(layouts)]
		rows, bad, err := l.readLines("file", b)
		require.NoError(t, err, "a line is good or bad by itself")
		checkRows(t, l, b, rows, bad, err)
		rows, bad, err = l.readObject("file", b)
		checkRows(t, l, b, rows, bad, err)
	})
}

func FuzzCorpus(f *testing.F) {
	f.Add([]byte(wikiArticle+"<doc id=\"2\">\n\xff"), "a.txt")
	f.Add([]byte(" = A = \n text\n = = B = = \n\n = C = \n x"), "a.tokens")
	f.Add([]byte("# A\nb\n## C\n<|endoftext|>\nd"), "a.md.gz")
	f.Add([]byte(strings.Repeat(plainLine+"\n\n", 90)), "")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		documents, bad := documentsOf(name, b)
		for _, d := range documents {
			require.True(t, utf8.ValidString(d))
			require.NotEmpty(t, strings.TrimSpace(d))
			require.LessOrEqual(t, len(d), len(b))
		}
		for _, r := range bad {
			require.True(t, r.Line >= 1 && r.Line <= len(lines(b)))
		}
	})
}

// FuzzWordPiece makes a vocabulary of any words: it is refused, or every text has ids that exist.
func FuzzWordPiece(f *testing.F) {
	f.Add("tra ##m ##s run", "Trams run")
	f.Add("## a ##a [UNK]", "aaaa [MASK]\xff")
	f.Add("\u0301 İ ##İ", "İstanbul e\u0301")
	f.Fuzz(func(t *testing.T, vocabulary, s string) {
		tok, err := NewWordPiece("fuzz", append(bertSpecials.list(), strings.Fields(vocabulary)...))
		if err != nil {
			require.ErrorContains(t, err, "has the ids")
			return
		}
		requireKnownIDs(t, tok, s)
		require.Equal(t, tok.Encode(s), tok.Encode(s))
	})
}

// FuzzByteBPE makes a vocabulary and merges of any strings: they are refused, or a text gives ids that exist, and the text again if all bytes are known.
func FuzzByteBPE(f *testing.F) {
	f.Add("ab abc ra", "a b,ab c,r a", "abc\x00 abracadabra\xff")
	f.Add("", "", "the\n\n  end ")
	f.Add("Ġa ĠĠ", "Ġ a,Ġ Ġ", "   a a<mask>")
	f.Fuzz(func(t *testing.T, vocabulary, merges, s string) {
		tokens := robertaSpecials.list()
		for _, r := range byteRunes {
			tokens = append(tokens, string(r))
		}
		tok, err := NewByteBPE("fuzz", append(tokens, strings.Fields(vocabulary)...), strings.Split(merges, ","))
		if merges == "" {
			tok, err = NewByteBPE("fuzz", tokens, nil)
			require.NoError(t, err)
		}
		if err != nil {
			return
		}
		requireKnownIDs(t, tok, s)
		require.Equal(t, s, tok.Decode(tok.Encode(s)))
	})
}

func requireKnownIDs(t *testing.T, tok Tokenizer, s string) {
	t.Helper()
	for _, id := range tok.Encode(s) {
		require.NotEmpty(t, tok.Token(id))
	}
}
