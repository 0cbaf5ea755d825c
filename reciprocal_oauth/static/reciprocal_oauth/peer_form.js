/* The form of a peer: shows the redirect URI for the typed short name, and moves the focus to the
   first field with an error. */
(() => {
  "use strict";

  const PLACE = "SHORT-NAME";

  function followShortName() {
    const shown = document.querySelector("[data-redirect-uri]");
    const slug = document.getElementById("id_slug");
    if (!shown || !slug) return;
    const show = () => {
      shown.textContent = shown.dataset.redirectUri.replace(PLACE, slug.value.trim() || PLACE);
    };
    // Another script of the admin sets the short name after a key in the name was released.
    for (const event of ["input", "change", "keyup", "focusout"]) {
      slug.form.addEventListener(event, () => setTimeout(show));
    }
    show();
  }

  function focusError() {
    const wrong = document.querySelector("#content [aria-invalid=true]:not([type=hidden])");
    if (!wrong) return;
    const fold = wrong.closest("details");
    if (fold) fold.open = true;
    wrong.focus();
  }

  document.addEventListener("DOMContentLoaded", followShortName);
  // A script of the admin focuses the first field of each new form. It runs before this event.
  addEventListener("load", focusError);
})();
