// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import "slices"

// defaultDev is kept narrow on purpose. It has wildcards only where one operator
// runs every host below the name, because below the names of content networks
// strangers have names too, and no service whose
// purpose is to take data from anyone (pastes, gists, object stores, chat): a
// program that may write there can carry anything out. Publishing and fetching
// share a host at most forges and registries, though, so the list limits where a
// build reaches, not what a holder of credentials can do there.
var defaultDev = []string{
	// Forges: clone and fetch over https, raw files, archives, release assets
	// and large files.
	"github.com",
	"api.github.com",
	"codeload.github.com",
	"raw.githubusercontent.com",
	"objects.githubusercontent.com",
	"release-assets.githubusercontent.com",
	"github-cloud.githubusercontent.com",
	"media.githubusercontent.com",
	"gitlab.com",
	"bitbucket.org",
	"api.bitbucket.org",
	"codeberg.org",

	// Clone and push over ssh, which needs port 22 and no other.
	"github.com:22",
	"gitlab.com:22",
	"bitbucket.org:22",
	"codeberg.org:22",

	// Go: module mirror, checksum database, import paths that redirect.
	"*.golang.org",
	"golang.org",
	"go.dev",
	"gopkg.in",

	// JavaScript: packages, and the headers that native modules compile against.
	"*.npmjs.org",
	"registry.yarnpkg.com",
	"nodejs.org",
	"jsr.io",
	"npm.jsr.io",
	"deno.land",

	// Python: the index and the files it points to.
	"pypi.org",
	"files.pythonhosted.org",

	// Rust: the sparse index, crates, toolchains.
	"crates.io",
	"index.crates.io",
	"static.crates.io",
	"static.rust-lang.org",

	// Java and Kotlin: Maven Central under both its names, Gradle.
	"repo.maven.apache.org",
	"repo1.maven.org",
	"plugins.gradle.org",
	"plugins-artifacts.gradle.org",
	"services.gradle.org",

	// Ruby, PHP, .NET, Elixir and Haskell.
	"rubygems.org",
	"index.rubygems.org",
	"packagist.org",
	"repo.packagist.org",
	"getcomposer.org",
	"api.nuget.org",
	"hex.pm",
	"repo.hex.pm",
	"builds.hex.pm",
	"hackage.haskell.org",

	// Distribution packages: their mirrors are plain HTTP by default, signed by
	// the package manager's keys.
	"*.debian.org",
	"archive.ubuntu.com",
	"security.ubuntu.com",
	"ports.ubuntu.com",
	"dl-cdn.alpinelinux.org",

	// Container images: registry, tokens, and the hosts the layers come from.
	"registry-1.docker.io",
	"auth.docker.io",
	"production.cloudflare.docker.com",
	"ghcr.io",
	"pkg-containers.githubusercontent.com",
}

// DefaultDevAllowlist returns allow patterns for everyday development: source
// forges, the public registries of the common languages, distribution packages
// and container images. The slice is the caller's to
// extend; it is a convenience to start from, and never applied unasked.
func DefaultDevAllowlist() []string { return slices.Clone(defaultDev) }
