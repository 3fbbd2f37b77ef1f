// Runs before the first paint, so that a chosen theme does not flash: everything else about it is in theme.js.
{
  const chosen = localStorage.getItem("rivet-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
