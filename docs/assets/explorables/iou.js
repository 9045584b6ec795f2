// Two boxes to move: intersection over union (IoU) and generalized IoU.
(() => {
  const { svg, panel, drag, area, intersection, iou } = explorables.tools

  // The smallest box around both, and GIoU: IoU less the empty share of that box.
  const hull = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]
  const giou = (a, b) => {
    const union = area(a) + area(b) - intersection(a, b), whole = area(hull(a, b))
    return iou(a, b) - (whole - union) / whole
  }

  const GRID = 5
  const LIMITS = { left: [0, 200], top: [0, 75], width: [10, 120], height: [10, 110] } // stays in view
  const START = { A: [60, 30, 90, 90], B: [90, 60, 90, 90] } // left, top, width, height
  const number = (value) => value.toFixed(2).replace("-", "−")

  const mount = (div) => {
    const boxes = structuredClone(START)
    const frame = panel(div, "IoU of two boxes",
      "Drag the boxes or their corners, or use the sliders. Find an IoU of 0.75. Then pull the boxes apart: which of the two numbers still says how far?")
    const which = frame.select("Box to change", { A: "A, solid", B: "B, dashed" }, "B")
    const sliders = Object.keys(LIMITS).map((name, k) => {
      const [min, max] = LIMITS[name]
      const slider = frame.range(name[0].toUpperCase() + name.slice(1), { min, max, step: GRID, value: START.B[k] })
      slider.addEventListener("input", () => { boxes[which.value][k] = slider.valueAsNumber; frame.update() })
      return slider
    })
    const show = () => sliders.forEach((slider, k) => { slider.value = boxes[which.value][k] })
    which.addEventListener("input", () => { show(); frame.update() })
    const preset = (label, b) => frame.button(label, () => {
      boxes.A = [...START.A]
      boxes.B = b
      show()
    })
    preset("A third to the right", [90, 30, 90, 90])
    preset("A quarter inside", [105, 75, 45, 45])
    preset("Apart", [200, 30, 90, 90])

    const picture = frame.picture(330, 195)
    const around = svg("rect", { class: "thin dots" }), shared = svg("rect", { class: "shared" })
    picture.append(around, shared)
    const drawn = {}
    for (const name of ["A", "B"]) {
      const rect = svg("rect", { class: `line ${name === "A" ? "one" : "two dashes"}` })
      const corner = svg("circle", { r: 9, class: name === "A" ? "one dot" : "two dot" })
      const label = svg("text", { class: "name" }, name)
      drawn[name] = { rect, corner, label }
      const grab = () => {
        which.value = name
        show()
        frame.update()
        return [...boxes[name]]
      }
      const set = (values) => {
        boxes[name] = Object.values(LIMITS).map(([min, max], k) =>
          Math.min(max, Math.max(min, GRID * Math.round(values[k] / GRID))))
        show()
        frame.update()
      }
      drag(picture, rect, grab, (dx, dy, [x, y, w, h]) => set([x + dx, y + dy, w, h]))
      drag(picture, corner, grab, (dx, dy, [x, y, w, h]) => set([x, y, w + dx, h + dy]))
    }
    for (const part of ["rect", "label", "corner"]) picture.append(drawn.A[part], drawn.B[part])

    const put = (node, [x1, y1, x2, y2]) => {
      for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 }))
        node.setAttribute(name, Math.max(0, value))
    }
    frame.start(() => {
      const [a, b] = ["A", "B"].map((name) => {
        const [x, y, w, h] = boxes[name], { rect, corner, label } = drawn[name]
        const corners = [x, y, x + w, y + h]
        put(rect, corners)
        rect.classList.toggle("chosen", which.value === name)
        for (const [key, value] of [["cx", x + w], ["cy", y + h]]) corner.setAttribute(key, value)
        label.setAttribute("x", name === "A" ? x + 5 : x + w - 15)
        label.setAttribute("y", name === "A" ? y + 16 : y + h - 12)
        return corners
      })
      const inter = intersection(a, b), union = area(a) + area(b) - inter, outer = hull(a, b)
      put(around, outer)
      put(shared, [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])])
      picture.describe(`Boxes A and B with IoU ${number(iou(a, b))}; their intersection is filled and the smallest box around both is dotted.`)
      const first = inter ? `Intersection ${inter}, union ${union}: IoU ${number(inter / union)}.` : "Nothing is shared: IoU 0.00, at any distance."
      frame.say(`${first} Box around both ${area(outer)}, of which ${area(outer) - union} empty: GIoU ${number(giou(a, b))}.`)
    })
  }

  explorables.iou = { iou, giou, mount }
})()
