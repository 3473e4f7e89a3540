"use strict"
/* What labels tables without a server: the engine as WebAssembly and the model, in threads that this page brings along. */
const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~"
/* Base 85, each five letters four bytes, as Python has it, with a comma in place of "<". */
function bytes_of(text) {
  const places = Object.fromEntries([...LETTERS].map((letter, i) => [letter, i])), view = new DataView(new ArrayBuffer(Math.ceil(text.length / 5) * 4))
  for (let at = 0; at < text.length; at += 5) {
    let number = 0
    for (let k = at; k < at + 5; k++) number = 85 * number + (places[text[k]] ?? 84)
    view.setUint32(at / 5 * 4, number)
  }
  return new Uint8Array(view.buffer, 0, Math.floor(text.length * 4 / 5))
}
async function brought(name) {
  try {
    return await new Response(new Blob([bytes_of(document.getElementById(name).textContent)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
  } catch { throw Error("This page is damaged: it was cut short or changed on its way. Get it again.") }
}
const engine = {
  accept: ".csv,.tsv,.jsonl,.ndjson,.csv.gz,.tsv.gz,.jsonl.gz", formats: "CSV, TSV or JSON lines",
  keeps: "The table stays on this machine: the page labels it by itself, and may not reach the network.",
  async models() {
    const [code, engine, described, weights] = await Promise.all(["worker", "wasm", "described", "weights"].map(brought))
    this.thread = new Thread(code, say)
    return [await this.thread.ask("begin", {engine, described, weights, code})]
  },
  card() { return this.thread.ask("card") },
  view(model, file) { return this.thread.ask("view", {file}) },
  table(model, file, threshold) { return this.thread.ask("table", {file, threshold}) },
}
function stop() {}  /* nothing is live here */
