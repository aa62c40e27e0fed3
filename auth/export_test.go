package auth

// The constructors with a clock of the test.
var (
	NewJWTVerifierAt    = newJWTVerifier
	NewLegacyVerifierAt = newLegacyVerifier
)

// ParseKeys fails if a key set has no usable key.
func ParseKeys(body []byte) error {
	_, _, err := parseKeys(body)
	return err
}
