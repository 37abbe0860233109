"""The style sheet of a report's page: light and dark, wide and narrow screens, paper. Never loaded."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--ink:#1c2330;--soft:#5b6575;--line:#d9dee6;--page:#f5f6f8;--card:#fff;--mark:#0b5c8a;--code:#eef1f5;
--lapse:#b3261e;--warn:#8a5a00;--good:#1f6f43;--shade:rgba(20,30,50,.06)}
@media (prefers-color-scheme:dark){:root{--ink:#e3e7ee;--soft:#9aa5b5;--line:#323a47;--page:#12161d;--card:#1a2029;
--mark:#6fb7e6;--code:#252d39;--lapse:#ff8a80;--warn:#f2c14e;--good:#7bd19d;--shade:rgba(0,0,0,.3)}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Liberation Sans","Noto Sans",Arial,sans-serif;display:grid;grid-template-columns:minmax(0,15rem) minmax(0,62rem);
gap:0 2rem;justify-content:center;padding:0 1.25rem 3rem}
header,footer{grid-column:1/-1}
header{border-bottom:3px solid var(--mark);margin-bottom:1.5rem;padding:2rem 0 .75rem}
header h1{margin:0 0 .25rem;font-size:1.9rem;line-height:1.2;letter-spacing:-.01em;text-wrap:balance}
header p{margin:.25rem 0;color:var(--soft);font-size:.92rem}
nav{font-size:.88rem}
nav ol{position:sticky;top:1rem;margin:0;padding:0;list-style:none}
nav a{display:block;padding:.28rem .6rem;color:var(--soft);text-decoration:none;border-left:2px solid var(--line)}
nav a:hover,nav a:focus-visible{color:var(--mark);border-color:var(--mark)}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.4rem;margin:0 0 1.1rem;
box-shadow:0 1px 3px var(--shade)}
h2{margin:.1rem 0 .7rem;font-size:1.25rem;line-height:1.3;scroll-margin-top:1rem}
h3{margin:1.4rem 0 .5rem;font-size:1.02rem;padding-top:.9rem;border-top:1px solid var(--line)}
h2+h3{margin-top:0;padding-top:0;border-top:0}
h4{margin:1.1rem 0 .4rem;font-size:.95rem;color:var(--soft)}
p{margin:.45rem 0}
ul,ol{margin:.4rem 0 .6rem;padding-left:1.4rem}
li{margin:.28rem 0;overflow-wrap:anywhere}
li>ul{font-size:.92rem;color:var(--soft)}
li::marker{color:var(--mark);font-weight:600}
code{background:var(--code);border-radius:4px;padding:.08em .35em;font:.88em/1.4 ui-monospace,SFMono-Regular,Menlo,
Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
strong.lapse{color:var(--card);background:var(--lapse);border-radius:4px;padding:.05em .45em;font-size:.82em;
text-transform:uppercase;letter-spacing:.04em}
#in-short{color:var(--mark)}
section[aria-labelledby=in-short]{border-left:5px solid var(--mark)}
section[aria-labelledby=what-to-do-first]{border-left:5px solid var(--lapse)}
section[aria-labelledby=new-since-the-last-report]{border-left:5px solid var(--good)}
.wide{overflow-x:auto;margin:.5rem 0 .8rem}
.wide:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th{text-align:left;color:var(--soft);font-weight:600;font-size:.8rem;white-space:nowrap}
th,td{padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td{overflow-wrap:break-word;min-width:3.5rem}
tr:last-child td{border-bottom:0}
.odds{display:inline-block;white-space:nowrap;border-radius:999px;padding:.05rem .6rem;font-size:.84rem;font-weight:600;
border:1px solid currentColor}
.o0,.o1,.o2{color:var(--soft)}.o3,.o4{color:var(--warn)}.o5,.o6{color:var(--good)}
.none{color:var(--soft);font-weight:400;border-style:dashed}
footer{color:var(--soft);font-size:.85rem;border-top:1px solid var(--line);margin-top:1rem;padding-top:.6rem}
@media (max-width:60rem){body{grid-template-columns:minmax(0,1fr)}nav ol{position:static;display:flex;flex-wrap:wrap;
gap:.2rem;margin-bottom:1rem}nav a{border:1px solid var(--line);border-radius:999px}}
@media (max-width:40rem){thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}td{display:block;border:0;padding:.1rem 0}
td[data-of]::before{content:attr(data-of) ": ";color:var(--soft);font-size:.82rem}td:empty{display:none}
section{padding:.9rem 1rem}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--mark:#000;--code:#f2f2f2;--shade:none}
body{display:block;padding:0;font-size:10.5pt}nav{display:none}section{border:0;border-top:1px solid var(--line);
border-radius:0;box-shadow:none;padding:.6rem 0}h2,h3,h4{break-after:avoid}li,tr{break-inside:avoid}
.wide{overflow:visible}}
"""
