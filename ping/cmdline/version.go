package cmdline

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Version is the text of --version: the version of lping, and the ping that its options and its output agree with.
func Version() string {
	return fmt.Sprintf("lping %s (%s %s/%s)\noptions and text output agree with ping from iputils 20250605\n",
		ownVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// ownVersion is that of lping, as far as the build tells.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// agent names lping to the services that are asked by HTTP.
func agent() string { return "lping/" + strings.Trim(ownVersion(), "()") }
