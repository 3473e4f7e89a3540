/* What labels tables without a server: the engine as WebAssembly and the model, in threads that this page brings along. */
const engine = {
  accept: ".csv,.tsv,.psv,.tab,.dat,.data,.txt,.jsonl,.ndjson,.csv.gz,.tsv.gz,.jsonl.gz", formats: "CSV, TSV or JSON lines",
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
