package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const repository = "../.."

// readmeBlocks returns the code blocks of the README in a language.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
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
	blocks := readmeBlocks(t, "sh")
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
			compared += compareWithReadme(t, strings.ReplaceAll(block, "127.0.0.1:7007", host))
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

// compareWithReadme runs the commands of a block. A comment holds the answer
// to what stands before it, with … for what differs each time.
func compareWithReadme(t *testing.T, block string) (compared int) {
	t.Helper()
	const mark = "--8<--"
	var script strings.Builder
	var want []string
	for line := range strings.SplitSeq(block, "\n") {
		if answer, is := strings.CutPrefix(line, "# "); is {
			want = append(want, answer)
			line = "printf %s '" + mark + "'"
		}
		script.WriteString(line + "\n")
	}
	got := strings.Split(shell(t, script.String()), mark)
	for i, answer := range want {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(answer), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(strings.TrimSpace(got[i])) {
			t.Errorf("the README says %s\nthe answer is  %s\nto %s", answer, got[i], block)
		}
	}
	return len(want)
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
		"main.go": readmeBlocks(t, "go")[0],
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
