package httpsink

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestCertificates(t *testing.T) {
	far := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	far.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	far.Config.ErrorLog = nil
	far.StartTLS()
	t.Cleanup(far.Close)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ca := write("ca.pem", "CERTIFICATE", far.Certificate().Raw)

	// Any pair will do for the client; the server's own is at hand.
	pair := far.TLS.Certificates[0]
	cert := write("cert.pem", "CERTIFICATE", pair.Certificate[0])
	key := write("key.pem", "PRIVATE KEY", pkcs8(t, pair.PrivateKey))

	if a := open(t, Options{URL: far.URL}).Write(t.Context(), engagements(1)); !a.Halt || a.All.Reason != reasonCertificate {
		t.Errorf("an authority that nobody trusts: %+v", a)
	}
	if a := open(t, Options{URL: far.URL, TLS: TLS{CAFile: ca}}).Write(t.Context(), engagements(1)); !a.Halt || a.All.Reason != reasonForbidden {
		t.Errorf("without a client certificate: %+v", a)
	}
	if a := open(t, Options{URL: far.URL, TLS: TLS{CAFile: ca, CertFile: cert, KeyFile: key}}).Write(t.Context(), engagements(1)); a.All.Kind != outcome.Delivered {
		t.Errorf("with both: %+v", a)
	}
	if a := open(t, Options{URL: far.URL, TLS: TLS{CAFile: ca, ServerName: "other.test"}}).Write(t.Context(), engagements(1)); !a.Halt {
		t.Errorf("another name: %+v", a)
	}
	for _, bad := range []TLS{{CAFile: filepath.Join(dir, "missing.pem")}, {CAFile: key}, {CertFile: ca, KeyFile: ca}} {
		if _, err := Open(t.Context(), Options{URL: far.URL, TLS: bad}, sink.Deps{Name: "x"}); err == nil {
			t.Errorf("%+v can be opened", bad)
		}
	}
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
