package main

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"sort"
	"time"

	"github.com/gofrs/uuid/v5"
)

// spec says what a database is filled with. It decides every row, so a
// database that was filled for the same spec need not be filled again.
type spec struct {
	Seed          uint64  `json:"seed"`
	Messages      int     `json:"messages"` // in all
	Users         int     `json:"users"`    // beside those that are measured
	Groups        int     `json:"groups"`
	GroupsPerUser int     `json:"groupsPerUser"`
	GroupPosts    int     `json:"groupPosts"` // to all groups together
	System        int     `json:"system"`     // posts to everybody
	Measured      int     `json:"measured"`   // users
	Visible       int     `json:"visible"`    // messages to each of these alone
	ReadFraction  float64 `json:"readFraction"`

	// Of the curves: how many messages users see, how many of theirs are
	// hidden, how many groups they are in.
	WideVisible []int `json:"wideVisible,omitempty"`
	WideHidden  []int `json:"wideHidden,omitempty"`
	WideGroups  []int `json:"wideGroups,omitempty"`
}

const (
	// spareGroups are posted to, and no measured user is in them.
	spareGroups = 16
	// besideHidden is how many messages are not hidden in a wide inbox.
	besideHidden = 100
	// widePosts is how many messages come through groups, however many there
	// are.
	widePosts = 1000
	// wideUsers is how many users there are of each width, fewer where that
	// would be many rows.
	wideUsers   = 4
	maxWideRows = 100_000
)

// The messages of a fill are spread evenly over half a year.
var (
	fillBegin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	fillSpan  = 180 * 24 * time.Hour
)

// fillEnd is larger than every id of a fill.
func fillEnd() uuid.UUID { return idWith(fillBegin.Add(fillSpan), 0) }

// audienceKind is whom a message is addressed to.
type audienceKind int

const (
	toGroup audienceKind = iota
	toEverybody
	toUser
)

// block is a run of audiences that are alike, in the order of their names.
type block struct {
	kind   audienceKind
	name   string // of its audiences, with their number in it; "" is everybody
	count  int    // audiences
	per    int    // messages to each
	extra  int    // the first of them get one more
	hidden int    // of the messages to each, the newest are read and archived
	width  int    // the users are in this many wide groups
	start  int    // messages of the blocks before

	unread   bool // nothing is read beside what is hidden
	measured bool // the users' marks of group and system posts are filled too
}

func (b block) audience(i int) string {
	switch b.kind {
	case toGroup:
		return "group:" + b.ref(i)
	case toUser:
		return "user:" + b.ref(i)
	default:
		return "system"
	}
}

// ref is the audience without its kind.
func (b block) ref(i int) string { return fmt.Sprintf("bench/"+b.name, i) }

func (b block) messages() int { return b.count*b.per + b.extra }

// bounds are the first message of audience i, and the first of the next.
func (b block) bounds(i int) (int, int) {
	at := func(i int) int { return b.start + i*b.per + min(i, b.extra) }
	return at(i), at(i + 1)
}

// audienceOf is the inverse of bounds.
func (b block) audienceOf(message int) int {
	return sort.Search(b.count, func(i int) bool { _, end := b.bounds(i); return message < end })
}

// world is a spec laid out: which message is for whom, and when.
type world struct {
	spec
	blocks []block
	// Message number j, in the order of audiences, is at the place
	// stride·j mod Messages in the order of time; inverse leads back.
	stride, inverse uint64
}

func newWorld(s spec) (*world, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	w := &world{spec: s, blocks: s.fixedBlocks()}
	rest := s.Messages - s.least()
	if rest < 0 {
		return nil, usagef("--messages %d: the groups, the posts to everybody and the measured users alone get %d", s.Messages, s.least())
	}
	w.blocks = append(w.blocks, block{kind: toUser, name: userName, count: s.Users, per: rest / s.Users, extra: rest % s.Users})
	start := 0
	for i := range w.blocks {
		w.blocks[i].start = start
		start += w.blocks[i].messages()
	}
	w.stride = coprime(uint64(s.Messages))
	inverse := new(big.Int).ModInverse(new(big.Int).SetUint64(w.stride), big.NewInt(int64(s.Messages)))
	w.inverse = inverse.Uint64()
	return w, nil
}

// least is how many messages there are beside those to users who are not
// measured.
func (s spec) least() int {
	n := 0
	for _, b := range s.fixedBlocks() {
		n += b.messages()
	}
	return n
}

// fixedBlocks are all but the users who are not measured, and get the rest.
func (s spec) fixedBlocks() []block {
	blocks := []block{
		{kind: toGroup, name: groupName, count: s.Groups, per: s.GroupPosts / s.Groups, extra: s.GroupPosts % s.Groups},
		{kind: toGroup, name: spareName, count: spareGroups},
	}
	for _, n := range s.WideGroups {
		blocks = append(blocks, block{kind: toGroup, name: wideGroupName(n), count: n, per: widePosts / n, extra: widePosts % n})
	}
	blocks = append(blocks,
		block{kind: toEverybody, count: 1, per: s.System},
		block{kind: toUser, name: measuredName, count: s.Measured, per: s.Visible, measured: true})
	for _, n := range s.WideVisible {
		blocks = append(blocks, block{kind: toUser, name: wideVisibleName(n), count: usersOf(n), per: n})
	}
	for _, n := range s.WideHidden {
		blocks = append(blocks, block{
			kind: toUser, name: wideHiddenName(n), count: usersOf(n), per: n + besideHidden, hidden: n, unread: true,
		})
	}
	for _, n := range s.WideGroups {
		blocks = append(blocks, block{kind: toUser, name: wideGroupName(n), count: wideUsers, per: besideHidden, width: n})
	}
	return blocks
}

func (s spec) check() error {
	var faults []error
	for _, f := range []struct {
		name        string
		value, from int
	}{
		{"messages", s.Messages, 2}, {"users", s.Users, 1}, {"groups", s.Groups, 1}, {"groups-per-user", s.GroupsPerUser, 0},
		{"group-posts", s.GroupPosts, 0}, {"system", s.System, 0}, {"measured", s.Measured, 1}, {"visible", s.Visible, 1},
	} {
		if f.value < f.from {
			faults = append(faults, fmt.Errorf("--%s %d: must be at least %d", f.name, f.value, f.from))
		}
	}
	if s.GroupsPerUser > s.Groups {
		faults = append(faults, fmt.Errorf("--groups-per-user %d: there are %d groups", s.GroupsPerUser, s.Groups))
	}
	if s.ReadFraction < 0 || s.ReadFraction > 1 {
		faults = append(faults, errors.New("--read-fraction: must be between 0 and 1"))
	}
	if s.Messages > int(fillSpan/time.Millisecond) {
		faults = append(faults, errors.New("--messages: there is room for one a millisecond, for half a year"))
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return nil
}

// Names, with a number.
const (
	groupName    = "group-%05d"
	spareName    = "spare-%02d"
	measuredName = "measured-%06d"
	userName     = "user-%08d"
)

func wideGroupName(n int) string   { return fmt.Sprintf("wide-groups-%06d-", n) + "%03d" }
func wideVisibleName(n int) string { return fmt.Sprintf("visible-%06d-", n) + "%d" }
func wideHiddenName(n int) string  { return fmt.Sprintf("hidden-%06d-", n) + "%d" }

func usersOf(messages int) int { return min(wideUsers, max(1, maxWideRows/max(1, messages))) }

// block returns the users or groups of a name.
func (w *world) block(k audienceKind, name string) block {
	return w.blocks[slices.IndexFunc(w.blocks, func(b block) bool { return b.kind == k && b.name == name })]
}

// refs are the names of a block's audiences.
func (b block) refs() []string {
	refs := make([]string, b.count)
	for i := range refs {
		refs[i] = b.ref(i)
	}
	return refs
}

// groupsOf are the groups user i of a block is in.
func (w *world) groupsOf(b block, i int) []string {
	var in []string
	if b.width > 0 {
		return w.block(toGroup, wideGroupName(b.width)).refs()
	}
	if b.name != measuredName && b.name != userName {
		return nil
	}
	groups := w.block(toGroup, groupName)
	for k := range w.GroupsPerUser {
		in = append(in, groups.ref((i+k*(w.Groups/max(1, w.GroupsPerUser)))%w.Groups))
	}
	return in
}

// place is where in time message j is.
func (w *world) place(j int) int { return mulMod(uint64(j), w.stride, uint64(w.Messages)) }

// messageAt is the message at a place in time.
func (w *world) messageAt(place int) int { return mulMod(uint64(place), w.inverse, uint64(w.Messages)) }

// id is that of the message at a place in time.
func (w *world) id(place int) uuid.UUID {
	step := fillSpan / time.Duration(w.Messages)
	return idWith(fillBegin.Add(time.Duration(place)*step), w.hash(place, 0))
}

// places are where the messages of an audience are, oldest first.
func (w *world) places(b block, audience int) []int {
	first, end := b.bounds(audience)
	places := make([]int, 0, end-first)
	for j := first; j < end; j++ {
		places = append(places, w.place(j))
	}
	slices.Sort(places)
	return places
}

// isRead decides whether user has read the message at a place.
func (w *world) isRead(place int, user string) bool {
	h := w.Seed
	for _, c := range []byte(user) {
		h = mix(h ^ uint64(c))
	}
	return float64(w.hash(place, h)>>11)/(1<<53) < w.ReadFraction
}

// hash is the same for the same seed.
func (w *world) hash(place int, salt uint64) uint64 {
	return mix(mix(w.Seed^salt) ^ uint64(place))
}

// mix is the finalizer of SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func mulMod(a, b, m uint64) int {
	hi, lo := bits.Mul64(a, b)
	return int(bits.Rem64(hi, lo, m))
}

// coprime returns a number without a common divisor with n, near n divided by
// the golden ratio: its multiples are spread evenly.
func coprime(n uint64) uint64 {
	const goldenRatio = 1.618033988749895
	for c := max(1, uint64(float64(n)/goldenRatio)); ; c++ {
		if gcd(c, n) == 1 {
			return c
		}
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// idWith makes a UUIDv7 (RFC 9562, section 5.7) of a time and random bits.
func idWith(t time.Time, random uint64) uuid.UUID {
	var id uuid.UUID
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	for i := range 8 {
		id[8+i] = byte(random >> (8 * i))
	}
	id[6], id[7] = byte(random>>4), byte(random)
	id.SetVersion(uuid.V7)
	id.SetVariant(uuid.VariantRFC9562)
	return id
}

func parseUUID(s string) uuid.UUID { return uuid.FromStringOrNil(s) }
