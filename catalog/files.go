// Package catalog has two ready catalogs. [Files] takes users and groups from
// Backstage entity files. [Open] is for a host that has users of its own.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/notifications-go/notifications"
)

// maxFileBytes is the size above which a file is refused unread.
const maxFileBytes = 32 << 20

// Files is a catalog of the entities of kind User and Group in Backstage
// entity files (YAML, any number of documents a file). Of an entity it reads
// kind, metadata.name, metadata.namespace ("default" if absent), of a user
// spec.memberOf and of a group spec.members. Documents of other kinds and
// empty ones are ignored.
//
// A user is in the groups the user's entity names and in those that name the
// user, and in no others: spec.parent and spec.children do not count. A membership of or in
// something the files do not define is ignored.
//
// A ref is "namespace/name" or "kind:namespace/name", compared without regard
// to case. In the files, and only there, the namespace may be left out too; it
// is then that of the entity the ref stands in.
//
// A file is at most 32 MiB long, a document in it 1 MiB and 5,000 keys. Anchors
// and aliases are followed one step; merge keys ("<<") are an error in what is
// read.
//
// The methods are safe for concurrent use. The zero Files is not usable: see
// [Load] and [LoadFS].
type Files struct {
	open  func(name string) (fs.File, error)
	paths []string

	reload sync.Mutex // held while reading, so that the last reading wins
	now    atomic.Pointer[snapshot]
}

var (
	_ notifications.Catalog = (*Files)(nil)
	_ notifications.Sizer   = (*Files)(nil)
)

// Load reads the named files, at least one. The error tells every fault of
// every file, one a line, with file and line.
func Load(paths ...string) (*Files, error) {
	return load(func(name string) (fs.File, error) { return os.Open(name) }, paths)
}

// LoadFS is [Load] for the files of a file system, such as an [embed.FS].
func LoadFS(fsys fs.FS, paths ...string) (*Files, error) {
	return load(fsys.Open, paths)
}

func load(open func(string) (fs.File, error), paths []string) (*Files, error) {
	if len(paths) == 0 {
		return nil, errors.New("catalog: no file is named")
	}
	f := &Files{open: open, paths: slices.Clone(paths)}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the files again. From its return on, what they say now is the
// catalog. If anything is wrong with any of them, the error is that of [Load]
// and the catalog stays as it was. Replace a file by renaming a new one over
// it: the first half of a file may be valid too.
func (f *Files) Reload() error {
	f.reload.Lock()
	defer f.reload.Unlock()

	var entities []entity
	var faults []error
	for _, path := range f.paths {
		data, err := f.read(path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		found, wrong := parse(path, data)
		entities = append(entities, found...)
		faults = append(faults, wrong...)
	}
	next, wrong := build(entities)
	if err := errors.Join(append(faults, wrong...)...); err != nil {
		return err
	}
	f.now.Store(next)
	return nil
}

// read returns the content of one file.
func (f *Files) read(path string) ([]byte, error) {
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, maxFileBytes)
	}
	return data, nil
}

// Len returns how many users and groups there are.
func (f *Files) Len() (users, groups int) {
	now := f.now.Load()
	return len(now.users), len(now.groups)
}

// Canonical returns "default/jane" for "default/jane" and for
// "User:Default/Jane". A ref without a "/", of another kind, with white space,
// or with more than 255 bytes after its kind is an error.
func (*Files) Canonical(kind notifications.Kind, ref string) (string, error) {
	return canonical(kind, ref, "")
}

// Groups returns the groups of the user, sorted. It never fails.
func (f *Files) Groups(_ context.Context, user string) ([]notifications.Membership, error) {
	return slices.Clone(f.now.Load().users[user]), nil
}

// Missing returns, in their order, the refs the files do not define. It never
// fails.
func (f *Files) Missing(_ context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	now := f.now.Load()
	var missing []notifications.Ref
	for _, ref := range refs {
		if !now.has(ref) {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}

// Size returns how many users are in the group, a canonical name, or how many
// the files define for the empty name. It reports false for a group they do not
// define, and never fails.
func (f *Files) Size(_ context.Context, group string) (int, bool, error) {
	now := f.now.Load()
	if group == "" {
		return len(now.users), true, nil
	}
	n, ok := now.groups[group]
	return n, ok, nil
}
