// Explorables: small figures that a reader operates. Each file beside this one registers
// window.explorables.<name> = { pure functions, mount(div) }. This one builds their controls and
// mounts what the page holds. Without scripts, and in the book, the figure inside the div stays.
(() => {
  const fill = (node, attributes = {}, children = []) => {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
    node.append(...children)
    return node
  }
  const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children)
  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children)

  let ids = 0

  // The frame of one explorable: what to try, controls, one picture or more, the result in words.
  const panel = (div, name, hint) => {
    const controls = html("div", { class: "controls" }), buttons = html("div", { class: "buttons" })
    const result = html("output", { class: "result", "aria-live": "polite" })
    const frame = html("div", { class: "panel", role: "group", "aria-label": name },
      html("p", { class: "hint" }, hint), controls, result)
    const refresh = [] // brings each control's visible value up to date
    let draw = () => {}
    const update = () => { refresh.forEach((one) => one()); draw() }
    const control = (label, node, ...after) => {
      node.id = `explorable-${++ids}`
      node.addEventListener("input", update)
      controls.append(html("div", { class: "control" }, html("label", { for: node.id }, label), node, ...after))
      return node
    }
    return {
      controls, update,

      // A slider with its value beside it; `show` turns the number into text.
      range(label, { min, max, step = 1, value, show = String }) {
        const input = html("input", { type: "range", min, max, step, value })
        const shown = html("span", { class: "value", "aria-hidden": "true" })
        refresh.push(() => {
          shown.textContent = show(input.valueAsNumber)
          input.setAttribute("aria-valuetext", shown.textContent)
        })
        return control(label, input, shown)
      },

      // `options` is an object: value to visible text, in this order.
      select(label, options, value) {
        const node = html("select", {}, ...Object.entries(options).map(([key, text]) =>
          html("option", { value: key }, text)))
        if (value !== undefined) node.value = value
        return control(label, node)
      },

      check(label, checked = false) {
        const node = control(label, html("input", { type: "checkbox" }))
        node.checked = checked
        return node
      },

      button(label, action) {
        const node = html("button", { type: "button", class: "md-button" }, label)
        node.addEventListener("click", () => { action(); update() })
        if (!buttons.parentNode) controls.append(buttons)
        buttons.append(node)
        return node
      },

      // An SVG picture in its own units; it grows no wider than `width` CSS pixels.
      picture(width, height) {
        const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "picture" })
        node.style.maxWidth = `${width}px`
        result.before(node)
        node.describe = (text) => node.setAttribute("aria-label", text)
        return node
      },

      // The result in words; a screen reader speaks it after each change.
      say(text) { if (result.textContent !== text) result.textContent = text },

      // `settle` runs before the visible values are brought up to date: a place to set limits.
      before(settle) { refresh.unshift(settle) },

      // `change` redraws everything from the controls; it runs now and after every change.
      start(change) {
        draw = change
        update()
        div.append(frame)
        div.classList.add("live")
      },
    }
  }

  // Pointer position in the picture's own units.
  const place = (picture, event) =>
    new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse())

  // Drag `node`: `grab()` returns the state at the start, `move(dx, dy, state)` applies a distance.
  const drag = (picture, node, grab, move) => {
    let from
    node.classList.add("drag")
    node.addEventListener("pointerdown", (event) => {
      from = { at: place(picture, event), state: grab() }
      node.setPointerCapture(event.pointerId)
    })
    node.addEventListener("pointermove", (event) => {
      if (!from) return
      const { x, y } = place(picture, event)
      move(x - from.at.x, y - from.at.y, from.state)
    })
    for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, () => { from = undefined })
  }

  // Intersection over union of two boxes [x1, y1, x2, y2]; NaN for two empty ones.
  const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1)
  const intersection = (a, b) =>
    Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]))
  const iou = (a, b) => intersection(a, b) / (area(a) + area(b) - intersection(a, b))

  const box = ([x1, y1, x2, y2], attributes) =>
    svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, ...attributes })

  window.explorables = { tools: { html, svg, box, panel, drag, area, intersection, iou } }

  document.addEventListener("DOMContentLoaded", () => {
    for (const div of document.querySelectorAll("[data-explorable]")) explorables[div.dataset.explorable].mount(div)
  })
})()
