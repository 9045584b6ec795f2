// The selectors of the ledger and of the index of techniques: they hide the rows that do not match, say
// how many do, and keep the choice in the address, so that a view can be linked to.
(() => {
  const ledger = document.querySelector(".ledger")
  const form = ledger.querySelector("form")
  const rows = [...ledger.querySelectorAll("li")]
  const { section, verdict, words } = form.elements
  const what = form.querySelector("output").textContent.split(" ")[1] // claims or snippets
  const choice = new URLSearchParams(location.search)
  for (const field of [section, verdict, words]) field.value = choice.get(field.name) ?? ""

  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean)
    let shown = 0
    for (const row of rows) {
      const text = row.textContent.toLowerCase()
      row.hidden = (section.value && row.dataset.section !== section.value) ||
        (verdict.value && row.dataset.verdict !== verdict.value) ||
        !wanted.every((word) => text.includes(word))
      shown += !row.hidden
    }
    for (const list of ledger.querySelectorAll("ul")) {
      const heading = list.previousElementSibling
      list.hidden = heading.hidden = !list.querySelector("li:not([hidden])")
      const letter = ledger.querySelector(`.letters a[href="#${heading.id}"]`)
      if (letter) letter.hidden = list.hidden
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} ${what}`
  }
  const keep = () => {
    const chosen = [...new FormData(form)].filter(([, value]) => value)
    const query = new URLSearchParams(chosen).toString()
    history.replaceState(null, "", query ? `?${query}` : location.pathname)
  }
  form.addEventListener("input", () => { show(); keep() })
  form.addEventListener("submit", (event) => event.preventDefault())
  form.hidden = false
  show()

  // A link to a row opens it.
  const open = () => {
    const row = document.getElementById(location.hash.slice(1))
    if (row?.querySelector("details")) row.querySelector("details").open = true
  }
  addEventListener("hashchange", open)
  open()
})()
