// Non-maximum suppression on scored boxes: what each IoU threshold keeps.
(() => {
  const { svg, box, panel, iou } = explorables.tools

  // Indices of the kept boxes, best score first. Deletes above the threshold only, so NaN stays.
  const suppress = (boxes, scores, threshold) => {
    const kept = []
    let left = boxes.map((_, k) => k).sort((a, b) => scores[b] - scores[a]) // stable
    while (left.length) {
      const [best, ...rest] = left
      kept.push(best)
      left = rest.filter((k) => !(iou(boxes[best], boxes[k]) > threshold))
    }
    return kept
  }

  // Three people, two of them close together: box, score, and whom the box was drawn for.
  const DETECTIONS = [
    [[40, 40, 105, 200], 0.95, 0], [[36, 48, 103, 206], 0.88, 0], [[46, 30, 116, 196], 0.71, 0],
    [[58, 46, 126, 204], 0.9, 1], [[68, 36, 130, 198], 0.62, 1],
    [[214, 40, 280, 200], 0.92, 2], [[222, 50, 288, 208], 0.8, 2], [[206, 58, 276, 206], 0.55, 2],
    [[216, 38, 276, 108], 0.48, 2],
    [[146, 140, 186, 196], 0.3, -1],
  ]
  const PEOPLE = [[40, 40, 105, 200], [60, 42, 127, 203], [214, 40, 280, 200]]
  const SCORES_AT = { 0: [2, 60], 1: [131, 60], 2: [293, 60], "-1": [152, 135] } // beside each person

  const person = ([x1, y1, x2, y2]) => {
    const middle = (x1 + x2) / 2
    return svg("g", { class: "object" }, svg("circle", { cx: middle, cy: y1 + 22, r: 20 }),
      svg("path", { d: `M${x1 + 6} ${y2 - 2}V${y1 + 68}q0 -22 22 -22H${x2 - 28}q22 0 22 22V${y2 - 2}z` }))
  }

  const mount = (div) => {
    const frame = panel(div, "Non-maximum suppression",
      "Three people, ten boxes. Move the threshold: is there a value that leaves one box for each person? Then raise the lowest score, too.")
    const show = (value) => value.toFixed(2)
    const threshold = frame.range("IoU threshold", { min: 0, max: 1, step: 0.01, value: 0.3, show })
    const lowest = frame.range("Lowest score", { min: 0, max: 0.9, step: 0.05, value: 0, show })
    const deleted = frame.check("Show what NMS deletes", true)
    const picture = frame.picture(325, 190)
    picture.setAttribute("viewBox", "0 24 325 190")
    frame.start(() => {
      const used = DETECTIONS.filter(([, score]) => score >= lowest.valueAsNumber)
      const kept = suppress(used.map(([b]) => b), used.map(([, score]) => score), threshold.valueAsNumber)
      const marks = PEOPLE.map(person)
      used.forEach(([b], k) => {
        if (deleted.checked && !kept.includes(k)) marks.push(box(b, { class: "line two dashes thin" }))
      })
      for (const k of [...kept].reverse()) marks.push(box(used[k][0], { class: "line one" }))
      const lines = {}
      used.forEach(([, score, whose], k) => {
        const [x, y] = SCORES_AT[whose], line = lines[whose] = (lines[whose] ?? -1) + 1
        marks.push(svg("text", { x, y: y + 17 * line, class: kept.includes(k) ? "kept" : "gone" }, show(score)))
      })
      picture.replaceChildren(...marks)

      const whom = kept.map((k) => used[k][2])
      const found = PEOPLE.filter((_, k) => whom.includes(k)).length
      const spare = whom.filter((k) => k >= 0).length - found
      const wrong = whom.length - spare - found
      const count = (n, one, many) => `${n} ${n === 1 ? one : many}`
      const lost = PEOPLE.flatMap((_, k) => (whom.includes(k) ? [] : [["left", "middle", "right"][k]]))
      picture.describe(`Three people, the left two close together. ${kept.length} boxes with scores ${kept.map((k) => show(used[k][1])).join(", ")} are kept.`)
      frame.say(`${kept.length} of ${count(used.length, "box", "boxes")} kept: ${found} of 3 people, ${count(spare, "duplicate", "duplicates")}, ${count(wrong, "false alarm", "false alarms")}.`
        + (lost.length ? ` Lost: the ${lost.join(" and the ")} person.` : spare + wrong ? "" : " One box for each person."))
    })
  }

  explorables.nms = { suppress, mount }
})()
