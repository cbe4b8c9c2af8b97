module github.com/sallyport-dev/sallyport/conformance

go 1.26.0

require (
	github.com/onsi/ginkgo/v2 v2.34.0
	github.com/onsi/gomega v1.44.0
	github.com/sallyport-dev/sallyport/fixtures v0.1.0
)
