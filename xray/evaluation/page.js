// MLflow shows the page at a blob: address in a sandbox, where Chromium refuses to follow a link to a part of it.
if (location.protocol === "blob:") {
  document.addEventListener("click", event => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    const part = document.getElementById(link.getAttribute("href").slice(1));
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
    part.scrollIntoView();
  });
}
