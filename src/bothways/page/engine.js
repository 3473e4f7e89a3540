"use strict"
/* What labels tables without a server: the engine as WebAssembly and the model, in a thread that this page brings along. */
async function brought(name) {
  try {
    const bytes = Uint8Array.from(atob(document.getElementById(name).textContent), letter => letter.charCodeAt(0))
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
  } catch { throw Error("This page is damaged: it was cut short or changed on its way. Get it again.") }
}
const engine = {
  accept: ".csv,.tsv,.jsonl,.ndjson,.csv.gz,.tsv.gz,.jsonl.gz", formats: "CSV, TSV or JSON lines",
  keeps: "The table stays on this machine: the page labels it by itself, and may not reach the network.",
  asked: 0, waiting: new Map(),
  ask(what, how = {}) {
    return new Promise((done, failed) => {
      const id = ++this.asked
      this.waiting.set(id, [done, failed])
      this.worker.postMessage({id, what, ...how})
    })
  },
  over(text) { for (const [, failed] of this.waiting.values()) failed(Error(text)); this.waiting.clear() },
  async models() {
    const [code, engine, model] = await Promise.all(["worker", "wasm", "weights"].map(brought))
    this.worker = new Worker(URL.createObjectURL(new Blob([code], {type: "text/javascript"})))
    this.worker.onerror = event => { event.preventDefault(); this.over("The page failed: " + (event.message || "its engine did not start") + ".") }
    this.worker.onmessage = ({data: {id, result, error, progress}}) => {
      if (progress) return say(progress)
      const [done, failed] = this.waiting.get(id)
      this.waiting.delete(id)
      error === undefined ? done(result) : failed(Error(error))
    }
    return [await this.ask("begin", {engine, model})]
  },
  card() { return this.ask("card") },
  view(model, file) { return this.ask("view", {file}) },
  table(model, file, threshold) { return this.ask("table", {file, threshold}) },
}
