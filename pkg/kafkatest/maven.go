package kafkatest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// copyPlugin is the Maven plugin, with its version, that copies artifacts out of repositories.
const copyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

// kafkaPOM names the one artifact that brings the whole server. SLF4J's binding must be of the 1.7 line, like the API
// that Kafka 4 brings: a 2.x binding is ignored without a word.
var kafkaPOM = template.Must(template.New("pom").Parse(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafkatest</groupId><artifactId>kafka-server-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{{.}}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`))

// kafkaJars are the server's jars from the cache, fetched first where they are not there.
func kafkaJars(ctx context.Context, version string, progress func(string)) ([]string, error) {
	dir, err := cacheDir("kafka", version)
	if err != nil {
		return nil, err
	}
	err = cached(ctx, dir, func(tmp string) (string, error) {
		var pom bytes.Buffer
		if err := kafkaPOM.Execute(&pom, version); err != nil {
			return "", fmt.Errorf("writing the pom: %w", err)
		}
		pomFile, jars := filepath.Join(tmp, "pom.xml"), filepath.Join(tmp, "jars")
		if err := os.WriteFile(pomFile, pom.Bytes(), 0o600); err != nil {
			return "", fmt.Errorf("writing the pom: %w", err)
		}
		progress := func() {
			progress(fmt.Sprintf("kafka: fetching the jars of %s with Maven, once, into %s", version, dir))
		}
		return jars, maven(ctx, progress, "-f", pomFile, copyPlugin+":copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	})
	if err != nil {
		return nil, fmt.Errorf("fetching the jars of kafka %s: %w", version, err)
	}
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar")) // sorted, as a class archive needs: it is bound to the order
	if err != nil || len(jars) == 0 {
		return nil, errors.Join(fmt.Errorf("no jars in %s: remove the folder to have them fetched again", dir), err)
	}
	return jars, nil
}

// apicurioApp is the folder of an unpacked registry, fetched first where it is not there.
func apicurioApp(ctx context.Context, version string, progress func(string)) (string, error) {
	dir, err := cacheDir("apicurio", version)
	if err != nil {
		return "", err
	}
	err = cached(ctx, dir, func(tmp string) (string, error) {
		progress := func() {
			progress(fmt.Sprintf("registry: fetching Apicurio %s with Maven, once, into %s", version, dir))
		}
		artifact := "io.apicurio:apicurio-registry-app:" + version + ":tar.gz:all"
		if err := maven(ctx, progress, copyPlugin+":copy", "-Dartifact="+artifact, "-DoutputDirectory="+tmp); err != nil {
			return "", err
		}
		app := filepath.Join(tmp, "app")
		return app, unpack(filepath.Join(tmp, "apicurio-registry-app-"+version+"-all.tar.gz"), app)
	})
	if err != nil {
		return "", fmt.Errorf("fetching apicurio %s: %w", version, err)
	}
	return dir, nil
}

// maven runs one Maven command, and says so first. It takes seconds to minutes, by the network.
func maven(ctx context.Context, progress func(), args ...string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("no Maven, and not cached")
	}
	progress()
	cmd := exec.CommandContext(ctx, mvn, append([]string{"-B", "-q", "-Dstyle.color=never"}, args...)...)
	cmd.Dir = os.TempDir() // a pom.xml in the caller's folder must not have a say
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running mvn %s: %w\n%s", strings.Join(args, " "), err, lastLines(string(out), 20))
	}
	return nil
}

// unpack writes the files of a gzipped tar under dir.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	root, err := os.OpenRoot(dir) // no entry gets out of it
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	defer root.Close()
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = unpackEntry(root, h, t)
		}
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", archive, err)
		}
	}
}

func unpackEntry(root *os.Root, h *tar.Header, content io.Reader) error {
	name := filepath.Clean(h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	default:
		return nil // no links are expected, and none is needed
	}
}
