package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	const current, former = "the current secret", "the former secret."
	external := notifications.ServiceAccount("external")
	for name, tc := range map[string]struct {
		actAs   notifications.Identity
		secrets []string
		want    notifications.Identity
	}{
		"one":       {notifications.Identity{}, []string{current}, external},
		"two":       {notifications.Identity{}, []string{former, current}, external},
		"as a user": {jane, []string{current, former}, jane},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := auth.NewSecrets(tc.actAs, tc.secrets...)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range tc.secrets {
				if who, err := s.Verify(t.Context(), secret); err != nil || who != tc.want {
					t.Errorf("Verify = %v, %v; want %v", who, err, tc.want)
				}
			}
			for _, wrong := range []string{"", " ", current + " ", current + "\n", current[1:], strings.ToUpper(current), "the retired secret"} {
				who, err := s.Verify(t.Context(), wrong)
				if !who.IsZero() || !errors.Is(err, notifications.ErrUnauthenticated) {
					t.Errorf("Verify(%q) = %v, %v; want ErrUnauthenticated", wrong, who, err)
				}
				if wrong != "" && wrong != " " && strings.Contains(err.Error(), wrong) {
					t.Errorf("the error contains the secret: %v", err)
				}
			}
			if _, err := s.Verify(t.Context(), former); (err == nil) != (len(tc.secrets) == 2) {
				t.Errorf("Verify of the former secret = %v with %d active", err, len(tc.secrets))
			}
		})
	}
}

func TestExternalServiceIsNamedSo(t *testing.T) {
	t.Parallel()
	s, err := auth.NewSecrets(notifications.Identity{}, "0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if who, _ := s.Verify(t.Context(), "0123456789abcdef"); who.String() != "service:external" {
		t.Errorf("the holder is %s", who)
	}
}

func TestZeroSecretsRefuse(t *testing.T) {
	t.Parallel()
	var s auth.Secrets
	if who, err := s.Verify(t.Context(), ""); !who.IsZero() || !errors.Is(err, notifications.ErrUnauthenticated) {
		t.Errorf("Verify = %v, %v; want ErrUnauthenticated", who, err)
	}
}

func TestSecretFaults(t *testing.T) {
	t.Parallel()
	const long = "0123456789abcdef"
	nobody := notifications.Identity{}
	for name, tc := range map[string]struct {
		actAs   notifications.Identity
		secrets []string
		reasons []string
	}{
		"none":                {nobody, nil, []string{"0 secrets"}},
		"three":               {nobody, []string{long, long + "1", long + "2"}, []string{"3 secrets"}},
		"short":               {nobody, []string{long, long[1:]}, []string{"secret 2 is 15 bytes"}},
		"empty":               {nobody, []string{""}, []string{"secret 1 is 0 bytes"}},
		"line break":          {nobody, []string{long + "\n"}, []string{"secret 1 contains a control character"}},
		"space at the end":    {nobody, []string{long + " "}, []string{"secret 1 contains a control character, or begins"}},
		"acting as a service": {notifications.ServiceAccount("ci"), []string{long}, []string{"actAs must be a user"}},
		"acting as no user":   {notifications.User(""), []string{long}, []string{"actAs must be a user"}},
		"all at once":         {notifications.ServiceAccount("ci"), []string{"x", " y"}, []string{"actAs must be a user", "secret 1 is 1", "secret 2 is 2", "secret 2 contains"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := auth.NewSecrets(tc.actAs, tc.secrets...)
			if s != nil || err == nil {
				t.Fatalf("NewSecrets = %v, %v; want an error", s, err)
			}
			for _, reason := range tc.reasons {
				if !strings.Contains(err.Error(), reason) {
					t.Errorf("%q does not say %q", err, reason)
				}
			}
			if strings.Contains(err.Error(), long[:15]) {
				t.Errorf("the error contains a secret: %v", err)
			}
		})
	}
}
