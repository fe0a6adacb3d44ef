package container

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImage has the image's own HEALTHCHECK.
func TestImage(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		var config struct {
			User        string
			Entrypoint  []string
			Healthcheck struct{ Test []string }
		}
		out := e.do(t, "image", "inspect", "--format", "{{json .Config}}", e.image)
		if e.name == "podman" { // keeps it elsewhere
			health := e.do(t, "image", "inspect", "--format", "{{json .HealthCheck}}", e.image)
			out = strings.TrimRight(out, "}\n") + `},"Healthcheck":` + health + "}"
		}
		if err := json.Unmarshal([]byte(out), &config); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if config.User != "65534:65534" || !slices.Equal(config.Entrypoint, []string{"/lping"}) ||
			!slices.Equal(config.Healthcheck.Test, []string{"CMD", "/lping", "--health"}) {
			t.Errorf("the image's configuration: %s", out)
		}
		name := e.start(t, []string{"--health-interval=1s"}, []string{"-q", "-c0", "-i1"})
		e.await(t, name, "healthy")
	})
}

// TestUserImage does what the README asks of a user: two lines in an image of theirs, which has no shell, no root and no
// file of its own but the application.
func TestUserImage(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^COPY --from=lping .*\nHEALTHCHECK .*$`).FindString(readRecipe(t, "../../README.md"))
	if lines == "" || !strings.Contains(readRecipe(t, "README.md"), lines) {
		t.Fatalf("the two READMEs differ: %q", lines)
	}
	_, path := buildLping(t)
	onEngines(t, func(t *testing.T, e *engine) {
		dir := t.TempDir()
		if err := copyFile(filepath.Join(dir, "app"), path); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "Dockerfile")
		writeFile(t, file, "FROM scratch\nCOPY app /app\nUSER 65534:65534\nENTRYPOINT [\"/app\"]\n"+
			strings.Replace(lines, "--from=lping", "--from="+e.image, 1)+"\n")
		e.buildImage(t, e.image+"-app", file, dir)
		options := append(slices.Clone(hardened), open, "--health-interval=1s", "--health-timeout=10s")
		name := e.startImage(t, e.image+"-app", options, []string{"-q", "-c0", "-i1"})
		e.await(t, name, "healthy")
		e.breakAndMend(t, name)
	})
}

// TestBuildStage makes the image from the sources, as the Dockerfile does by default.
func TestBuildStage(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		goImage, image := e.image+"-go", e.image+"-sources"
		dir := goRoot(t)
		e.buildImage(t, goImage, filepath.Join(dir, "Dockerfile"), dir)
		var stages []string
		if e.name == "docker" { // keeps the stages for another time: those with a name can be removed
			stages = []string{"prebuilt", "build"}
		}
		for _, stage := range stages {
			e.buildImage(t, image+"-"+stage, "Dockerfile", "../..", "--build-arg", "GO_IMAGE="+goImage, "--target", stage)
		}
		e.buildImage(t, image, "Dockerfile", "../..", "--build-arg", "GO_IMAGE="+goImage)
		name := e.startImage(t, image, append(slices.Clone(hardened), open, "--health-interval=1s"), []string{"-q", "-c0", "-i1"})
		e.await(t, name, "healthy")
	})
}

// goRoot is a directory with all that a Go image needs to build lping without a network: the Go that runs here, and the
// modules in use.
func goRoot(t *testing.T) string {
	t.Helper()
	var env struct{ GOROOT, GOMODCACHE string }
	out, status := run(t, patience, "go", "env", "-json", "GOROOT", "GOMODCACHE")
	if err := json.Unmarshal([]byte(out), &env); err != nil || status != 0 {
		t.Fatalf("go env: status %d, %v: %s", status, err, out)
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "usr", "local", "go")
	for _, tree := range []string{"bin", "src", "pkg/include", "pkg/tool"} {
		if err := os.CopyFS(filepath.Join(root, tree), os.DirFS(filepath.Join(env.GOROOT, tree))); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		copyFile(filepath.Join(root, "VERSION"), filepath.Join(env.GOROOT, "VERSION")),
		copyFile(filepath.Join(root, "go.env"), filepath.Join(env.GOROOT, "go.env")),
		os.RemoveAll(filepath.Join(root, "src", "cmd"))) // the tools are there already
	if err != nil {
		t.Fatal(err)
	}
	out, status = run(t, patience, "env", "GOMODCACHE="+filepath.Join(dir, "modules"), "GOSUMDB=off",
		"GOPROXY=file://"+filepath.Join(env.GOMODCACHE, "cache", "download"),
		"go", "list", "-modcacherw", "-deps", "-tags", "urfave_cli_no_docs", "lping")
	if status != 0 {
		t.Fatalf("go list: status %d: %s", status, out)
	}
	writeFile(t, filepath.Join(dir, "Dockerfile"), "FROM scratch\nCOPY . /\nWORKDIR /tmp\nENV PATH=/usr/local/go/bin HOME=/ "+
		"GOMODCACHE=/modules GOPROXY=off\n")
	return dir
}
