package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/notificationstest"
)

// TestChallenge: a 401 names the configured ways to authenticate and no others.
// A host with cookies never mentions bearer tokens.
func TestChallenge(t *testing.T) {
	t.Parallel()
	svc := notificationstest.New(t)
	nobody := verifierFunc(func(string) (notifications.Identity, error) {
		return notifications.Identity{}, notifications.ErrUnauthenticated
	})
	for name, tt := range map[string]struct {
		cfg     httpapi.Config
		schemes []string
		detail  string
	}{
		"session": {httpapi.Config{Identify: func(*http.Request) (notifications.Identity, error) { return notifications.Identity{}, nil }},
			[]string{"Session"}, "this needs a signed-in user"},
		"token":            {httpapi.Config{Verifier: nobody}, []string{"Bearer"}, "this needs a valid bearer token"},
		"secret":           {httpapi.Config{Secrets: nobody}, []string{"notifications-secret"}, "this needs the header notifications-secret"},
		"token and secret": {httpapi.Config{Verifier: nobody, Secrets: nobody}, []string{"Bearer"}, "this needs a valid bearer token or the header notifications-secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := httpapi.New(svc, tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequest("GET", httpapi.DefaultPrefix+"/notifications", nil))
			var schemes []string
			for _, challenge := range answer.Header().Values("WWW-Authenticate") {
				scheme, _, _ := strings.Cut(challenge, " ")
				schemes = append(schemes, scheme)
			}
			if answer.Code != http.StatusUnauthorized || !slices.Equal(schemes, tt.schemes) || !strings.Contains(answer.Body.String(), `"detail":"`+tt.detail+`"`) {
				t.Errorf("%d %q %s; want %q and %q", answer.Code, schemes, answer.Body, tt.schemes, tt.detail)
			}
		})
	}
}

// verifierFunc is a verifier made of a function.
type verifierFunc func(token string) (notifications.Identity, error)

func (f verifierFunc) Verify(_ context.Context, token string) (notifications.Identity, error) {
	return f(token)
}

// TestServiceOfATransaction: New refuses a bound service, because the handler
// lives longer than a transaction.
func TestServiceOfATransaction(t *testing.T) {
	t.Parallel()
	svc := notificationstest.New(t)
	_, err := httpapi.New(svc.WithSQLTx(nil), httpapi.Config{Verifier: verifierFunc(nil)})
	if !errors.Is(err, notifications.ErrBound) {
		t.Errorf("New: %v, want ErrBound", err)
	}
}
