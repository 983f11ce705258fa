// What every page does: the CSRF token on each request, errors told, the theme switched.

const csrfToken = document.querySelector('meta[name="csrf-token"]').content;

export function tell(message, kind = "danger") {
  const toast = document.createElement("div");
  toast.className = `toast show align-items-center text-bg-${kind} border-0`;
  toast.setAttribute("role", kind === "danger" ? "alert" : "status");
  const body = document.createElement("div");
  body.className = "d-flex";
  const text = document.createElement("div");
  text.className = "toast-body";
  text.textContent = message;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close btn-close-white me-2 m-auto";
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => toast.remove());
  body.append(text, close);
  toast.append(body);
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), 8000);
}

// fetch for our own API: JSON in and out; throws an Error that carries the problem's detail.
export async function call(method, address, body) {
  const headers = { "X-CSRF-Token": csrfToken, Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw Object.assign(new Error(answer?.detail ?? response.statusText), { problem: answer });
  return answer;
}

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = csrfToken;
});
document.addEventListener("htmx:responseError", (event) => {
  let detail = event.detail.xhr.statusText;
  try {
    detail = JSON.parse(event.detail.xhr.responseText).detail ?? detail;
  } catch {
    // Not a problem document: its status text has to do.
  }
  tell(detail);
});
document.addEventListener("htmx:sendError", () => tell("The server can't be reached; nothing was saved."));
document.addEventListener("offers:tell", (event) => tell(event.detail.message, event.detail.kind));

for (const toggle of document.querySelectorAll("[data-theme-toggle]")) {
  toggle.addEventListener("click", () => {
    const now = document.documentElement.getAttribute("data-bs-theme");
    dispatchEvent(new CustomEvent("offers:choose-theme", { detail: now === "dark" ? "light" : "dark" }));
  });
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
