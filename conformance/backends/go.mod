module github.com/sallyport-dev/sallyport/conformance/backends

go 1.26.0

require (
	github.com/sallyport-dev/sallyport/bridge v0.1.0
	github.com/sallyport-dev/sallyport/conformance v0.1.0
	github.com/sallyport-dev/sallyport/external v0.1.0
	github.com/sallyport-dev/sallyport/fixtures v0.1.0
	github.com/sallyport-dev/sallyport/proxycore v0.1.0
)
