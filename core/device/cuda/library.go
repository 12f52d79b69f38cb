package cuda

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is a shared library that was found at run time.
type library struct {
	handle uintptr
	path   string
	call   map[string]uintptr
}

// Libraries by the names they may have, newest first.
var (
	driverNames = []string{"libcuda.so.1", "libcuda.so"}
	nvrtcNames  = []string{"libnvrtc.so.13", "libnvrtc.so.12"}
	blasNames   = []string{"libcublasLt.so.13", "libcublasLt.so.12"}
	nvmlNames   = []string{"libnvidia-ml.so.1"}
)

// pathVariable names folders to look in first, separated as in PATH.
const pathVariable = "FLEXI_CUDA_PATH"

// Folders below which NVIDIA's pip packages and toolkits keep libraries.
var below = []string{"", "lib", "lib64", "lib/x86_64-linux-gnu", "nvidia/*/lib", "lib/python3*/site-packages/nvidia/*/lib"}

// roots lists what libraries are looked for below, besides what the user names and the system's own paths.
func roots() []string {
	var roots []string
	for _, v := range []string{"CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"} {
		if dir := os.Getenv(v); dir != "" {
			roots = append(roots, dir)
		}
	}
	for _, name := range []string{"python3", "python"} {
		if at, err := exec.LookPath(name); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(at)))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".local"), filepath.Join(home, ".pyenv/versions/*"))
	}
	roots = append(roots, "/usr/local/nvidia", "/usr/local/cuda", "/usr/local/cuda-*", "/usr/local", "/usr", "/usr/lib/wsl",
		"/usr/local/lib/python3*/dist-packages", "/usr/lib/python3*/dist-packages", "/opt/*/.venv", "/opt/conda")
	return roots
}

// within gives the folders with libraries below roots, which may be patterns.
func within(roots []string) []string {
	var out []string
	for _, root := range roots {
		for _, b := range below {
			found, err := filepath.Glob(filepath.Join(root, b))
			if err == nil {
				out = append(out, found...)
			}
		}
	}
	return out
}

// openLibrary finds a library and its functions: in FLEXI_CUDA_PATH and the folders that follow it, then where the system looks. An error lists what was tried.
func openLibrary(names, functions []string) (*library, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%s: this program looks for it on Linux only", names[0])
	}
	var problems []string
	try := func(path string) *library {
		handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			problems = append(problems, err.Error())
			return nil
		}
		l := &library{handle: handle, path: path, call: map[string]uintptr{}}
		for _, f := range functions {
			if l.call[f], err = purego.Dlsym(handle, f); err != nil {
				problems = append(problems, err.Error())
				return nil
			}
		}
		return l
	}
	for _, dirs := range [][]string{within(filepath.SplitList(os.Getenv(pathVariable))), within(roots())} {
		for _, name := range names {
			for _, dir := range dirs {
				path := filepath.Join(dir, name)
				if _, err := os.Stat(path); err == nil {
					preload(dir)
					if l := try(path); l != nil {
						return l, nil
					}
				}
			}
		}
	}
	for _, name := range names {
		if l := try(name); l != nil {
			return l, nil
		}
	}
	if len(problems) > 3 {
		problems = problems[len(problems)-3:]
	}
	return nil, errors.New(strings.Join(problems, "; "))
}

// preload opens what NVRTC looks for by name alone, when that lies beside it.
func preload(dir string) {
	found, err := filepath.Glob(filepath.Join(dir, "libnvrtc-builtins.so.*"))
	if err != nil {
		return
	}
	for _, path := range found {
		if !strings.Contains(path, ".alt.") {
			_, _ = purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL) // NVRTC reports it if it is needed
		}
	}
}

// cText is a C string in memory of C.
func cText(at *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(at), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(at, n))
}

// text is a C string in a buffer.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
