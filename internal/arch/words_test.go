package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nameForm is a name as ARCHITECTURE.md writes it: folder.Name or folder.Type.Name in backquotes.
var nameForm = regexp.MustCompile("`([a-z][a-z/]*)\\.([A-Za-z]+(?:\\.[A-Za-z]+)?)`")

// TestWalkNamesWhatExists: the walk in ARCHITECTURE.md names functions and types of the code, not of its past.
func TestWalkNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	names := nameForm.FindAllStringSubmatch(string(text), -1)
	known, checked := map[string]map[string]bool{}, 0
	for _, m := range names {
		folder, name := m[1], m[2]
		if strings.HasSuffix(m[0], ".go`") || strings.HasSuffix(m[0], ".md`") {
			continue
		}
		if known[folder] == nil {
			known[folder] = declared(t, folder)
		}
		if checked++; !known[folder][name] {
			t.Errorf("ARCHITECTURE.md names %s.%s, which does not exist", folder, name)
		}
	}
	if checked < 20 {
		t.Errorf("only %d names were found in ARCHITECTURE.md", checked)
	}
}

// declared are the top-level names of a folder, methods and methods of interfaces as Type.Name.
func declared(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join("../..", path.Clean(folder), "*.go"))
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			declare(names, d)
		}
	}
	return names
}

func declare(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names[d.Name.Name] = true
			return
		}
		of := d.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if of, ok := of.(*ast.Ident); ok {
			names[of.Name+"."+d.Name.Name] = true
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			declareSpec(names, s)
		}
	}
}

func declareSpec(names map[string]bool, s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			names[n.Name] = true
		}
	case *ast.TypeSpec:
		names[s.Name.Name] = true
		if port, ok := s.Type.(*ast.InterfaceType); ok {
			for _, m := range port.Methods.List {
				for _, n := range m.Names {
					names[s.Name.Name+"."+n.Name] = true
				}
			}
		}
	}
}
