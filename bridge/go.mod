module github.com/sallyport-dev/sallyport/bridge

go 1.26.0

require (
	github.com/creack/pty v1.1.24
	github.com/google/nftables v0.3.0
	github.com/mattn/go-shellwords v1.0.16
	github.com/sallyport-dev/sallyport/external v0.1.0
	github.com/sallyport-dev/sallyport/proxycore v0.1.0
	github.com/spf13/pflag v1.1.0
	github.com/vishvananda/netlink v1.3.1
	go.yaml.in/yaml/v3 v3.0.6
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/google/go-cmp v0.6.0 // indirect
	github.com/mdlayher/netlink v1.7.3-0.20250113171957-fbb4dce95f42 // indirect
	github.com/mdlayher/socket v0.5.0 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	software.sslmate.com/src/go-pkcs12 v0.7.4 // indirect
)
