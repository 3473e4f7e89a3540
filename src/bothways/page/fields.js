/* What fields of text mean: bothways.data.fields. */
const MISSING = new Set(["?", "-", "--", "n/a", "#n/a", "na", "<na>", "null", "none", "nan", "-nan", "inf", "+inf", "-inf",
  "infinity", "+infinity", "-infinity"])
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
  const fits = RegExp(`^[+-]?(?:[1-9]\\d{0,2}(?:[${thousands}]\\d{3})+|\\d*)(?:[${sign}]\\d*)?(?:[eE][+-]?\\d+)?$`), apart = RegExp(`[${thousands}]`, "g")
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
const DURATIONS = /^(duration|elapsed|runtime|laptime|wait|waiting|delay|latency|dwell|uptime|downtime|took|dauer|laufzeit|fahrzeit|wartezeit|durée|duree|attente|duración|duracion|espera)$/
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
const dates = order => text => {
  const parts = DATE.exec(text)?.groups
  if (!parts) return NaN
  let [year, month, day] = [...order].map(name => parts[name])
  if (order !== "abc" && year.length === 2) year = (+year < 70 ? "20" : "19") + year
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
  const words = name.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+/gu) ?? []  /* as in bothways.data.names */
  const seconds = converted(rest, seconds_of(words.some(word => DURATIONS.test(word.toLowerCase()))))
  if (seconds) return {seconds}
  const times = [dates("abc"), time_of_day, named, parsed(SYSLOG, {year: "2000"}), ...PERIODS].reduce((found, read) => found || converted(rest, read), null)
  if (times) return {times}
  const day = converted(rest, dates("cba")), month = converted(rest, dates("cab"))
  return {...day && {"day-first": day}, ...month && {"month-first": month}}
}
const OPTIONS = {point: "decimal", comma: "decimal", "day-first": "dates", "month-first": "dates"}
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
