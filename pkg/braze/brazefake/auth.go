package brazefake

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// authorize checks the key and its permission. A status of 0 means yes; 401 that there is no such key,
// 403 that it may not do this (braze-docs: errors).
func (s *Sandbox) authorize(r *http.Request, permission string) (status int, message string) {
	scheme, given, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return http.StatusUnauthorized, "Invalid API key: the header Authorization must be Bearer, one space and the key"
	}
	for _, key := range s.options.Keys {
		if subtle.ConstantTimeCompare([]byte(key.Value), []byte(given)) != 1 {
			continue
		}
		if len(key.Permissions) > 0 && !slices.Contains(key.Permissions, permission) {
			return http.StatusForbidden, "Access Denied: the key lacks the permission " + permission
		}
		return 0, ""
	}
	return http.StatusUnauthorized, "Invalid API key"
}

// acceptable checks what the body claims to be.
func acceptable(r *http.Request) (status int, message string) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, "Content-Type must be application/json"
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return http.StatusUnsupportedMediaType, "Content-Encoding is not supported"
	}
	return 0, ""
}
