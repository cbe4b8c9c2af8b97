// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

// nearest is the end of the message about a pattern that matches nothing: what may have been meant.
func nearest(pattern string, all []check.Check) string {
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID, c.Requirement())
	}
	slices.Sort(ids)
	near := similar(strings.Trim(pattern, ".*?"), slices.Compact(ids))
	if len(near) == 0 {
		return "; list shows what there is"
	}
	for i, id := range near {
		if !strings.Contains(id, ".") {
			near[i] = id + ".*" // a requirement is no check, its checks are
		}
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// similar returns up to three of the known words, those with the smallest edit distance to word, as long as at
// least half of the word is right.
func similar(word string, known []string) []string {
	word = strings.ToLower(word)
	type candidate struct {
		text string
		away int
	}
	var near []candidate
	for _, k := range known {
		if d := distance(word, strings.ToLower(k)); d <= len(word)/2 {
			near = append(near, candidate{k, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return a.away - b.away })
	var out []string
	for _, c := range near[:min(3, len(near))] {
		if c.away <= near[0].away+1 {
			out = append(out, c.text)
		}
	}
	return out
}

// distance is the number of bytes to insert, remove or change to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for k := range row {
		row[k] = k
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for k := range len(b) {
			change := diagonal
			if a[i] != b[k] {
				change++
			}
			diagonal = row[k+1]
			row[k+1] = min(change, row[k]+1, row[k+1]+1)
		}
	}
	return row[len(b)]
}
