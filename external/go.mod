module github.com/sallyport-dev/sallyport/external

go 1.26.0

require (
	github.com/sallyport-dev/sallyport/proxycore v0.1.0
	golang.org/x/sys v0.49.0
)
