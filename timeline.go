package notifications

import (
	"container/heap"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
)

// timeline holds what appears or expires later, the earliest first.
type timeline []changelog.Change

// Len implements [heap.Interface], as do Less, Swap, Push and Pop.
func (l timeline) Len() int           { return len(l) }
func (l timeline) Less(i, j int) bool { return l[i].At < l[j].At }
func (l timeline) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *timeline) Push(c any)        { *l = append(*l, c.(changelog.Change)) }
func (l *timeline) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

// until takes what appears or expires up to the time.
func (l *timeline) until(ms int64) (changes []changelog.Change) {
	for len(*l) > 0 && (*l)[0].At <= ms {
		changes = append(changes, heap.Pop(l).(changelog.Change))
	}
	return changes
}

// wait returns how long nothing on the timeline happens.
func (l timeline) wait(now time.Time) time.Duration {
	if len(l) == 0 {
		return time.Hour
	}
	return max(time.UnixMilli(l[0].At).Sub(now), 0)
}
