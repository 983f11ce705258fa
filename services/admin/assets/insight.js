// An offer's figures: charts and their tables from the JSON API, and the changes as the server tells them.

const REASONS_SHOWN = 5;
const page = document.querySelector("[data-insight]");
const address = page.dataset.insight;
const numbers = new Intl.NumberFormat("en");
const amounts = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const times = {
  hour: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" }),
  day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }),
};
const charts = {};
const words = new Map();
let shown = null;
let asked = 0;
let stream = null;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function part(name) {
  return page.querySelector(`[data-${name}]`);
}

// A colour of the theme as a canvas understands it.
const probe = page.appendChild(element("span", { hidden: true }));
function colour(name) {
  probe.style.color = `var(--tblr-${name})`;
  return getComputedStyle(probe).color;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

// A reason in few words, where there is no room for a sentence.
function short(reason) {
  const text = reason.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function labels() {
  return shown.outcomes.map((point) => times[shown.bucket].format(new Date(point.at)));
}

// The reasons of the time shown, the most frequent first: [reason, count].
function reasons() {
  const counts = new Map();
  for (const point of shown.outcomes) {
    for (const [reason, count] of Object.entries(point.rejected)) counts.set(reason, (counts.get(reason) ?? 0) + count);
  }
  return [...counts].sort(([first, many], [second, more]) => more - many || first.localeCompare(second));
}

// What the chart of outcomes and its table show: a name, a colour and a number for each point.
function outcomeSeries() {
  const top = reasons().slice(0, REASONS_SHOWN).map(([reason]) => reason);
  const palette = ["red", "orange", "pink", "purple", "azure"];
  const series = [
    { name: "Redeemed", colour: "green", values: shown.outcomes.map((point) => point.accepted) },
    { name: "Revoked", colour: "yellow", values: shown.outcomes.map((point) => point.revoked) },
    ...top.map((reason, place) => ({
      name: short(reason),
      colour: palette[place],
      values: shown.outcomes.map((point) => point.rejected[reason] ?? 0),
    })),
  ];
  const rest = shown.outcomes.map((point) =>
    sum(Object.entries(point.rejected).filter(([reason]) => !top.includes(reason)).map(([, count]) => count)));
  if (sum(rest)) series.push({ name: "Other refusals", colour: "secondary", values: rest });
  return series.filter((one, place) => place === 0 || sum(one.values));
}

function options(stacked) {
  const ink = colour("secondary-color");
  const line = colour("border-color");
  const axis = { stacked, grid: { color: line }, border: { color: line }, ticks: { color: ink } };
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    interaction: { mode: "index", intersect: false },
    scales: {
      x: { ...axis, ticks: { color: ink, maxTicksLimit: 8, maxRotation: 0 } },
      y: { ...axis, beginAtZero: true, ticks: { color: ink, precision: 0 } },
    },
    plugins: { legend: { display: stacked, position: "bottom", labels: { color: ink, boxWidth: 12 } } },
  };
}

function draw(name, type, datasets, stacked) {
  const data = { labels: labels(), datasets };
  if (charts[name]) {
    Object.assign(charts[name], { data, options: options(stacked) });
    charts[name].update("none");
  } else {
    charts[name] = new Chart(page.querySelector(`[data-chart="${name}"]`), { type, data, options: options(stacked) });
  }
}

function tabulate(name, columns) {
  const table = page.querySelector(`[data-table="${name}"]`);
  const head = element("tr", {}, ...["Time (UTC)", ...columns.map((column) => column.name)].map((text) =>
    element("th", { scope: "col", textContent: text })));
  const rows = labels().map((label, place) => element("tr", {},
    element("th", { scope: "row", className: "fw-normal text-nowrap", textContent: label }),
    ...columns.map((column) =>
      element("td", { textContent: column.values[place] === null ? "—" : numbers.format(column.values[place]) }))));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows.reverse()));
}

function listReasons() {
  const found = reasons();
  const items = found.map(([reason, count]) => {
    const text = words.get(reason) ?? reason;
    const bar = element("progress", { className: "progress progress-sm", max: found[0][1], value: count });
    bar.setAttribute("aria-label", text);
    return element("li", { className: "mb-3" },
      element("div", { className: "d-flex gap-2" },
        element("span", { className: "flex-fill", textContent: text }),
        element("strong", { textContent: numbers.format(count) })),
      bar);
  });
  const none = element("li", { className: "text-secondary", textContent: "Nobody was refused in this time." });
  part("reasons").replaceChildren(...(items.length ? items : [none]));
}

function drawAll() {
  const outcomes = outcomeSeries();
  draw("outcomes", "bar", outcomes.map((one) =>
    ({ label: one.name, data: one.values, backgroundColor: colour(one.colour), maxBarThickness: 28, barPercentage: 1 })), true);
  const members = { name: "Members", values: shown.members.map((point) => point.members) };
  const blue = colour("primary");
  const known = members.values.filter((value) => value !== null).length;
  draw("members", "line", [{
    label: members.name, data: members.values, borderColor: blue, backgroundColor: blue, stepped: true,
    pointRadius: known > 1 ? 0 : 3, borderWidth: 2,
  }], false);
  tabulate("outcomes", outcomes);
  tabulate("members", [members]);
  listReasons();
  part("empty").hidden = outcomes.some((one) => sum(one.values));
  const nobody = !members.values.some((value) => value);
  part("nobody").hidden = !nobody;
  part("people").hidden = nobody;
}

function tellFigures(figures) {
  for (const [name, value] of Object.entries(figures.totals)) {
    const place = page.querySelector(`[data-figure="${name}"]`);
    if (place) place.textContent = name === "discount_given" ? amounts.format(value) : numbers.format(value);
  }
  page.querySelector('[data-figure="members"]')
    ?.setAttribute("aria-label", `${numbers.format(figures.totals.members)} members: show them`);
  if (part("usage")) part("usage").value = figures.totals.used;
  part("changed").hidden = String(figures.version) === page.dataset.version;
  if (part("rebuild")) {
    part("rebuild").hidden = figures.rebuild === null;
    part("settled").hidden = figures.rebuild !== null;
    if (figures.rebuild?.users_total) {
      Object.assign(part("rebuild").querySelector("progress"),
        { max: figures.rebuild.users_total, value: figures.rebuild.users_done });
    }
  }
}

async function load() {
  const hours = part("periods").querySelector(":checked").value;
  const number = ++asked;
  const response = await fetch(`${address}?hours=${hours}`, { headers: { Accept: "application/json" } });
  if (number !== asked) return;
  if (!response.ok) {
    part("live").textContent = "The charts can't be drawn just now";
    return;
  }
  shown = await response.json();
  for (const reason of shown.reasons) words.set(reason.reason, reason.text);
  tellFigures(shown);
  drawAll();
}

// Puts the newest figures where the last point stands; a new hour, day or reason needs all of it again.
function follow(figures) {
  tellFigures(figures);
  if (shown === null) return;
  const newest = shown.bucket === "hour" ? figures.hour : figures.day;
  const last = shown.outcomes.length - 1;
  const known = Object.keys(newest.rejected).every((reason) => words.has(reason));
  if (newest.at !== shown.outcomes[last].at || !known) {
    load();
    return;
  }
  shown.outcomes[last] = newest;
  shown.members[last].members = figures.totals.members;
  drawAll();
}

// Browsers open few connections to a server: a tab nobody looks at gives its one back.
function stop() {
  stream?.close();
  stream = null;
}

function watch() {
  if (document.hidden) stop();
  if (document.hidden || stream) return;
  stream = new EventSource(`${address}/events`);
  stream.addEventListener("open", () => { part("live").textContent = "● Live"; });
  stream.addEventListener("figures", (event) => follow(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    const ended = stream?.readyState === EventSource.CLOSED;
    part("live").textContent = ended ? "Not live: load the page again" : "Connecting …";
  });
}

part("periods").addEventListener("change", (event) => {
  const there = new URL(location.href);
  there.searchParams.set("hours", event.target.value);
  history.replaceState(history.state, "", there);
  load();
});
document.addEventListener("offers:theme", () => { if (shown) drawAll(); });
document.addEventListener("visibilitychange", watch);
addEventListener("pagehide", stop);
addEventListener("pageshow", watch);
load();
watch();
