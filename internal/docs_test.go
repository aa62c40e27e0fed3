package internal_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's directory, seen from this one.
const root = ".."

// foreignFlags are the flags in the documentation that belong to other
// programs. Every other flag there must be one of notifyd's or notifybench's.
var foreignFlags = map[string]string{
	"data-binary":    "curl",
	"durable":        "withpostgres",
	"fail-with-body": "curl",
	"set":            "withpostgres",
}

var (
	flagPattern        = regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z0-9-]*)`)
	environmentPattern = regexp.MustCompile(`\bNOTIFYD_[A-Z0-9_]+\b`)
)

func TestDocumentedFlagsExist(t *testing.T) {
	t.Parallel()
	help := notifydHelp(t) + notifybenchHelp(t)
	flags := names(flagPattern, help)
	variables := names(environmentPattern, help)
	if len(flags) == 0 || len(variables) == 0 {
		t.Fatalf("found no settings in the help:\n%s", help)
	}
	used := map[string]bool{}
	for _, file := range markdownFiles(t) {
		if file != "README.md" && !strings.HasPrefix(file, "docs/") {
			continue
		}
		for i, line := range strings.Split(read(t, file), "\n") {
			for _, name := range names(flagPattern, line) {
				used[name] = true
				if _, foreign := foreignFlags[name]; !foreign && !slices.Contains(flags, name) {
					t.Errorf("%s:%d: neither notifyd nor notifybench has a flag --%s; one of another program belongs in foreignFlags", file, i+1, name)
				}
			}
			for _, name := range names(environmentPattern, line) {
				if !slices.Contains(variables, name) {
					t.Errorf("%s:%d: notifyd has no setting %s", file, i+1, name)
				}
			}
		}
	}
	for name, program := range foreignFlags {
		if !used[name] {
			t.Errorf("foreignFlags: no document uses --%s of %s any more", name, program)
		}
	}
}

// notifydHelp is the help of the program and of each of its commands.
func notifydHelp(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "notifyd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/notifyd")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/notifyd: %v\n%s", err, out)
	}
	var help strings.Builder
	for _, args := range [][]string{{"--help"}, {"migrate", "--help"}, {"explain", "--help"}, {"erase-user", "--help"}, {"dev-token", "--help"}, {"version", "--help"}} {
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("notifyd %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		help.Write(out)
	}
	return help.String()
}

// notifybenchHelp is the help of that program.
func notifybenchHelp(t *testing.T) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), "go", "-C", "bench", "run", ".", "--help")
	run.Dir = root
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("notifybench --help: %v\n%s", err, out)
	}
	return string(out)
}

var (
	// Links inside code are text.
	codePattern = regexp.MustCompile("(?ms)^ *```.*?^ *```[^\n]*$|``.+?``|`[^`]*`")
	linkPattern = regexp.MustCompile(`(?m)\]\(<?([^\s)>]+)>?(?:\s+"[^"]*")?\)|^ *\[[^\]]+\]:\s+<?([^\s>]+)`)
	schemeStart = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
)

func TestRelativeLinksResolve(t *testing.T) {
	t.Parallel()
	for _, file := range markdownFiles(t) {
		for _, target := range links(read(t, file)) {
			if err := resolve(t, file, target); err != nil {
				t.Errorf("%s: link to %s: %v", file, target, err)
			}
		}
	}
}

// links returns the targets of the links in a Markdown text, those with a
// scheme left out.
func links(text string) []string {
	var targets []string
	for _, m := range linkPattern.FindAllStringSubmatch(withoutCode(text), -1) {
		if target := m[1] + m[2]; !schemeStart.MatchString(target) {
			targets = append(targets, target)
		}
	}
	return targets
}

// resolve looks for the file and the heading a link names.
func resolve(t *testing.T, from, target string) error {
	t.Helper()
	path, fragment, _ := strings.Cut(target, "#")
	file := from
	switch {
	case strings.HasPrefix(path, "/"):
		file = strings.TrimPrefix(path, "/")
	case path != "":
		file = filepath.Join(filepath.Dir(from), path)
	}
	if !filepath.IsLocal(file) {
		return errors.New("leaves the repository")
	}
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		return err
	}
	if fragment != "" && strings.HasSuffix(file, ".md") && !slices.Contains(anchors(read(t, file)), fragment) {
		return errors.New("there is no such heading")
	}
	return nil
}

var (
	fencePattern   = regexp.MustCompile("(?ms)^ *```.*?^ *```[^\n]*$")
	headingPattern = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *#*$`)
	slugDropped    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns what the headings of a Markdown text can be linked by,
// after the rule GitHub renders them with.
func anchors(text string) []string {
	var found []string
	for _, m := range headingPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(text, ""), -1) {
		slug := slugDropped.ReplaceAllString(strings.ToLower(m[1]), "")
		found = append(found, strings.ReplaceAll(slug, " ", "-"))
	}
	return found
}

func withoutCode(text string) string { return codePattern.ReplaceAllString(text, "") }

// markdownFiles returns the documents of the repository, relative to its root.
func markdownFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(files, "README.md") {
		t.Fatalf("found no README.md in %v", files)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names returns what the last group of a pattern, or all of it, matches.
func names(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, m[len(m)-1])
	}
	return found
}

// TestArchitectureNamesEverything: the page about the architecture names each
// file of the root package and each other package, and no file of Go or SQL that
// is not there.
func TestArchitectureNamesEverything(t *testing.T) {
	t.Parallel()
	const page = "docs/architecture.md"
	named := map[string]bool{} // by the page, in code
	for _, span := range regexp.MustCompile("`[^`\n]+`").FindAllString(read(t, page), -1) {
		for _, name := range strings.FieldsFunc(strings.Trim(span, "`"), func(c rune) bool { return c == '/' || c == ' ' }) {
			named[name] = true
		}
	}
	files := map[string]bool{}    // names of files with Go or SQL, in any directory
	packages := map[string]bool{} // directories, without internal
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		dir, name := filepath.Split(path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "tools"):
			return fs.SkipDir
		case strings.HasSuffix(name, ".sql"):
			files[name] = true
			return nil
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		files[name] = true
		if dir == "" && !strings.HasSuffix(name, "_test.go") && !named[name] {
			t.Errorf("%s does not name the file %s", page, name)
		}
		packages[strings.Trim(strings.TrimPrefix(dir, "internal/"), "/")] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(packages, "") // the root, and the tests in internal
	for dir := range packages {
		if !slices.ContainsFunc(strings.Split(dir, "/"), func(part string) bool { return named[part] }) {
			t.Errorf("%s does not name the package %s", page, dir)
		}
	}
	for name := range named {
		if (strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".sql")) && !strings.Contains(name, "*") && !files[name] {
			t.Errorf("%s names %s, which does not exist", page, name)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	text := "[a](docs/a.md) ![b](b.png \"t\") [c](https://c) [d](#d) `[e](e)`\n" +
		"```\n[f](f)\n```\n[g]: ../g\n[`h`](h) [i](<i>) [j](mailto:j@k)\n"
	want := []string{"docs/a.md", "b.png", "#d", "../g", "h", "i"}
	if got := links(text); !slices.Equal(got, want) {
		t.Errorf("links = %q, want %q", got, want)
	}
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	text := "# Coming from the plugin\n## `PUT` /read, and more!\n```sh\n# a comment\n```\n### 1. Step_one ##\n"
	want := []string{"coming-from-the-plugin", "put-read-and-more", "1-step_one"}
	if got := anchors(text); !slices.Equal(got, want) {
		t.Errorf("anchors = %q, want %q", got, want)
	}
}
