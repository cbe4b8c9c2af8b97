// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package presetrules

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Meet reports whether deny may refuse something that allow admits. When in doubt
// it does.
func Meet(allow, deny Rule) bool {
	ports := slices.ContainsFunc(allow.Ports, func(a proxycore.PortRange) bool {
		return slices.ContainsFunc(deny.Ports, func(d proxycore.PortRange) bool { return a.First <= d.Last && d.First <= a.Last })
	})
	address := allow.Form == proxycore.FormAddresses
	switch {
	case !ports:
		return false
	case allow.Form == proxycore.FormAnyName, deny.Form == proxycore.FormAnyName:
		return true
	case deny.Form != proxycore.FormAddresses:
		return !address && namesMeet(allow, deny)
	case !address:
		return true // the name may have such an address
	}
	return slices.ContainsFunc(append(proxycore.EmbeddingPrefixes(deny.Prefix), proxycore.ScatteredBlocks()...), allow.Prefix.Overlaps)
}

// namesMeet reports whether some name is matched by both.
func namesMeet(a, b Rule) bool {
	if a.Form > b.Form {
		a, b = b, a
	}
	within := a.Host == b.Host || strings.HasSuffix(a.Host, "."+b.Host)
	switch {
	case a.Form == proxycore.FormName:
		return Within(b, a.Host)
	case b.Form == proxycore.FormOneBelow:
		return a.Host == b.Host
	case a.Form == proxycore.FormOneBelow:
		return within
	}
	return within || strings.HasSuffix(b.Host, "."+a.Host)
}
