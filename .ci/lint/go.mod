module lping/lint

go 1.26.0

tool (
	github.com/containers/podman/v5/cmd/quadlet
	honnef.co/go/tools/cmd/staticcheck
	mvdan.cc/unparam
)

require (
	github.com/BurntSushi/toml v1.5.0 // indirect
	github.com/containers/podman/v5 v5.5.0 // indirect
	github.com/containers/storage v1.58.0 // indirect
	github.com/sirupsen/logrus v1.9.3 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	mvdan.cc/unparam v0.0.0-20260823230713-2fa3d841b0c8 // indirect
)
