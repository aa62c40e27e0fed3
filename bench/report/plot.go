package report

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
	low, high               = -2, 3 // powers of ten of milliseconds
)

// lines are the contenders and operations that are drawn. The colours can be
// told apart by the colour-blind, and on dark pages.
var lines = []struct{ contender, color, operation, title, dash string }{
	{Floor, "#7f7f7f", List, "list", ""}, {Floor, "#7f7f7f", Unread, "unread count", "5 4"},
	{Service, "#0072b2", List, "list", ""}, {Service, "#0072b2", Unread, "unread count", "5 4"},
	{HTTP, "#d55e00", List, "list", ""}, {HTTP, "#d55e00", Unread, "unread count", "5 4"},
}

// Plot draws the curves as SVG: a panel for each, with the p50 on a scale of
// powers of ten, and the places of a curve side by side.
func (r *Report) Plot() string {
	curves, points := []string{}, map[string][]Result{}
	for _, result := range r.Results {
		if !slices.Contains(curves, result.Curve) {
			curves = append(curves, result.Curve)
		}
		points[result.Curve] = append(points[result.Curve], result)
	}
	width, height := 2*panelWidth, legendHeight+(len(curves)+1)/2*panelHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d"`+
		` font-family="sans-serif" font-size="11">`+"\n"+`<rect width="%[1]d" height="%[2]d" fill="#ffffff"/>`+"\n", width, height)
	for i, l := range lines {
		const column, row, length = 160, 18, 24
		x, y := marginLeft+i/2*column, row*(i%2+1)
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%[2]d" stroke="%[4]s" stroke-width="2" stroke-dasharray="%s"/>`, x, y, x+length, l.color, l.dash)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s, %s</text>`+"\n", x+length+4, y+4, l.title, l.contender)
	}
	for i, curve := range curves {
		p := panel{points: points[curve], left: i % 2 * panelWidth, top: legendHeight + i/2*panelHeight}
		p.draw(&b, curve)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panel is the plot of one curve.
type panel struct {
	points    []Result
	xs        []int
	left, top int
}

// x is where a place of the curve is.
func (p panel) x(value int) float64 {
	span := float64(panelWidth - marginLeft - marginRight)
	return float64(p.left+marginLeft) + span*(float64(slices.Index(p.xs, value))+0.5)/float64(len(p.xs))
}

// y is where a number of milliseconds is.
func (p panel) y(ms float64) float64 {
	span := float64(panelHeight - marginTop - marginBottom)
	return float64(p.top+panelHeight-marginBottom) - span*(math.Log10(ms)-low)/(high-low)
}

func (p panel) draw(b *strings.Builder, title string) {
	left, right, bottom := p.left+marginLeft, p.left+panelWidth-marginRight, p.top+panelHeight-marginBottom
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">p50 over %s</text>`+"\n", left, p.top+marginTop-12, html.EscapeString(title))
	for decade := low; decade <= high; decade++ {
		ms := math.Pow10(decade)
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1[2]f" stroke="#dddddd"/>`, left, p.y(ms), right)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s ms</text>`+"\n", left-6, p.y(ms)+4, strconv.FormatFloat(ms, 'g', -1, 64))
	}
	for _, point := range p.points {
		p.xs = append(p.xs, point.X)
	}
	slices.Sort(p.xs)
	p.xs = slices.Compact(p.xs)
	for _, x := range p.xs {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", p.x(x), bottom+18, thousands(x))
	}
	for _, l := range lines {
		var path []string
		for _, point := range p.points {
			if c := point.find(l.contender); c != nil && point.Operation == l.operation {
				x, y := p.x(point.X), p.y(c.P50)
				path = append(path, fmt.Sprintf("%.1f,%.1f", x, y))
				fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s, %s, %s: %.2f ms</title></circle>`+"\n",
					x, y, l.color, l.contender, l.operation, thousands(point.X), c.P50)
			}
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n",
			strings.Join(path, " "), l.color, l.dash)
	}
}
