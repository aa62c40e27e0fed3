package api

// Problem tells why a request was not served (RFC 9457). Every answer with a
// status from 400 has one, as application/problem+json. It has nothing that
// differs between two requests with the same fault.
type Problem struct {
	// Type is always "about:blank": the status says it all.
	Type string `json:"type"`
	// Title is the name of the status, such as "Bad Request".
	Title string `json:"title"`
	// Status is the HTTP status of the answer.
	Status int `json:"status"`
	// Detail says in words what happened. Optional.
	Detail string `json:"detail,omitempty"`
	// Errors are the invalid fields of the request; only with status 400.
	Errors []InvalidField `json:"errors,omitempty"`
}

// InvalidField is one invalid field of a request.
type InvalidField struct {
	// Field is a parameter, a header, or the path of a field of the body such
	// as "actions[0].url"; "body" for the body as a whole, "query" for the
	// query string as a whole.
	Field string `json:"field"`
	// Detail says in words what is wrong with it.
	Detail string `json:"detail"`
}

// Health is the answer of getHealth and getReadiness.
type Health struct {
	// Status is always "ok". A server that cannot work answers getReadiness
	// with a [Problem].
	Status string `json:"status"`
}
