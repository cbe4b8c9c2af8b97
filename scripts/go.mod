module github.com/sallyport-dev/sallyport/scripts

go 1.26.0

require (
	github.com/sallyport-dev/sallyport/bridge v0.1.0
	github.com/sallyport-dev/sallyport/fixtures v0.1.0
	github.com/sallyport-dev/sallyport/proxycore v0.1.0
	golang.org/x/mod v0.42.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/creack/pty v1.1.24 // indirect
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
