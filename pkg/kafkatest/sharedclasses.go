package kafkatest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// A JVM spends most of a start loading classes. It can write those it loaded to an archive when it exits and map that
// archive the next time, which halves the start of the broker and of the registry (see the README for numbers). The
// archive serves only the JVM and the class path that made it, so both are in its name; a JVM that does not like an
// archive goes on without.

// archiveLimit is how long a JVM may take to end that writes its archive: two seconds on idle cores, forty were seen on
// very busy ones.
const archiveLimit = 3 * time.Minute

// quickJVM are the options for a process that should start quickly and will not live long. With archiveTo the JVM
// writes its class archive there when it exits.
func quickJVM(archive, archiveTo string) []string {
	args := []string{
		"-XX:+IgnoreUnrecognizedVMOptions",
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-XX:-UsePerfData", // leaves a file in the temporary folder for every JVM that is killed
		"-XX:+ExitOnOutOfMemoryError",
		"-Djava.awt.headless=true",
	}
	switch {
	case archiveTo != "":
		args = append(args, "-XX:ArchiveClassesAtExit="+archiveTo)
	case archive != "":
		args = append(args, "-Xshare:auto", "-XX:SharedArchiveFile="+archive)
	}
	return args
}

// archivePath names the archive beside the folder of the jars it is made from.
func archivePath(dir string, java javaHome, classPath ...string) string {
	sum := sha256.Sum256([]byte(java.home + "\n" + java.build + "\n" + strings.Join(classPath, "\n")))
	return fmt.Sprintf("%s-classes-%s.jsa", dir, hex.EncodeToString(sum[:6]))
}

// brokerArchive is the class archive for the broker, made first where there is none: by a cluster of one node that
// becomes ready and is stopped. Without an archive everything works, only slower, so a failure to make one is told and
// not returned.
func brokerArchive(ctx context.Context, java javaHome, jars []string, cfg Config) string {
	path := archivePath(filepath.Dir(jars[0]), java, jars...)
	err := cached(ctx, path, func(tmp string) (string, error) {
		cfg.Progress("kafka: archiving the broker's classes, once per JVM")
		made := filepath.Join(tmp, "classes.jsa")
		c, err := Start(ctx, Config{Version: cfg.Version, WorkDir: tmp, archiveTo: made})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return made, c.Node(0).stop(archiveLimit)
	})
	if err != nil {
		cfg.Progress("kafka: going on without a class archive: " + firstLine(err))
		return ""
	}
	return path
}

// firstLine leaves out the log that an error may carry.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
