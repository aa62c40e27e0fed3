// Package catalog has two implementations of [notifications.Catalog]. [Files]
// reads users and groups from Backstage entity files. [Open] is for hosts with
// users of their own.
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

// maxFileBytes is the size of the largest file that is read.
const maxFileBytes = 32 << 20

// Files is a catalog of the entities of kind User and Group in Backstage entity
// files: YAML with any number of documents. It reads kind, metadata.name and
// metadata.namespace ("default" if absent) of each entity, spec.memberOf of
// users and spec.members of groups. It ignores empty documents and those of
// other kinds.
//
// A user is a member of the groups in the user's memberOf, and of the groups
// that list the user under members. spec.parent and spec.children have no
// effect. Memberships that name an undefined user or group are ignored.
//
// A ref is "namespace/name" or "kind:namespace/name". The letters A to Z are
// equal to a to z; all other characters are compared as they are. Within the files, and only there, the namespace may be absent; it is
// then that of the entity that contains the ref.
//
// Limits: 32 MiB a file, 1 MiB and 5,000 keys a document. Anchors and aliases
// are followed one step. Merge keys ("<<") in the parts that are read are an
// error.
//
// Its methods are safe for concurrent use. The zero Files is not usable: use
// [Load] or [LoadFS].
type Files struct {
	open  func(name string) (fs.File, error)
	paths []string

	reload sync.Mutex // held while reading, so that the last call of Reload wins
	counts []int      // the number of users and groups of each path; guarded by reload
	now    atomic.Pointer[snapshot]
}

var (
	_ notifications.Catalog = (*Files)(nil)
	_ notifications.Sizer   = (*Files)(nil)
)

// Load reads the named files, at least one. Its error lists every fault of
// every file, one a line, with the file and the line.
func Load(paths ...string) (*Files, error) {
	return load(func(name string) (fs.File, error) { return os.Open(name) }, paths)
}

// LoadFS is [Load] for files of a file system, such as an [embed.FS].
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

// Reload reads the files again. When it returns, the catalog has their new
// content. If a file has a fault, it returns the error of [Load] and the
// catalog stays as it is. A file that defined users or groups and now defines
// none has a fault: it was emptied by mistake, or is being written. To change a
// file, rename a complete one over it: half a file may be valid.
func (f *Files) Reload() error {
	f.reload.Lock()
	defer f.reload.Unlock()

	var entities []entity
	var faults []error
	counts := make([]int, len(f.paths))
	for i, path := range f.paths {
		data, err := f.read(path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		found, wrong := parse(path, data)
		entities = append(entities, found...)
		faults = append(faults, wrong...)
		counts[i] = len(found)
		if f.counts != nil && f.counts[i] > 0 && len(found)+len(wrong) == 0 {
			faults = append(faults, fmt.Errorf("%s: defines no user and no group any more", path))
		}
	}
	next, wrong := build(entities)
	if err := errors.Join(append(faults, wrong...)...); err != nil {
		return err
	}
	f.now.Store(next)
	f.counts = counts
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

// Len returns the number of users and the number of groups.
func (f *Files) Len() (users, groups int) {
	now := f.now.Load()
	return len(now.users), len(now.groups)
}

// Canonical returns "default/jane" for "default/jane" and for
// "User:Default/Jane". It returns an error for a ref without a "/", of another
// kind, with white space, or with more than 255 bytes after its kind.
func (*Files) Canonical(kind notifications.Kind, ref string) (string, error) {
	return canonical(kind, ref, "")
}

// Groups returns the groups of the user, sorted. It never fails.
func (f *Files) Groups(_ context.Context, user string) ([]notifications.Membership, error) {
	return slices.Clone(f.now.Load().users[user]), nil
}

// Missing returns the refs that the files do not define, in their order. It
// never fails.
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

// Size returns how many users are in the group, by its canonical name, and
// false if the files do not define it. For the empty name it returns the number
// of users. It never fails.
func (f *Files) Size(_ context.Context, group string) (int, bool, error) {
	now := f.now.Load()
	if group == "" {
		return len(now.users), true, nil
	}
	n, ok := now.groups[group]
	return n, ok, nil
}
