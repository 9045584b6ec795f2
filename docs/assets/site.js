// Formulas: KaTeX sets every TeX source that the page holds, and a mistake stays visible in red.
document.querySelectorAll(".arithmatex").forEach((node) => {
  const display = node.tagName === "DIV"
  const tex = node.textContent.trim().slice(2, -2) // \( … \) or \[ … \]
  katex.render(tex, node, { displayMode: display, throwOnError: false })
})

// What the theme leaves out, after each change of the page or its size.
const mend = () => {
  // The navigation landmark in each code block has no name; a screen reader needs one.
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((node) =>
    node.setAttribute("aria-label", "Code block actions"))
  // A wide formula or table scrolls alone: where it does, the keyboard has to reach it.
  document.querySelectorAll("div.arithmatex, .md-typeset__scrollwrap").forEach((node) =>
    node.scrollWidth > node.clientWidth ? (node.tabIndex = 0) : node.removeAttribute("tabindex"))
}
let frame
const soon = () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(mend) }
new MutationObserver(soon).observe(document.body, { childList: true, subtree: true })
new ResizeObserver(soon).observe(document.body)
