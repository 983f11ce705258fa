// Runs before anything is drawn, so that the page never flashes in the other theme.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light");
    document.documentElement.setAttribute("data-bs-theme", chosen);
    document.dispatchEvent(new CustomEvent("offers:theme"));
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("offers:choose-theme", (event) => {
    localStorage.setItem("theme", event.detail);
    apply();
  });
  apply();
})();
