// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// markdownLimit is how much is written at most, in bytes: the summary page of a GitHub job takes 1 MiB in
// all, and shows nothing of a step that writes more.
const markdownLimit = 1000 << 10

// WriteMarkdown writes the verdict in one line and then only what did not pass, for the summary page of a
// CI run. It writes less than 1 MiB whatever the report holds, and says so when it leaves something out.
func (r *Report) WriteMarkdown(w io.Writer) error {
	r = r.clean()
	b := bounded{room: markdownLimit}
	b.add(fmt.Sprintf("**%s**\n", mdText(r.Summary())))
	for _, p := range r.Problems {
		b.add("\nProblem:\n\n" + fenced(p))
	}
	for _, c := range r.Checks {
		if c.Outcome == Fail || c.Outcome == Error || c.Outcome == Stale {
			b.add("\n" + fenced(c.Text()))
		}
	}
	b.add(markdownKnown(r))
	for _, o := range []Outcome{NA, Deselected} {
		b.add(markdownReasons(r, o))
	}
	if b.left > 0 {
		b.text.WriteString(fmt.Sprintf("\n%d parts are left out here, for they would not fit: see report.html.\n", b.left))
	}
	_, err := io.WriteString(w, b.text.String())
	return err
}

// bounded is a text that only whole parts are added to, and only while there is room.
type bounded struct {
	text strings.Builder
	room int
	left int // parts that did not fit
}

func (b *bounded) add(part string) {
	if b.text.Len()+len(part) > b.room {
		b.left++
		return
	}
	b.text.WriteString(part)
}

// markdownKnown is the table of the known failures.
func markdownKnown(r *Report) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if c.Outcome != Known {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("\n| known failure | why |\n|---|---|\n")
		}
		fmt.Fprintf(&b, "| %s | %s |\n", mdText(c.ID), mdText(c.Reason))
	}
	return b.String()
}

// markdownReasons is one line for every reason for an outcome that is no failure, with the checks behind it
// unless somebody chose to leave them out.
func markdownReasons(r *Report, o Outcome) string {
	var reasons []string
	ids := map[string][]string{}
	for _, c := range r.Checks {
		if c.Outcome != o {
			continue
		}
		if !slices.Contains(reasons, c.Reason) {
			reasons = append(reasons, c.Reason)
		}
		ids[c.Reason] = append(ids[c.Reason], c.ID)
	}
	if len(reasons) == 0 {
		return ""
	}
	b := new(strings.Builder)
	fmt.Fprintf(b, "\n<details><summary>%s: %d</summary>\n\n", o, r.Count(o))
	for _, reason := range reasons {
		fmt.Fprintf(b, "- %s (%d)", mdText(reason), len(ids[reason]))
		if o == NA {
			fmt.Fprintf(b, ": %s", mdText(strings.Join(ids[reason], ", ")))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

// fenced is s as a block of code, inside a fence that s does not hold.
func fenced(s string) string {
	s = strings.TrimRight(printable(s), "\n")
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "\n" + s + "\n" + fence + "\n"
}

// mdText is s in one line of text, in a table or not: nothing in it is Markdown or HTML.
func mdText(s string) string {
	return mdEscapes.Replace(oneLine(printable(s)))
}

var mdEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "|", `\|`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "@", "&#64;",
)
