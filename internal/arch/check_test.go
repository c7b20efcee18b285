package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// finding is one broken rule.
type finding struct {
	file string // below the module
	line int
	what string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.what) }

// checker reads the Go files of one module.
type checker struct {
	root, module string
	fset         *token.FileSet
	found        []finding
	files        int
}

// skipped folders hold no Go code of the module.
var skipped = []string{"testdata", "vendor", "node_modules", "bin", "build"}

// check reads every Go file below root, also those that a build constraint leaves out.
func check(root, module string) (*checker, error) {
	c := &checker{root: root, module: module, fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (slices.Contains(skipped, d.Name()) || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		return c.file(name)
	})
	return c, err
}

func (c *checker) file(name string) error {
	rel, err := filepath.Rel(c.root, name)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(c.fset, name, src, 0)
	if err != nil {
		return fmt.Errorf("reading %s: %w", rel, err)
	}
	c.files++
	f := &file{checker: c, rel: rel, folder: path.Dir(rel), ast: parsed}
	f.place = placeOf(f.folder)
	f.check()
	return nil
}

// file is one file under check.
type file struct {
	*checker
	rel, folder string
	ast         *ast.File
	place       place
}

func (f *file) report(at token.Pos, format string, args ...any) {
	f.found = append(f.found, finding{f.rel, f.fset.Position(at).Line, fmt.Sprintf(format, args...)})
}

// check holds a file to its room. Tests are exempt from all but the names: a test stands where it sees what it
// proves, and the tests of an adapter may drive it with another one.
func (f *file) check() {
	f.names()
	if f.place.room == nil {
		f.report(f.ast.Name.Pos(), "%s has no room: add it to internal/arch/rooms_test.go", f.folder)
		return
	}
	if strings.HasSuffix(f.rel, "_test.go") {
		return
	}
	pure := f.place.room.pure && !slices.Contains(f.place.room.shell, path.Base(f.rel))
	locals := map[string]string{}
	for _, spec := range f.ast.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		f.imported(spec, imported, pure)
		locals[localName(spec, imported)] = imported
	}
	if pure {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			f.node(n, locals)
			return true
		})
	}
}

func (f *file) names() {
	for _, part := range append(strings.Split(f.folder, "/"), f.ast.Name.Name) {
		if slices.Contains(badNames, strings.TrimSuffix(part, "_test")) {
			f.report(f.ast.Name.Pos(), "the name %s says nothing: name the package for what it holds", part)
			return
		}
	}
}

func (f *file) imported(spec *ast.ImportSpec, imported string, pure bool) {
	if spec.Name != nil && spec.Name.Name == "." {
		f.report(spec.Pos(), "a dot import hides where names come from")
	}
	if inner, ours := strings.CutPrefix(imported, f.module+"/"); ours {
		f.inner(spec, inner)
		return
	}
	if f.place.room.stdOnly && strings.Contains(strings.Split(imported, "/")[0], ".") {
		f.report(spec.Pos(), "%s uses the standard library only, not %s", f.place.unit, imported)
	}
	if pure && under(imported, bannedImports) && !slices.Contains(allowedImports, imported) {
		f.report(spec.Pos(), "%s is pure: it cannot import %s", f.place.unit, imported)
	}
}

// inner checks an import within the module.
func (f *file) inner(spec *ast.ImportSpec, inner string) {
	from, to := f.place, placeOf(inner)
	switch {
	case to.room == nil, to.unit == from.unit: // told at its own files; or the same room
	case to.room.level >= from.room.level:
		f.report(spec.Pos(), "%s (level %d) cannot import %s (level %d): imports point downward", from.unit, from.room.level, inner, to.room.level)
	case from.room.only != nil && !slices.Contains(from.room.only, to.unit):
		f.report(spec.Pos(), "%s imports nothing of the module but %s", from.unit, strings.Join(from.room.only, ", "))
	}
}

// localName is what a file calls a package. Of a path that ends in a version the part before it counts.
func localName(spec *ast.ImportSpec, imported string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	name := path.Base(imported)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = path.Base(path.Dir(imported))
	}
	return name
}

// node looks for what a pure file may not do.
func (f *file) node(n ast.Node, locals map[string]string) {
	switch n := n.(type) {
	case *ast.GoStmt:
		f.report(n.Pos(), "%s is pure: it cannot start a goroutine", f.place.unit)
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if !ok || x.Obj != nil { // Obj: a variable that shadows the package
			return
		}
		if imported := locals[x.Name]; slices.Contains(bannedNames[imported], n.Sel.Name) {
			f.report(n.Pos(), "%s is pure: it cannot use %s.%s", f.place.unit, imported, n.Sel.Name)
		}
	case *ast.CallExpr:
		x, ok := n.Fun.(*ast.Ident)
		if ok && x.Obj == nil && (x.Name == "print" || x.Name == "println") {
			f.report(n.Pos(), "%s is pure: it cannot print", f.place.unit)
		}
	}
}
