package kafkatest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// javaHome is an installed Java.
type javaHome struct {
	home  string
	major int    // 17, 21, ...
	build string // distinguishes builds: a class archive serves only the JVM that made it
}

func (j javaHome) bin() string { return filepath.Join(j.home, "bin", "java") }

// jvmFolders are where systems put their JVMs.
var jvmFolders = []string{
	"/usr/lib/jvm/*",
	"/usr/java/*",
	"/opt/java/*",
	"/opt/jdk*",
	"/Library/Java/JavaVirtualMachines/*/Contents/Home",
	"/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
	"$HOME/.sdkman/candidates/java/*",
	"$HOME/.jdks/*",
}

// findJava is the first of: JAVA_HOME, the java on the PATH, the newest in the usual folders, that is at least
// version minMajor.
func findJava(minMajor int) (javaHome, error) {
	first := []string{os.Getenv("JAVA_HOME")}
	if bin, err := exec.LookPath("java"); err == nil {
		if file, err := filepath.EvalSymlinks(bin); err == nil {
			first = append(first, filepath.Dir(filepath.Dir(file)))
		}
	}
	for _, home := range first {
		if j, ok := readJava(home); ok && j.major >= minMajor {
			return j, nil
		}
	}

	var found []javaHome
	for _, pattern := range jvmFolders {
		homes, _ := filepath.Glob(os.ExpandEnv(pattern))
		for _, home := range homes {
			if j, ok := readJava(home); ok && j.major >= minMajor {
				found = append(found, j)
			}
		}
	}
	if len(found) == 0 {
		return javaHome{}, fmt.Errorf("no Java %d+", minMajor)
	}
	return slices.MaxFunc(found, func(a, b javaHome) int { return cmp.Compare(a.major, b.major) }), nil
}

var (
	releaseVersion = regexp.MustCompile(`(?m)^JAVA_VERSION="([^"]+)"`)
	printedVersion = regexp.MustCompile(`version "([^"]+)"`)
)

// readJava reads the release file that every JDK since 8 carries, and asks the program where a packager dropped it.
func readJava(home string) (javaHome, bool) {
	j := javaHome{home: home}
	if home == "" || !exists(j.bin()) {
		return j, false
	}
	text, pattern := "", releaseVersion
	if b, err := os.ReadFile(filepath.Join(home, "release")); err == nil {
		text = string(b)
	} else {
		out, err := exec.Command(j.bin(), "-version").CombinedOutput() //nolint:noctx // answers at once
		if err != nil {
			return j, false
		}
		text, pattern = string(out), printedVersion
	}
	match := pattern.FindStringSubmatch(text)
	if match == nil {
		return j, false
	}
	j.major, j.build = javaMajor(match[1]), text
	return j, j.major > 0
}

// javaMajor reads "17.0.15", "25-ea" and the old "1.8.0_402"; 0 where there is no number.
func javaMajor(version string) int {
	version = strings.TrimPrefix(version, "1.")
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(version)
	}
	major, err := strconv.Atoi(version[:digits])
	if err != nil {
		return 0
	}
	return major
}
