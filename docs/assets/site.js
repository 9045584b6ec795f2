// Formulas: KaTeX sets every TeX source that the page holds, and a mistake stays visible in red.
// It works in slices of a few milliseconds, so that a slow phone can answer its reader in between.
const formulas = [...document.querySelectorAll(".arithmatex")]
const setFormulas = () => {
  for (const start = performance.now(); formulas.length && performance.now() - start < 3;) {
    const node = formulas.shift()
    const display = node.tagName === "DIV"
    const tex = node.textContent.trim().slice(2, -2) // \( … \) or \[ … \]
    katex.render(tex, node, { displayMode: display, throwOnError: false })
  }
  if (formulas.length) setTimeout(setFormulas)
}
setTimeout(setFormulas)

// What the theme leaves out, after each change of the page or its size.
const mend = () => {
  // The buttons of a code block are no place to navigate to: no landmark, or a page has fifty.
  document.querySelectorAll(".md-code__nav:not([role])").forEach((node) => node.setAttribute("role", "none"))
  // A wide formula or table scrolls alone: where it does, the keyboard has to reach it.
  document.querySelectorAll("div.arithmatex, .md-typeset__scrollwrap").forEach((node) =>
    node.scrollWidth > node.clientWidth ? (node.tabIndex = 0) : node.removeAttribute("tabindex"))
}
let pause // it asks for widths: once after a burst of changes, not after each formula
const soon = () => { clearTimeout(pause); pause = setTimeout(mend, 100) }
new MutationObserver(soon).observe(document.body, { childList: true, subtree: true })
new ResizeObserver(soon).observe(document.body)

// A folded part opens where a link or a search result leads into it, as new browsers do by themselves.
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true
  target?.scrollIntoView()
}
addEventListener("hashchange", unfold)
if (location.hash) unfold()

// On paper follow-ups and symptoms stand unfolded; code stays folded, it is for copying.
{
  let closed = []
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("article details:not([open], .code)")]
    closed.forEach((details) => { details.open = true })
  })
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false }))
}

// The theme opens its menu on a narrow screen with a label, which no key reaches: a button takes its place.
{
  const drawer = document.getElementById("__drawer")
  const label = document.querySelector("label.md-header__button[for=__drawer]")
  const menu = document.createElement("button")
  Object.assign(menu, { type: "button", ariaLabel: "Menu", ariaExpanded: "false" })
  menu.className = `${label.className} menu`
  menu.append(...label.childNodes)
  menu.addEventListener("click", () => drawer.click())
  drawer.addEventListener("change", () => { menu.ariaExpanded = drawer.checked })
  label.replaceWith(menu)
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !drawer.checked) return
    drawer.click()
    menu.focus()
  })
}

// The search gives the focus back to where it was, once Esc has closed it.
{
  const search = document.querySelector(".md-search")
  let before
  search.addEventListener("focusin", ({ relatedTarget }) => {
    if (!search.contains(relatedTarget)) before = relatedTarget
  })
  search.addEventListener("keydown", ({ key }) => { if (key === "Escape") setTimeout(() => before?.focus()) })
}

// Of the theme's one-key shortcuts only / for the search stays. A letter must not leave the page: who speaks to
// a computer may say one by chance (WCAG 2.1.4). The theme listens on the window, behind the document.
document.addEventListener("keydown", (event) => { if (/^[a-z.,]$/i.test(event.key)) event.stopPropagation() })
