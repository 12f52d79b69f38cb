package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tokenizerFiles are the files by which a tokenizer's folder is known, in the order they are looked for.
var tokenizerFiles = []string{"tokenizer.json", "vocab.txt", "vocab.json", "encoder.json"}

// mergeFiles hold the merges of a JSON vocabulary.
var mergeFiles = []string{"merges.txt", "vocab.bpe"}

// LoadTokenizer loads a tokenizer from a folder, or from one of its files: tokenizer.json, vocab.txt (WordPiece), or vocab.json or encoder.json with merges.txt
// or vocab.bpe (byte-level BPE), plain or gzip.
func LoadTokenizer(path string) (Tokenizer, error) {
	s, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer %s does not exist; name another with data.tokenizer, or another --data", path)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	file := path
	if s.IsDir() {
		file = ""
		for _, f := range tokenizerFiles {
			if p := existing(filepath.Join(path, f)); p != "" {
				file = p
				break
			}
		}
		if file == "" {
			return nil, fmt.Errorf("tokenizer: %s holds none of %s", path, strings.Join(tokenizerFiles, ", "))
		}
	}
	b, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	switch base := filepath.Base(strings.TrimSuffix(file, ".gz")); base {
	case "tokenizer.json":
		return parseTokenizerJSON(file, b)
	case "vocab.txt":
		return NewWordPiece(file, lines(b))
	default:
		return loadByteBPE(file, b)
	}
}

// loadByteBPE reads the merges beside a JSON vocabulary.
func loadByteBPE(file string, vocab []byte) (Tokenizer, error) {
	var ids map[string]int32
	if err := json.Unmarshal(vocab, &ids); err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	tokens, err := byID(file, ids)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	for _, name := range mergeFiles {
		if existing(filepath.Join(dir, name)) == "" {
			continue
		}
		b, err := readFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("tokenizer %s: %w", file, err)
		}
		merges := lines(b)
		if len(merges) > 0 && strings.HasPrefix(merges[0], "#version") {
			merges = merges[1:]
		}
		for len(merges) > 0 && merges[len(merges)-1] == "" {
			merges = merges[:len(merges)-1]
		}
		return NewByteBPE(file, tokens, merges)
	}
	return nil, fmt.Errorf("tokenizer %s: merges.txt or vocab.bpe must stand beside it", file)
}
