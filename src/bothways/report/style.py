"""How a report looks: light and dark, on a desk, on a phone and on paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ink: light-dark(#1a1f27, #e8ecf2); --soft: light-dark(#5b6675, #9ba7b6); --line: light-dark(#d8dee6, #333c49);
  --card: light-dark(#ffffff, #1b212b); --page: light-dark(#f3f5f8, #12161d);
  --shade: light-dark(#1a1f2740, #e8ecf240); --accent: light-dark(#2458d3, #7da6ff);
  --warm: light-dark(#b85c00, #f0a04b); --bad: light-dark(#c2303f, #ff7b86); --good: light-dark(#1c7a46, #5fcf8e);
  --class-0: light-dark(#64748b, #94a3b8); --class-1: light-dark(#c2570c, #f39a54);
  --class-2: light-dark(#2458d3, #7da6ff); --class-3: light-dark(#1c7a46, #5fcf8e);
  --class-4: light-dark(#8246c9, #c39bff); --class-5: light-dark(#0e7c86, #4fc9d3);
  --class-6: light-dark(#b3266f, #f581b9); --class-7: light-dark(#7a5a1e, #d6b26a);
  --class-8: light-dark(#5a7300, #b5cf55); --class-9: light-dark(#4b4ecb, #a0a3ff);
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 2rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 62rem; margin: 0 auto; }
header p.part { margin: 0; color: var(--soft); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }
h3 small { font-weight: normal; color: var(--soft); }
section, .verdict { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: 1.2rem 1.4rem; margin-top: 1.1rem; }
section > p:first-of-type, .lead { margin-top: 0; color: var(--soft); max-width: 46rem; }
.verdict { border-left: .5rem solid var(--soft); font-size: 1.08rem; }
.verdict b { display: block; font-size: 1.3rem; line-height: 1.3; margin-bottom: .3rem; }
.verdict p { margin: 0; }
.better { border-left-color: var(--good); } .better b { color: var(--good); }
.worse { border-left-color: var(--bad); } .worse b { color: var(--bad); }
.unclear { border-left-color: var(--warm); } .unclear b { color: var(--warm); }
p.warning { border-left: .3rem solid var(--bad); padding-left: .8rem; }
ul.notes { margin: .8rem 0 0; padding-left: 1.2rem; font-size: 1rem; color: var(--soft); }
.scroll { overflow-x: auto; background:
  linear-gradient(to right, var(--card) 40%, transparent) left / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--card) 40%, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / .9rem 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / .9rem 100% no-repeat scroll; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.1rem; }
.side section { display: flex; flex-direction: column; } .side .scroll { flex: 1; } .side .confusion { height: 100%; }
.side figure { margin-top: .8rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; font-size: .86rem; vertical-align: bottom; white-space: normal; }
tbody th { font-weight: 600; }
th:first-child, td:first-child, .left { text-align: left; }
tbody tr:last-child > * { border-bottom: 0; }
table.scores th:first-child { white-space: normal; min-width: 8.5rem; }
table.scores td { min-width: 9rem; width: 35%; } table.scores * { text-align: left; }
td small, dd small { color: var(--soft); font-size: .8rem; }
tr.model > * { background: color-mix(in srgb, var(--accent) 8%, transparent); }
.track { position: relative; display: block; height: .5rem; margin-top: .25rem; border-radius: .25rem;
  background: color-mix(in srgb, var(--soft) 18%, transparent); }
.track i { position: absolute; inset: 0 auto 0 0; border-radius: .25rem; background: var(--soft); opacity: .75; }
.model .track i { background: var(--accent); opacity: 1; }
.track u { position: absolute; top: -.18rem; bottom: -.18rem; border: solid var(--ink); border-width: 0 2px; }
.track u::after { content: ""; position: absolute; left: 0; right: 0; top: calc(50% - 1px); border-top: 2px solid
  var(--ink); }
table.confusion { --hue: transparent; --share: 0%; }
table.confusion td { text-align: center; min-width: 3.4rem; border: 2px solid var(--card); border-radius: .3rem;
  background: color-mix(in srgb, var(--hue) var(--share), var(--card)); }
table.confusion td.strong { color: var(--card); } table.confusion td.strong small { color: inherit; }
table.confusion thead th { text-align: center; } table.confusion tbody th { text-align: right; border: 0; }
table.confusion td small { display: block; line-height: 1.1; }
table.compact { font-size: .84rem; } table.compact td { min-width: 2.5rem; padding: .4rem .1rem; }
table.compact th { padding: .2rem .25rem; }
table.mistakes :is(td, th):nth-child(2), table.words * { text-align: left; }
table.words td { white-space: normal; overflow-wrap: anywhere; }
table.labels :is(th, td):nth-last-child(-n+2) { text-align: left; } table.labels td:last-child { min-width: 16rem;
  white-space: normal; font-size: .86rem; color: var(--soft); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem 1.6rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .8rem; margin: 0; }
.numbers div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.numbers dt { color: var(--soft); font-size: .86rem; } .numbers dd { margin: 0; font-size: 1.5rem; line-height: 1.3; }
.numbers dd small { display: block; }
figure { margin: 0; } figure figcaption { font-weight: 600; margin-bottom: .2rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-family: inherit; } svg * { stroke-linejoin: round; stroke-linecap: butt; }
.wide svg { min-width: 44rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; margin: .6rem 0; list-style: none; }
.pair { align-items: center; }
.legend span { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .4rem; }
.chances { display: flex; height: 1.1rem; min-width: 12rem; border-radius: .3rem; overflow: hidden; gap: 1px; }
.chances span { display: block; }
.facts { columns: 17rem; column-gap: 2rem; } .facts > div { break-inside: avoid; } .facts h3 { margin-top: 0; }
.facts dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem 1rem; margin: 0 0 1.2rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); margin-top: 1.4rem; font-size: .9rem; }
@media (max-width: 40rem) {
  body { padding: 1rem .5rem 3rem; } section, .verdict { padding: .9rem .9rem; } h1 { font-size: 1.5rem; }
  th, td { padding: .35rem .4rem; } table.scores td { min-width: 5.5rem; }
  table.scores th:first-child { min-width: 6rem; }
  table.scores small { display: block; line-height: 1.2; white-space: normal; }
  .numbers { grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); }
  .wide::before { content: "scroll sideways →"; position: sticky; left: 0; color: var(--soft); font-size: .8rem; }
}
@media print {
  :root { color-scheme: light; --page: #ffffff; --shade: transparent; }
  body { padding: 0; font-size: 10pt; } section { padding: .8rem; } th, td { padding: .3rem .4rem; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, .numbers div, tr, .verdict { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; } .wide svg { min-width: 0; }
}
"""
