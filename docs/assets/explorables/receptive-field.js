// Receptive field: a stack of layers, and which pixels one of its units can see. One axis of the
// image is shown; the other behaves the same. The recursion is that of
// snippets/feature-extraction-and-pooling/receptive_field.py, the sizes that of output_size.py.
(() => {
  const { html, panel, svg } = explorables.tools

  // A layer is [kernel, stride, dilation].
  const receptiveField = (layers) => {
    let [field, jump] = [1, 1] // jump: input pixels between neighboring units
    for (const [kernel, stride, dilation] of layers) {
      field += dilation * (kernel - 1) * jump
      jump *= stride
    }
    return [field, jump]
  }
  const outputSize = (size, kernel, stride, padding, dilation) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
  const pad = ([kernel, , dilation], padded) => (padded ? Math.floor((dilation * (kernel - 1)) / 2) : 0)

  // Units of the input and after each layer; stops where a kernel does not fit.
  const sizes = (layers, size, padded) => {
    const all = [size]
    for (const layer of layers) {
      const [kernel, stride, dilation] = layer
      size = outputSize(size, kernel, stride, pad(layer, padded), dilation)
      if (size < 1) break
      all.push(size)
    }
    return all
  }

  // The units that one unit of the last layer reads, level by level from the top; padding left out.
  const reached = (layers, size, padded, unit) => {
    const counts = sizes(layers, size, padded)
    const levels = [[unit]]
    for (let l = layers.length - 1; l >= 0; l--) {
      const [kernel, stride, dilation] = layers[l]
      const below = new Set()
      for (const u of levels[0])
        for (let tap = 0; tap < kernel; tap++) {
          const place = u * stride - pad(layers[l], padded) + tap * dilation
          if (place >= 0 && place < counts[l]) below.add(place)
        }
      levels.unshift([...below].sort((a, b) => a - b))
    }
    return levels // from the input up
  }

  // Middle of the first unit's field, in pixels from that of the first pixel.
  const firstCenter = (layers, padded) => {
    let [place, jump] = [0, 1]
    for (const layer of layers) {
      place += ((layer[2] * (layer[0] - 1)) / 2 - pad(layer, padded)) * jump
      jump *= layer[1]
    }
    return place
  }

  const conv = [3, 1, 1]
  const presets = {
    two: ["two 3×3", [conv, conv]],
    one: ["one 5×5", [[5, 1, 1]]],
    pooled: ["3×3, pool 2×2, 3×3, pool, 3×3", [conv, [2, 2, 1], conv, [2, 2, 1], conv]],
    dilated: ["3×3 dilated 1, 2, 4", [conv, [3, 1, 2], [3, 1, 4]]],
    gaps: ["3×3 dilated 2, 2, 2", [[3, 1, 2], [3, 1, 2], [3, 1, 2]]],
    stem: ["7×7 /2, pool 3×3 /2, 3×3 (ResNet)", [[7, 2, 1], [3, 2, 1], conv]],
  }
  const parts = { kernel: [1, 2, 3, 5, 7], stride: [1, 2, 3], dilation: [1, 2, 4] }

  const mount = (div) => {
    const ui = panel(div, "Try receptive fields", "Pick a stack or build one, then move the chosen unit along the last layer.")
    let layers = []
    const start = ui.select("Start from", Object.fromEntries(Object.entries(presets).map(([key, [name]]) => [key, name])), "pooled")
    const size = ui.range("Input", { min: 8, max: 48, value: 32, show: (v) => `${v} px` })
    const padding = ui.check("Padding of half the kernel")
    const unit = ui.range("Unit", { min: 0, max: 0, value: 0, show: (v) => `no. ${v + 1}` })
    const table = html("table", { class: "layers" })
    const more = ui.button("Add a layer", () => { layers.push([...conv]); build() })
    const fewer = ui.button("Remove the last layer", () => { layers.pop(); build() })
    ui.controls.append(html("div", { class: "wide" }, table))

    let outcome = [] // cells for field, jump, output of each row
    const build = () => {
      const row = (...cells) => html("tr", {}, ...cells)
      const head = ["Layer", "Kernel", "Stride", "Dilation", "Field", "Jump", "Size"].map((name) => html("th", { scope: "col" }, name))
      outcome = [null, ...layers].map(() => [0, 1, 2].map(() => html("td")))
      const rows = layers.map((layer, l) => row(html("th", { scope: "row" }, `${l + 1}`),
        ...Object.entries(parts).map(([name, values], part) => {
          const select = html("select", { "aria-label": `${name} of layer ${l + 1}` }, ...values.map((v) => html("option", { value: v }, `${v}`)))
          select.value = layer[part]
          select.addEventListener("input", () => { layer[part] = Number(select.value); ui.update() })
          return html("td", {}, select)
        }), ...outcome[l + 1]))
      table.replaceChildren(html("thead", {}, row(...head)),
        html("tbody", {}, row(html("th", { scope: "row", colspan: 4 }, "Input"), ...outcome[0]), ...rows))
      more.disabled = layers.length > 5
      fewer.disabled = layers.length < 2
    }
    const load = () => {
      layers = presets[start.value][1].map((layer) => [...layer])
      build()
    }
    load()
    start.addEventListener("input", () => { load(); ui.update() })

    const width = Math.min(640, Math.max(270, div.clientWidth - 36))
    const picture = ui.picture(width, 60)

    ui.start(() => {
      const [n, padded] = [size.valueAsNumber, padding.checked]
      const counts = sizes(layers, n, padded)
      outcome.forEach((cells, l) => {
        const [field, jump] = receptiveField(layers.slice(0, l))
        const texts = [field, jump, counts[l] ?? "–"]
        cells.forEach((cell, i) => { cell.textContent = texts[i] })
      })
      if (counts.length <= layers.length) {
        const l = counts.length
        picture.replaceChildren()
        picture.describe("No picture: a kernel does not fit.")
        ui.say(`Layer ${l} does not fit: its kernel spans ${layers[l - 1][2] * (layers[l - 1][0] - 1) + 1} units, its input has ${counts[l - 1]}.`)
        return
      }
      const last = counts.at(-1)
      if (Number(unit.max) !== last - 1) { // another row of units: start in its middle
        unit.max = last - 1
        unit.value = Math.floor((last - 1) / 2)
        return ui.update()
      }
      const chosen = unit.valueAsNumber
      const levels = reached(layers, n, padded, chosen)

      // Each unit is drawn above the middle of the pixels that it sees.
      const gap = (width - 36) / n
      const height = 44 * layers.length + 20
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`)
      const centers = counts.map((_, l) => {
        const [, jump] = receptiveField(layers.slice(0, l))
        const first = firstCenter(layers.slice(0, l), padded)
        return (i) => 36 + (first + i * jump + 0.5) * gap
      })
      const y = (l) => height - 10 - 44 * l
      const side = Math.min(12, gap * 0.75)
      const nodes = []
      layers.forEach((layer, l) => {
        const below = new Set(levels[l])
        for (const u of levels[l + 1])
          for (let tap = 0; tap < layer[0]; tap++) {
            const place = u * layer[1] - pad(layer, padded) + tap * layer[2]
            if (below.has(place)) nodes.push(svg("line", { x1: centers[l + 1](u), y1: y(l + 1), x2: centers[l](place), y2: y(l), stroke: "var(--md-typeset-a-color)", opacity: 0.5 }))
          }
      })
      counts.forEach((count, l) => {
        const seen = new Set(levels[l])
        nodes.push(svg("text", { x: 0, y: y(l) + 4 }, l ? `${l}` : "input"))
        for (let i = 0; i < count; i++)
          nodes.push(svg("rect", {
            x: centers[l](i) - side / 2, y: y(l) - side / 2, width: side, height: side,
            fill: seen.has(i) ? "var(--md-typeset-a-color)" : "var(--md-default-bg-color)",
            stroke: seen.has(i) ? "var(--md-typeset-a-color)" : "var(--md-default-fg-color--light)",
          }))
      })
      picture.replaceChildren(...nodes)

      const [field, jump] = receptiveField(layers)
      const seen = levels[0].length
      const span = levels[0].at(-1) - levels[0][0] + 1
      picture.describe(`Rows of units, one for each layer above ${n} input pixels; lines lead from unit ${chosen + 1} down to the pixels that it sees.`)
      ui.say(`Receptive field ${field} px, a new unit every ${jump} px, ${last} units. ` +
        `Unit ${chosen + 1} sees pixels ${levels[0][0] + 1} to ${levels[0].at(-1) + 1}` +
        (seen < span ? `, but only ${seen} of these ${span}: dilation or stride leaves gaps.` : ".") +
        (span < field ? ` The rest of its field, ${field - span} px, lies in the padding or falls into gaps at the border.` : ""))
    })
  }

  explorables["receptive-field"] = { receptiveField, outputSize, sizes, reached, firstCenter, mount }
})()
