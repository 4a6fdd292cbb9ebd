// MLflow shows the page at a blob: address in a sandbox, where Chromium refuses to follow a link to a part of it.
if (location.protocol === "blob:") {
  // Nor does that frame show a page of MLflow's own: there, a link to one is words.
  document.querySelectorAll('a[href^="http"]').forEach(link => link.removeAttribute("href"));
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
