package cuda

import (
	"bytes"
	"regexp"
	"strconv"
	"testing"
)

// spillLimit is how many bytes a thread of a kernel may spill from registers. The backward passes of attention with the widest heads are just over, in float32 for checking above all.
var spillLimit = map[string]int{"attention_grad_float_128": 32, "attention_grad_bf16_128": 16, "grouped_keys_float_128": 16, "grouped_queries_float_32": 8}

var (
	function = regexp.MustCompile(`Function properties for (\w+)`)
	spills   = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
)

func nvrtc(t *testing.T) *compiler {
	t.Helper()
	c, err := openCompiler()
	if err != nil {
		t.Skip("kernels cannot be compiled here: ", err)
	}
	return c
}

func TestKernelsCompileWithoutSpills(t *testing.T) {
	c := nvrtc(t)
	for _, architecture := range []string{"sm_80", "sm_90"} {
		t.Run(architecture, func(t *testing.T) {
			code, remarks, err := c.compile(source(), architecture, "--ptxas-options=-v")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(code, []byte("\x7fELF")) {
				t.Error("the machine code is no ELF file")
			}
			found, used := function.FindAllStringSubmatch(remarks, -1), spills.FindAllStringSubmatch(remarks, -1)
			if len(found) != int(kernels) || len(used) != len(found) {
				t.Fatalf("%d kernels and %d figures, want %d:\n%s", len(found), len(used), kernels, remarks)
			}
			for i, f := range found {
				for _, figure := range used[i][1:] {
					if n, err := strconv.Atoi(figure); err != nil || n > spillLimit[f[1]] {
						t.Errorf("%s: %s, allowed are %d bytes each", f[1], used[i][0], spillLimit[f[1]])
						break
					}
				}
			}
		})
	}
}

func TestBadKernelIsAnErrorWithItsPlace(t *testing.T) {
	_, _, err := nvrtc(t).compile("__global__ void f() { nonsense; }", "sm_90")
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("flexi.cu(1)")) {
		t.Errorf("compiling nonsense: %v", err)
	}
}
