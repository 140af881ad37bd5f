package kafkatest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestJavaMajorReadsEveryFormOfVersion(t *testing.T) {
	for version, want := range map[string]int{"17.0.15": 17, "21": 21, "25-ea": 25, "1.8.0_402": 8, "": 0, "unknown": 0} {
		if got := javaMajor(version); got != want {
			t.Errorf("javaMajor(%q) = %d, want %d", version, got, want)
		}
	}
}

func TestFindJavaTakesJAVAHOMEFirstAndPassesOverWhatIsTooOld(t *testing.T) {
	root := t.TempDir()
	old, young := filepath.Join(root, "jdk-11"), filepath.Join(root, "jdk-99")
	installJava(t, old, `JAVA_VERSION="11.0.2"`)
	installJava(t, young, `JAVA_VERSION="99.0.1"`)

	t.Setenv("JAVA_HOME", young)
	if j, err := findJava(17); err != nil || j.home != young || j.major != 99 {
		t.Errorf("with JAVA_HOME of version 99: %+v, %v", j, err)
	}
	t.Setenv("JAVA_HOME", old)
	t.Setenv("PATH", filepath.Join(young, "bin"))
	if j, err := findJava(17); err != nil || j.home != young {
		t.Errorf("with JAVA_HOME of version 11 and 99 on the PATH: %+v, %v", j, err)
	}
	if j, err := findJava(100); err == nil {
		t.Errorf("asked for 100, got %+v", j)
	}
}

func TestReadJavaAsksTheProgramWhereTheReleaseFileIsMissing(t *testing.T) {
	home := t.TempDir()
	installJava(t, home, "")
	if err := os.Remove(filepath.Join(home, "release")); err != nil {
		t.Fatal(err)
	}
	if j, ok := readJava(home); !ok || j.major != 42 {
		t.Errorf("%+v, %v", j, ok)
	}
}

func installJava(t *testing.T, home, release string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	program := "#!/bin/sh\necho 'openjdk version \"42.0.1\"' >&2\n"
	if err := os.WriteFile(filepath.Join(home, "bin", "java"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "release"), []byte(release+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
