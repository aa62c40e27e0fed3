package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// eachOperation calls check for every operation of the document.
func eachOperation(t *testing.T, check func(t *testing.T, op *openapi3.Operation)) {
	t.Helper()
	for _, item := range document(t).Paths.Map() {
		for _, op := range item.Operations() {
			t.Run(op.OperationID, func(t *testing.T) {
				t.Parallel()
				check(t, op)
			})
		}
	}
}

func operation(t *testing.T, id string) *openapi3.Operation {
	t.Helper()
	for _, item := range document(t).Paths.Map() {
		for _, op := range item.Operations() {
			if op.OperationID == id {
				return op
			}
		}
	}
	t.Fatalf("openapi.yaml has no operation %s", id)
	return nil
}

func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	err := document(t).Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaPatternValidation(), openapi3.EnableMultiError())
	if err != nil {
		t.Error(err)
	}
}

func TestOpenAPIOperations(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"POST /notifications":           "createNotification",
		"GET /notifications":            "getNotifications",
		"GET /notifications/count":      "getNotificationsCount",
		"PUT /notifications/read":       "setRead",
		"PUT /notifications/state":      "setState",
		"GET /notifications/status":     "getStatus",
		"GET /notifications/topics":     "getTopics",
		"GET /notifications/stream":     "streamNotifications",
		"POST /notifications/withdraw":  "withdrawByScope",
		"GET /notifications/{id}":       "getNotification",
		"DELETE /notifications/{id}":    "withdrawNotification",
		"GET /notifications/{id}/reach": "getReach",
		"GET /openapi.yaml":             "getOpenAPI",
		"GET /healthz":                  "getHealth",
		"GET /readyz":                   "getReadiness",
	}
	for path, item := range document(t).Paths.Map() {
		for method, op := range item.Operations() {
			route := method + " " + path
			if want[route] != op.OperationID {
				t.Errorf("%s is %q, want %q", route, op.OperationID, want[route])
			}
			delete(want, route)
		}
	}
	for route := range want {
		t.Errorf("%s is missing", route)
	}
}

// Generators derive names of types and methods from tags, operation ids and
// schema names. A schema without a name gets one from its place, and some
// generators make parameters positional. So a change of these breaks generated
// clients of the plugin.
func TestOpenAPIKeepsThePluginsNames(t *testing.T) {
	t.Parallel()
	list := []string{"pageSize", "pageNumber", "orderBy", "orderByDirec", "containsText", "createdAfter", "messageScope", "read"}
	for id, params := range map[string][]string{
		"createNotification":    nil,
		"getNotifications":      list,
		"getNotificationsCount": list[4:],
		"setRead":               {"messageId", "read"},
	} {
		op := operation(t, id)
		if !slices.Equal(op.Tags, []string{"notifications"}) {
			t.Errorf("%s has tags %v", id, op.Tags)
		}
		for i, p := range op.Parameters {
			if i < len(params) && p.Value.Name != params[i] {
				t.Errorf("%s: parameter %d is %s, want %s", id, i, p.Value.Name, params[i])
			}
			if required := id == "setRead" && i < len(params); p.Value.Required != required {
				t.Errorf("%s: parameter %s has required = %v", id, p.Value.Name, p.Value.Required)
			}
		}
		if len(op.Parameters) < len(params) {
			t.Errorf("%s has %d parameters, want at least %v", id, len(op.Parameters), params)
		}
	}
	for name, required := range map[string][]string{
		"Notifications": nil,
		"Notification":  {"id", "created", "readByUser", "isSystem", "origin", "title", "actions", "severity", "saved", "archived"},
		"Action":        {"id", "title", "url"},
		"CreateBody":    {"origin", "title"},
	} {
		schema := document(t).Components.Schemas[name]
		if schema == nil || !slices.Equal(schema.Value.Required, required) {
			t.Errorf("schema %s is missing, or does not require %v", name, required)
		}
	}
	for where, schema := range map[string]*openapi3.SchemaRef{
		"the answer of createNotification":    jsonSchema(operation(t, "createNotification").Responses.Status(http.StatusOK).Value.Content),
		"the answer of getNotificationsCount": jsonSchema(operation(t, "getNotificationsCount").Responses.Status(http.StatusOK).Value.Content),
		"an action of CreateBody":             document(t).Components.Schemas["CreateBody"].Value.Properties["actions"].Value.Items,
	} {
		if schema.Ref != "" || schema.Value.Title != "" {
			t.Errorf("%s must be written in place, without a title, to be named by where it stands", where)
		}
	}
}

// The plugin's generator turns an array with bounds into a tuple, to which no
// array can be assigned. So the document gives bounds in words.
func TestOpenAPIArraysHaveNoBounds(t *testing.T) {
	t.Parallel()
	var check func(path string, schema *openapi3.Schema)
	check = func(path string, schema *openapi3.Schema) {
		if schema.MinItems != 0 || schema.MaxItems != nil {
			t.Errorf("%s has minItems or maxItems", path)
		}
		for name, property := range schema.Properties {
			check(path+"."+name, property.Value)
		}
		if schema.Items != nil {
			check(path+"[]", schema.Items.Value)
		}
	}
	for name, schema := range document(t).Components.Schemas {
		check(name, schema.Value)
	}
}

func jsonSchema(content openapi3.Content) *openapi3.SchemaRef {
	return content.Get("application/json").Schema
}

func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	eachOperation(t, func(t *testing.T, op *openapi3.Operation) {
		public := op.Security != nil && len(*op.Security) == 0
		if public != slices.Contains(op.Tags, "server") {
			t.Errorf("public = %v, but the tags are %v", public, op.Tags)
		}
		if !public {
			for _, status := range []int{400, 401, 403, 500, 503} {
				if op.Responses.Status(status) == nil {
					t.Errorf("%d is missing", status)
				}
			}
		}
		for status, response := range op.Responses.Map() {
			checkAnswer(t, status, response.Value)
		}
	})
}

func checkAnswer(t *testing.T, status string, response *openapi3.Response) {
	t.Helper()
	headers := map[string][]string{"401": {"WWW-Authenticate"}, "503": {"Retry-After"}}[status]
	for _, name := range append(headers, "X-Request-Id") {
		if h := response.Headers[name]; h == nil || !h.Value.Required {
			t.Errorf("%s does not require the header %s", status, name)
		}
	}
	for name, h := range response.Headers {
		if err := h.Value.Schema.Value.VisitJSON(h.Value.Example); err != nil {
			t.Errorf("%s: the example of the header %s: %v", status, name, err)
		}
	}
	if status[0] != '4' && status[0] != '5' {
		return
	}
	media := response.Content["application/problem+json"]
	if len(response.Content) != 1 || media == nil || !strings.HasSuffix(media.Schema.Ref, "/Problem") {
		t.Errorf("%s is not one Problem", status)
	}
}

// Every parameter has a description and an example.
func TestOpenAPIExplainsParameters(t *testing.T) {
	t.Parallel()
	eachOperation(t, func(t *testing.T, op *openapi3.Operation) {
		for _, p := range op.Parameters {
			if p.Value.Description == "" || p.Value.Example == nil {
				t.Errorf("parameter %s has no description or no example", p.Value.Name)
			}
			if p.Value.Schema.Value.Default != nil {
				t.Errorf("parameter %s has a default, which some clients would send", p.Value.Name)
			}
		}
	})
}

func TestOpenAPIBodiesAreClosed(t *testing.T) {
	t.Parallel()
	eachOperation(t, func(t *testing.T, op *openapi3.Operation) {
		if op.RequestBody == nil {
			return
		}
		media := op.RequestBody.Value.Content.Get("application/json")
		if !op.RequestBody.Value.Required || len(media.Examples) == 0 {
			t.Error("the body is not required or has no examples")
		}
		checkClosed(t, "body", media.Schema.Value)
	})
}

func checkClosed(t *testing.T, path string, schema *openapi3.Schema) {
	t.Helper()
	if schema.Type.Is("object") && (schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has) {
		t.Errorf("%s admits unknown fields", path)
	}
	for name, property := range schema.Properties {
		if name != "metadata" { // its contents belong to the poster
			checkClosed(t, path+"."+name, property.Value)
		}
	}
	if schema.Items != nil {
		checkClosed(t, path+"[]", schema.Items.Value)
	}
}

func TestOpenAPILimits(t *testing.T) {
	t.Parallel()
	body := document(t).Components.Schemas["CreateBody"].Value.Properties
	action := body["actions"].Value.Items.Value.Properties
	for field, pair := range map[string][2]uint64{
		"origin":        {*body["origin"].Value.MaxLength, notifications.MaxTitleChars},
		"title":         {*body["title"].Value.MaxLength, notifications.MaxTitleChars},
		"topic":         {*body["topic"].Value.MaxLength, notifications.MaxTitleChars},
		"message":       {*body["message"].Value.MaxLength, notifications.MaxMessageBytes},
		"link":          {*body["link"].Value.MaxLength, notifications.MaxURLBytes},
		"icon":          {*body["icon"].Value.MaxLength, notifications.MaxURLBytes},
		"scope":         {*body["scope"].Value.MaxLength, notifications.MaxTitleChars},
		"key":           {*operation(t, "createNotification").Parameters.GetByInAndName("header", "Idempotency-Key").Schema.Value.MaxLength, notifications.MaxTitleChars},
		"topic filter":  {*operation(t, "getNotifications").Parameters.GetByInAndName("query", "topic").Schema.Value.MaxLength, notifications.MaxTitleChars},
		"origin filter": {*operation(t, "getNotifications").Parameters.GetByInAndName("query", "origin").Schema.Value.MaxLength, notifications.MaxTitleChars},
		"action title":  {*action["title"].Value.MaxLength, notifications.MaxTitleChars},
		"action url":    {*action["url"].Value.MaxLength, notifications.MaxURLBytes},
		"pageSize":      {uint64(*operation(t, "getNotifications").Parameters.GetByInAndName("query", "pageSize").Schema.Value.Max), notifications.MaxLimit},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is limited to %d in openapi.yaml, to %d in the code", field, pair[0], pair[1])
		}
	}
}

// The filter of setState has the names and descriptions of the list's
// parameters.
func TestOpenAPIStateFilterIsTheLists(t *testing.T) {
	t.Parallel()
	filter := document(t).Components.Schemas["StateFilter"].Value.Properties
	notOfFilter := []string{"pageSize", "pageNumber", "orderBy", "orderByDirec", "cursor", "user", "If-None-Match"}
	known := 0
	for _, p := range operation(t, "getNotifications").Parameters {
		if slices.Contains(notOfFilter, p.Value.Name) {
			continue
		}
		property := filter[p.Value.Name]
		if property == nil {
			t.Errorf("the filter has no %s", p.Value.Name)
			continue
		}
		known++
		for _, word := range p.Value.Schema.Value.Enum {
			if err := property.Value.VisitJSON(word); err != nil {
				t.Errorf("the filter's %s: %v", p.Value.Name, err)
			}
		}
	}
	if known != len(filter) {
		t.Errorf("the filter has %d fields, %d of which are parameters of a list", len(filter), known)
	}
}
