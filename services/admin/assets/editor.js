// The rule editor's part of the page: problems beside their fields, dragging, keys, and the palette's search.

const body = () => document.getElementById("editor-body");

// Problems come with every save; they are put beside their fields, and no field is ever replaced by it.
function showProblems() {
  const told = document.getElementById("draft-problems");
  const problems = new Map();
  for (const { field, message } of JSON.parse(told.dataset.problems)) {
    problems.set(field, [...(problems.get(field) ?? []), message]);
  }
  for (const place of document.querySelectorAll("[data-error-for]")) {
    const messages = problems.get(place.dataset.errorFor) ?? [];
    const text = messages.join("; ");
    if (place.textContent !== text) place.textContent = text;
    const input = document.getElementById(place.dataset.errorFor);
    input?.classList.toggle("is-invalid", messages.length > 0);
    if (messages.length) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
  }
  if (told.dataset.announce) document.getElementById("announce").textContent = told.dataset.announce;
}

function makeSortable() {
  const list = document.getElementById("rule-list");
  if (!list || list.dataset.sortable) return;
  list.dataset.sortable = "yes";
  Sortable.create(list, {
    handle: "[data-drag]",
    animation: 120,
    onEnd: (event) => {
      if (event.oldIndex !== event.newIndex) document.getElementById("rules-order").click();
    },
  });
}

function enableButtons() {
  const state = document.getElementById("draft-state").dataset;
  for (const button of document.querySelectorAll("[data-needs]")) button.disabled = !state[button.dataset.needs];
}

// Only the newest count matters: one that is under way when the draft changes is given up.
let counted;
let counting;
async function countReach() {
  const revision = document.getElementById("revision").value;
  if (revision === counted) return;
  counted = revision;
  counting?.abort();
  counting = new AbortController();
  const address = `${document.getElementById("editor").getAttribute("hx-post")}/reach`;
  try {
    const response = await fetch(address, { headers: { "HX-Request": "true" }, signal: counting.signal });
    if (response.status === 200) htmx.swap("#reach", await response.text(), { swapStyle: "innerHTML" });
  } catch (error) {
    if (error.name !== "AbortError") document.getElementById("reach").textContent = "Not counted: the server can't be reached.";
  }
}

function refresh() {
  if (!body()) return;
  countReach();
  showProblems();
  enableButtons();
  makeSortable();
  const wanted = body().querySelector("[data-focus]");
  wanted?.removeAttribute("data-focus");
  wanted?.focus();
}

// Operations are asked for by the form itself, after what it is saving: a button may be redrawn before its turn comes.
document.addEventListener("click", (event) => {
  const operation = event.target.closest("[data-op]")?.dataset.op;
  if (!operation) return;
  const form = document.getElementById("editor");
  htmx.ajax("POST", form.getAttribute("hx-post"), { source: form, swap: "outerHTML", values: { op: operation } });
});

// Searching the palette is no edit.
document.addEventListener(
  "input",
  (event) => {
    if (!event.target.matches("[data-palette-search]")) return;
    event.stopPropagation();
    const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const entry of document.querySelectorAll("[data-palette-entry]")) {
      const text = entry.dataset.paletteEntry.toLowerCase();
      entry.hidden = !wanted.every((word) => text.includes(word));
      if (!entry.hidden) shown += 1;
    }
    document.getElementById("palette-empty").hidden = shown > 0;
  },
  true,
);
document.addEventListener(
  "change",
  (event) => {
    if (event.target.matches("[data-palette-search], #users-text, #users-file")) event.stopPropagation();
  },
  true,
);
document.addEventListener(
  "input",
  (event) => {
    if (event.target.matches("#users-text, #users-file")) event.stopPropagation();
  },
  true,
);

const isTyping = (element) => element.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");

document.addEventListener("keydown", (event) => {
  if (event.target.matches("[data-palette-search]") && event.key === "Enter") {
    event.preventDefault();
    document.querySelector("[data-palette-entry]:not([hidden]) button")?.click();
    return;
  }
  const rule = event.target.closest?.("[data-rule]");
  if (rule && event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    document.getElementById(`${rule.id}-${event.key === "ArrowUp" ? "up" : "down"}`)?.click();
    return;
  }
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y") && !isTyping(event.target)) {
    event.preventDefault();
    document.getElementById(key === "y" || event.shiftKey ? "redo" : "undo")?.click();
  }
});

document.addEventListener("htmx:afterSettle", refresh);
document.addEventListener("htmx:oobAfterSwap", refresh);
refresh();
