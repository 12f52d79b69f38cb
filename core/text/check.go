package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Report is what a data folder holds.
type Report struct {
	Files []FileReport `json:"files"`
}

// FileReport is one file of a data folder.
type FileReport struct {
	Path string   `json:"path"`
	Kind string   `json:"kind"` // "task", "choice", "corpus" or "tokenizer"
	Rows int      `json:"rows"` // usable rows, documents, or vocabulary entries
	Bad  []BadRow `json:"malformed"`
}

// taskParts are the files of a task that are read.
var taskParts = []string{"train", "train_extra", "dev", "dev_matched", "dev_mismatched"}

// Check reads everything that training could read below dir: dir/glue/TASK and dir/mc/TASK (or dir/TASK), dir/lm and dir/tokenizers.
func Check(dir string) (Report, error) {
	if s, err := os.Stat(dir); err != nil || !s.IsDir() {
		return Report{}, fmt.Errorf("data folder %s does not exist or is not a folder", dir)
	}
	var r Report
	for _, l := range layouts {
		for _, base := range []string{filepath.Join(dir, "glue"), dir} {
			if err := r.addTask(l, filepath.Join(base, l.Name)); err != nil {
				return r, err
			}
		}
	}
	for _, l := range choiceLayouts {
		for _, base := range []string{filepath.Join(dir, "mc"), dir} {
			if err := r.addChoices(l, filepath.Join(base, l.folder)); err != nil {
				return r, err
			}
		}
	}
	if err := r.addCorpora(filepath.Join(dir, "lm")); err != nil {
		return r, err
	}
	if err := r.addTokenizers(filepath.Join(dir, "tokenizers")); err != nil {
		return r, err
	}
	if len(r.Files) == 0 {
		return r, fmt.Errorf("%s holds no task, corpus or tokenizer; expected are glue/TASK, mc/TASK, lm and tokenizers", dir)
	}
	return r, nil
}

func (r *Report) addTask(l layout, folder string) error {
	for _, part := range taskParts {
		for _, format := range formats {
			path := existing(filepath.Join(folder, part+format))
			if path == "" {
				continue
			}
			rows, bad, err := l.readSplit(path)
			if err != nil {
				bad = append(bad, BadRow{path, 0, err.Error()})
			}
			r.Files = append(r.Files, FileReport{Path: path, Kind: "task", Rows: len(rows), Bad: bad})
		}
	}
	return nil
}

func (r *Report) addChoices(l choiceLayout, folder string) error {
	files, err := l.files(folder)
	if err != nil {
		return err
	}
	for _, f := range files {
		rows, bad, err := l.readFile(f)
		if err != nil {
			bad = append(bad, BadRow{f.path, 0, err.Error()})
		}
		r.Files = append(r.Files, FileReport{Path: f.path, Kind: "choice", Rows: len(rows), Bad: bad})
	}
	return nil
}

func (r *Report) addCorpora(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	files, err := corpusFiles(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		documents, bad, err := readDocuments(f)
		if err != nil {
			bad = append(bad, BadRow{f, 0, err.Error()})
		}
		r.Files = append(r.Files, FileReport{Path: f, Kind: "corpus", Rows: len(documents), Bad: bad})
	}
	return nil
}

func (r *Report) addTokenizers(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !e.IsDir() || !slices.ContainsFunc(tokenizerFiles, func(f string) bool { return complete(path, f) }) {
			continue
		}
		f := FileReport{Path: path, Kind: "tokenizer"}
		if tok, err := LoadTokenizer(path); err != nil {
			f.Bad = []BadRow{{path, 0, strings.TrimSpace(err.Error())}}
		} else {
			f.Rows = tok.Size()
		}
		r.Files = append(r.Files, f)
	}
	return nil
}

// complete reports whether a folder holds a tokenizer file and what belongs to it: a JSON vocabulary alone is no tokenizer.
func complete(dir, file string) bool {
	if existing(filepath.Join(dir, file)) == "" {
		return false
	}
	return file == tokenizerFiles[0] || file == tokenizerFiles[1] ||
		slices.ContainsFunc(mergeFiles, func(m string) bool { return existing(filepath.Join(dir, m)) != "" })
}
