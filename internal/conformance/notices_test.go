package conformance_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"gorm.io/gorm"
)

// liar is a model that breaks one rule.
type liar struct {
	*model
	rule string
}

func (l liar) Post(who notifications.Identity, d notifications.Draft) (notifications.Posted, error) {
	posted, err := l.PostMany(who, []notifications.Draft{d})
	if err != nil {
		return notifications.Posted{}, err
	}
	return posted[0], nil
}

func (l liar) PostMany(who notifications.Identity, drafts []notifications.Draft) (posted []notifications.Posted, err error) {
	if l.rule != "many posts are stored all or none" {
		return l.postMany(who, drafts)
	}
	for _, d := range drafts {
		one, err := l.postMany(who, []notifications.Draft{d})
		if err != nil {
			return nil, err
		}
		posted = append(posted, one...)
	}
	return posted, nil
}

func (l liar) postMany(who notifications.Identity, drafts []notifications.Draft) ([]notifications.Posted, error) {
	if l.rule == "a key is remembered" {
		drafts = slices.Clone(drafts)
		for i := range drafts {
			drafts[i].IdempotencyKey = ""
		}
	}
	posted, err := l.model.PostMany(who, drafts)
	if l.rule == "a post says whether it replaced another" {
		for i := range posted {
			posted[i].Replaced = false
		}
	}
	return posted, err
}

func (l liar) SetState(who notifications.Identity, sel selection, c notifications.StateChange) (int64, error) {
	if l.rule == "what is after upTo is left alone" {
		sel.UpTo = ""
	}
	return l.model.SetState(who, sel, c)
}

func (l liar) Withdraw(who notifications.Identity, id string) error {
	if l.rule == "what is withdrawn is gone" {
		return nil
	}
	return l.model.Withdraw(who, id)
}

func (l liar) Purge(olderThan time.Duration) (int64, error) {
	if l.rule == "what is saved is not purged" {
		saved := l.states
		defer func() { l.states = saved }()
		l.states = nil
	}
	return l.model.Purge(olderThan)
}

func (l liar) EraseUser(user string) error {
	if l.rule == "what an erased user marked is forgotten" {
		marked := maps.Clone(l.states)
		defer func() { l.states = marked }()
	}
	return l.model.EraseUser(user)
}

func (l liar) Rollback() error {
	if l.rule == "what is rolled back is gone" {
		return l.Commit()
	}
	return l.model.Rollback()
}

func (l liar) Others() subject {
	if l.before == nil || l.rule == "others see what is committed" {
		return l
	}
	return l.model.Others()
}

// TestModelNotices breaks one rule at a time in the model, and wants the same
// sequences each time to find that a database keeps it.
func TestModelNotices(t *testing.T) {
	t.Parallel()
	db := fastSQLite(t)
	migrate(t, db)
	for _, rule := range []string{
		"a key is remembered",
		"a post says whether it replaced another",
		"many posts are stored all or none",
		"what is after upTo is left alone",
		"what is withdrawn is gone",
		"what is saved is not purged",
		"what an erased user marked is forgotten",
		"members see what their group was sent since they joined",
		"what is older than the account counts as read",
		"what is rolled back is gone",
		"others see what is committed",
	} {
		const most = 300
		found := -1
		for seed := 0; found < 0 && seed < most; seed++ {
			_, difference := programs.Example(seed).run([]*gorm.DB{db}, func(m *model) subject {
				switch rule {
				case "members see what their group was sent since they joined":
					m.groupHistory = notifications.HistoryAll
				case "what is older than the account counts as read":
					m.systemHistory = min(m.systemHistory, notifications.HistorySinceJoining)
				}
				return liar{m, rule}
			})
			if difference != "" {
				found = seed
			}
		}
		if found < 0 {
			t.Errorf("%d sequences do not notice when the model breaks the rule that %s", most, rule)
		}
		t.Logf("%s: sequence %d", rule, found)
	}
}
