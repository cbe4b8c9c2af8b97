module github.com/sallyport-dev/sallyport/conformance/backends

go 1.26.0

require (
	github.com/elazarl/goproxy v1.9.2
	github.com/sallyport-dev/sallyport/bridge v0.1.0
	github.com/sallyport-dev/sallyport/conformance v0.1.0
	github.com/sallyport-dev/sallyport/external v0.1.0
	github.com/sallyport-dev/sallyport/fixtures v0.1.0
	github.com/sallyport-dev/sallyport/proxycore v0.1.0
)

require (
	github.com/Masterminds/semver/v3 v3.4.0 // indirect
	github.com/creack/pty v1.1.24 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-task/slim-sprig/v3 v3.0.0 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/pprof v0.0.0-20260402051712-545e8a4df936 // indirect
	github.com/onsi/ginkgo/v2 v2.34.0 // indirect
	github.com/onsi/gomega v1.44.0 // indirect
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
)
