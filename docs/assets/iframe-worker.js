// Search in pages opened from disk: browsers refuse them workers, so the search's worker runs in a
// hidden frame. The package iframe-worker does the same by writing a script into the frame, which
// the pages' Content-Security-Policy forbids. The name is the one that the offline plugin looks for.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      frame.contentDocument.open() // or a browser may put another empty document in its place
      frame.contentDocument.write("<body>")
      frame.contentDocument.close()
      this.scope = frame.contentWindow
      const load = (src) => new Promise((resolve, reject) => {
        const script = frame.contentDocument.createElement("script")
        Object.assign(script, { src, onload: resolve, onerror: reject })
        frame.contentDocument.body.append(script)
      })
      this.scope.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      this.scope.importScripts = (...urls) =>
        urls.reduce((before, next) => before.then(() => load(next)), Promise.resolve())
      this.ready = load(url)
    }
    postMessage(data) {
      this.ready.then(() => this.scope.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
