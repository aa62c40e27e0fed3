package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/notifications-go/notifications"
)

// Passwords are kept as salt and PBKDF2 of SHA-256, in hexadecimal.
const (
	saltBytes  = 16
	iterations = 600_000
	minChars   = 12
)

func hashPassword(password string) (string, error) {
	if len(password) < minChars {
		return "", notifications.Invalid("password", "must have 12 characters or more")
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	return derive(salt, password)
}

func derive(salt []byte, password string) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	return hex.EncodeToString(append(salt, key...)), err
}

// isPassword takes as long for a user who does not exist, whose hash is empty.
func isPassword(hash, password string) bool {
	stored, err := hex.DecodeString(hash)
	if err != nil || len(stored) < saltBytes {
		stored = make([]byte, saltBytes)
	}
	derived, err := derive(stored[:saltBytes:saltBytes], password)
	return err == nil && subtle.ConstantTimeCompare([]byte(derived), []byte(hash)) == 1
}

const (
	cookieName  = "session"
	sessionTime = 12 * time.Hour
)

// signIn begins a session.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) error {
	name, hash := r.PostFormValue("name"), ""
	db := a.db.WithContext(r.Context())
	if err := db.Raw("SELECT password FROM users WHERE name = ?", name).Scan(&hash).Error; err != nil {
		return err
	}
	if !isPassword(hash, r.PostFormValue("password")) {
		return notifications.ErrUnauthenticated
	}
	value := rand.Text()
	err := db.Exec("INSERT INTO sessions VALUES (?, ?, ?)", sessionKey(value), name, time.Now().Add(sessionTime)).Error
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: int(sessionTime.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// signOut ends a session.
func (a *app) signOut(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(cookieName); err == nil {
		if err := a.db.WithContext(r.Context()).Exec("DELETE FROM sessions WHERE key = ?", sessionKey(cookie.Value)).Error; err != nil {
			return err
		}
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1})
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// identify says who sends a request. It is what httpapi.Config.Identify is set
// to; nobody is the zero Identity.
func (a *app) identify(r *http.Request) (notifications.Identity, error) {
	cookie, err := r.Cookie(cookieName)
	if errors.Is(err, http.ErrNoCookie) {
		return notifications.Identity{}, nil
	}
	if err != nil {
		return notifications.Identity{}, err
	}
	var names []string
	err = a.db.WithContext(r.Context()).
		Raw("SELECT user_name FROM sessions WHERE key = ? AND expires > now()", sessionKey(cookie.Value)).Scan(&names).Error
	if err != nil || len(names) == 0 {
		return notifications.Identity{}, err
	}
	return notifications.User(names[0]), nil
}

func sessionKey(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}
