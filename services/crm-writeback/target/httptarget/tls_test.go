package httptarget

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func TestAnAuthorityOfOnesOwn(t *testing.T) {
	far := httptest.NewTLSServer(always(200, ""))
	t.Cleanup(far.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: far.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := open(t, Options{URL: far.URL, TLS: TLS{CAFile: file}}).Write(t.Context(), rows(1, upsert, `{}`)); a.All.Kind.String() != "delivered" {
		t.Errorf("%+v", a)
	}
	for _, options := range []TLS{{CAFile: file + "x"}, {CAFile: os.Args[0]}, {CertFile: file, KeyFile: file}} {
		_, err := Open(t.Context(), Options{URL: far.URL, TLS: options}, target.Deps{Name: "loyalty", HTTP: &http.Client{}})
		if err == nil || !strings.Contains(err.Error(), "opening HTTP target loyalty: reading tls.") {
			t.Errorf("%+v: %v", options, err)
		}
	}
}
