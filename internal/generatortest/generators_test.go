package generatortest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/database"
)

const document = "../../httpapi/openapi.yaml"

// generators are the commands that write package generated into a directory.
// A program in testdata with the generator's name calls what it generates.
var generators = map[string]func(dir string) []string{
	"oapi-codegen": func(dir string) []string {
		return []string{"-generate", "types,client,std-http,strict-server", "-package", "generated", "-o", filepath.Join(dir, "generated.go"), document}
	},
	"ogen": func(dir string) []string {
		return []string{"-target", dir, "-package", "generated", document}
	},
}

func TestGeneratedClients(t *testing.T) {
	for generator, args := range generators {
		t.Run(generator, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			run(t, "go", append([]string{"tool", generator}, args(dir)...)...)
			program := filepath.Join(t.TempDir(), "program")
			run(t, "go", "build", "-buildvcs=false", "-overlay", overlay(t, generator, dir), "-o", program, "./program/"+generator)
			run(t, program, newServer(t).URL+httpapi.DefaultPrefix, token)
		})
	}
}

// overlay places, for the go command alone, the generated files and the
// program that imports them inside this module, and returns the file that says
// so (see go help build).
func overlay(t *testing.T, generator, generated string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(generated, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has generated %d files: %v", generator, len(files), err)
	}
	program := filepath.Join(here, "testdata", generator, "main.go")
	if _, err := os.Stat(program); err != nil { // so that a change of it runs the test again
		t.Fatal(err)
	}
	replace := map[string]string{filepath.Join(here, "program", generator, "main.go"): program}
	for _, file := range files {
		replace[filepath.Join(here, "generated", filepath.Base(file))] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run fails the test with what a command has printed, if it fails.
func run(t *testing.T, command string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), command, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(command), err, out)
	}
}

// token is what the verifier of newServer takes for jane's.
const token = "a token of jane"

type verifier struct{}

func (verifier) Verify(_ context.Context, given string) (notifications.Identity, error) {
	if given != token {
		return notifications.Identity{}, notifications.ErrUnauthenticated
	}
	return notifications.User("jane"), nil
}

// newServer serves an empty inbox from a SQLite file.
func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	db, err := database.OpenSQLite(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.New(svc, httpapi.Config{Verifier: verifier{}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(httpapi.DefaultPrefix+"/", handler)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}
