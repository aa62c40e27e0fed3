package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/notifications-go/notifications"

// The drivers of databases, and the only packages that may depend on them:
// programs, and what opens databases for them and for tests.
var (
	drivers = []string{
		"gorm.io/driver", "github.com/jackc/pgx/v5", "github.com/mattn/go-sqlite3", "modernc.org/sqlite",
	}
	driverUsers = []string{
		module + "/bell/pgbell", module + "/cmd", module + "/examples", module + "/notificationstest",
		module + "/internal/database", module + "/internal/dbtest",
	}
)

// The client of NATS, and the only packages that may depend on it.
var (
	natsClient = []string{"github.com/nats-io"}
	natsUsers  = []string{module + "/bell/natsbell", module + "/cmd"}
)

// tokenLibraries parse and verify tokens. Only auth may import them, so that a
// host that identifies its users itself does not link them.
var tokenLibraries = []string{
	"github.com/MicahParks/keyfunc/v3", "github.com/MicahParks/jwkset", "github.com/golang-jwt/jwt/v5",
}

// importRule holds for one package, tests aside. The linter depguard knows the
// same rules, as far as they are about direct imports.
type importRule struct {
	// imports are all that the package itself may import beside the standard
	// library, each with the packages below it, except that the root package
	// stands for itself alone. Nil allows everything.
	imports []string
	// direct are never imported by the package itself.
	direct []string
	// never are imported neither by the package nor by what it imports.
	never []string
}

var importRules = map[string]importRule{
	module: {
		imports: []string{
			"gorm.io/gorm",
			"github.com/gofrs/uuid/v5",
			"github.com/pressly/goose/v3",
			"golang.org/x/text",
			module + "/internal",
		},
		never: []string{"github.com/gorilla/mux", module + "/httpapi", module + "/auth", module + "/internal/limit", "golang.org/x/time"},
	},
	module + "/auth": {
		imports: append([]string{module, module + "/internal/fold"}, tokenLibraries...),
		never:   []string{"github.com/gorilla/mux", module + "/httpapi", module + "/catalog"},
	},
	module + "/api": {
		imports: []string{},
	},
	module + "/httpapi": {
		direct: []string{"gorm.io"},
		never:  []string{module + "/auth"},
	},
	module + "/bell/pgbell": {
		imports: []string{module, module + "/internal/coalesce", "github.com/jackc/pgx/v5"},
		never:   []string{"github.com/gorilla/mux", module + "/httpapi", module + "/auth", module + "/catalog", module + "/bell/natsbell"},
	},
	module + "/bell/natsbell": {
		imports: []string{module, module + "/internal/coalesce", "github.com/nats-io/nats.go"},
		never:   append([]string{"github.com/gorilla/mux", module + "/httpapi", module + "/auth", module + "/catalog", module + "/bell/pgbell"}, drivers...),
	},
	module + "/catalog": {
		imports: []string{module, module + "/internal", "github.com/goccy/go-yaml"},
		never:   []string{"github.com/gorilla/mux", module + "/httpapi"},
	},
	module + "/catalog/catalogtest": {
		imports: []string{module, "gorm.io/gorm"},
		never:   []string{"github.com/gorilla/mux", module + "/httpapi"},
	},
	module + "/notificationstest": {
		imports: []string{module, module + "/catalog", module + "/internal", "gorm.io/gorm"},
		never:   []string{"github.com/gorilla/mux", module + "/httpapi", module + "/auth"},
	},
	module + "/internal/fold": {
		imports: []string{"golang.org/x/text"},
	},
}

type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	for path, rule := range importRules {
		p, ok := packages[path]
		if !ok {
			t.Errorf("%s: there is a rule for it, and no such package", path)
			continue
		}
		report(t, path, "imports", p.Imports, func(imported string) bool {
			foreign := rule.imports != nil && !standard(imported) && !allowed(imported, rule.imports)
			return foreign || below(imported, rule.direct)
		})
		report(t, path, "depends on", p.Deps, func(dep string) bool { return below(dep, rule.never) })
	}
	for path, p := range packages {
		if !below(path, driverUsers) {
			report(t, path, "depends on", p.Deps, func(dep string) bool { return below(dep, drivers) })
		}
		if !below(path, natsUsers) {
			report(t, path, "depends on", p.Deps, func(dep string) bool { return below(dep, natsClient) })
		}
	}
}

// TestHostWithSessionsLinksNoTokenLibrary: a program that imports the root
// package and httpapi, and identifies users by sessions of its own, has no
// library for tokens in it.
func TestHostWithSessionsLinksNoTokenLibrary(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	for _, path := range []string{module, module + "/httpapi", module + "/examples/nethttp"} {
		if packages[path].ImportPath == "" {
			t.Errorf("%s: no such package", path)
		}
		report(t, path, "depends on", packages[path].Deps, func(dep string) bool { return below(dep, tokenLibraries) })
	}
	if !slices.ContainsFunc(packages[module+"/auth"].Deps, func(dep string) bool { return below(dep, tokenLibraries) }) {
		t.Error("auth depends on no library for tokens: the names of the libraries are wrong")
	}
}

// report fails the test with the first of deps that is bad; most come in swarms.
func report(t *testing.T, path, verb string, deps []string, bad func(string) bool) {
	t.Helper()
	if i := slices.IndexFunc(deps, bad); i >= 0 {
		t.Errorf("%s %s %s", path, verb, deps[i])
	}
}

// listPackages returns the packages of this module without their tests.
func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	// A test that passed is not run again until a directory it read changes,
	// and what go list reads does not count.
	err := filepath.WalkDir("..", func(_ string, d fs.DirEntry, err error) error {
		if d.Name() == ".git" {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]goPackage{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// allowed reports whether a rule with these imports allows path.
func allowed(path string, imports []string) bool {
	return slices.ContainsFunc(imports, func(root string) bool {
		return path == root || root != module && strings.HasPrefix(path, root+"/")
	})
}

// below reports whether path is one of roots, or below one.
func below(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

// standard reports whether path is of the standard library: its first element
// is no domain.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
