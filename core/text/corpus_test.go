package text

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const wikiArticle = "<doc id=\"1\" url=\"u\" title=\"A\">\nA\n\nFirst line.\r\nSecond line.\n\n</doc>\n"

// plainLine is 100 bytes.
var plainLine = strings.Repeat("word ", 19) + "last."

func TestCorpusFormats(t *testing.T) {
	long := strings.TrimSuffix(strings.Repeat(plainLine+"\n", 45), "\n")
	for _, c := range []struct {
		name, file, content string
		want                []string
	}{
		{"wikiextractor", "wiki.txt", "\ufeff" + wikiArticle + "between\n<doc id=\"2\">\n\n</doc>\n<doc id=\"3\">\nC\n</doc>", []string{"A\nFirst line.\nSecond line.", "C"}},
		{"end of text", "stories.txt", "One.\nStill one.\n<|endoftext|>\n\n  <|endoftext|>  \nTwo.", []string{"One.\nStill one.", "Two."}},
		{
			"WikiText", "wiki.train.tokens", " \n = First = \n \n text , one \n = = Part = = \n more \n = Second = \n two \n",
			[]string{" = First = \n text , one \n = = Part = = \n more ", " = Second = \n two "},
		},
		{"Markdown", "book.md", "# Title\n## Chapter 1\nIt was.\n\n#### not a chapter\n### Chapter 2\nIt ended. # 1\n", []string{"Title", "Chapter 1\nIt was.\nnot a chapter", "Chapter 2\nIt ended. # 1"}},
		{"book", "book.md", "# Title: A Book\n\n## Author: Somebody\n-------\n\n##  Chapter 1 \r\n\r\nIt was.\n\n-----\nIt still was.\n", []string{"Chapter 1\nIt was.\n-----\nIt still was."}},
		{"a number sign is no heading", "a.txt", "#1 of 2\n# 2 of 2", []string{"#1 of 2\n# 2 of 2"}},
		{"plain, short", "a.txt", "one\n\ntwo\n", []string{"one\ntwo"}},
		{"plain, cut at an empty line", "a.raw", long + "\n\nnext\n\nlast", []string{long, "next\nlast"}},
		{"plain, no empty line", "a.raw", long + "\n" + long, []string{long + "\n" + long}},
		{"packed", "a.md.gz", "# One\n# Two\n", []string{"One", "Two"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files{c.file: c.content}.write(t)
			for _, path := range []string{dir, filepath.Join(dir, c.file), filepath.Join(dir, strings.TrimSuffix(c.file, ".gz"))} {
				got, err := ReadCorpus(path, ReadOptions{})
				require.NoError(t, err)
				require.Equal(t, Corpus{Name: filepath.Base(path), Documents: trimmed(c.want)}, Corpus{got.Name, trimmed(got.Documents), got.Skipped})
			}
		})
	}
}

// trimmed drops blanks at the beginning and the end of every line.
func trimmed(documents []string) []string {
	out := make([]string, len(documents))
	for i, d := range documents {
		var kept []string
		for l := range strings.SplitSeq(d, "\n") {
			kept = append(kept, strings.TrimSpace(l))
		}
		out[i] = strings.Join(kept, "\n")
	}
	return out
}

func TestCorpusFolder(t *testing.T) {
	dir := files{"b/2.txt.gz": "two", "a/1.md": "# one", "c.tokens.part.gz": "three", "a/notes.pdf": "no", "a/data.json": "no", "z.raw": "\n\n"}.write(t)
	got, err := ReadCorpus(dir, ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two", "three"}, got.Documents)
}

func TestMalformedCorpora(t *testing.T) {
	for _, c := range []struct {
		name, content string
		reasons       []string // with line
		left          []string
	}{
		{"unclosed at the end", wikiArticle + "<doc id=\"2\">\nlost\n", []string{"8: a <doc> that does not end"}, []string{"A\nFirst line.\nSecond line."}},
		{"unclosed in the middle", "<doc id=\"1\">\nlost\n<doc id=\"2\">\nkept\n</doc>\n", []string{"1: a <doc> that does not end"}, []string{"kept"}},
		{"bytes", "good\nbad \xff\ngood\n\xc3\n", []string{"2: not valid UTF-8", "4: not valid UTF-8"}, []string{"good\ngood"}},
		{"both", "<doc id=\"1\">\nkept\n\xff\n</doc>\n<doc id=\"2\">", []string{"3: not valid UTF-8", "5: a <doc> that does not end"}, []string{"kept"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(files{"a.txt": c.content}.write(t), "a.txt")
			_, err := ReadCorpus(path, ReadOptions{})
			var refused *MalformedError
			require.ErrorAs(t, err, &refused)
			var got []string
			for _, r := range refused.Rows {
				got = append(got, strings.TrimPrefix(r.String(), path+":"))
			}
			require.Equal(t, c.reasons, got)
			corpus, err := ReadCorpus(path, ReadOptions{SkipBad: true})
			require.NoError(t, err)
			require.Equal(t, c.left, corpus.Documents)
			require.Equal(t, len(c.reasons), corpus.Skipped)
		})
	}
}

func TestCorpusLimit(t *testing.T) {
	dir := files{"a.md": "# 1234\n# 5678\n", "b.md": "# 90\n"}.write(t)
	for limit, want := range map[int64][]string{
		0: {"1234", "5678", "90"}, 10: {"1234", "5678", "90"}, 9: {"1234", "5678"}, 8: {"1234", "5678"}, 7: {"1234"}, 4: {"1234"},
	} {
		got, err := ReadCorpus(dir, ReadOptions{MaxBytes: limit})
		require.NoError(t, err)
		require.Equal(t, want, got.Documents, "limit %d", limit)
	}
	_, err := ReadCorpus(dir, ReadOptions{MaxBytes: 3})
	require.ErrorContains(t, err, "more than the limit of 3")
}

func TestUnreadableCorpora(t *testing.T) {
	dir := files{"empty/a.txt": " \n\n", "other/a.pdf": "x", "closed/a.txt": "<doc id=\"1\">\n</doc>\n"}.write(t)
	for name, want := range map[string]string{
		"missing": "does not exist", "missing.txt": "does not exist", "empty": "holds no documents", "closed": "holds no documents", "other": "holds no text files (.txt, .md, .raw, .tokens, .part, plain or .gz)",
	} {
		_, err := ReadCorpus(filepath.Join(dir, name), ReadOptions{})
		require.ErrorContains(t, err, "pre-training text: ", name)
		require.ErrorContains(t, err, want, name)
	}
	_, err := ReadCorpus("/dev/null", ReadOptions{})
	require.ErrorContains(t, err, "/dev/null is neither a file nor a folder")
}

func TestSharedCorpora(t *testing.T) {
	for path, want := range map[string]string{
		"lm/wikipedia/part-3.txt": "", "lm/wikitext-2/wiki.valid.raw": "", "lm/tinyshakespeare/input.txt": "First Citizen:", "lm/tinystories": "",
	} {
		c, err := ReadCorpus(sharedData(t)+"/"+path, ReadOptions{SkipBad: true, MaxBytes: 2 << 20})
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(c.Documents[0], want))
		require.Greater(t, len(c.Documents), 20, path)
		for _, d := range c.Documents {
			require.NotContains(t, d, endOfText)
			require.NotContains(t, d, docEnd)
		}
	}
}
