// Anchors on a photograph: which of them fit an object, by Faster R-CNN's rule.
(() => {
  const { svg, box, panel, iou } = explorables.tools

  // Anchors [x1, y1, x2, y2] cell by cell, column after column. A ratio is height / width.
  const anchors = (width, height, stride, sides, ratios) => {
    const found = []
    for (let x = stride / 2; x < width; x += stride)
      for (let y = stride / 2; y < height; y += stride)
        for (const side of sides)
          for (const ratio of ratios) {
            const w = side / Math.sqrt(ratio), h = side * Math.sqrt(ratio)
            found.push([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
          }
    return found
  }

  // For one object: each anchor's IoU and its label, 1 (object), 0 (background) or -1 (ignored).
  const match = (boxes, object, high = 0.7, low = 0.3) => {
    const overlap = boxes.map((one) => iou(one, object))
    const best = overlap.reduce((most, value) => Math.max(most, value), 0)
    const label = overlap.map((value) =>
      value >= high || (value === best && best > 0) ? 1 : value < low ? 0 : -1)
    return { overlap, label, best: overlap.indexOf(best) }
  }

  const WIDTH = 451, HEIGHT = 300
  const OBJECTS = {
    "the face, 270 × 298": [105, 1, 375, 299],
    "one eye, 50 × 60": [295, 107, 345, 167],
    "its pupil, 22 × 36": [304, 115, 326, 151],
    "the nose, 64 × 46": [228, 222, 292, 268],
    "whiskers, 130 × 32": [20, 198, 150, 230],
  }
  const RATIOS = { "1:1": [1], "1:2, 1:1, 2:1": [0.5, 1, 2], "1:4, 1:2, 1:1, 2:1, 4:1": [0.25, 0.5, 1, 2, 4] }
  const KINDS = { 1: "positive", 0: "negative", "-1": "ignored" }
  const same = (names) => Object.fromEntries(names.map((name) => [name, name]))

  const mount = (div) => {
    const frame = panel(div, "Anchors on a photograph",
      "Give each object an anchor with an IoU of 0.7. What do a small object, a wide one and a coarse stride need?")
    const object = frame.select("Object", same(Object.keys(OBJECTS)))
    const sides = frame.select("Scales", same(["256", "128, 256", "64, 128, 256", "32, 64, 128, 256"]), "64, 128, 256")
    const ratios = frame.select("Ratios h:w", same(Object.keys(RATIOS)), "1:2, 1:1, 2:1")
    const stride = frame.select("Stride", same(["8", "16", "32", "64"]), "16")
    const picture = frame.picture(WIDTH, HEIGHT)
    const photo = svg("image", { width: WIDTH, height: HEIGHT }), marks = svg("g")
    picture.append(photo, marks)
    const source = div.querySelector("img").src.replace(/[^/]+$/, "chelsea.webp")
    new IntersectionObserver(([entry], watch) => {
      if (!entry.isIntersecting) return
      photo.setAttribute("href", source)
      watch.disconnect()
    }, { rootMargin: "400px" }).observe(div)

    frame.start(() => {
      const step = Number(stride.value), shapes = sides.value.split(", ").map(Number), target = OBJECTS[object.value]
      const all = anchors(WIDTH, HEIGHT, step, shapes, RATIOS[ratios.value])
      const { overlap, label, best } = match(all, target)
      const each = shapes.length * RATIOS[ratios.value].length
      const cell = best - (best % each)
      let dots = ""
      for (let k = 0; k < all.length; k += each)
        dots += `M${(all[k][0] + all[k][2]) / 2} ${(all[k][1] + all[k][3]) / 2}h0`
      // The rule "or its best anchor" makes one positive; the colors show what its IoU alone says.
      const kind = (value) => (value >= 0.7 ? "fits" : value < 0.3 ? "misses" : "between")
      const drawn = all.slice(cell, cell + each).map((one, k) => box(one, { class: `anchor ${kind(overlap[cell + k])}` }))
      marks.replaceChildren(svg("path", { d: dots, class: "centers" }), ...drawn,
        box(all[best], { class: `anchor chosen ${kind(overlap[best])}` }), box(target, { class: "anchor object-box" }))

      const [x1, y1, x2, y2] = all[best], value = overlap[best].toFixed(2)
      const size = `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`
      const count = (kind) => label.filter((one) => KINDS[one] === kind).length
      picture.describe(`Photograph of a cat. White: ${object.value}. Thick: the best anchor, ${size}, with IoU ${value}; thin: the others of its cell.`)
      frame.say(`${each} anchors at each of ${all.length / each} cells. The best, ${size}, has IoU ${value}`
        + (overlap[best] >= 0.7 ? ": positive. " : " and is positive only by the rule “or its best anchor”. ")
        + `In all ${all.length}: ${count("positive")} positive, ${count("ignored")} ignored, ${count("negative")} negative.`)
    })
  }

  explorables.anchors = { anchors, match, mount }
})()
