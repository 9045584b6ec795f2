// One convolution: which inputs each output reads, and how many outputs there are.
(() => {
  const { svg, box, panel } = explorables.tools

  const outputSize = (size, kernel, stride, padding, dilation) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1

  // Inputs along one axis that output number `index` reads; below 0 or from `size` on it is padding.
  const taps = (index, kernel, stride, padding, dilation) =>
    Array.from({ length: kernel }, (_, k) => index * stride - padding + k * dilation)

  // Inputs along one axis that no output reads.
  const unread = (size, kernel, stride, padding, dilation) => {
    const read = new Set()
    for (let i = 0; i < outputSize(size, kernel, stride, padding, dilation); i++)
      for (const tap of taps(i, kernel, stride, padding, dilation)) read.add(tap)
    return Array.from({ length: size }, (_, k) => k).filter((k) => !read.has(k))
  }

  const WIDTH = 360, HEIGHT = 205
  const list = (numbers) => numbers.map((k) => k + 1).join(", ")

  const mount = (div) => {
    const frame = panel(div, "A convolution's sizes",
      "Change the input size: when is the last row read? Set the stride to 1: which padding keeps the size, for which kernels? What does a dilation of 2 leave out?")
    const size = frame.range("Input size H", { min: 3, max: 10, value: 8 })
    const kernel = frame.range("Kernel k", { min: 1, max: 5, value: 3 })
    const stride = frame.range("Stride s", { min: 1, max: 4, value: 2 })
    const padding = frame.range("Padding p", { min: 0, max: 2, value: 0 })
    const dilation = frame.range("Dilation d", { min: 1, max: 3, value: 1 })
    let side = 1
    const unit = frame.range("Output unit", {
      min: 0, max: 8, value: 4, show: (n) => (side > 0 ? `${Math.floor(n / side) + 1}, ${(n % side) + 1}` : "none"),
    })
    const picture = frame.picture(WIDTH, HEIGHT)

    const settle = () => { // as many units as the output has; before the slider's text is made
      const setting = [size, kernel, stride, padding, dilation].map((input) => input.valueAsNumber)
      side = Math.max(0, outputSize(...setting))
      unit.max = Math.max(0, side * side - 1)
      return setting
    }
    frame.before(settle)

    frame.start(() => {
      const [h, k, s, p, d] = settle()
      const padded = h + 2 * p, reach = d * (k - 1) + 1
      const row = Math.floor(unit.valueAsNumber / side), column = unit.valueAsNumber % side
      const cell = Math.min(24, WIDTH / (padded + side + 1.5), (HEIGHT - 18) / Math.max(padded, side))
      const left = (WIDTH - cell * (padded + side + 1.5)) / 2, right = left + cell * (padded + 1.5)
      const square = (x, y, name) => box([x + 0.5, y + 0.5, x + cell - 0.5, y + cell - 0.5], { class: name })
      const read = { rows: side ? taps(row, k, s, p, d) : [], columns: side ? taps(column, k, s, p, d) : [] }
      const never = unread(h, k, s, p, d)
      const marks = [svg("text", { x: left, y: 12 }, "input"), svg("text", { x: right, y: 12 }, side ? "output" : "")]
      for (let i = -p; i < h + p; i++)
        for (let j = -p; j < h + p; j++) {
          const inside = Math.min(i, j) >= 0 && Math.max(i, j) < h
          const name = inside ? (never.includes(i) || never.includes(j) ? "cell never" : "cell") : "cell outside"
          const x = left + (j + p) * cell, y = 18 + (i + p) * cell
          marks.push(square(x, y, read.rows.includes(i) && read.columns.includes(j) ? `${name} read` : name))
          if (name === "cell never") marks.push(svg("path", { class: "cross", d: `M${x + 3} ${y + 3}l${cell - 6} ${cell - 6}m0 ${6 - cell}l${6 - cell} ${cell - 6}` }))
        }
      for (let i = 0; i < side; i++)
        for (let j = 0; j < side; j++)
          marks.push(square(right + j * cell, 18 + i * cell, i === row && j === column ? "cell read" : "cell"))
      picture.replaceChildren(...marks)

      const top = `${h} + 2·${p} − ${d}·(${k} − 1) − 1`
      if (!side) {
        picture.describe(`A grid of ${h} by ${h} inputs, too small for the kernel.`)
        frame.say(`The kernel reaches over ${reach} inputs and the padded input has ${padded}: no output, and PyTorch raises an error.`)
        return
      }
      const inner = (taps) => taps.filter((tap) => tap >= 0 && tap < h).length
      const zeros = k * k - inner(read.rows) * inner(read.columns)
      picture.describe(`A grid of ${h} by ${h} inputs and one of ${side} by ${side} outputs; the inputs that the marked output reads are filled.`)
      frame.say(`⌊(${top}) / ${s}⌋ + 1 = ⌊${h + 2 * p - reach} / ${s}⌋ + 1 = ${side}, so ${side} × ${side} outputs. `
        + `The marked one reads ${k * k} inputs${zeros ? `, ${zeros} of them padding` : ""}. `
        + (never.length ? `Crossed out: ${never.length > 1 ? "rows and columns" : "row and column"} ${list(never)} are read by no output.` : "Every input is read."))
    })
  }

  explorables.convolution = { outputSize, taps, unread, mount }
})()
