// Between the search box and the theme's worker, which matches every word that begins as typed and knows
// no misspelling: words that say nothing are left out, a whole word counts more than a beginning, and a
// word that the index does not have gives way to its nearest neighbor there, which the page then says.
{
  const SILENT = new Set((
    "a about after all also am among an and any are as at be because been best between but by can cannot " +
    "cnn cnns could deal did difference do does every example explain for from get had has have how i if " +
    "in into is it its like may me mean means might most much must my no not of often on only or other " +
    "our own should since so some than that the their them then there these they this to too us use used " +
    "using versus vs was we were what when where which while who why will with without work works would " +
    "you your"
  ).split(" "))
  const WHOLE = 4 // times the weight of a word that only begins as typed

  /** Edit distance of `word` to `other`, or to its nearest beginning; a swap of neighbors is one edit. */
  const distance = (word, other, beginning) => {
    let before, last = Array.from({ length: other.length + 1 }, (_, j) => j)
    for (let i = 1; i <= word.length; i++) {
      const row = [i]
      for (let j = 1; j <= other.length; j++) {
        const same = word[i - 1] === other[j - 1]
        row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + !same)
        if (i > 1 && j > 1 && word[i - 1] === other[j - 2] && word[i - 2] === other[j - 1])
          row[j] = Math.min(row[j], before[j - 2] + 1)
      }
      [before, last] = [last, row]
    }
    return beginning ? Math.min(...last) : last[other.length]
  }

  let separator, vocabulary // word: how often it occurs, more for titles and keywords
  const learn = ({ config, docs }) => {
    separator = new RegExp(config.separator)
    vocabulary = new Map()
    for (const { title, keywords = "", text } of docs)
      for (const [words, weight] of [[title, 10], [keywords, 10], [text, 1]])
        for (const word of words.toLowerCase().split(separator))
          vocabulary.set(word, (vocabulary.get(word) || 0) + weight)
  }

  const known = (beginning) => [...vocabulary.keys()].some((word) => word.startsWith(beginning))

  /** `word` or, where nothing begins like it, the nearest known word within one edit, for long words two. */
  const correct = (word, unfinished) => {
    if (word.length < 5 || /[^a-z]/.test(word) || known(word)) return word
    let best = word, least = (word.length < 8 ? 1 : 2) + 0.9
    for (const [other, count] of vocabulary) {
      if (other[0] !== word[0] || other.length < word.length - 2) continue
      let edits = distance(word, other)
      if (unfinished && word.length > 6) edits = Math.min(edits, distance(word, other, true) + 0.5)
      edits += 0.4 / count // of equally near words the most frequent
      if (edits < least) [best, least] = [other, edits]
    }
    return best
  }

  const say = (text) => {
    const line = document.querySelector(".search-corrected") // a live region: only a change is news
    if (line.textContent !== text) line.textContent = text
  }

  const rewrite = (query) => {
    if (/["*+~^]|(^|\s)-/.test(query)) return say(""), query // who writes the search's operators means them
    const joined = query.toLowerCase().replace(/\b([a-z])-([a-z]+)/g, // u-net is one word, unet, if that is known
      (word, letter, rest) => known(letter + rest) ? letter + rest : word)
    const typed = joined.split(separator).filter(Boolean)
    const telling = typed.filter((word) => word.length > 1 && !SILENT.has(word))
    const words = telling.length ? telling : typed
    const found = words.map((word, i) => correct(word, i === words.length - 1 && joined.endsWith(word)))
    say(words.every((word, i) => word === found[i]) ? ""
      : `Showing results for “${found.join(" ")}” instead of “${words.join(" ")}”.`)
    return found.map((word) => `${word}^${WHOLE} ${word}`).join(" ")
  }

  const SETUP = 0, QUERY = 2 // types of the theme's messages
  let index
  window.Worker = class extends window.Worker {
    postMessage(message) {
      if (message.type === SETUP) index = message.data
      if (message.type === QUERY && !vocabulary) learn(index) // not before the reader types
      super.postMessage(message.type === QUERY ? { ...message, data: rewrite(message.data) } : message)
    }
  }
}
