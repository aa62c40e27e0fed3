package fill

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strings"

	"github.com/notifications-go/notifications"
)

// Spec says what a database is filled with. It decides every row, so a database
// that was filled for the same Spec need not be filled again.
type Spec struct {
	Messages      int     // in all
	Users         int     // who share what the measured ones do not get
	Measured      int     // users
	Visible       int     // messages to each measured user alone
	Groups        int     // that the measured users are in
	GroupsPerUser int     // of these
	GroupPosts    int     // messages to all groups together
	System        int     // messages to everybody
	ReadFraction  float64 // of the messages, 0 to 1
	Seed          uint64  // the same numbers fill the same rows
	Wide          []Wide  // further users, for the curves
}

// Wide is a few users with inboxes of another width.
type Wide struct {
	Visible int  // messages to each
	Hidden  int  // messages before these, which are read and archived
	Groups  int  // that they are in, up to 1,000; these have 1,000 messages together
	Unread  bool // nothing that is not hidden is read
}

// maxMessages keeps places in time and their products within 64 bits.
const maxMessages = 1_000_000_000

// Default is what is filled unless told otherwise.
var Default = Spec{
	Messages: 1_000_000, Users: 100_000, Visible: 100, Groups: 100, GroupsPerUser: 2, GroupPosts: 1000, System: 500, ReadFraction: 0.5, Seed: 1,
}

// Of is the Spec with that many messages, and as many measured users as these
// allow where it does not say.
func (s Spec) Of(messages int) Spec {
	s.Messages = messages
	if s.Measured == 0 {
		half := (messages - s.GroupPosts - s.System) / 2 / max(1, s.Visible)
		s.Measured = min(1000, max(1, half))
	}
	return s
}

// Check returns what is wrong with a Spec, as an error that names flags.
func (s Spec) Check() error {
	if s.Users < 1 || s.Users > maxMessages || s.Messages > maxMessages {
		return fmt.Errorf("--messages, --users: must be between 1 and %d", maxMessages)
	}
	if s.Messages < s.Least() {
		return fmt.Errorf("--messages: groups, everybody and measured users alone get %d", s.Least())
	}
	return nil
}

// Least is how many messages there are beside those to users who are not
// measured.
func (s Spec) Least() int {
	n := 0
	for _, b := range s.fixedBlocks() {
		n += b.messages
	}
	return n
}

// String is the Spec for people.
func (s Spec) String() string {
	return fmt.Sprintf("%d messages, %d users", s.Messages, s.Users+s.Measured)
}

// Names of users and groups, with a number.
const (
	Measured   = "bench/measured-%06d" // users
	Others     = "bench/user-%08d"     // users who are not measured, and in no group
	groupNames = "bench/group-%05d"
)

// WideName is the name of the users of the k-th [Wide], and of their groups.
func WideName(k int) string { return fmt.Sprintf("bench/wide-%02d-", k) + "%03d" }

const (
	groupPosts = 1000    // messages through the groups of a Wide, however many they are
	wideUsers  = 4       // of each Wide
	wideRows   = 100_000 // and fewer where it would be more rows
)

// block is a run of audiences that are alike, in the order of their names.
type block struct {
	kind     notifications.Kind // or "" for everybody
	name     string             // of users or groups, with their number in it
	count    int                // audiences
	messages int                // to all of them, shared evenly
	Wide                        // of wide users
}

func (b block) ref(i int) string { return fmt.Sprintf(b.name, i) }

// refs are the names of all audiences.
func (b block) refs() []string {
	refs := make([]string, b.count)
	for i := range refs {
		refs[i] = b.ref(i)
	}
	return refs
}

// World is a [Spec] laid out: which message is for whom. It is the catalog of its
// users and groups. It is not changed once made.
type World struct {
	Spec
	blocks []block
	groups map[string][]notifications.Membership // of a user
	known  map[notifications.Ref]bool
}

// NewWorld lays a Spec out, unless [Spec.Check] finds faults in it.
func NewWorld(s Spec) (*World, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	w := &World{Spec: s, blocks: s.fixedBlocks(), groups: map[string][]notifications.Membership{}, known: map[notifications.Ref]bool{}}
	w.blocks = append(w.blocks, block{kind: notifications.KindUser, name: Others, count: s.Users, messages: s.Messages - s.Least()})
	for _, b := range w.blocks {
		for i := range b.count {
			w.known[notifications.Ref{Kind: b.kind, Name: b.ref(i)}] = true
			if b.kind == notifications.KindUser {
				for _, group := range w.groupsOf(b, i) {
					w.groups[b.ref(i)] = append(w.groups[b.ref(i)], notifications.Membership{Group: group})
				}
			}
		}
	}
	return w, nil
}

// fixedBlocks are all but the users who are not measured, and get the rest.
func (s Spec) fixedBlocks() []block {
	const user, group = notifications.KindUser, notifications.KindGroup
	blocks := []block{
		{kind: group, name: groupNames, count: s.Groups, messages: s.GroupPosts},
		{name: "%d", count: 1, messages: s.System},
		{kind: user, name: Measured, count: s.Measured, messages: s.Measured * s.Visible},
	}
	for k, wide := range s.Wide {
		if wide.Groups > 0 {
			blocks = append(blocks, block{kind: group, name: WideName(k), count: wide.Groups, messages: groupPosts})
		}
		each := wide.Visible + wide.Hidden
		count := min(wideUsers, max(1, wideRows/max(1, each)))
		blocks = append(blocks, block{kind: user, name: WideName(k), count: count, messages: count * each, Wide: wide})
	}
	return blocks
}

func (w *World) block(kind notifications.Kind, name string) block {
	return w.blocks[slices.IndexFunc(w.blocks, func(b block) bool { return b.kind == kind && b.name == name })]
}

// UserNames are all users of a name such as [Measured], in their order.
func (w *World) UserNames(name string) []string { return w.block(notifications.KindUser, name).refs() }

// GroupNames are the groups of the measured users.
func (w *World) GroupNames() []string { return w.block(notifications.KindGroup, groupNames).refs() }

// groupsOf are the groups that user i of a block is in.
func (w *World) groupsOf(b block, i int) (in []string) {
	if b.Groups > 0 {
		return w.block(notifications.KindGroup, b.name).refs()
	}
	if b.name == Measured {
		groups := w.block(notifications.KindGroup, groupNames)
		for k := range w.GroupsPerUser {
			in = append(in, groups.ref((i+k*(groups.count/w.GroupsPerUser))%groups.count))
		}
	}
	return in
}

// Canonical is a name in small letters.
func (w *World) Canonical(_ notifications.Kind, name string) (string, error) {
	return strings.ToLower(name), nil
}

// Groups returns the groups of a user.
func (w *World) Groups(_ context.Context, user string) ([]notifications.Membership, error) {
	return w.groups[user], nil
}

// Missing returns the refs that are neither a user nor a group.
func (w *World) Missing(_ context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	return slices.DeleteFunc(slices.Clone(refs), func(ref notifications.Ref) bool { return w.known[ref] }), nil
}

// stride scatters messages over time: it is a prime larger than their number,
// so each is posted once.
const stride = 2_654_435_761

// posted is whom the n-th message in the order of time is for: a block, and the
// number of the audience there.
func (w *World) posted(n int) (b block, audience int) {
	message := int(uint64(n) * stride % uint64(w.Messages))
	for _, b = range w.blocks { // the last has what the others leave
		if message < b.messages {
			break
		}
		message -= b.messages
	}
	// The first messages of audience i are i*b.messages/b.count.
	return b, sort.Search(b.count, func(i int) bool { return message < (i+1)*b.messages/b.count })
}

// isRead decides whether a user has read the n-th message that they see.
func (w *World) isRead(user string, n int) bool {
	const all = 1_000_003
	return float64(w.Random(all, user, n)) < w.ReadFraction*all
}

// Random is a number below n that is the same for the same seed and key.
func (w *World) Random(n int, key ...any) int {
	h := fnv.New64a()
	fmt.Fprintln(h, w.Seed, key)
	return int(h.Sum64() % uint64(n))
}
