// Practice: deals the page's own questions one by one and keeps what you knew in this browser.
// Five boxes: what you knew moves up one box, what you did not know yet goes back to the first.
(() => {
  const KEY = "cnn-answer-book.practice"
  const FILE = "cnn-answer-book-progress.json"
  const WAIT = [0, 1, 3, 7, 21] // days until a question in box 1 to 5 comes back
  const GAP = 3 // questions until one that was not known comes back in the same round

  const list = document.querySelector(".practice")
  if (!list) return
  const questions = [...list.querySelectorAll("details[data-number]")].map((node) => ({
    number: node.dataset.number,
    section: node.dataset.section,
    difficulty: node.dataset.difficulty,
    title: node.querySelector("summary").textContent,
    answer: [...node.children].filter((child) => child.tagName !== "SUMMARY"),
  }))
  const sections = [...list.querySelectorAll("h2[id]")].map((node) => [node.id, node.firstChild.textContent.trim()])

  // What is kept: for each question its box, the day it is due and the time it was last asked.
  const empty = () => ({ version: 1, questions: {} })
  let memory = empty()
  let kept = true // false where the browser refuses to store
  const today = (ahead = 0) => {
    const now = new Date()
    return new Date(Date.UTC(now.getFullYear(), now.getMonth(), now.getDate() + ahead)).toISOString().slice(0, 10)
  }
  const isEntry = (entry) =>
    entry && Number.isInteger(entry.box) && entry.box >= 1 && entry.box <= WAIT.length &&
    /^\d{4}-\d\d-\d\d$/.test(entry.due) && Number.isFinite(entry.asked)
  const parse = (text) => {
    const data = JSON.parse(text)
    if (data.version !== 1 || !Object.values(data.questions).every(isEntry)) throw new Error("not a progress file")
    return data
  }
  const load = () => {
    try {
      if (kept) memory = parse(localStorage.getItem(KEY) || JSON.stringify(empty()))
    } catch (error) {
      kept = error.name !== "SecurityError" // anything else is an unreadable entry: the next answer replaces it
    }
    return memory.questions
  }
  const save = () => {
    try { localStorage.setItem(KEY, JSON.stringify(memory)) } catch { kept = false }
  }
  const isDue = (entry) => !entry || entry.due <= today()

  // The controls, built here because without this script they would do nothing.
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties)
    node.append(...children)
    return node
  }
  const button = (text, action, more = {}) => {
    const node = make("button", { type: "button", className: "md-button", textContent: text, ...more })
    node.addEventListener("click", action)
    return node
  }
  const select = (text, options) => {
    const node = make("select", {}, ...options.map(([value, label]) => make("option", { value, textContent: label })))
    node.addEventListener("change", () => { start(); say(`New selection. ${left()}`) })
    return [node, make("label", {}, text, node)]
  }
  const [section, sectionLabel] = select("Section", [["", "All sections"], ...sections])
  const [difficulty, difficultyLabel] = select("Difficulty", ["", "basic", "medium", "hard"].map((d) => [d, d || "all"]))
  const [order, orderLabel] = select("Order", [["random", "random"], ["listed", "as listed"]])
  const [which, whichLabel] = select("Deal", [["due", "what is due"], ["all", "all, due or not"]])
  const status = make("p", { className: "status" })
  status.setAttribute("role", "status")
  const title = make("h2", { tabIndex: -1 })
  const about = make("p", { className: "meta" })
  const answer = make("div", { className: "answer", tabIndex: -1 })
  answer.setAttribute("role", "group")
  answer.setAttribute("aria-label", "Short answer")
  const show = button("Show the answer", () => reveal())
  const missed = button("Not yet", () => rate(false))
  const known = button("I knew it", () => rate(true))
  const skip = button("Skip", () => { queue.push(queue.shift()); deal(true) })
  const undo = button("Undo", () => takeBack())
  const again = button("Deal them all", () => { which.value = "all"; start(true) })
  const actions = make("div", { className: "actions" }, show, missed, known, skip, undo, again)
  const keys = make("p", { className: "keys" })
  const shortcuts = [["Space", "shows the answer"], ["1", "not yet"], ["2", "I knew it"], ["0", "skips"], ["U", "takes the last one back"]]
  keys.append("Keys, once the focus is on the card: ")
  shortcuts.forEach(([key, effect], index) =>
    keys.append(make("kbd", { textContent: key }), ` ${effect}${index < shortcuts.length - 1 ? ", " : "."}`))
  const card = make("section", { className: "card" }, title, about, answer, actions)
  card.setAttribute("aria-label", "Question")
  const words = make("ul", { className: "progress" })
  const file = make("input", { type: "file", accept: ".json,application/json" })
  const note = make("p", { className: "note" })
  note.setAttribute("role", "status")

  // A round: a queue of questions; the first one is on the card.
  let queue = []
  let undone = null // how it was before the last answer
  let done = 0
  const left = () => (queue.length === 1 ? "1 question in this round." : `${queue.length} questions in this round.`)
  const say = (text) => { status.textContent = text }
  const selected = () => questions.filter((q) =>
    (!section.value || q.section === section.value) && (!difficulty.value || q.difficulty === difficulty.value))

  const start = (focus = false) => {
    const entries = load()
    queue = selected().filter((q) => which.value === "all" || isDue(entries[q.number]))
    if (order.value === "random") {
      for (let i = queue.length - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [queue[i], queue[j]] = [queue[j], queue[i]]
      }
    }
    done = 0
    undone = null
    say(left())
    deal(focus)
  }

  const deal = (focus) => {
    const question = queue[0]
    answer.hidden = true
    answer.replaceChildren()
    show.hidden = skip.hidden = !question
    skip.disabled = queue.length < 2
    missed.hidden = known.hidden = true
    undo.hidden = !undone
    again.hidden = Boolean(question) || !selected().length
    about.hidden = !question
    if (question) {
      const entry = load()[question.number]
      title.textContent = question.title
      const state = entry ? `box ${entry.box} of ${WAIT.length}` : "new"
      about.textContent = [sections.find(([id]) => id === question.section)[1], question.difficulty, state].join(" · ")
    } else {
      title.textContent = done ? "This round is done" : selected().length ? "Nothing is due here today" : "No such question"
      say(done ? `${done === 1 ? "1 answer" : `${done} answers`} in this round.` : nextDue())
    }
    tell()
    if (focus) title.focus({ preventScroll: true })
    if (focus && card.getBoundingClientRect().top < 60) card.scrollIntoView({ block: "center" })
  }

  const nextDue = () => {
    const entries = load()
    const days = selected().map((q) => entries[q.number]?.due).filter(Boolean).sort()
    return days.length ? `The next one is due on ${days[0]}.` : "Choose another section or difficulty."
  }

  const reveal = () => {
    answer.replaceChildren(...queue[0].answer.map((node) => node.cloneNode(true)))
    answer.hidden = false
    show.hidden = skip.hidden = true
    missed.hidden = known.hidden = false
    answer.focus({ preventScroll: true })
    actions.scrollIntoView({ block: "nearest" })
  }

  const rate = (knew) => {
    const entries = load()
    const question = queue[0]
    const before = entries[question.number]
    undone = { queue: [...queue], number: question.number, entry: before, done }
    const box = knew ? Math.min((before?.box ?? 1) + 1, WAIT.length) : 1
    entries[question.number] = { box, due: today(WAIT[box - 1]), asked: Date.now() }
    save()
    queue.shift()
    if (!knew) queue.splice(GAP, 0, question)
    done += 1
    const name = `Q${question.number}`
    const days = WAIT[box - 1]
    say((knew ? `${name}: known, back ${days === 1 ? "tomorrow" : `in ${days} days`}.`
      : `${name}: not yet, back ${queue.length > 1 ? "in this round" : "now"}.`) + ` ${left()}`)
    deal(true)
  }

  const takeBack = () => {
    const entries = load()
    if (undone.entry) entries[undone.number] = undone.entry
    else delete entries[undone.number]
    save()
    queue = undone.queue
    done = undone.done
    say(`Q${undone.number}: taken back.`)
    undone = null
    deal(true)
  }

  // Progress in words, a line a section.
  const tell = () => {
    const entries = load()
    const line = (name, some) => {
      const asked = some.map((q) => entries[q.number]).filter(Boolean)
      const knew = asked.filter((entry) => entry.box > 1).length
      const due = some.filter((q) => entries[q.number] && isDue(entries[q.number]) && entries[q.number].box > 1).length
      const parts = [`${knew} of ${some.length} known`]
      if (asked.length > knew) parts.push(`${asked.length - knew} not yet`)
      if (due) parts.push(`${due} to repeat today`)
      if (some.length > asked.length) parts.push(`${some.length - asked.length} new`)
      return make("li", {}, make("strong", { textContent: `${name}: ` }), `${parts.join(", ")}.`)
    }
    words.replaceChildren(
      ...sections.map(([id, name]) => line(name, questions.filter((q) => q.section === id))),
      line("Altogether", questions),
    )
    if (!kept) note.textContent = "This browser does not keep data for this page: export your progress before you leave."
  }

  const download = () => {
    load()
    const url = URL.createObjectURL(new Blob([JSON.stringify(memory, null, 1) + "\n"], { type: "application/json" }))
    make("a", { href: url, download: FILE }).click()
    setTimeout(() => URL.revokeObjectURL(url), 1000)
    note.textContent = `Saved as ${FILE} among your downloads.`
  }

  // Where both know a question, the later answer counts: a file from another device adds, it does not undo.
  const upload = async () => {
    try {
      const theirs = parse(await file.files[0].text()).questions
      const entries = load()
      let count = 0
      for (const { number } of questions) {
        if (!theirs[number] || entries[number]?.asked >= theirs[number].asked) continue
        const { box, due, asked } = theirs[number]
        entries[number] = { box, due, asked }
        count += 1
      }
      save()
      start()
      note.textContent = count === 1 ? "Imported: 1 answer that is newer." : `Imported: ${count} answers that are newer.`
    } catch {
      note.textContent = "That is not a progress file of this page. Nothing was changed."
    }
    file.value = "" // the same file may be chosen again
  }

  const forget = () => {
    if (!confirm("Forget which questions you knew, in all sections?")) return
    memory = empty()
    save()
    start()
    note.textContent = "Forgotten. All questions are new."
  }

  card.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const does = {
      " ": !show.hidden && !event.target.closest("button, a") && (() => reveal()),
      0: !skip.hidden && !skip.disabled && (() => skip.click()),
      1: !missed.hidden && (() => rate(false)),
      2: !known.hidden && (() => rate(true)),
      u: undone && (() => takeBack()),
    }[event.key.toLowerCase()]
    if (!does) return
    event.preventDefault()
    event.stopPropagation()
    does()
  })
  // A click on the card's text brings the focus, and so the keys, to it.
  card.addEventListener("click", (event) => { if (!event.target.closest("button, a, .answer")) title.focus() })
  window.addEventListener("storage", (event) => { if (event.key === KEY || event.key === null) tell() })

  const choose = make("label", { className: "md-button" }, "Import", file)
  file.addEventListener("change", upload)
  const whole = make("details", { className: "whole" }, make("summary", { textContent: `The whole list, ${questions.length} questions` }))
  list.before(
    make("div", { className: "deal" },
      make("div", { className: "choices" }, sectionLabel, difficultyLabel, orderLabel, whichLabel),
      status, card, keys,
      make("h2", { id: "progress", textContent: "What you knew" }), words,
      make("div", { className: "actions" }, button("Export", download), choose, button("Reset", forget)), note),
    whole)
  whole.append(list)
  // Targets in the folded list would unfold it: an address such as practice.html#robustness deals that section.
  list.querySelectorAll("h2[id]").forEach((node) => { node.removeAttribute("id"); node.querySelector("a")?.remove() })
  if (sections.some(([id]) => `#${id}` === location.hash)) section.value = location.hash.slice(1)
  start()
})()
