package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// runURL measures a server that runs already, over HTTP alone.
func runURL(ctx context.Context, p process, o *options) (err error) {
	token, err := o.readToken()
	if err != nil {
		return err
	}
	c, err := newHTTPContender(o.url, map[string]string{"": token})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	remote := &remote{base: c.base.String(), token: token}
	ops, restore, err := remote.operations(ctx, o)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	defer func() { err = errors.Join(err, restore()) }()

	var entries []*entry
	for _, op := range ops {
		can, err := c.offers(ctx, op)
		if err != nil {
			return err
		}
		if can && o.wanted(op) {
			entries = append(entries, &entry{op: op, contenders: []contender{c}})
		}
	}
	if len(entries) == 0 {
		return usagef("--url: the server offers nothing that is to be measured")
	}
	plan := o.plan()
	plan.until = time.Now().Add(o.duration)
	r := newReport(plan)
	if err := plan.measure(ctx, entries); err != nil {
		return err
	}
	for _, e := range entries {
		r.Results = append(r.Results, e.result())
		r.noteRounds(e)
	}
	r.print(p.stdout)
	return r.write(o.out)
}

// remote asks a server what there is to measure.
type remote struct{ base, token string }

// operations are those of one user, whoever the token says he is. What they
// mark, restore puts back.
func (r *remote) operations(ctx context.Context, o *options) (ops []*operation, restore func() error, err error) {
	get := func(name, title, target string) { ops = append(ops, getOperation(name, title, target)) }
	get(opList, "list, first page", firstPage)
	const page = 5
	if next, err := r.nextPage(ctx, fmt.Sprintf("%s&pageSize=%d", firstPage, (page-1)*pageSize)); err != nil {
		return nil, nil, err
	} else if next != "" {
		get(opListCursor, "list, 80 down by cursor", next)
		get(opListPage, "list, 80 down by number", fmt.Sprintf("%s&pageNumber=%d", firstPage, page))
	}
	get(opListText, "list, text filter", firstPage+"&containsText="+url.QueryEscape(o.text))
	get(opUnread, "unread count", "/notifications/count?read=false&messageScope=all")
	get(opStatus, "status", "/notifications/status?messageScope=all")

	targets, err := r.unread(ctx, o.samples)
	if err != nil {
		return nil, nil, err
	}
	if len(targets) > 0 {
		mark := markOneOperation(targets)
		mark.service = nil
		ops = append(ops, mark)
		restore = func() error { return r.restore(context.WithoutCancel(ctx), mark, targets) }
	} else {
		restore = func() error { return nil }
	}
	if o.posts != "" {
		ops = append(ops, postOperation(o.posts))
	}
	return ops, restore, nil
}

// firstPage is the first page of all that the user sees.
const firstPage = "/notifications?messageScope=all"

// getOperation reads the same each time.
func getOperation(name, title, target string) *operation {
	return &operation{name: name, title: title, period: 1, request: func(int) call {
		return call{method: http.MethodGet, target: target}
	}}
}

// postOperation posts to the user.
func postOperation(user string) *operation {
	return &operation{name: opPostUser, title: "post to 1 user", phase: posting, period: drafts, request: func(i int) call {
		return call{method: http.MethodPost, target: "/notifications", body: draftBody(userDraft(i), map[string]any{"targetUsers": []string{user}})}
	}}
}

// unread are messages that can be marked as read, and back.
func (r *remote) unread(ctx context.Context, atMost int) ([]markTarget, error) {
	var items []struct {
		ID string `json:"id"`
	}
	body, _, err := r.do(ctx, http.MethodGet, fmt.Sprintf("/notifications?messageScope=all&read=false&pageSize=%d", atMost))
	if err == nil {
		err = json.Unmarshal(body, &items)
	}
	var targets []markTarget
	for _, item := range items {
		targets = append(targets, markTarget{id: item.ID})
	}
	return targets, err
}

// restore marks as unread what was.
func (r *remote) restore(ctx context.Context, mark *operation, targets []markTarget) error {
	if mark.next.Load() == 0 {
		return nil
	}
	var errs []error
	for _, t := range targets {
		_, _, err := r.do(ctx, http.MethodPut, "/notifications/read?read=false&messageId="+t.id)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// nextPage is what the page after the one at target is called; "" if there is
// none.
func (r *remote) nextPage(ctx context.Context, target string) (string, error) {
	_, link, err := r.do(ctx, http.MethodGet, target)
	if err != nil || link == "" {
		return "", err
	}
	query, _, _ := strings.Cut(strings.TrimPrefix(link, "<?"), ">")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	values.Del("pageSize") // that of the page before; this one is of the usual size
	return "/notifications?" + values.Encode(), nil
}

// do makes one request, outside of what is measured.
func (r *remote) do(ctx context.Context, method, target string) (body []byte, link string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, r.base+target, nil)
	if err != nil {
		return nil, "", err
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	answer, err := setupClient.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s is answered with %s: %s", method, target, answer.Status, body)
	}
	return body, answer.Header.Get("Link"), err
}
