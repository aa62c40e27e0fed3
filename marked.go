package notifications

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// Marked returns a text that stands for all marks the user has made through
// this Service. Pass it to [AfterMark] to read these marks through another
// Service on the same database. It says nothing about the database. It is empty
// without Config.Replica, for a service, and if there is nothing to wait for.
func (s *Service) Marked(who Identity) string {
	if s.store.replica == nil || who.Kind != KindUser {
		return ""
	}
	user, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return ""
	}
	return s.store.replica.seal(s.store.replica.after(user))
}

type markedElsewhere struct{}

// AfterMark returns a context for reads that must show the marks a user made
// through another Service: marked is the result of [Service.Marked] there. A
// client may supply it: an invalid text changes nothing.
func AfterMark(ctx context.Context, marked string) context.Context {
	if len(marked) != sealedLength {
		return ctx
	}
	return context.WithValue(ctx, markedElsewhere{}, marked)
}

// sealedLength is the length of a sealed position: one block of AES in base64.
const sealedLength = 22

// seal encrypts a position, so that clients neither learn nor choose one. It is
// empty for position zero, and before the key is known.
func (r *replica) seal(at walPosition) string {
	r.mu.Lock()
	key := r.key
	r.mu.Unlock()
	if at == 0 || key == nil {
		return ""
	}
	var block [aes.BlockSize]byte // the second half stays zero, which proves that we sealed it
	binary.BigEndian.PutUint64(block[:], uint64(at))
	key.Encrypt(block[:], block[:])
	return base64.RawURLEncoding.EncodeToString(block[:])
}

// markedElsewhere returns the position that [AfterMark] put into the context,
// and zero if there is none or it is not one of ours.
func (s *store) markedElsewhere(ctx context.Context) walPosition {
	sealed, given := ctx.Value(markedElsewhere{}).(string)
	if !given {
		return 0
	}
	key, err := s.markKey(ctx)
	if err != nil {
		return unknown
	}
	var block [aes.BlockSize]byte
	if n, err := base64.RawURLEncoding.Decode(block[:], []byte(sealed)); err != nil || n != len(block) {
		return 0
	}
	key.Decrypt(block[:], block[:])
	if binary.BigEndian.Uint64(block[8:]) != 0 {
		return 0
	}
	return max(walPosition(binary.BigEndian.Uint64(block[:])), 0)
}

// markKey returns the key of sealed positions, which all services on one
// database know: it is made of the identifier that PostgreSQL gave its cluster.
func (s *store) markKey(ctx context.Context) (cipher.Block, error) {
	s.replica.mu.Lock()
	key := s.replica.key
	s.replica.mu.Unlock()
	if key != nil {
		return key, nil
	}
	var system int64
	if err := find(s.session(ctx, s.db), s.sql("SELECT system_identifier FROM pg_control_system()"), &system); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte("notifications: positions of marks " + strconv.FormatInt(system, 10)))
	key, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, err
	}
	s.replica.mu.Lock()
	defer s.replica.mu.Unlock()
	s.replica.key = key
	return key, nil
}
