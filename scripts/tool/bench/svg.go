// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// panel is one chart of the plot.
type panel struct {
	title string
	bars  []bar   // one bar a proxy, or
	lines []curve // a curve a proxy, both axes logarithmic
}

type bar struct {
	name  string
	value float64
}

type curve struct {
	name string
	x, y []float64
}

const (
	panelWidth, panelHeight = 420, 270
	panelColumns            = 2
)

var colours = []string{"#4c78a8", "#9ecae9", "#f58518", "#72b7b2", "#b279a2", "#d62728", "#e45756", "#ff9da6"}

// plot draws the main figures, and how costs grow: a curve that lies flat says that twice as much costs twice as much.
func (d *data) plot() string {
	panels := []panel{
		d.barsOf("CPU per set-up, 32 clients, µs", "setup 32 CPU µs"),
		d.barsOf("Throughput, 4 streams down, Gbit/s", "down 4 Gbit/s"),
		d.barsOf("CPU per GB, 4 streams down, s", "down 4 CPU s/GB"),
		d.barsOf("Idle tunnel at 9,500, KiB", "idle 9500 KiB"),
		d.curves("CPU µs per set-up, by clients", "setup %d CPU µs", 1, 32, 256),
		d.curves("CPU s per GB, by streams down", "down %d CPU s/GB", 1, 4, 64),
		d.curves("KiB an idle tunnel, by tunnels", "idle %d KiB", 1000, 3000, 9500),
		d.own(),
	}
	rows := (len(panels) + panelColumns - 1) / panelColumns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n",
		panelColumns*panelWidth, rows*panelHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, p := range panels {
		p.draw(&b, p.title, i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws the panel in its place among the others.
func (p panel) draw(b *strings.Builder, title string, place int) {
	fmt.Fprintf(b, `<g transform="translate(%d,%d)"><text x="12" y="20" font-size="13" font-weight="bold">%s</text>`+"\n",
		place%panelColumns*panelWidth, place/panelColumns*panelHeight, html.EscapeString(title))
	p.drawBars(b)
	p.drawLines(b)
	b.WriteString("</g>\n")
}

func (d *data) barsOf(title, figure string) panel {
	p := panel{title: title}
	for _, who := range contestants() {
		if v, ok := d.median(figure, who); ok {
			p.bars = append(p.bars, bar{who, v})
		}
	}
	return p
}

func (d *data) curves(title, figure string, sizes ...int) panel {
	p := panel{title: title}
	for _, who := range contestants() {
		c := curve{name: who}
		for _, n := range sizes {
			if v, ok := d.median(fmt.Sprintf(figure, n), who); ok {
				c.x, c.y = append(c.x, float64(n)), append(c.y, v)
			}
		}
		if len(c.x) > 1 {
			p.lines = append(p.lines, c)
		}
	}
	return p
}

// own is about what only we have.
func (d *data) own() panel {
	hit, load := curve{name: "filter: ns a decision, by patterns"}, curve{name: "filter: ns to load a pattern"}
	for _, r := range d.filters() {
		hit.x, hit.y = append(hit.x, float64(r.Patterns)), append(hit.y, r.Recent.mean())
		load.x, load.y = append(load.x, float64(r.Patterns)), append(load.y, r.Load*1e9/float64(r.Patterns))
	}
	start, size := curve{name: "a proxy: µs to start and close, by proxies"}, curve{name: "a proxy: KiB while idle"}
	for _, r := range d.manies() {
		start.x, start.y = append(start.x, float64(r.Proxies)), append(start.y, r.Start+r.Close)
		size.x, size.y = append(size.x, float64(r.Proxies)), append(size.y, r.PerProxy/1024)
	}
	p := panel{title: "The filter, and proxies in one process"}
	for _, c := range []curve{hit, load, start, size} {
		if len(c.x) > 1 {
			p.lines = append(p.lines, c)
		}
	}
	return p
}

func (p panel) drawBars(b *strings.Builder) {
	most := 0.0
	for _, x := range p.bars {
		most = max(most, x.value)
	}
	for i, x := range p.bars {
		y, width := 34+i*24, 0.0
		if most > 0 {
			width = 230 * x.value / most
		}
		fmt.Fprintf(b, `<text x="118" y="%d" text-anchor="end">%s</text><rect x="124" y="%d" width="%.1f" height="16" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			y+12, html.EscapeString(x.name), y, width, colours[i%len(colours)], 128+width, y+12, number(x.value, true))
	}
}

func (p panel) drawLines(b *strings.Builder) {
	if len(p.lines) == 0 {
		return
	}
	x0, x1, y0, y1 := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, c := range p.lines {
		for i := range c.x {
			x0, x1 = min(x0, c.x[i]), max(x1, c.x[i])
			if c.y[i] > 0 {
				y0, y1 = min(y0, c.y[i]), max(y1, c.y[i])
			}
		}
	}
	if x1 <= x0 || y1 < y0 {
		return // one size only, or nothing that a logarithm knows
	}
	y0, y1 = y0/1.3, y1*1.3
	at := func(x, y float64) (float64, float64) {
		return 46 + 200*math.Log(x/x0)/math.Log(x1/x0), 240 - 200*math.Log(y/y0)/math.Log(y1/y0)
	}
	fmt.Fprintf(b, `<path d="M46 40V240H246" fill="none" stroke="#888"/><text x="42" y="48" text-anchor="end">%s</text><text x="42" y="240" text-anchor="end">%s</text><text x="46" y="254">%s</text><text x="246" y="254" text-anchor="end">%s</text>`+"\n",
		number(y1, true), number(y0, true), number(x0, true), number(x1, true))
	for i, c := range p.lines {
		var points []string
		for j := range c.x {
			if c.y[j] > 0 {
				x, y := at(c.x[j], c.y[j])
				points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
			}
		}
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/><text x="256" y="%d" fill="%s" font-size="10">%s</text>`+"\n",
			strings.Join(points, " "), colour, 50+i*16, colour, html.EscapeString(c.name))
	}
}
