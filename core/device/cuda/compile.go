package cuda

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"

	"flexi/core/device/cache"
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
	name := "kernels-" + architecture + "-" + hex.EncodeToString(key[:8]) + ".cubin"
	if code, ok := cache.Read(name, key); ok {
		return code, nil
	}
	code, _, err := c.compile(src, architecture)
	if err == nil {
		cache.Write(name, key, code)
	}
	return code, err
}
