// Formulas: KaTeX sets every TeX source that the page holds, and a mistake stays visible in red.
document.querySelectorAll(".arithmatex").forEach((node) => {
  const display = node.tagName === "DIV"
  const tex = node.textContent.trim().slice(2, -2) // \( … \) or \[ … \]
  katex.render(tex, node, { displayMode: display, throwOnError: false })
})

// The theme adds a nameless navigation landmark to each code block; a screen reader needs a name.
const name = (node) => node.setAttribute("aria-label", "Code block actions")
new MutationObserver(() => document.querySelectorAll(".md-code__nav:not([aria-label])").forEach(name))
  .observe(document.body, { childList: true, subtree: true })
