// Abbreviations: the first of its kind in each question is marked, unless its paragraph spells it out, and says
// what it means where a pointer rests on it, a finger taps it or the Tab key reaches it. Esc puts the text away.
(() => {
  const terms = JSON.parse(document.getElementById("terms").textContent)
  const article = document.querySelector("article")
  const longestFirst = Object.keys(terms).sort((a, b) => b.length - a.length)
  const word = RegExp(`(?<![\\w-])(${longestFirst.join("|")})s?(?!\\w)`)
  const skipped = "a, pre, code, figure, .arithmatex, .admonition-title, .meta, .stamp, .explorable"

  const mark = (text, seen) => {
    const found = word.exec(text.data)
    if (!found) return
    const [whole, short] = found
    const name = text.splitText(found.index)
    const rest = name.splitText(whole.length)
    const spelled = terms[short].split(". ")[0].toLowerCase()
    if (!seen.has(short) && !text.parentElement.closest("p, li, td").textContent.toLowerCase().includes(spelled)) {
      const abbr = document.createElement("abbr")
      abbr.className = "term"
      abbr.tabIndex = 0
      abbr.dataset.term = short
      name.replaceWith(abbr)
      abbr.append(name)
    }
    seen.add(short)
    mark(rest, seen)
  }

  let seen
  let prose = true
  for (const block of [...article.children]) {
    if (block.matches("h2")) seen = new Set()
    if (block.matches("h2, h3")) prose = !block.id.endsWith("-sources")
    if (!seen || !prose) continue
    const walker = document.createTreeWalker(block, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
      node.nodeType === Node.TEXT_NODE ? NodeFilter.FILTER_ACCEPT
        : node.matches(skipped) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP)
    const texts = []
    if (!block.matches(skipped)) while (walker.nextNode()) texts.push(walker.currentNode)
    for (const text of texts) if (text.parentElement.closest("p, li, td")) mark(text, seen)
  }

  const tip = document.createElement("div")
  tip.id = "term-tip"
  tip.setAttribute("role", "tooltip")
  tip.hidden = true
  article.append(tip)
  let shown // the abbreviation whose text stands there
  let timer

  const hide = () => {
    clearTimeout(timer)
    tip.hidden = true
    shown?.removeAttribute("aria-describedby")
    shown = null
  }
  const show = (abbr) => {
    hide()
    shown = abbr
    abbr.setAttribute("aria-describedby", tip.id)
    tip.textContent = terms[abbr.dataset.term]
    tip.hidden = false
    const [at, frame] = [abbr.getClientRects()[0], tip.offsetParent.getBoundingClientRect()]
    const left = Math.min(at.left, article.getBoundingClientRect().right - tip.offsetWidth)
    const top = at.bottom + tip.offsetHeight > innerHeight ? at.top - tip.offsetHeight : at.bottom
    tip.style.left = `${left - frame.left}px`
    tip.style.top = `${top - frame.top}px`
  }
  const soon = (action, abbr) => { clearTimeout(timer); timer = setTimeout(action, 200, abbr) }

  article.addEventListener("focusin", (event) => { if (event.target.matches(".term")) show(event.target) })
  article.addEventListener("focusout", hide)
  document.addEventListener("pointerover", ({ target, pointerType }) => {
    if (pointerType === "touch") return
    const abbr = target.closest(".term")
    if (abbr) soon(show, abbr)
    else if (tip.contains(target) || shown === document.activeElement) clearTimeout(timer)
    else soon(hide)
  })
  document.addEventListener("pointerdown", ({ target }) => {
    const abbr = target.closest(".term")
    if (abbr) show(abbr)
    else if (!tip.contains(target)) hide()
  })
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hide() })
})()
