// Copies what a field holds; where the browser doesn't allow that, it selects it for the person to copy.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button === null) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    document.dispatchEvent(new CustomEvent("offers:tell", { detail: { message: "Copied.", kind: "success" } }));
  } catch {
    // It is selected: one key copies it.
  }
});
