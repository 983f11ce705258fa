// Tabs of one login stand and fall together: whoever signs out or in tells the others.

const channel = "BroadcastChannel" in window ? new BroadcastChannel("offers-session") : null;
const login = document.querySelector("[data-next]");

// What the browser kept of a page may be of a login that has ended.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

if (login === null) {
  channel?.addEventListener("message", ({ data }) => {
    if (data === "signed-out") location.replace(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  });
  channel?.postMessage("signed-in");
} else {
  channel?.addEventListener("message", ({ data }) => {
    if (data === "signed-in") location.replace(login.dataset.next);
  });
  if ("signedOut" in login.dataset) channel?.postMessage("signed-out");
}
