// The button beside a command. Without this script there is none, and the command is marked as ever.
for (const button of document.querySelectorAll("button[data-copy]")) {
  // Browsers let only pages over TLS, or of this machine, write to the clipboard.
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
