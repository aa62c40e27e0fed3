package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The drawing, in pixels.
const (
	panelWidth, panelHeight = 440, 300
	marginLeft, marginRight = 56, 16
	marginTop, marginBottom = 34, 30
	legendHeight            = 44
)

// contenderColors can be told apart by the colour-blind, and on dark pages.
var contenderColors = []struct{ name, color string }{
	{floorName, "#7f7f7f"}, {serviceName, "#0072b2"}, {httpName, "#d55e00"},
}

// operationDashes tell the operations apart.
var operationDashes = []struct{ name, title, dash string }{
	{opList, "list", ""}, {opUnread, "unread count", "5 4"},
}

// plot draws the curves as SVG: a panel for each, with the p50 on a scale of
// powers of ten, and the places of a curve side by side.
func plot(points []curvePoint) string {
	var curves []string
	for _, p := range points {
		if !slices.Contains(curves, p.Curve) {
			curves = append(curves, p.Curve)
		}
	}
	columns := min(2, max(1, len(curves)))
	rows := (len(curves) + columns - 1) / columns
	width, height := columns*panelWidth, legendHeight+rows*panelHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"`+
		` font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	drawLegend(&b)
	low, high := decades(points)
	for i, curve := range curves {
		of := slices.DeleteFunc(slices.Clone(points), func(p curvePoint) bool { return p.Curve != curve })
		newPanel(of, i%columns*panelWidth, legendHeight+i/columns*panelHeight, low, high).draw(&b, curveTitles[curve])
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawLegend(b *strings.Builder) {
	const column, row, line = 160, 18, 24
	for i, c := range contenderColors {
		for k, o := range operationDashes {
			x, y := marginLeft+i*column, row*(k+1)
			fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`,
				x, y, x+line, y, c.color, o.dash)
			fmt.Fprintf(b, `<text x="%d" y="%d">%s, %s</text>`+"\n", x+line+4, y+4, o.title, c.name)
		}
	}
}

// decades are the powers of ten around all values.
func decades(points []curvePoint) (low, high int) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		for _, c := range p.Result.Contenders {
			if c.P50 > 0 {
				least, most = min(least, c.P50), max(most, c.P50)
			}
		}
	}
	if least > most {
		return -1, 1
	}
	low, high = int(math.Floor(math.Log10(least))), int(math.Ceil(math.Log10(most)))
	return low, max(high, low+1)
}

// panel is the plot of one curve.
type panel struct {
	points    []curvePoint
	xs        []int
	left, top int
	low, high int // decades
}

func newPanel(points []curvePoint, left, top, low, high int) panel {
	p := panel{points: points, left: left, top: top, low: low, high: high}
	for _, point := range points {
		if !slices.Contains(p.xs, point.X) {
			p.xs = append(p.xs, point.X)
		}
	}
	slices.Sort(p.xs)
	return p
}

// x is where a place of the curve is.
func (p panel) x(value int) float64 {
	span := float64(panelWidth - marginLeft - marginRight)
	at := slices.Index(p.xs, value)
	return float64(p.left+marginLeft) + span*(float64(at)+0.5)/float64(len(p.xs))
}

// y is where a number of milliseconds is.
func (p panel) y(ms float64) float64 {
	span := float64(panelHeight - marginTop - marginBottom)
	part := (math.Log10(ms) - float64(p.low)) / float64(p.high-p.low)
	return float64(p.top+panelHeight-marginBottom) - span*part
}

func (p panel) draw(b *strings.Builder, title string) {
	right, bottom := p.left+panelWidth-marginRight, p.top+panelHeight-marginBottom
	for decade := p.low; decade <= p.high; decade++ {
		ms := math.Pow10(decade)
		y := p.y(ms)
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/>`, p.left+marginLeft, y, right, y)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s ms</text>`+"\n",
			p.left+marginLeft-6, y+4, strconv.FormatFloat(ms, 'g', -1, 64))
	}
	for _, x := range p.xs {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", p.x(x), bottom+18, thousands(x))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">p50 over %s</text>`+"\n", p.left+marginLeft, p.top+marginTop-12, html.EscapeString(title))
	for _, c := range contenderColors {
		for _, o := range operationDashes {
			p.drawLine(b, c.name, o.name, c.color, o.dash)
		}
	}
}

func (p panel) drawLine(b *strings.Builder, contender, operation, color, dash string) {
	var path []string
	var dots strings.Builder
	for _, x := range p.xs {
		for _, point := range p.points {
			c := point.Result.find(contender)
			if point.X != x || point.Result.Operation != operation || c == nil || c.P50 <= 0 {
				continue
			}
			path = append(path, fmt.Sprintf("%.1f,%.1f", p.x(x), p.y(c.P50)))
			fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s, %s, %s: %.2f ms</title></circle>`+"\n",
				p.x(x), p.y(c.P50), color, contender, operation, thousands(x), c.P50)
		}
	}
	if len(path) > 0 {
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n%s",
			strings.Join(path, " "), color, dash, dots.String())
	}
}

// thousands writes 10000000 as 10M.
func thousands(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 1000 && n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	default:
		return strconv.Itoa(n)
	}
}
