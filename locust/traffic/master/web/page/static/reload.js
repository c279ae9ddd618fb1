// Loads the page again if a part that it needs could not be loaded, for example because the network changed just then.
// Without that part the page would stay as it came.

(() => {
  const AGAIN_MS = 2000;
  let due = 0;

  addEventListener(
    "error",
    (event) => {
      if (event.target instanceof HTMLElement && "needed" in event.target.dataset) {
        due ||= setTimeout(() => location.reload(), AGAIN_MS);
      }
    },
    true,
  );
})();
