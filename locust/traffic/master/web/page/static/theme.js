// Runs before the page is drawn, so that the other theme never flashes. Locust keeps a person's choice in
// localStorage.theme ("light" or "dark"); without one, the system's theme is used.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      return window.localStorage.getItem("theme");
    } catch {
      return null; // storage is forbidden: the system's theme is used
    }
  };

  const apply = () => {
    const theme = chosen() ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme === "dark" ? "dark" : "light";
    document.dispatchEvent(new CustomEvent("themechange"));
  };

  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  window.addEventListener("pageshow", apply);
  document.addEventListener("themechosen", apply);
  apply();
})();
