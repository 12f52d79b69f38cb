package main

import (
	"os/exec"
	"strings"
	"testing"
)

// importRules says which packages each part must not depend on, directly or through others, and why.
var importRules = []struct {
	packages string // go list pattern
	banned   []string
	why      string
}{
	{"./core/run", []string{"flexi/core/search", "flexi/core/finetune", "flexi/core/model", "flexi/core/text", "flexi/core/device", "flexi/db", "flexi/tui", "flexi/cli"}, "core/run knows kinds, stores and viewers only by interface"},
	{"./core/text/...", []string{"flexi/core/run", "flexi/core/search", "flexi/core/finetune", "flexi/core/model", "flexi/core/device", "flexi/db", "flexi/tui", "flexi/cli"}, "text is used by searches and by nothing below them"},
	{"./core/device/...", []string{"flexi/core/run", "flexi/core/search", "flexi/core/finetune", "flexi/core/model", "flexi/core/text", "flexi/db", "flexi/tui", "flexi/cli", "gorgonia.org/gorgonia"}, "kernels know nothing of models"},
	{"./core/model/...", []string{"flexi/core/run", "flexi/core/search", "flexi/core/finetune", "flexi/core/text", "flexi/db", "flexi/tui", "flexi/cli"}, "models know devices and nothing else of ours"},
	{"./core/search/...", []string{"flexi/db", "flexi/tui", "flexi/cli"}, "a search is stored and shown by others"},
	{"./core/finetune/...", []string{"flexi/core/search", "flexi/db", "flexi/tui", "flexi/cli"}, "a search scores candidates by fine-tuning them, not the other way round"},
	{"./db/...", []string{"flexi/core/search", "flexi/core/finetune", "flexi/core/model", "flexi/core/text", "flexi/core/device", "flexi/tui", "flexi/cli"}, "the store keeps core/run's types and interprets nothing"},
	{"./tui/...", []string{"flexi/core/search", "flexi/core/finetune", "flexi/core/model", "flexi/core/text", "flexi/core/device", "flexi/db", "flexi/cli"}, "screens draw snapshots of core/run"},
}

// soleImporters says which of our packages may import a library directly.
var soleImporters = []struct {
	library string
	allowed []string
	why     string
}{
	{"go.etcd.io/bbolt", []string{"flexi/db"}, "one place knows how state is kept"},
	{"charm.land/bubbletea/v2", []string{"flexi/tui", "flexi/cli"}, "one place owns the terminal"},
	{"charm.land/wish/v2", []string{"flexi/tui/remote"}, "one place lets strangers in"},
	{"github.com/spf13/cobra", []string{"flexi/cli"}, "flags become configuration at the edge"},
	{"gonum.org/v1/plot", []string{"flexi/cli"}, "figures are files that a command writes"},
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestImportRules(t *testing.T) {
	for _, rule := range importRules {
		for _, dep := range goList(t, "-deps", rule.packages) {
			for _, ban := range rule.banned {
				if dep == ban || strings.HasPrefix(dep, ban+"/") {
					t.Errorf("%s depends on %s: %s", rule.packages, dep, rule.why)
				}
			}
		}
	}
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{join .Imports ","}}`, "./...") {
		pkg, imports, _ := strings.Cut(line, " ")
		for _, rule := range soleImporters {
			if hasImport(imports, rule.library) && !within(pkg, rule.allowed) {
				t.Errorf("%s imports %s: %s", pkg, rule.library, rule.why)
			}
		}
	}
}

func hasImport(imports, library string) bool {
	for _, i := range strings.Split(imports, ",") {
		if i == library {
			return true
		}
	}
	return false
}

func within(pkg string, allowed []string) bool {
	for _, a := range allowed {
		if pkg == a || strings.HasPrefix(pkg, a+"/") {
			return true
		}
	}
	return false
}

// TestPackageComments holds every package to saying what it is for.
func TestPackageComments(t *testing.T) {
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{.Doc}}`, "./...") {
		if pkg, doc, _ := strings.Cut(line, " "); doc == "" {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}
