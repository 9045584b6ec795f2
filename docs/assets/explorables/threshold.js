// Class imbalance: the scores of negatives are N(0, 1), those of positives N(distance, 1).
(() => {
  const { panel, svg } = explorables.tools

  // Share of a standard normal law above t (Abramowitz and Stegun 7.1.26, error below 1e-7).
  const above = (t) => {
    const x = Math.abs(t) / Math.SQRT2
    const u = 1 / (1 + 0.3275911 * x)
    const tail = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
      .reduce((sum, c) => (sum + c) * u, 0) * Math.exp(-x * x) / 2
    return t < 0 ? 1 - tail : tail
  }
  // Shares of all cases: true and false positives and negatives.
  const confusion = (prior, distance, threshold) => {
    const [found, alarms] = [above(threshold - distance), above(threshold)]
    return { tp: prior * found, fn: prior * (1 - found), fp: (1 - prior) * alarms, tn: (1 - prior) * (1 - alarms) }
  }
  const metrics = ({ tp, fn, fp, tn }) => ({
    precision: tp + fp ? tp / (tp + fp) : 0,
    recall: tp / (tp + fn),
    F1: (2 * tp) / (2 * tp + fp + fn),
    accuracy: (tp + tn) / (tp + tn + fp + fn),
  })

  const shares = [50, 40, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1]
  const bell = (x) => Math.exp((-x * x) / 2)

  const mount = (div) => {
    const ui = panel(div, "Try prevalence and threshold",
      "Make positives rarer. Recall stays; what happens to precision, F1 and accuracy?")
    const share = ui.range("Positives", { min: 0, max: 10, value: 0, show: (i) => `${shares[i]} %` })
    const cut = ui.range("Threshold", { min: -3, max: 6, step: 0.1, value: 1, show: (v) => v.toFixed(1) })
    const apart = ui.range("Distance", { min: 0.5, max: 4, step: 0.1, value: 2, show: (v) => v.toFixed(1) })
    const best = (name) => () => {
      const value = (t) => metrics(confusion(shares[share.value] / 100, apart.valueAsNumber, t))[name]
      cut.value = Array.from({ length: 91 }, (_, i) => i / 10 - 3).reduce((a, b) => (value(b) > value(a) ? b : a))
    }
    ui.button("Best F1", best("F1"))
    ui.button("Best accuracy", best("accuracy"))

    const width = Math.min(560, Math.max(270, div.clientWidth - 36))
    const picture = ui.picture(width, 170)
    const at = (score) => ((score + 3.5) / 11) * width
    const label = (score, y, words) => svg("text", { x: at(score) + 4, y }, words)

    ui.start(() => {
      const [prior, d, t] = [shares[share.value] / 100, apart.valueAsNumber, cut.valueAsNumber]
      // The rare class stays visible: the frequent one is cut off at five times its height.
      const top = Math.min(1 - prior, 5 * prior)
      const curve = (weight, center, from, attributes) => {
        const xs = Array.from({ length: 111 }, (_, i) => i / 10 - 3.5).filter((x) => x >= from - 1e-9)
        const dots = xs.map((x) => `${at(x).toFixed(1)},${(145 - 125 * Math.min(1.05, (weight * bell(x - center)) / top)).toFixed(1)}`)
        if (from > -9) dots.push(`${width},145`, `${at(xs[0])},145`) // close the area of the alarms
        return svg("polyline", { points: dots.join(" "), ...attributes })
      }
      const [gray, blue, orange] = ["default-fg-color--light", "typeset-a-color", "accent-fg-color"].map((name) => `var(--md-${name})`)
      picture.replaceChildren(
        curve(1 - prior, 0, t, { fill: gray, opacity: 0.45 }), curve(prior, d, t, { fill: blue, opacity: 0.5 }),
        curve(1 - prior, 0, -9, { fill: "none", stroke: gray, "stroke-dasharray": "5 3", "stroke-width": 2 }),
        curve(prior, d, -9, { fill: "none", stroke: blue, "stroke-width": 2 }),
        svg("line", { x1: 0, x2: width, y1: 145, y2: 145, stroke: gray }),
        svg("line", { x1: at(t), x2: at(t), y1: 5, y2: 150, stroke: orange, "stroke-width": 2 }),
        label(-1.5, 163, "negatives"), label(d, 163, "positives"), label(t, 14, "alarm →"))
      const c = confusion(prior, d, t)
      const cases = (part) => Math.round(1e4 * part).toLocaleString("en")
      picture.describe(`Two bell curves, negatives dashed around 0, positives around ${d}; alarms are right of ${t}.`)
      ui.say(`Of 10,000 cases: ${cases(c.tp)} positives found, ${cases(c.fn)} missed, ${cases(c.fp)} false alarms: ` +
        Object.entries(metrics(c)).map(([name, value]) => `${name} ${value.toFixed(3)}`).join(", ") +
        `. With no alarm at all, accuracy is ${(1 - prior).toFixed(3)}.`)
    })
  }

  explorables.threshold = { above, confusion, metrics, mount }
})()
