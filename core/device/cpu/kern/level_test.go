package kern

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestLevelFromEnvironment(t *testing.T) {
	for name, want := range map[string]Level{"": Detect(), "generic": Generic, "Generic": Generic, Detect().String(): Detect()} {
		t.Setenv(EnvVar, name)
		got, err := FromEnv()
		if err != nil || got != want {
			t.Errorf("%s=%q: %v, %v, want %v", EnvVar, name, got, err, want)
		}
	}
	t.Setenv(EnvVar, "sse9")
	if _, err := FromEnv(); err == nil || !strings.Contains(err.Error(), `"sse9"`) || !strings.Contains(err.Error(), "avx2") {
		t.Errorf("an unknown level gives %v", err)
	}
}

func TestUnsupportedLevelIsAnError(t *testing.T) {
	above := Detect() + 1
	table, err := For(above)
	if table != nil || err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a level above the machine's gives %v, %v", table, err)
	}
}

// The committed assembly must be what the committed generator writes.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool to run the generator with")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob(filepath.Join(here, "gen", "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("generator sources: %v, %v", sources, err)
	}
	command := exec.Command(goTool, append([]string{"run"}, sources...)...)
	command.Dir = t.TempDir()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("run the generator: %v\n%s", err, out)
	}
	fresh, err := filepath.Glob(filepath.Join(command.Dir, "*"))
	if err != nil || len(fresh) == 0 {
		t.Fatalf("the generator wrote %v, %v", fresh, err)
	}
	for _, file := range fresh {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(here, filepath.Base(file)))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the generator writes (%v); run go generate ./core/device/cpu/kern", filepath.Base(file), err)
		}
	}
}
