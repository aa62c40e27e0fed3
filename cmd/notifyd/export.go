package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/notifications-go/notifications"
)

// exported is a file to write.
type exported struct{ path, content string }

// exportFormats returns the files of a migration in the layout of each tool.
// The SQL that undoes it is where the tool does not apply it by mistake.
var exportFormats = map[string]func(m notifications.Migration) []exported{
	"goose": func(m notifications.Migration) []exported {
		return []exported{{m.Name, "-- +goose Up\n\n" + m.SQL + "\n-- +goose Down\n\n" + m.Down}}
	},
	"golang-migrate": func(m notifications.Migration) []exported {
		name := strings.TrimSuffix(m.Name, ".sql")
		return []exported{{name + ".up.sql", m.SQL}, {name + ".down.sql", m.Down}}
	},
	"plain": func(m notifications.Migration) []exported {
		return []exported{{m.Name, m.SQL}, {filepath.Join("down", m.Name), m.Down}}
	},
}

// runExport writes the migrations for another tool.
func runExport(_ context.Context, p process) error {
	flags := flag.NewFlagSet("migrate export", flag.ContinueOnError)
	format := flags.String("format", "", "")
	dir := flags.String("dir", "", "")
	c, err := loadConfig(flags, p.args, p.environ)
	if err != nil {
		return err
	}
	layOut, known := exportFormats[*format]
	faults := []error{c.checkDatabase()}
	if !known {
		faults = append(faults, fmt.Errorf("--format must be one of %s", strings.Join(slices.Sorted(maps.Keys(exportFormats)), ", ")))
	}
	if *dir == "" {
		faults = append(faults, errors.New("--dir is required"))
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	all, err := notifications.Migrations(c.dialect())
	if err != nil {
		return err
	}
	var files []exported
	for _, m := range all {
		for _, f := range layOut(m) {
			files = append(files, exported{filepath.Join(*dir, f.path), f.content})
		}
	}
	absent, err := absentOf(files)
	if err != nil {
		return err
	}
	for _, f := range absent {
		if err := f.write(); err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, "wrote", f.path)
	}
	fmt.Fprintln(p.stdout, "the files are up to date")
	return nil
}

// absentOf returns the files that are missing or empty. It fails if another
// file has other content.
func absentOf(files []exported) (absent []exported, err error) {
	var faults []error
	for _, f := range files {
		found, err := os.ReadFile(f.path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && len(found) == 0:
			absent = append(absent, f)
		case err != nil:
			faults = append(faults, err)
		case !bytes.Equal(found, []byte(f.content)):
			faults = append(faults, fmt.Errorf("%s exists and has other content; nothing was written", f.path))
		}
	}
	return absent, errors.Join(faults...)
}

func (f exported) write() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(f.path, []byte(f.content), 0o644)
}
