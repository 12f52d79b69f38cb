package model

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
)

// npy is an array of NumPy's file format, as float64.
type npy struct{ values []float64 }

var npyHeader = regexp.MustCompile(`'descr': '<([fi][48])', 'fortran_order': False`)

// readNPZ reads a file of numpy.savez: a zip of .npy members.
func readNPZ(file string) (map[string]npy, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	out := map[string]npy{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		r.Close()
		if out[strings.TrimSuffix(f.Name, ".npy")], err = parseNPY(data); err != nil {
			return nil, fmt.Errorf("%s of %s: %w", f.Name, file, err)
		}
	}
	return out, nil
}

// parseNPY reads versions 1 and 2: magic, version, header length, header, little-endian values.
func parseNPY(data []byte) (npy, error) {
	if len(data) < 12 || string(data[:6]) != "\x93NUMPY" {
		return npy{}, fmt.Errorf("not an npy array")
	}
	start := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	if data[6] > 1 {
		start = 12 + int(binary.LittleEndian.Uint32(data[8:]))
	}
	m := npyHeader.FindSubmatch(data[:start])
	if m == nil {
		return npy{}, fmt.Errorf("header %q is not supported", data[10:start])
	}
	var a npy
	for body := data[start:]; len(body) > 0; {
		switch string(m[1]) {
		case "f4":
			a.values = append(a.values, float64(math.Float32frombits(binary.LittleEndian.Uint32(body))))
		case "f8":
			a.values = append(a.values, math.Float64frombits(binary.LittleEndian.Uint64(body)))
		case "i4":
			a.values = append(a.values, float64(int32(binary.LittleEndian.Uint32(body))))
		case "i8":
			a.values = append(a.values, float64(int64(binary.LittleEndian.Uint64(body))))
		}
		body = body[m[1][1]-'0':]
	}
	return a, nil
}
