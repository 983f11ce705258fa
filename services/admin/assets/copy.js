// Copies what a field holds; where the browser doesn't allow that, it selects it for the person to copy.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button === null) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    button.querySelector("span").textContent = "Copied";
  } catch {
    button.querySelector("span").textContent = "Press Ctrl+C";
  }
});
