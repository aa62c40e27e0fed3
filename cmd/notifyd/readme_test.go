package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// blocksOf returns the code blocks of a document in a language.
func blocksOf(t *testing.T, document, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, document))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// TestReadmeCommands runs every command of the README as printed, but for the
// port, and compares what it answers with what the README says.
func TestReadmeCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("the README's commands need curl: %v", err)
	}
	blocks := blocksOf(t, "README.md", "sh")
	t.Chdir(t.TempDir())
	var server *instance
	compared := 0
	for _, block := range blocks {
		switch {
		case strings.HasPrefix(block, "go get"), strings.HasPrefix(block, "notifyd "): // another machine's
		case strings.Contains(block, "go run ./cmd/notifyd"):
			if server != nil {
				server.stop()
			}
			server = readmeServer(t, block)
		default:
			host := strings.TrimSuffix(strings.TrimPrefix(server.url, "http://"), "/api/notifications")
			compared += compareWithDocument(t, strings.ReplaceAll(block, "127.0.0.1:7007", host))
		}
	}
	if compared < 10 {
		t.Errorf("compared %d answers; is the README still read rightly?", compared)
	}
}

// readmeServer runs a block whose last command is the server.
func readmeServer(t *testing.T, block string) *instance {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(block), "\n")
	last := len(lines) - 1
	shell(t, strings.ReplaceAll(strings.Join(lines[:last], "\n"), "go run ./cmd/notifyd", binary))
	args := strings.Fields(strings.TrimPrefix(lines[last], "go run ./cmd/notifyd"))
	return spawn(t, append(args, "--database=sqlite:notifications.db")...) // the default, but for the directory
}

// compareWithDocument runs the commands of a block. A comment holds the answer
// to what stands before it, with … for what differs each time.
func compareWithDocument(t *testing.T, block string) (compared int) {
	t.Helper()
	const mark = "--8<--"
	var script strings.Builder
	var want []string
	inAnswer := false
	for line := range strings.SplitSeq(block, "\n") {
		answer, is := strings.CutPrefix(line, "# ")
		switch {
		case is && inAnswer: // goes on
			want[len(want)-1] += "\n" + answer
		case is:
			want = append(want, answer)
			script.WriteString("printf %s '" + mark + "'\n")
		default:
			script.WriteString(line + "\n")
		}
		inAnswer = is
	}
	got := strings.Split(shell(t, script.String()), mark)
	for i, answer := range want {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(answer), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(strings.TrimSpace(got[i])) {
			t.Errorf("the document says %s\nthe answer is %s\nto %s", answer, got[i], block)
		}
	}
	return len(want)
}

// TestOperationsCommands runs every command of the page about running notifyd,
// in its order: what it erases it has explained before.
func TestOperationsCommands(t *testing.T) {
	blocks := blocksOf(t, "docs/operations.md", "sh")
	t.Chdir(t.TempDir())
	t.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	const database = "--database=sqlite:notifications.db" // the default, but for the directory
	var server *instance
	var kept string // by the backup
	compared := 0
	for _, block := range blocks {
		args, serves := strings.CutPrefix(block, "notifyd --")
		switch {
		case serves:
			server = spawn(t, append(strings.Fields("--"+args), database)...)
			id, err := server.post(t, "default/jane").messageID()
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("ID", id)
			kept, err = server.post(t, guestRef).messageID()
			if err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(block, "rm "):
			server.post(t, guestRef).want(t, http.StatusOK)
			server.stop()
			shell(t, block)
			if ids := spawn(t, database).get(t, "/notifications").ids(t); !slices.Equal(ids, []string{kept}) {
				t.Errorf("from the backup come %q, want %q", ids, kept)
			}
		default:
			if _, err := exec.LookPath(strings.Fields(block)[0]); err != nil {
				t.Skipf("the page's commands need one more: %v", err) // of those a reader has: curl, sqlite3
			}
			compared += compareWithDocument(t, block)
		}
	}
	if compared != 2 {
		t.Errorf("compared %d answers; is the page still read rightly?", compared)
	}
}

// shell runs a script in which a curl that is answered with an error fails.
func shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `curl() { command curl --fail-with-body "$@"; }`+"\n"+script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s\nof %s", err, out, stderr.String(), script)
	}
	return string(out)
}

// TestReadmeProgram builds the program of the README as an importer would.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/notifications-go/notifications"
	for name, content := range map[string]string{
		"main.go": blocksOf(t, "README.md", "go")[0],
		"go.mod": strings.Replace(string(mod), "module "+module, "module readme", 1) +
			"\nrequire " + module + " v0.0.0\nreplace " + module + " => " + root + "\n",
		"go.sum": string(sum),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-mod=mod", "-o", os.DevNull, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
