package cuda

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/ebitengine/purego"
)

// compiler is NVRTC.
type compiler struct{ lib *library }

func openCompiler() (*compiler, error) {
	lib, err := openLibrary(nvrtcNames, []string{
		"nvrtcVersion", "nvrtcCreateProgram", "nvrtcCompileProgram", "nvrtcGetProgramLogSize", "nvrtcGetProgramLog", "nvrtcGetCUBINSize", "nvrtcGetCUBIN",
		"nvrtcDestroyProgram",
	})
	if err != nil {
		return nil, fmt.Errorf("%w: NVRTC, which compiles the kernels: %w; pip install nvidia-cuda-nvrtc, or name its folder in %s", ErrMissingLibrary, err,
			pathVariable)
	}
	return &compiler{lib}, nil
}

func (c *compiler) version() string {
	var major, minor int32
	purego.SyscallN(c.lib.call["nvrtcVersion"], uintptr(unsafe.Pointer(&major)), uintptr(unsafe.Pointer(&minor)))
	return fmt.Sprintf("%d.%d", major, minor)
}

// options of every compilation.
var options = []string{"--std=c++17", "-default-device"}

//go:uintptrescapes
func (c *compiler) call(name string, args ...uintptr) error {
	if bad, _, _ := purego.SyscallN(c.lib.call[name], args...); bad != 0 {
		return fmt.Errorf("%s of NVRTC %s failed with %d", name, c.version(), int32(bad))
	}
	return nil
}

// compile makes machine code for an architecture ("sm_90"), and returns the compiler's remarks.
func (c *compiler) compile(source, architecture string, more ...string) (code []byte, remarks string, err error) {
	var program, size uintptr
	src, name := append([]byte(source), 0), []byte("flexi.cu\x00")
	err = c.call("nvrtcCreateProgram", uintptr(unsafe.Pointer(&program)), uintptr(unsafe.Pointer(&src[0])), uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, c.call("nvrtcDestroyProgram", uintptr(unsafe.Pointer(&program)))) }()
	var flags []*byte
	for _, o := range append(append([]string{"--gpu-architecture=" + architecture}, options...), more...) {
		flags = append(flags, &append([]byte(o), 0)[0])
	}
	failed := c.call("nvrtcCompileProgram", program, uintptr(len(flags)), uintptr(unsafe.Pointer(&flags[0])))
	if err := c.call("nvrtcGetProgramLogSize", program, uintptr(unsafe.Pointer(&size))); err != nil {
		return nil, "", err
	}
	log := make([]byte, size+1)
	if err := c.call("nvrtcGetProgramLog", program, uintptr(unsafe.Pointer(&log[0]))); err != nil {
		return nil, "", err
	}
	if failed != nil {
		return nil, text(log), fmt.Errorf("compile kernels for %s: %w: %s", architecture, failed, text(log))
	}
	if err := c.call("nvrtcGetCUBINSize", program, uintptr(unsafe.Pointer(&size))); err != nil {
		return nil, "", err
	}
	code = make([]byte, size)
	return code, text(log), c.call("nvrtcGetCUBIN", program, uintptr(unsafe.Pointer(&code[0])))
}

// kernelCode is the kernels' machine code for an architecture, from the cache of earlier runs or compiled now.
func (c *compiler) kernelCode(architecture string) ([]byte, error) {
	src := source()
	key := sha256.Sum256([]byte(fmt.Sprint(src, architecture, options, c.version())))
	path := ""
	if dir, err := os.UserCacheDir(); err == nil {
		path = filepath.Join(dir, "flexi", "kernels-"+architecture+"-"+hex.EncodeToString(key[:8])+".cubin")
		if code, ok := readCode(path, key); ok {
			return code, nil
		}
	}
	code, _, err := c.compile(src, architecture)
	if err == nil && path != "" {
		writeCode(path, key, code)
	}
	return code, err
}

// A cached file is the key, the hash of the code, and the code: a damaged one is not used.

func readCode(path string, key [32]byte) ([]byte, bool) {
	file, err := os.ReadFile(path)
	if err != nil || len(file) < 64 || !bytes.Equal(file[:32], key[:]) {
		return nil, false
	}
	sum := sha256.Sum256(file[64:])
	return file[64:], bytes.Equal(file[32:64], sum[:])
}

// writeCode does without the cache where it cannot be written.
func writeCode(path string, key [32]byte, code []byte) {
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), "kernels-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	sum := sha256.Sum256(code)
	_, err = f.Write(bytes.Join([][]byte{key[:], sum[:], code}, nil))
	if f.Close() == nil && err == nil {
		_ = os.Rename(f.Name(), path)
	}
}
