package text

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// corpusEndings are the files that a folder of pre-training text is made of, without .gz; .part is the beginning of a longer text.
var corpusEndings = []string{".txt", ".md", ".raw", ".tokens", ".part"}

// ReadCorpus reads a file, or every text file below a folder in order of path, into documents. It knows the output of wikiextractor (<doc> elements), text with
// <|endoftext|> between documents, WikiText's headings and Markdown books (a document per chapter); other text is cut into documents of about
// 4,000 bytes at empty lines. A line that is not UTF-8, and a <doc> that does not end, are malformed.
func ReadCorpus(path string, o ReadOptions) (Corpus, error) {
	files, err := corpusFiles(path)
	if err != nil {
		return Corpus{}, fmt.Errorf("pre-training text: %w", err)
	}
	c := Corpus{Name: filepath.Base(path)}
	var size int64
	for _, f := range files {
		documents, bad, err := readDocuments(f)
		if err != nil {
			return c, fmt.Errorf("pre-training text: %w", err)
		}
		if err := o.refuse(bad); err != nil {
			return c, fmt.Errorf("pre-training text: %w", err)
		}
		c.Skipped += len(bad)
		for _, d := range documents {
			if o.MaxBytes > 0 && size+int64(len(d)) > o.MaxBytes {
				if len(c.Documents) == 0 {
					return c, fmt.Errorf("pre-training text: the first document of %s has %d bytes, more than the limit of %d", f, len(d), o.MaxBytes)
				}
				return c, nil
			}
			size += int64(len(d))
			c.Documents = append(c.Documents, d)
		}
	}
	if len(c.Documents) == 0 {
		return c, fmt.Errorf("pre-training text: %s holds no documents", path)
	}
	return c, nil
}

// corpusFiles lists a file (or its .gz) or the text files below a folder.
func corpusFiles(path string) ([]string, error) {
	if f := existing(path); f != "" {
		return []string{f}, nil
	}
	if s, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s does not exist; name another with data.corpora, or another --data", path)
	} else if !s.IsDir() {
		return nil, fmt.Errorf("%s is neither a file nor a folder", path)
	}
	var files []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains(corpusEndings, filepath.Ext(strings.TrimSuffix(p, ".gz"))) {
			files = append(files, p)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no text files (%s, plain or .gz)", path, strings.Join(corpusEndings, ", "))
	}
	return files, err
}

// Marks of the formats.
const (
	docStart  = "<doc id="
	docEnd    = "</doc>"
	endOfText = "<|endoftext|>"
)

var (
	wikiTextTitle = regexp.MustCompile(`^ = [^=].* = $`)
	chapterTitle  = regexp.MustCompile(`^#{1,3} `)
	headingMark   = regexp.MustCompile(`(?m)^#{1,6}\s+`)
	ruleLine      = regexp.MustCompile(`^-{3,}\s*$`)
)

// plainDocument is the size at which other text is cut, in bytes.
const plainDocument = 4000

func readDocuments(path string) ([]string, []BadRow, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	documents, bad := documentsOf(path, b)
	return documents, bad, nil
}

// documentsOf recognises the format of a file's content and takes it apart.
func documentsOf(path string, b []byte) ([]string, []BadRow) {
	all := lines(b)
	var bad []BadRow
	for i, l := range all {
		if !utf8.ValidString(l) {
			bad = append(bad, BadRow{path, i + 1, "not valid UTF-8"})
			all[i] = ""
		}
	}
	switch {
	case bytes.HasPrefix(b, []byte(docStart)):
		documents, unclosed := wikiDocuments(all)
		for _, line := range unclosed {
			bad = append(bad, BadRow{path, line, "a <doc> that does not end"})
		}
		return documents, bad
	case bytes.Contains(b, []byte(endOfText)):
		return cut(all, func(l string, _ int) bool { return strings.TrimSpace(l) == endOfText }), bad
	case strings.HasSuffix(strings.TrimSuffix(path, ".gz"), ".md"):
		return markdownDocuments(all), bad
	case slices.ContainsFunc(all[:min(len(all), 50)], wikiTextTitle.MatchString):
		return cut(all, func(l string, _ int) bool { return wikiTextTitle.MatchString(l) }), bad
	default:
		return cut(all, func(l string, size int) bool { return size >= plainDocument && strings.TrimSpace(l) == "" }), bad
	}
}

// markdownDocuments is a document per chapter. Headings that a rule ends, such as title, author and year, are about the book and no text of it.
func markdownDocuments(all []string) []string {
	for i, l := range all {
		if ruleLine.MatchString(l) {
			all = all[i+1:]
			break
		}
		if strings.TrimSpace(l) != "" && !headingMark.MatchString(l) {
			break
		}
	}
	documents := cut(all, func(l string, _ int) bool { return chapterTitle.MatchString(l) })
	for i, d := range documents {
		documents[i] = headingMark.ReplaceAllString(d, "")
	}
	return documents
}

// wikiDocuments takes the text inside <doc> elements, and the lines of those that do not end.
func wikiDocuments(all []string) (documents []string, unclosed []int) {
	var current []string
	open := 0
	for i, l := range all {
		switch {
		case strings.HasPrefix(l, docStart):
			if open > 0 {
				unclosed = append(unclosed, open)
			}
			current, open = nil, i+1
		case strings.HasPrefix(l, docEnd):
			documents = appendDocument(documents, current)
			current, open = nil, 0
		case open > 0:
			current = append(current, l)
		}
	}
	if open > 0 {
		unclosed = append(unclosed, open)
	}
	return documents, unclosed
}

// cut starts a new document at every line that begins one; begins is given the size of the document so far.
func cut(all []string, begins func(line string, size int) bool) []string {
	var documents, current []string
	size := 0
	for _, l := range all {
		if begins(l, size) {
			documents = appendDocument(documents, current)
			current, size = nil, 0
		}
		if strings.TrimSpace(l) != endOfText {
			current = append(current, strings.TrimSpace(l))
			size += len(l)
		}
	}
	return appendDocument(documents, current)
}

// appendDocument adds the lines that hold something.
func appendDocument(documents, current []string) []string {
	kept := slices.DeleteFunc(current, func(l string) bool { return strings.TrimSpace(l) == "" })
	if len(kept) == 0 {
		return documents
	}
	return append(documents, strings.Join(kept, "\n"))
}
