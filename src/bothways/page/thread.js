/* A thread of its own. It answers messages {id, what, ...} with {id, result} or {id, error}, and may tell of its {progress}. */
class Thread {
  constructor(code, progress) {
    this.asked = 0
    this.waiting = new Map()
    this.worker = new Worker(URL.createObjectURL(new Blob([code], {type: "text/javascript"})))
    this.worker.onerror = event => {
      event.preventDefault()
      for (const [, failed] of this.waiting.values()) failed(Error("The page failed: " + (event.message || "its engine did not start") + "."))
      this.waiting.clear()
    }
    this.worker.onmessage = ({data: {id, result, error, progress: said}}) => {
      if (said) return progress(said)
      const [done, failed] = this.waiting.get(id)
      this.waiting.delete(id)
      error === undefined ? done(result) : failed(Error(error))
    }
  }
  ask(what, how = {}) {
    return new Promise((done, failed) => {
      this.waiting.set(++this.asked, [done, failed])
      this.worker.postMessage({id: this.asked, what, ...how})
    })
  }
}
