/* What labels tables: the server. A page that needs none has engine.js in the place of this script.
   accept, formats, keeps: what it takes, in words, and where that goes; programs: whether there is something for programs.
   models() -> names; card(model) -> what /models/NAME gives; view(model, file) -> what /label gives as JSON;
   table(model, file, threshold) -> a Blob; and where there are streams, stream(model, lookahead, said, ended) and
   watch(model, said, ended) -> {send(text), close()}; said(lines), ended(why). */
const KINDS = {csv: "text/csv", tsv: "text/tab-separated-values", jsonl: "application/jsonl", ndjson: "application/jsonl",
  parquet: "application/vnd.apache.parquet"}
const engine = {
  key: "", programs: true,
  accept: ".csv,.tsv,.jsonl,.ndjson,.csv.gz,.tsv.gz,.jsonl.gz,.parquet", formats: "CSV, TSV, JSON lines or Parquet",
  keeps: "The table goes to this server and nowhere else, and is not kept.",
  async ask(path, options = {}) {
    if (this.key) options.headers = {...options.headers, Authorization: "Bearer " + this.key}
    let answer
    try { answer = await fetch(path, options) } catch { throw Error("The server does not answer. Is it still running?") }
    if (answer.ok) return answer
    const error = Error((await answer.json().catch(() => ({}))).error || "The server failed (" + answer.status + ").")
    throw Object.assign(error, {status: answer.status})
  },
  async models() { return (await (await this.ask("v2/models")).json()).models },
  async card(model) { return (await this.ask("models/" + encodeURIComponent(model))).json() },
  send(model, file, accept, query = "") {
    const name = file.name.toLowerCase(), packed = name.endsWith(".gz"), kind = KINDS[name.replace(/\.gz$/, "").split(".").pop()]
    if (!kind) throw Error("This file is no table that can be read here. It must end in .csv, .tsv, .jsonl or .parquet.")
    const headers = {"Content-Type": kind, Accept: accept || kind, ...packed && {"Content-Encoding": "gzip"}}
    const answer = this.ask("label/" + encodeURIComponent(model) + query, {method: "POST", body: file, headers})
    return answer.catch(error => { error.message = this.named(error.message, file); throw error })
  },
  /* What the server says of a table, which it calls "table", with the name that it has here. */
  named: (text, file) => text.replace(/^table\.(csv|tsv|jsonl|parquet)\b/, file.name),
  async view(model, file) {
    const found = await (await this.send(model, file, "application/json")).json()
    return {...found, notices: found.notices.map(text => this.named(text, file))}
  },
  async table(model, file, threshold) {
    return (await this.send(model, file, "", threshold === null ? "" : "?threshold=" + threshold)).blob()
  },
  talk(path, said, ended) {
    const url = new URL(path, location)
    url.protocol = url.protocol.replace("http", "ws")
    const socket = new WebSocket(url), waiting = this.key ? [JSON.stringify({authorization: "Bearer " + this.key})] : []
    socket.onopen = () => waiting.forEach(text => socket.send(text))
    socket.onmessage = message => said(message.data.trim().split("\n").map(line => JSON.parse(line)))
    socket.onclose = end => ended(end.reason)
    return {send: text => socket.readyState ? socket.send(text) : waiting.push(text), close: () => socket.close()}
  },
  stream(model, lookahead, ...how) { return this.talk("stream/" + encodeURIComponent(model) + "?lookahead=" + lookahead, ...how) },
  watch(model, ...how) { return this.talk("watch/" + encodeURIComponent(model), ...how) },
}
