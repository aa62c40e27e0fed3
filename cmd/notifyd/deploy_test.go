package main

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// root is the directory that the image is built from.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// dockerfile returns the arguments of each instruction, by its name.
func dockerfile(t *testing.T) map[string][]string {
	t.Helper()
	instructions := map[string][]string{}
	for line := range strings.Lines(read(t, "Dockerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		instructions[name] = append(instructions[name], rest)
	}
	return instructions
}

// The files of the image exist, and its environment has only settings of
// notifyd.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	d := dockerfile(t)
	for _, copied := range d["COPY"] {
		if strings.HasPrefix(copied, "--from=") {
			continue
		}
		fields := strings.Fields(copied)
		for _, source := range fields[:len(fields)-1] {
			if _, err := os.Stat(filepath.Join(root, source)); err != nil {
				t.Error(err)
			}
		}
	}
	goVersion := strings.Split(strings.SplitAfter(read(t, "go.mod"), "\ngo ")[1], "\n")[0]
	if image := "golang:" + strings.TrimSuffix(goVersion, path.Ext(goVersion)) + " AS build"; d["FROM"][0] != image {
		t.Errorf("it is built in %q, go.mod wants %q", d["FROM"][0], image)
	}
	builds := func(run string) bool {
		return strings.Contains(run, "CGO_ENABLED=0 go build") && strings.HasSuffix(run, " ./cmd/notifyd")
	}
	if !slices.ContainsFunc(d["RUN"], builds) {
		t.Errorf("nothing builds notifyd: %q", d["RUN"])
	}
	if !slices.Equal(d["ENTRYPOINT"], []string{`["/notifyd"]`}) || !slices.Equal(d["USER"], []string{"65532:65532"}) {
		t.Errorf("it runs %q as %q", d["ENTRYPOINT"], d["USER"])
	}
	c, err := load(nil, d["ENV"])
	if err != nil {
		t.Fatal(err)
	}
	if c.listen != ":"+d["EXPOSE"][0] || !strings.HasPrefix(c.database, "sqlite:"+d["VOLUME"][0]+"/") {
		t.Errorf("it listens on %s and stores in %s, but exposes %q and keeps %q", c.listen, c.database, d["EXPOSE"], d["VOLUME"])
	}
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "every caller would be accepted as a guest") {
		t.Errorf("by itself it starts: %v", err)
	}
}

// composeFile holds the parts of compose.yaml that are checked.
type composeFile struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Build       string            `yaml:"build"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Secrets     []string          `yaml:"secrets"`
		Ports       []string          `yaml:"ports"`
		Volumes     []string          `yaml:"volumes"`
		DependsOn   map[string]struct {
			Condition string `yaml:"condition"`
		} `yaml:"depends_on"`
		Healthcheck struct {
			Test     []string `yaml:"test"`
			Interval string   `yaml:"interval"`
			Retries  int      `yaml:"retries"`
		} `yaml:"healthcheck"`
		StopGracePeriod string `yaml:"stop_grace_period"`
		Restart         string `yaml:"restart"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

// The environment in compose.yaml has only settings of notifyd, which are valid
// together and agree with the other services.
func TestCompose(t *testing.T) {
	t.Parallel()
	var f composeFile
	if err := yaml.UnmarshalWithOptions([]byte(read(t, "compose.yaml")), &f, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	server, postgres := f.Services["notifyd"], f.Services["postgres"]
	environ := dockerfile(t)["ENV"]
	for name, value := range server.Environment {
		environ = append(environ, name+"="+value)
	}
	c, err := load(server.Command, environ)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.check(); err != nil {
		t.Error(err)
	}
	for _, used := range append(c.secretFiles, c.databasePasswordFile) {
		if name, ok := strings.CutPrefix(used, "/run/secrets/"); !ok || !slices.Contains(server.Secrets, name) {
			t.Errorf("%s is no secret of the service", used)
		}
	}
	for _, name := range append(server.Secrets, postgres.Secrets...) {
		if dir := path.Dir(f.Secrets[name].File); dir != "secrets" || !strings.Contains(read(t, ".dockerignore"), "\n/"+dir+"\n") {
			t.Errorf("the secret %s is %q, which is not kept out of the image", name, f.Secrets[name].File)
		}
	}
	if user := postgres.Environment["POSTGRES_USER"]; !strings.HasPrefix(c.database, "postgres://"+user+"@postgres/") {
		t.Errorf("the database is %s, and its owner %s", c.database, user)
	}
	if grace, err := time.ParseDuration(server.StopGracePeriod); err != nil || grace <= c.shutdownTimeout {
		t.Errorf("it is killed after %q, within its --shutdown-timeout, %v", server.StopGracePeriod, c.shutdownTimeout)
	}
	if _, ok := server.DependsOn["postgres"]; !ok || server.Build != "." || !strings.HasPrefix(postgres.Image, "postgres:") {
		t.Errorf("notifyd is built from %q and depends on %v; PostgreSQL is %q", server.Build, server.DependsOn, postgres.Image)
	}
}
