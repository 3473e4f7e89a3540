/* A table in a file -> columns -> sequences, as bothways.data reads it; and the same file with labels. Only columns that the
   model needs are kept; the file is read in pieces, and once more to be written. */
const MOST_BYTES = 200e6, MOST_STEPS = 1e6, SEPARATORS = ",;\t|", HEAD_LINES = 21, MOST_COMMENTS = 100, MOST_ALIKE = 0.8
const MISSING = new Set(["?", "-", "--", "n/a", "#n/a", "na", "<na>", "null", "none", "nan", "-nan", "inf", "+inf", "-inf",
  "infinity", "+infinity", "-infinity"])
const megabytes = bytes => Math.round(bytes / 1e6) + " MB"
const count = (n, one) => n.toLocaleString("en") + " " + one + (n === 1 ? "" : "s")

async function* pieces(file, encoding) {
  const stream = file.name.toLowerCase().endsWith(".gz") ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream()
  const reader = stream.getReader(), decoder = new TextDecoder(encoding, {fatal: true})
  for (let bytes = 0, told = 0; ;) {
    const {value: some, done} = await reader.read()
    if (done) break
    bytes += some.length
    if (bytes > MOST_BYTES) throw too_large(file)
    const text = decoder.decode(some, {stream: true})
    if (text.includes("\0")) throw Error(file.name + ": this file holds bytes that are no text.")
    if (bytes > told + 1e7) { told = bytes; progress("Reading the table… " + megabytes(bytes)) }
    yield text
  }
  yield decoder.decode()
}
const too_large = file => Error(`${file.name} is larger than ${megabytes(MOST_BYTES)}, the most that this page reads. Cut it into several files, or label it with "bothways predict".`)

/* Calls use(lines) with records as they come; those of CSV go on where a quote is open. */
async function records(file, encoding, quoted, use) {
  const odd = line => { let n = 0; for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) n++; return n % 2 }
  let rest = "", held = null
  for await (const text of pieces(file, encoding)) {
    const lines = (rest + text).split("\n"), out = []
    rest = lines.pop()
    for (const line of lines) {
      if (held !== null) { held += "\n" + line; if (odd(line)) { out.push(held); held = null } }
      else if (quoted && line.includes('"') && odd(line)) held = line
      else out.push(line)
    }
    if (out.length) use(out)
  }
  if (held !== null) throw Error(file.name + ": a quote is not closed.")
  if (rest) use([rest])
}
function fields_of(record, separator) {
  if (record.endsWith("\r")) record = record.slice(0, -1)
  if (!record.includes('"')) return record.split(separator)
  const fields = []
  for (let at = 0; ;) {
    let end
    if (record[at] === '"') {
      for (end = record.indexOf('"', at + 1); record[end + 1] === '"'; end = record.indexOf('"', end + 2)) ;
      fields.push(record.slice(at + 1, end++).replaceAll('""', '"'))
      if (end < record.length && record[end] !== separator) throw Error(`The line ${JSON.stringify(record.slice(0, 60))} has text after a quote that was closed.`)
    } else {
      end = record.indexOf(separator, at)
      if (end < 0) end = record.length
      fields.push(record.slice(at, end))
    }
    if (end >= record.length) return fields
    at = end + 1
  }
}
/* The separator with which most of the first lines have as many fields as the header; of several the one with most fields. */
function separator_of(lines) {
  const shape = separator => {
    const [header, ...rows] = lines.map(line => { try { return fields_of(line, separator).length } catch { return 0 } })
    const full = lines.slice(1).map((line, i) => line.trim() ? rows[i] : 0).filter(n => n)
    const share = full.filter(n => n === header).length / Math.max(full.length, 1)
    return [full.length && header > 1 ? share : 0, share, header]
  }
  const shapes = [...SEPARATORS].map(separator => [separator, ...shape(separator)])
  return shapes.reduce((best, each) => {
    for (let i = 1; i < 4; i++) if (each[i] !== best[i]) return each[i] > best[i] ? each : best
    return best
  })[0]
}

/* How many lines that begin with "#" stand before the header, which may begin so itself. */
function comments_of(lines) {
  const first = Math.max(lines.findIndex(line => line[0] !== "#"), 0), [last, after] = lines.slice(first - 1)
  const fits = separator => last.includes(separator) && last.split(separator).length === after.split(separator).length
  return first && [...SEPARATORS].some(fits) ? first - 1 : first
}
/* How many lines of a title stand before the header: with half as many fields as most lines, or fewer; before the first line of
   which most fields are filled, those that are empty do not count. The header is the first line of as many fields as most; it
   holds no number. By the separator with which most lines are alike after it. */
function title_of(lines) {
  let title = 0, alike = 0
  for (const separator of SEPARATORS) {
    let rows
    try { rows = lines.map(line => line.trim() ? fields_of(line, separator) : []) } catch { continue }
    const filled = rows.map(row => row.filter(field => field).length), first = rows.findIndex((row, i) => 2 * filled[i] > row.length)
    const counts = rows.map((row, i) => i < first || first < 0 ? filled[i] : row.length), later = counts.slice(Math.floor(counts.length / 2)).filter(n => n)
    const times = n => later.filter(each => each === n).length
    const most = later.reduce((best, n) => times(n) > times(best) ? n : best, later[0] ?? 0), start = most > 1 ? counts.indexOf(most) : 0
    const table = counts.slice(start).filter(n => n), share = table.filter(n => n === most).length / table.length
    if (most < 2 || share < MOST_ALIKE || share < alike || (share === alike && start >= title)) continue
    const whole = !start || (most > 2 && 2 * Math.max(...counts.slice(0, start)) <= most && rows[start].every(name => isNaN(plain(name))))
    if (whole) [title, alike] = [start, share]
  }
  return title
}
/* Whether the first row below the names holds units: no number where the other rows have nothing else, and text at one such place
   at least; elsewhere nothing, or text without digits that none of them has. bothways.data.headers */
const NUMBER = /^[-+(]*[$€£¥]?[-+]?\s*[.,]?\d[\d.,'\u2019 \u00a0\u202f]*(?:[eE][-+]?\d+)?\s*[%$€£¥)]*$/
function are_units([first, ...others]) {
  if (!first?.some(field => field) || others.length < 3) return false
  let shown = 0
  for (const [at, text] of first.entries()) {
    const field = text.trim(), known = text => text && !MISSING.has(text.toLowerCase())
    const below = others.map(row => (row[at] ?? "").trim()).filter(known)
    if (below.length && below.every(text => NUMBER.test(text))) {
      if (NUMBER.test(field)) return false
      shown += known(field) ? 1 : 0
    } else if (below.includes(field) || /\d/.test(field)) return false
  }
  return shown > 0
}
/* The names, those that come again with a number. */
function told_apart(names) {
  const found = []
  for (const [at, name] of names.entries()) {
    let number = 1, free = name
    while (number > 1 ? names.includes(free) || found.includes(free) : names.indexOf(name) < at) free = `${name}_${++number}`
    found.push(free)
  }
  return found
}
/* Whether the last row is a total: its first field says so and not that of the row before, and at least half of the other fields
   are empty that are not in the row before. */
const TOTALS = new Set(("total totals sum sums subtotal summe summen gesamt gesamtsumme insgesamt endsumme zwischensumme somme " +
  "totaux totale totali suma sous-total").split(" ").concat("grand total"))
function is_total(last, before) {
  const field = (row, at) => (row[at] ?? "").trim(), word = row => field(row, at).replace(/[: ]+$/, "").toLowerCase()
  const at = last.findIndex(text => text.trim()), filled = before.map((_, i) => i).filter(i => i !== at && field(before, i))
  const gone = filled.filter(i => !field(last, i)).length
  return TOTALS.has(word(last)) && !TOTALS.has(word(before)) && gone > 0 && 2 * gone >= filled.length
}
/* Whether all fields of a row of several columns are empty. */
const is_blank = (fields, names) => names.length > 1 && fields.every(field => !field)

const ending = file => file.name.toLowerCase().replace(/\.gz$/, "").split(".").pop()
async function encoding_of(file) {
  const [a, b] = new Uint8Array(await file.slice(0, 2).arrayBuffer())
  return a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : "utf-8"
}
/* {encoding, separator, comments, units, names, columns, rows, notices}: of each column that is needed the fields, null where nothing
   stands; how many lines of comments stand before the header. */
async function read_table(file, needed) {
  if (!["csv", "tsv", "jsonl", "ndjson"].includes(ending(file))) throw Error("This file is no table that can be read here. It must end in .csv, .tsv or .jsonl.")
  if (file.size > MOST_BYTES) throw too_large(file)
  const encoding = await encoding_of(file)
  try { return await read_as(file, needed, encoding) } catch (error) {
    if (!(error instanceof TypeError) || encoding !== "utf-8" || file.name.endsWith(".gz")) throw error
  }
  const table = await read_as(file, needed, "windows-1252")
  return {...table, notices: [file.name + ": this is not UTF-8; it is read as Windows-1252 (Western European). If letters look wrong, save it as UTF-8.", ...table.notices]}
}
const read_as = (file, ...how) => (ending(file).endsWith("sv") ? read_csv : read_json)(file, ...how)
const require_columns = (file, names, needed) => {
  const missing = needed.filter(name => !names.includes(name))
  if (missing.length) {
    const shown = names.slice(0, 20).map(name => JSON.stringify(name)).join(", ") + (names.length > 20 ? ", …" : "")
    throw Error(`${file.name}: there is no column ${missing.map(name => JSON.stringify(name)).join(", nor ")}, which the model needs. The columns are: ${shown}.`)
  }
}
async function read_csv(file, needed, encoding) {
  let head = [], comments, separator, units, names, places, rows = 0, blank = 0, before = [], last = []
  const notices = []
  const columns = Object.fromEntries(needed.map(name => [name, []]))
  const begin = () => {
    head = head.slice(head.findIndex(line => line.trim()))
    comments = comments_of(head)
    head = head.slice(comments)
    const title = head.slice(0, title_of(head.slice(0, MOST_COMMENTS)))
    if (title.length) notices.push(`${file.name}: ${count(title.length, "line")} before the header ${title.length === 1 ? "is" : "are"} left out.`)
    comments += title.filter(line => line.trim()).length
    head = head.slice(title.length)
    if (!head.some(line => line.trim())) throw Error(file.name + ": this file is empty.")
    separator = separator_of(head.slice(0, HEAD_LINES))
    const bare = fields_of(head.shift(), separator), below = head.slice(0, HEAD_LINES).map(line => fields_of(line, separator))
    names = told_apart(bare.map((name, i) => name || (i ? `column ${i + 1}` : "")))
    units = are_units(below.filter((row, i) => !i || row.some(field => field)))
    const more = (name, i) => below[0][i]?.trim() && (!name || bare.indexOf(name) !== bare.lastIndexOf(name))
    if (units && bare.some(more)) throw Error(`${file.name}: the header takes several rows. Write it in one.`)
    if (units) notices.push(`${file.name}: the row of units below the names is left out.`)
    if (units) head.shift()
    require_columns(file, names, needed)
    places = needed.map(name => [columns[name], names.indexOf(name)])
    const lines = head
    head = null
    add(lines)
  }
  const add = lines => {
    for (const line of lines) {
      const fields = fields_of(line, separator)
      if (fields.length > names.length) throw Error(`${file.name}, data row ${rows + 1}: this line has more fields than the header has columns. Quote fields that hold the separator.`)
      if (is_blank(fields, names)) { blank++; continue }
      for (const [column, place] of places) column.push(fields[place]?.trim() || null)
      rows++
      before = last
      last = fields
    }
  }
  await records(file, encoding, true, lines => {
    if (!head) return add(lines)
    head.push(...lines)
    if (head.length > MOST_COMMENTS) begin()
  })
  if (head) begin()
  if (names.length > 1 && is_total(last, before)) {
    for (const [column] of places) column.pop()
    rows--
    notices.push(`${file.name}: the last row is a total ('${last.find(text => text.trim()).trim()}') and is left out.`)
  }
  if (!rows) throw Error(`${file.name}: this table has no rows. ${INSTEAD}`)
  if (blank) notices.push(`${file.name}: ${count(blank, "row")} without any value ${blank === 1 ? "is" : "are"} left out.`)
  return {encoding, separator, comments, units, names, columns, rows, notices}
}
async function read_json(file, needed, encoding) {
  const columns = Object.fromEntries(needed.map(name => [name, []])), names = new Set()
  let rows = 0
  await records(file, encoding, false, lines => {
    for (const line of lines) {
      if (!line.trim()) continue
      let entry
      try { entry = JSON.parse(line) } catch { }
      if (typeof entry !== "object" || !entry || Array.isArray(entry)) throw Error(`${file.name}, line ${rows + 1}: this is no JSON object; there must be one on each line.`)
      Object.keys(entry).forEach(name => names.add(name))
      for (const name of needed) {
        const field = entry[name] ?? null
        if (typeof field === "object" && field) throw Error(`${file.name}, line ${rows + 1}: ${JSON.stringify(name)} is a list or an object; this page reads a row per line.`)
        columns[name].push(typeof field === "string" ? field.trim() || null : typeof field === "boolean" ? String(field) : field)
      }
      rows++
    }
  })
  if (!rows) throw Error(file.name + ": this table has no rows.")
  require_columns(file, [...names], needed)
  return {encoding, separator: null, names: [...names], columns, rows, notices: []}
}

/* ---- what fields of text mean: bothways.data.fields */
const PLAIN = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/, LONE = /^[+-]?[1-9]\d{0,2}(?:\.\d{3})*$/
const ADDRESS = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/
const plain = text => typeof text === "number" ? text : PLAIN.test(text) ? +text : NaN
/* The numbers of fields, NaN where one is missing; null if a field is none. */
function converted(fields, convert) {
  const out = new Float64Array(fields.length)
  for (let i = 0; i < fields.length; i++) {
    if (fields[i] === null) { out[i] = NaN; continue }
    out[i] = convert(fields[i])
    if (!Number.isFinite(out[i])) return null
  }
  return out
}
function separated(fields, sign) {
  const found = new Map(), unit_of = text => text.replace(/[^$€£¥%]/g, "")
  for (const text of fields) if (text !== null && unit_of(String(text))) found.set(unit_of(text), (found.get(unit_of(text)) || 0) + 1)
  const most = Math.max(0, ...found.values()), unit = most ? [...found.keys()].filter(key => found.get(key) === most).sort()[0] : ""
  const thousands = "'’ \u00a0\u202f" + (sign === "," ? "." : ",")
  const grouped = `[1-9]\\d{0,2}(?:[${thousands}]\\d{3})+(?:[${sign}]\\d*)?`, bare = `\\d*(?:[${sign}]\\d*)?(?:[eE][+-]?\\d+)?`
  const fits = RegExp(`^[+-]?(?:${grouped}|${bare})$`), apart = RegExp(`[${thousands}]`, "g")
  return converted(fields, text => {
    text = String(text).replace(/^\(([$€£¥]?)\s*([\d.,].*)\)$/, "$1-$2")
    if (unit_of(text) !== unit) return NaN
    if (unit) text = text.replace(/^[$€£¥]\s*|\s*[$€£¥%]$/, "")
    return fits.test(text) && !ADDRESS.test(text) ? plain(text.replace(apart, "").replace(",", ".")) : NaN
  })
}
const CLOCK = "(?<hour>\\d{1,2}):(?<minute>\\d{2})(?::(?<second>\\d{2})(?:[.,](?<fraction>\\d+))?)?(?: ?(?<half>[AaPp])\\.?[Mm]\\.?)?"
const TIME = RegExp(`^${CLOCK}$`)
const NAME = "\\p{L}{3,10}\\.?", ZONE = "(?: ?(?<zone>Z|UTC|GMT|[+-]\\d{2}:?\\d{2})(?:\\[[\\w/+-]+\\])?)?"
const DATE = RegExp(`^\\[?(?:\\p{L}{3},? )?(?<a>\\d{1,4})[-/. ] ?(?<b>\\d{1,2}|${NAME})[-/. ](?<c>\\d{1,4})(?:(?:T|,? |:)${CLOCK})?${ZONE}\\]?$`, "u")
const FIRST = `^(?:${NAME},? )?(?<month>${NAME}) {1,2}(?<day>\\d{1,2})`, AT = `(?:(?:,|,? at)? ${CLOCK})?`
const NAMED = [RegExp(`${FIRST}${AT}(?: [A-Z]{3,4})?${ZONE} (?<year>\\d{4})$`, "u"), RegExp(`${FIRST},? (?<year>\\d{4})${AT}${ZONE}$`, "u")]
const SYSLOG = RegExp(`^(?<month>${NAME}) {1,2}(?<day>\\d{1,2}) ${CLOCK}${ZONE}$`, "u")
const COMPACT = RegExp("^(?<year>\\d{4})(?<month>\\d{2})(?<day>\\d{2})[T ]?(?<hour>\\d{2}):?(?<minute>\\d{2})(?::?(?<second>\\d{2}))?(?:[.,](?<fraction>\\d+))?" + ZONE + "$", "u")
const ELAPSED = /^(?:(\d+) days?,? )?(?:(\d+):)?(\d{1,2}):(\d{2}(?:\.\d+)?)$/
const DURATIONS = /^(duration|elapsed|runtime|laptime|wait|waiting|delay|latency|dwell|uptime|downtime|took|talk|hold|handle|dauer|laufzeit|fahrzeit|wartezeit|durée|duree|attente|duración|duracion|espera)$/
const MONTHS = {}
Object.assign(MONTHS, {win: 1, spr: 3, sum: 6, fal: 9, aut: 9})
for (const names of ["jan feb mar apr may jun jul aug sep oct nov dec", "jan feb mär apr mai jun jul aug sep okt nov dez", "jan feb mrz",
  "jan fév mar avr mai juin juil aoû sep oct nov déc", "jan fev mar avr mai juin juil aou sep oct nov dec",
  "ene feb mar abr may jun jul ago sep oct nov dic"]) names.split(" ").forEach((name, k) => MONTHS[name] = k + 1)
function microseconds_of({hour = "0", minute = "0", second = "0", fraction = "", half}) {
  const hours = half ? +hour % 12 + (half.toLowerCase() === "p" ? 12 : 0) : +hour
  return (hours < 24 || hours === 24 && !+minute && !+second) && +minute < 60 && +second < 60 ? 1e6 * (hours * 3600 + minute * 60 + +second) + +fraction.slice(0, 6).padEnd(6, "0") : NaN
}
function month_of(text) {
  const lower = text.toLowerCase()
  return /\d/.test(text) ? +text : MONTHS[lower.slice(0, lower.startsWith("jui") ? 4 : 3)] ?? NaN
}
/* Times are whole microseconds, of which a number holds all. */
function moment_of({year, month, day, zone, ...clock}) {
  const at = Date.UTC(year, month_of(month) - 1, day)
  if (year.length !== 4 || new Date(at).getUTCMonth() !== month_of(month) - 1) return NaN
  const shift = /([+-])(\d\d):?(\d\d)/.exec(zone || "")
  return 1000 * at + microseconds_of(clock) - (shift ? (shift[1] === "-" ? -60e6 : 60e6) * (shift[2] * 60 + +shift[3]) : 0)
}
const SHORT_YEAR = /^\d\d[-/. ] ?\d\d?[-/. ]\d\d(?:\D|$)/
const dates = (order, short = order !== "abc") => text => {
  const parts = DATE.exec(text)?.groups
  if (!parts) return NaN
  let [year, month, day] = [...order].map(name => parts[name])
  if (short && year.length === 2) year = (+year < 70 ? "20" : "19") + year
  return moment_of({...parts, year, month, day})
}
const parsed = (pattern, more) => text => { const parts = typeof text === "string" && pattern.exec(text)?.groups; return parts ? moment_of({...parts, ...more}) : NaN }
const named = text => { const first = parsed(NAMED[0])(text); return first === first ? first : parsed(NAMED[1])(text) }
const seconds_of = lasts => text => {
  const [, days = lasts ? 0 : NaN, hours = 0, minutes, seconds] = ELAPSED.exec(text) ?? []
  return 86400 * days + 3600 * hours + 60 * minutes + +seconds
}
const time_of_day = text => { const parts = TIME.exec(text)?.groups; return parts && +parts.hour < 24 ? microseconds_of(parts) : NaN }

/* The first days of quarters, weeks, months and seasons: what stands before and after a year, and the day of both. */
const first_of = (year, month) => month >= 1 && month <= 12 ? 1000 * Date.UTC(year, month - 1) : NaN
const monday_of = (year, week) => week > 53 ? NaN : 1000 * Date.UTC(year, 0, 4) + 864e8 * (7 * (week - 1) - (new Date(Date.UTC(year, 0, 4)).getUTCDay() || 7) + 1)
const PERIODS = [
  [/^(?<year>(?:19|20)\d{2})[-/. ]?[Qq]0?(?<part>[1-4])$/, /^[Qq](?<part>[1-4])[-/. ]?(?<year>(?:19|20)\d{2})$/, (year, part) => first_of(year, 3 * part - 2)],
  [/^(?<year>(?:19|20)\d{2})[-/. ]?[Kk]?[Ww](?<part>\d{1,2})$/, /^[Kk]?[Ww] ?(?<part>\d{1,2})[-/. ](?<year>(?:19|20)\d{2})$/, monday_of],
  [/^(?<year>(?:19|20)\d{2})[-/ ](?<part>\d{1,2}|\p{L}{3,9}\.?)$/u, /^(?<part>\d{1,2}|\p{L}{3,9}\.?)[-/ ](?<year>(?:19|20)\d{2})$/u, (year, part) => first_of(year, month_of(part))],
  [/^(?<year>(?:19|20)\d{2})[-/](?<part>\d{2}|\d{4})$/, /^$/, (year, part) => part % 100 === (+year + 1) % 100 ? first_of(year, 1) : NaN],
].map(([before, after, day]) => text => {
  const {year, part} = (before.exec(text) ?? after.exec(text))?.groups ?? {}
  return year ? day(year, part) : NaN
})
const words_of = name => (name.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+/gu) ?? []).map(word => word.toLowerCase())  /* as in bothways.data.names */
/* The ways to read the fields of a column, {name: values}; none for text. */
function ways_of(fields, name) {
  const rest = converted(fields, plain) ? fields : fields.map(text => MISSING.has(String(text).toLowerCase()) ? null : text)
  const numbers = converted(rest, plain), texts = rest.filter(text => typeof text === "string")
  const compact = texts.length ? converted(rest, parsed(COMPACT)) : null
  if (compact) return {times: compact}
  const thousands = numbers && texts.some(text => /[.eE]/.test(text)) && texts.slice(0, 100).every(text => LONE.test(text))
  if (numbers && !thousands) return {point: numbers}
  const point = numbers || separated(rest, "."), comma = separated(rest, ",")
  if (point || comma) return {...point && {point}, ...comma && {comma}}
  const truth = converted(rest, text => ({true: 1, false: 0})[String(text).toLowerCase()] ?? NaN)
  if (truth) return {truth}
  const seconds = converted(rest, seconds_of(words_of(name).some(word => DURATIONS.test(word))))
  if (seconds) return {seconds}
  const times = [dates("abc"), time_of_day, named, parsed(SYSLOG, {year: "2000"}), ...PERIODS].reduce((found, read) => found || converted(rest, read), null)
  if (times) return {times}
  const day = converted(rest, dates("cba")), month = converted(rest, dates("cab"))
  const year = rest.every(text => text === null || SHORT_YEAR.test(text)) ? converted(rest, dates("abc", true)) : null
  return {...day && {"day-first": day}, ...month && {"month-first": month}, ...year && {"year-first": year}}
}
/* Dates of so many digits with signs between: bothways.data.times.spelled; the fields if they are none. */
function spelled(fields, digits) {
  const first = [/^((?:19|20)\d\d)(\d\d)(\d\d)$/, "$1-$2-$3"], last = [/^(\d\d)(\d\d)((?:19|20)\d\d)$/, "$1-$2-$3"]
  const ways = digits === 6 ? [[/^((?:19|20)\d\d)(\d\d)$/, "$1-$2", PERIODS[2]]] : [[...first, dates("abc")], [...last, dates("cba")], [...last, dates("cab")]]
  const whole = fields.map(field => field === null ? null : String(field).padStart(digits, "0"))
  for (const [pattern, signs, read] of digits ? ways : []) {
    const apart = whole.map(text => text && text.replace(pattern, signs))
    if (whole.every(text => text === null || pattern.test(text)) && converted(apart, read)) return apart
  }
  return fields
}
/* Times of day of 3 to 6 digits with colons: with_colons. */
function with_colons(fields) {
  const longest = Math.max(0, ...fields.map(field => String(field ?? "").length)), pattern = /^([01]\d|2[0-4])([0-5]\d)([0-5]\d)?$/
  const whole = fields.map(field => field === null ? null : String(field).padStart(longest > 4 ? 6 : 4, "0"))
  if (longest < 3 || longest > 6 || !whole.every(text => text === null || pattern.test(text))) return fields
  return whole.map(text => text && text.replace(pattern, (_, hour, minute, second) => [hour, minute, second].filter(part => part).join(":")))
}
const OPTIONS = {point: "decimal", comma: "decimal", "day-first": "dates", "month-first": "dates", "year-first": "dates"}
/* The values of columns by name. Where one can be read in two ways, the others decide, then how the table was read that the
   model learned from. */
function typed(fields, reading) {
  const ways = {}, shown = {decimal: new Set(), dates: new Set()}
  for (const name in fields) {
    const own = ways[name] = ways_of(fields[name], name), [only, other] = Object.keys(own)
    if (only in OPTIONS && !other && (only !== "point" || fields[name].some(text => /[.,]/.test(text)))) shown[OPTIONS[only]].add(only)
  }
  return Object.fromEntries(Object.entries(ways).map(([name, own]) => {
    const names = Object.keys(own), option = OPTIONS[names[0]]
    const choice = names.length > 1 && shown[option].size === 1 ? [...shown[option]][0] : reading[option]
    const way = own[choice] ? choice : names[0]
    return [name, {way, values: own[way]}]
  }))
}
/* ---- sequences */
const INSTEAD = 'Label such a table with "bothways predict", which reads more.'
/* {numbers, texts, order: arrays by rows, rows: Int32Array, offsets, names, notices} */
async function read_sequences(file, model) {
  const {sequence, joined, order, told, reading} = model
  const keys = [...(joined.length ? joined : [sequence]), ...told.map(part => part.name)]
  const needed = [...new Set([...keys, ...model.features].filter(name => name !== null))]
  const table = await read_table(file, needed), {columns, notices} = table, place = row => `${file.name}, data row ${row + 1} (the first is 1)`
  if (reading.missing.length) {
    const words = new Set(reading.missing)
    for (const name of needed) columns[name] = columns[name].map(text => words.has(text) ? null : text)
  }
  if (joined.length) columns[sequence] = columns[joined[0]].map((_, row) => side_by_side(joined.map(name => columns[name][row])))
  const whole = told.map(({name, digits, hours}) => hours ? with_colons(columns[name]) : spelled(columns[name], digits))
  if (whole.length) columns[order] = whole[0].map((_, row) => moment_text(whole.map(fields => fields[row]), model))
  for (const name of [sequence, order]) {
    const empty = name === null ? -1 : columns[name].indexOf(null)
    if (empty >= 0) throw Error(`${place(empty)}: the column ${JSON.stringify(name)} is empty. ${INSTEAD}`)
  }
  const texts = new Set(model.texts.map(each => each.name))
  const own = [...model.features, ...(joined.length ? [] : [sequence]), order].filter(name => name !== null && !texts.has(name))
  const read = typed(Object.fromEntries(own.map(name => [name, columns[name]])), reading)
  const numbers = {}, missing = new Set(reading.missing.map(plain))
  for (const {name, filled} of model.numbers) {
    const {way, values} = read[name]
    if (!["point", "comma", "truth", "seconds"].includes(way)) {
      const row = columns[name].findIndex(text => text !== null && !MISSING.has(String(text).toLowerCase()) && plain(text) !== plain(text))
      throw Error(`${place(row)}: the column ${JSON.stringify(name)} must hold numbers; here stands ${JSON.stringify(columns[name][row])}. ${INSTEAD}`)
    }
    numbers[name] = values
    for (let row = 0; row < table.rows; row++) {
      if (!Number.isFinite(Math.fround(numbers[name][row])) || missing.has(numbers[name][row])) numbers[name][row] = NaN
      const x = numbers[name][row]
      if (x !== x && !filled) throw Error(`${place(row)}: the column ${JSON.stringify(name)} is empty. The model learned from a table in which it never was; fill it, or remove such rows.`)
    }
  }
  for (const {name, values, spelled} of model.texts) {
    const known = values && new Set(values), strange = new Map()
    for (let row = 0; row < table.rows; row++) {
      const text = columns[name][row] = columns[name][row] === null ? "" : String(columns[name][row])
      if (known && text !== "" && !known.has(text)) strange.set(text, (strange.get(text) || 0) + 1)
    }
    const total = [...strange.values()].reduce((a, b) => a + b, 0)
    if (total) notices.push(`Column ${JSON.stringify(name)}: ${count(total, "row")} with values that training never saw (${[...strange.keys()].slice(0, 3).join(", ")}); they are ${spelled ? "known by their spelling" : "read as unknown"}.`)
  }
  const by = order === null ? null : read[order].values ?? columns[order]
  if (by && by === columns[order]) {
    const ways = [plain, ...["abc", "cba", "cab"].map(dates), time_of_day].slice(...model.gaps === "times" ? [1] : model.gaps ? [0, 1] : [])
    const row = Math.max(0, by.findIndex(text => ways.every(read => Number.isNaN(read(text)))))
    throw Error(`${place(row)}: the column ${JSON.stringify(order)} must hold ${model.gaps || "numbers or times"}; here stands ${JSON.stringify(by[row])}.`)
  }
  /* As text where numbers would make one id of two: of 1.1 and 1.10, or where a number has no such digits. */
  const all_apart = read[sequence]?.values && new Set(read[sequence].values).size === new Set(columns[sequence]).size
  const ids = sequence === null ? null : all_apart ? read[sequence].values : columns[sequence]
  const grouped = group(file, table.rows, ids, by, order, notices)
  return {...grouped, table, numbers, order: model.gaps === "times" ? since_first(by, grouped) : by, columns, notices, name_of: i => sequence === null ? "" : String(columns[sequence][grouped.rows[grouped.offsets[i]]])}
}
/* Fields as one text; null if one of them is empty. */
function side_by_side(fields) {
  return fields.includes(null) ? null : fields.map(field => /,/.test(field) ? `"${field}"` : String(field)).join(",")
}
/* A time in one text: bothways.data.moments. */
function moment_text(fields, {told, between}) {
  if (fields.length === 1 || fields.includes(null)) return fields.length === 1 ? fields[0] : null
  const texts = fields.map((field, i) => told[i].part ? String(field).padStart(2, "0") : String(field))
  return texts.map((text, i) => between[i] + (i ? text.replace(/^(\d{1,2})\.(\d{2})\.(\d{2})$/, "$1:$2:$3") : text)).join("") + between.at(-1)
}
/* In seconds since the first step of a sequence: since 1970 they would be too large for microseconds. */
function since_first(times, {rows, offsets}) {
  const out = new Float64Array(times.length)
  for (let i = 0; i + 1 < offsets.length; i++) {
    const first = times[rows[offsets[i]]]
    for (let at = offsets[i]; at < offsets[i + 1]; at++) out[rows[at]] = (times[rows[at]] - first) / 1e6
  }
  return out
}
function group(file, size, ids, by, order, notices) {
  const rows = Int32Array.from({length: size}, (_, i) => i), same = (a, b) => !ids || ids[a] === ids[b]
  const offsets_of = () => { const out = [0]; for (let i = 1; i < size; i++) if (!same(rows[i], rows[i - 1])) out.push(i); return [...out, size] }
  const compare = (x, y) => x < y ? -1 : x > y ? 1 : 0
  let offsets = offsets_of(), stands = !ids || new Set(offsets.slice(0, -1).map(i => ids[i])).size === offsets.length - 1
  for (let i = 1; by && stands && i < size; i++) stands = !same(i, i - 1) || by[i] >= by[i - 1]
  if (!stands) {
    const sort = ties => rows.sort((a, b) => (ids ? compare(ids[a], ids[b]) : 0) || (by ? compare(by[a], by[b]) : 0) || ties * (a - b))
    let falls = !!by
    if (by) {
      rows.sort((a, b) => (ids ? compare(ids[a], ids[b]) : 0) || a - b)
      for (let i = 1; falls && i < size; i++) falls = !same(rows[i], rows[i - 1]) || by[rows[i]] <= by[rows[i - 1]]
    }
    sort(falls ? -1 : 1)
    offsets = offsets_of()
    let displaced = 0
    for (let i = 1; i < size; i++) displaced += same(rows[i], rows[i - 1]) && rows[i] < rows[i - 1]
    if (by && displaced) notices.push(`${file.name}: the rows are not in the order of ${JSON.stringify(order)} (${displaced.toLocaleString("en")} of ${size.toLocaleString("en")} stand after a later one); they are sorted.`)
  }
  for (let i = 1; i < offsets.length; i++) if (offsets[i] - offsets[i - 1] > MOST_STEPS) {
    throw Error(`${file.name}: a sequence has ${count(offsets[i] - offsets[i - 1], "step")}; this page takes up to ${MOST_STEPS.toLocaleString("en")}. Cut the table into pieces, or label it with "bothways predict".`)
  }
  return {rows, offsets}
}

/* The file again, each record with a label and its probability: a Blob. */
async function labeled(file, table, reading, classes, codes, probabilities) {
  const {separator} = table, comma = reading.decimal === "comma" && separator !== "," && separator !== null
  const [first, second, third] = new Uint8Array(await file.slice(0, 3).arrayBuffer())
  const marked = first === 239 && second === 187 && third === 191 || first + second === 509  /* by which spreadsheets tell the encoding */
  const parts = separator !== null && marked ? ["\ufeff"] : []
  for (const name of ["predicted", "probability"]) if (table.names.includes(name)) throw Error(`There is a column ${JSON.stringify(name)} already, which the predictions would take. Rename it.`)
  const written = classes.map(label => {
    const text = String(label)
    return separator === null ? JSON.stringify(label) : text.includes(separator) || /["\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text
  })
  const short = p => { for (let digits = 6; ; digits++) { const text = +p.toPrecision(digits); if (digits > 8 || Math.fround(text) === p) return comma ? String(text).replace(".", ",") : text } }
  let row = separator === null ? 0 : -1 - table.comments, {units} = table
  await records(file, table.encoding, separator !== null, lines => {
    const out = []
    for (let line of lines) {
      if (line.endsWith("\r")) line = line.slice(0, -1)
      if (row < 0) {
        if (!line.trim()) continue
        if (row === -1) out.push(line + separator + "predicted" + separator + "probability")
      } else if (separator === null) {
        if (!line.trim()) continue
        out.push(`${line.trimEnd().slice(0, -1).trimEnd()},"predicted":${written[codes[row]]},"probability":${short(probabilities[row])}}`)
      } else {
        const fields = fields_of(line, separator)
        if (is_blank(fields, table.names) || row === table.rows) continue
        if (units) { units = false; continue }
        out.push(line + separator.repeat(table.names.length - fields.length + 1) + written[codes[row]] + separator + short(probabilities[row]))
      }
      row++
    }
    parts.push(out.join("\n") + "\n")
  })
  return new Blob(parts, {type: "text/plain"})
}
