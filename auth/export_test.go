package auth

// The constructors with a clock, for tests.
var (
	NewJWTVerifierAt    = newJWTVerifier
	NewLegacyVerifierAt = newLegacyVerifier
)

// ParseKeys says whether a key set has a usable key.
func ParseKeys(body []byte) error {
	_, _, err := parseKeys(body)
	return err
}
