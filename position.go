package notifications

import (
	"context"

	"github.com/notifications-go/notifications/internal/changelog"
	"gorm.io/gorm"
)

// Position is temporary.
type Position string

func (s *store) oldest(ctx context.Context) (changelog.Position, error) {
	p := changelog.Position{Epoch: "e"}
	err := s.read(ctx, func(db *gorm.DB) error {
		var text string
		sql := s.sql("SELECT ")
		s.dialect.snapshot(sql)
		if err := find(db, sql, &text); err != nil {
			return err
		}
		var err error
		p.Seen, err = changelog.ParseSnapshot(text)
		return err
	})
	return p, err
}

func (t *tail) accepts(ctx context.Context, p changelog.Position) (string, error) { return "", nil }

func (s *store) statusNow(ctx context.Context, in inbox, f SystemFilter) (status Status, err error) {
	sql := s.statusQuery(in, f)
	err = s.read(ctx, func(db *gorm.DB) error {
		status = Status{}
		return find(db, sql, &status)
	})
	p, _ := s.oldest(ctx)
	p.At = in.now
	status.Position = Position(p.String())
	return status, err
}
