package ingest

import "github.com/labstack/echo/v4"

// brazeRoutes adds the paths that Braze calls. Each is there with a slash behind it too: to Currents a path
// that is not found is a connector that is switched off until somebody looks.
func (s *Service) brazeRoutes(e *echo.Echo) {
	for path, handler := range map[string]echo.HandlerFunc{
		"/v1/braze/currents":       s.around(routeCurrents, s.postCurrents),
		"/v1/braze/webhooks/:name": s.around(routeActions, s.postAction),
	} {
		e.POST(path, handler)
		e.POST(path+"/", handler)
	}
}
