// Package hub reads pretrained models from the files they are published in: Hugging Face folders (config.json with safetensors, single or sharded; any
// file may be packed with gzip), folders that `flexi export --format hf` wrote, and llama2.c checkpoints. Names, shapes and counts are checked before
// anything is trained.
package hub

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flexi/core/model"
)

// Model is a pretrained model that was found, but not read yet.
type Model struct {
	Path  string // folder, or file of llama2.c
	Model model.Pretrained
	// BOS, EOS and Pad are token ids, -1 where the model names none.
	BOS, Pad int
	EOS      []int
	// Tokenizer is where its tokenizer is: the folder itself, or what an exported encoder's config.json names.
	Tokenizer string
	files     []string
	llama2c   bool
}

// Open finds a model. Nothing but the configuration is read.
func Open(path string) (*Model, error) {
	m, err := Shape(path)
	if err != nil || m.llama2c {
		return m, err
	}
	if m.files, err = weightFiles(path); err != nil {
		return nil, fmt.Errorf("open model %s: %w", path, err)
	}
	return m, nil
}

// Shape is Open of a model whose weights need not be there: a folder with a config.json will do.
func Shape(path string) (*Model, error) {
	m, err := shape(path)
	if err != nil {
		return nil, fmt.Errorf("open model %s: %w", path, err)
	}
	return m, nil
}

func shape(path string) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return openLlama2c(path)
	}
	text, err := read(filepath.Join(path, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the folder has no config.json; a Hugging Face model folder has one")
	}
	if err != nil {
		return nil, err
	}
	m := &Model{Path: path, Tokenizer: path}
	if err := m.configure(text); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return m, nil
}

// packed opens path, or path.gz unpacked.
func packed(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	name := path
	if errors.Is(err, fs.ErrNotExist) && !strings.HasSuffix(path, ".gz") {
		if g, gerr := os.Open(path + ".gz"); gerr == nil {
			f, err, name = g, nil, path+".gz"
		}
	}
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	return unpacking{z, f}, nil
}

type unpacking struct {
	*gzip.Reader
	file *os.File
}

func (u unpacking) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

// maxText bounds configurations and indices.
const maxText = 64 << 20

func read(path string) ([]byte, error) {
	f, err := packed(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(b) > maxText {
		err = fmt.Errorf("%s has over %d MB", path, maxText>>20)
	}
	return b, err
}

func exists(path string) bool {
	for _, p := range []string{path, path + ".gz"} {
		if s, err := os.Stat(p); err == nil && s.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// weightFiles are the files of a folder that hold the weights.
func weightFiles(dir string) ([]string, error) {
	if single := filepath.Join(dir, "model.safetensors"); exists(single) {
		return []string{single}, nil
	}
	index := filepath.Join(dir, "model.safetensors.index.json")
	text, err := read(index)
	if errors.Is(err, fs.ErrNotExist) {
		hint := ""
		if exists(filepath.Join(dir, "pytorch_model.bin")) {
			hint = "; pytorch_model.bin is not read: convert it with transformers (save_pretrained writes safetensors)"
		}
		return nil, errors.New("the folder has neither model.safetensors nor model.safetensors.index.json" + hint)
	}
	if err != nil {
		return nil, err
	}
	var shards struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &shards); err != nil {
		return nil, fmt.Errorf("%s: %w", index, err)
	}
	var files []string
	for name, file := range shards.Map {
		if file != filepath.Base(file) {
			return nil, fmt.Errorf("%s: tensor %s is in %q, which is not a file of the folder", index, name, file)
		}
		files = append(files, filepath.Join(dir, file))
	}
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) == 0 {
		return nil, fmt.Errorf("%s names no tensors", index)
	}
	for _, f := range files {
		if !exists(f) {
			return nil, fmt.Errorf("%s is missing; %s names it", f, filepath.Base(index))
		}
	}
	return files, nil
}

// Hash is the SHA-256 of the weight files, in order, unpacked.
func (m *Model) Hash() (string, error) {
	h := sha256.New()
	for _, path := range m.files {
		f, err := packed(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
