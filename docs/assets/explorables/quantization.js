// Quantization: bits, scheme and clipping against rounding and clipping error.
// The map is that of snippets/quantization/affine_quantization.py.
(() => {
  const { panel, svg } = explorables.tools

  const round = (value) => { // half to even, as Python and torch round
    const up = Math.round(value)
    return up - value === 0.5 && up % 2 ? up - 1 : up
  }
  const parameters = (lo, hi, qmin, qmax) => {
    [lo, hi] = [Math.min(lo, 0), Math.max(hi, 0)] // the range must contain zero
    const s = (hi - lo) / (qmax - qmin)
    return [s, qmin - round(lo / s)]
  }
  const quantize = (x, s, z, qmin, qmax) => Math.min(Math.max(round(x / s) + z, qmin), qmax)
  const dequantize = (q, s, z) => s * (q - z)

  // Scale, zero point and codes for a range of `clip` (0 to 1) times the values' own.
  const grid = (values, bits, symmetric, clip) => {
    let [lo, hi] = [clip * Math.min(...values), clip * Math.max(...values)]
    let [qmin, qmax] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    if (symmetric) {
      hi = Math.max(-lo, hi)
      lo = -hi
      qmin = -qmax // zero point 0
    }
    const [s, z] = parameters(lo, hi, qmin, qmax)
    return { s, z, qmin, qmax }
  }

  // Mean squares of rounding and clipping errors, the share clipped, signal to noise in decibels.
  const errors = (values, { s, z, qmin, qmax }) => {
    let [rounding, clipping, clipped, power] = [0, 0, 0, 0]
    for (const x of values) {
      const square = (dequantize(quantize(x, s, z, qmin, qmax), s, z) - x) ** 2
      const code = round(x / s) + z
      if (code < qmin || code > qmax) { clipping += square; clipped++ } else rounding += square
      power += x * x
    }
    const n = values.length
    const sqnr = 10 * Math.log10(power / (rounding + clipping))
    return { rounding: rounding / n, clipping: clipping / n, clipped: clipped / n, sqnr }
  }

  // The percentage of the full range with the best signal to noise.
  const bestClip = (values, bits, symmetric) => {
    let best = 100
    const sqnr = (clip) => errors(values, grid(values, bits, symmetric, clip / 100)).sqnr
    for (let clip = 99; clip >= 10; clip--) if (sqnr(clip) > sqnr(best)) best = clip
    return best
  }

  // 1500 values each: a normal law from a small generator of random numbers, the same every time.
  let state = 1
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647
  const bell = Array.from({ length: 1500 }, () =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()))
  const data = {
    weights: bell.map((v) => v / 5),
    outlier: [...bell.slice(1).map((v) => v / 5), 2],
    relu: bell.map((v) => Math.max(0, v + 0.3)),
  }

  const mount = (div) => {
    const ui = panel(div, "Try quantization",
      "Lower the bits, then clip. Which error grows, which one shrinks?")
    const values = ui.select("Values", {
      weights: "weights, bell-shaped", outlier: "the same with one outlier", relu: "activations after ReLU",
    })
    const scheme = ui.select("Scheme", { symmetric: "symmetric", asymmetric: "asymmetric" })
    const bits = ui.range("Bits", { min: 2, max: 8, value: 3 })
    const clip = ui.range("Range kept", { min: 10, max: 100, value: 100, show: (v) => `${v} %` })
    ui.button("Best range", () => { clip.value = bestClip(data[values.value], bits.valueAsNumber, scheme.value === "symmetric") })

    const width = Math.min(640, Math.max(270, div.clientWidth - 36))
    const [base, middle, bottom] = [125, 190, 235] // of the histogram, of the error, of both
    const picture = ui.picture(width, 258)
    const [gray, blue, orange] = ["default-fg-color--light", "typeset-a-color", "accent-fg-color"].map((name) => `var(--md-${name})`)
    const text = (x, y, words, anchor = "start") => svg("text", { x, y, "text-anchor": anchor }, words)
    const line = (x1, y1, x2, y2, stroke) => svg("line", { x1, y1, x2, y2, stroke })
    const rect = (x, y, w, h, opacity) => svg("rect", { x, y, width: Math.max(0, w), height: h, fill: gray, opacity })

    ui.start(() => {
      const x = data[values.value]
      const b = bits.valueAsNumber
      const { s, z, qmin, qmax } = grid(x, b, scheme.value === "symmetric", clip.valueAsNumber / 100)
      const e = errors(x, { s, z, qmin, qmax })
      const limit = 1.08 * Math.max(...x)
      const at = (v) => ((v / limit + 1) / 2) * width
      const value = (q) => dequantize(q, s, z)

      // Half a step beyond the outer levels is still rounding; further out, shaded, is clipping.
      const [lowest, highest] = [at(value(qmin - 0.5)), at(value(qmax + 0.5))]
      const shades = [rect(0, 20, lowest, bottom - 20, 0.18), rect(highest, 20, width - highest, bottom - 20, 0.18)]

      const bins = 60
      const counts = new Array(bins).fill(0)
      for (const v of x) counts[Math.floor(((v / limit + 1) / 2) * bins)]++
      const top = 1.05 * [...counts].sort((a, c) => c - a)[1] // zeros after a ReLU would dwarf the rest
      const bars = counts.map((count, i) => {
        const height = 105 * Math.min(1, count / top)
        return rect((i * width) / bins, base - height, width / bins + 0.3, height, 0.6)
      })
      const levels = []
      for (let q = qmin; q <= qmax; q++)
        levels.push(line(at(value(q)), b < 6 || q === z ? 20 : base, at(value(q)), base + 9, q === z ? orange : blue))

      // The error of every value that could occur, on the same horizontal axis.
      const points = []
      const high = 26 / Math.max(s / 2, 0.07 * limit)
      for (let v = -limit; v <= limit; v += limit / 900) {
        const y = middle - high * (dequantize(quantize(v, s, z, qmin, qmax), s, z) - v)
        if (y > base + 20 && y < bottom) points.push(`${at(v).toFixed(1)},${y.toFixed(1)}`)
      }
      const tick = Number((limit * 0.9).toPrecision(1))
      picture.replaceChildren(...shades, ...bars, ...levels, line(0, base, width, base, gray), line(0, middle, width, middle, gray),
        svg("polyline", { points: points.join(" "), fill: "none", stroke: blue, "stroke-width": 1.5 }),
        text(0, 12, "values (bars) and levels (lines)"), text(0, base + 26, "error"),
        ...[-tick, -tick / 2, 0, tick / 2, tick].map((v) => text(at(v), 252, `${v}`.replace("-", "−"), "middle")))

      const count = qmax - qmin + 1
      const share = Math.round((100 * e.clipping) / (e.rounding + e.clipping))
      picture.describe(`Histogram of the values with the ${count} levels, and below it the error of each value; what is clipped is shaded.`)
      ui.say(`${count} levels, step ${s.toPrecision(2)}, zero point ${`${z}`.replace("-", "−")}. ` +
        `Clipped: ${(100 * e.clipped).toFixed(1)} % of the values. Signal to noise: ${e.sqnr.toFixed(1)} dB. ` +
        `Of the error's power, ${100 - share} % is rounding, ${share} % clipping.`)
    })
  }

  explorables.quantization = { round, parameters, quantize, dequantize, grid, errors, bestClip, data, mount }
})()
