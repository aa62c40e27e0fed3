package main

import (
	"fmt"
	"net"
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

// TestReadmeCommands runs every command of the README, and then of the page
// about the HTTP API, as printed, but for the ports, and compares what they
// answer with what the documents say.
func TestReadmeCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("the README's commands need curl: %v", err)
	}
	blocks := slices.Concat(blocksOf(t, "README.md", "sh"), blocksOf(t, "docs/http-api.md", "sh"))
	program := readmeProgram(t)
	t.Chdir(t.TempDir())
	var server *instance
	var example, notifyd string // addresses
	compared := 0
	for _, block := range blocks {
		switch {
		case strings.HasPrefix(block, "go get"), strings.HasPrefix(block, "notifyd "): // another machine's
		case strings.HasSuffix(block, "go run .\n"):
			example = startReadmeProgram(t, program)
		case strings.Contains(block, "go run ./cmd/notifyd"):
			if server != nil {
				server.stop()
			}
			server = readmeServer(t, block)
			notifyd = strings.TrimSuffix(strings.TrimPrefix(server.url, "http://"), "/api/notifications")
		default:
			compared += compareWithDocument(t, strings.NewReplacer(readmeAddress, example, "127.0.0.1:7007", notifyd).Replace(block))
		}
	}
	if compared < 18 {
		t.Errorf("compared %d answers; are the documents still read rightly?", compared)
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
	if strings.Contains(block, `"type":"about:blank"`) { // curl may fail
		script.WriteString("curl() { command curl \"$@\"; }\n")
	}
	if strings.Contains(block, "/stream") { // curl leaves it, and says that it failed
		script.WriteString("set +o pipefail\n")
	}
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

// readmeAddress is where the README's program listens.
const readmeAddress = "127.0.0.1:8080"

// TestReadmeProgram runs the program of the README, built without cgo.
func TestReadmeProgram(t *testing.T) {
	t.Setenv("CGO_ENABLED", "0")
	address := startReadmeProgram(t, readmeProgram(t))
	if got := shell(t, "curl -s http://"+address+"/api/notifications/notifications/count"); strings.TrimSpace(got) != `{"count":1}` {
		t.Errorf("the count is %s", got)
	}
}

// readmeProgram builds the program of the README as an importer would. Its
// address is replaced by a free one, the first argument.
func readmeProgram(t *testing.T) string {
	t.Helper()
	source := blocksOf(t, "README.md", "go")[0]
	listens := `http.ListenAndServe("` + readmeAddress + `"`
	if !strings.Contains(source, listens) {
		t.Fatalf("the README's program does not listen on %s", readmeAddress)
	}
	source = strings.Replace(source, listens, "http.ListenAndServe(os.Args[1]", 1)
	source = strings.Replace(source, "import (", "import (\n\t\"os\"", 1)
	program := filepath.Join(t.TempDir(), "program")
	buildAsImporter(t, program, source)
	return program
}

// buildAsImporter builds a program in a module that requires this one.
func buildAsImporter(t *testing.T, program, source string) {
	t.Helper()
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
		"main.go": source,
		"go.mod": strings.Replace(string(mod), "module "+module, "module readme", 1) +
			"\nrequire " + module + " v0.0.0\nreplace " + module + " => " + root + "\n",
		"go.sum": string(sum),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-mod=mod", "-o", program, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// startReadmeProgram starts the program and waits until it answers. It ends
// with the test. It returns the address the program listens on.
func startReadmeProgram(t *testing.T, program string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, address)
	cmd.Dir = t.TempDir()
	stderr := newOutput()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, or its output says why
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	})
	eventually(t, "the program of the README answers", func() bool {
		select {
		case <-ended:
			t.Fatalf("the program of the README ended: %s", stderr)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return address
}

// TestReadmeSnippets compiles the other Go code of the README, as part of a
// program that has what the code uses.
func TestReadmeSnippets(t *testing.T) {
	t.Parallel()
	blocks := blocksOf(t, "README.md", "go")[1:]
	if len(blocks) == 0 {
		t.Fatal("there is none; is the README still read rightly?")
	}
	source := `package main

import (
	"context"

	"github.com/notifications-go/notifications"
	"gorm.io/gorm"
)

func main() {}

type Order struct{ Customer string }
`
	for i, block := range blocks {
		source += fmt.Sprintf("\nfunc Snippet%d(ctx context.Context, db *gorm.DB, svc *notifications.Service, order Order) error {\n%s\nreturn err\n}\n", i, block)
	}
	buildAsImporter(t, os.DevNull, source)
}
