// FGSM on a real network: conv 4×4 stride 2 (1 → 8), ReLU, conv 4×4 (8 → 16), ReLU, dense (16 → 10),
// trained on 8×8 digits (fgsm_model.py). Forward and backward pass are written out; the attack is
// that of snippets/adversarial-attacks/fgsm_and_pgd.py.
(() => {
  const { html, panel, svg } = explorables.tools
  const here = document.currentScript.src

  const relu = (values) => values.map((v) => Math.max(0, v))
  const affine = (weight, bias, x) => bias.map((b, o) => {
    let sum = b
    for (let i = 0; i < x.length; i++) sum += weight[o * x.length + i] * x[i]
    return sum
  })

  // Calls visit(place in the map, place in the image, place in the kernel) for every product of conv1.
  const eachTap = (visit) => {
    for (let row = 0; row < 4; row++) for (let column = 0; column < 4; column++)
      for (let u = 0; u < 4; u++) for (let v = 0; v < 4; v++) {
        const [i, j] = [2 * row - 1 + u, 2 * column - 1 + v] // stride 2, padding 1
        if (i >= 0 && i < 8 && j >= 0 && j < 8) visit(4 * row + column, 8 * i + j, 4 * u + v)
      }
  }

  // From the file's thousandths to numbers.
  const decode = (layers) => Object.fromEntries(Object.entries(layers).map(([name, layer]) =>
    [name, { weight: layer.weight.map((v) => v / 1000), bias: layer.bias.map((v) => v / 1000) }]))

  // x: 64 pixels, 0 to 1. All sums before a ReLU are kept for the way back.
  const forward = ({ conv1, conv2, dense }, x) => {
    const first = conv1.bias.flatMap((b) => new Array(16).fill(b)) // 8 maps of 4×4
    for (let map = 0; map < 8; map++)
      eachTap((out, pixel, tap) => { first[16 * map + out] += conv1.weight[16 * map + tap] * x[pixel] })
    const second = affine(conv2.weight, conv2.bias, relu(first)) // 16 units
    return { first, second, logits: affine(dense.weight, dense.bias, relu(second)) }
  }

  const softmax = (logits) => {
    const top = Math.max(...logits)
    const e = logits.map((v) => Math.exp(v - top))
    const sum = e.reduce((a, b) => a + b)
    return e.map((v) => v / sum)
  }

  // Gradient of the cross-entropy for class y by the pixels.
  const gradient = (model, x, y) => {
    const { first, second, logits } = forward(model, x)
    const back = (weight, out, sums) => sums.map((sum, i) => // through a dense layer and the ReLU before it
      sum > 0 ? out.reduce((total, g, o) => total + g * weight[o * sums.length + i], 0) : 0)
    const dLogits = softmax(logits).map((p, k) => p - (k === y))
    const dSecond = back(model.dense.weight, dLogits, second)
    const dFirst = back(model.conv2.weight, dSecond, first)
    const dx = new Array(64).fill(0)
    for (let map = 0; map < 8; map++)
      eachTap((out, pixel, tap) => { dx[pixel] += dFirst[16 * map + out] * model.conv1.weight[16 * map + tap] })
    return dx
  }

  const step = (x, direction, eps) => x.map((v, i) => Math.min(1, Math.max(0, v + eps * Math.sign(direction[i]))))
  const fgsm = (model, x, y, eps) => step(x, gradient(model, x, y), eps)
  const classify = (model, x) => {
    const p = softmax(forward(model, x).logits)
    const digit = p.indexOf(Math.max(...p))
    return { p, digit }
  }

  const build = (div, { layers, images }) => {
    const model = decode(layers)
    const samples = images.map(({ digit, pixels }) => ({ digit, x: pixels.map((v) => v / 16) }))
    let state = 7 // random signs, the same every time
    const random = Array.from({ length: 64 }, () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5)

    const ui = panel(div, "Try FGSM", "Raise ε until the network errs. Then try random signs of the same size.")
    const choice = ui.select("Image", Object.fromEntries(samples.map(({ digit }, i) => [i, `${digit}${i % 2 ? ", another" : ""}`])), "14")
    const kind = ui.select("Direction", { fgsm: "sign of the gradient (FGSM)", random: "random signs" })
    const eps = ui.range("ε", { min: 0, max: 0.3, step: 0.01, value: 0.04, show: (v) => v.toFixed(2) })

    const width = Math.min(480, Math.max(270, div.clientWidth - 36))
    const cell = Math.floor((width - 24) / 24)
    const side = 8 * cell
    const picture = ui.picture(width, side + 152)
    const blue = "var(--md-typeset-a-color)"
    const attack = ({ x, digit }, e) => step(x, kind.value === "fgsm" ? gradient(model, x, digit) : random, e)

    ui.start(() => {
      const sample = samples[choice.value]
      const e = eps.valueAsNumber
      const changed = attack(sample, e)
      const [before, after] = [classify(model, sample.x), classify(model, changed)]
      const image = (k, values, title) => [
        svg("text", { x: k * (side + 12), y: 12 }, title),
        ...values.map((v, i) => svg("rect", {
          x: k * (side + 12) + cell * (i % 8), y: 18 + cell * Math.floor(i / 8), width: cell + 0.3, height: cell + 0.3,
          fill: `rgb(${new Array(3).fill(Math.round(255 * v))})`,
        })),
      ]
      const slot = width / 10
      const bars = before.p.flatMap((p, k) => [[p, 0.12, "none"], [after.p[k], 0.5, blue]].map(([value, shift, fill]) => svg("rect", {
        x: slot * (k + shift), width: slot * 0.36, y: side + 132 - 90 * value, height: 90 * value, fill, stroke: blue,
      })).concat(svg("text", { x: slot * (k + 0.5), y: side + 148, "text-anchor": "middle" }, `${k}`)))
      picture.replaceChildren(...image(0, sample.x, `before: ${before.digit}`),
        ...image(1, changed.map((v, i) => 0.5 + (v - sample.x[i]) / 0.6), "change"),
        ...image(2, changed, `after: ${after.digit}`),
        svg("text", { x: 0, y: side + 34 }, "probability of each digit"), ...bars)
      const percent = ({ p, digit }) => `${digit} (${(100 * p[digit]).toFixed(0)} %)`
      picture.describe(`The image, its change and the result; bars give the probability of each digit before (empty) and after (filled).`)
      const fooled = samples.filter((one) => classify(model, attack(one, e)).digit !== one.digit).length
      ui.say(`A ${sample.digit}. The network says ${percent(before)}; with ε = ${e.toFixed(2)} it says ${percent(after)}. ` +
        `At this ε it errs on ${fooled} of these ${samples.length} test images.`)
    })
  }

  // The weights come in a file of their own.
  const mount = (div) => {
    const script = html("script", { src: new URL("fgsm_model.js", here) })
    script.addEventListener("load", () => build(div, window.fgsmModel))
    div.append(script)
  }

  explorables.fgsm = { decode, forward, gradient, fgsm, mount }
})()
